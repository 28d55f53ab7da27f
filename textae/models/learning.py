"""How a network learns: rates, parameter groups, hidden words; in training, and in an audit."""

from collections.abc import Iterable
from typing import Any

import torch

from textae.config import OptimizerConfig
from textae.data.batches import TokenBatch


def ramp(step: int, steps: int, rise: int) -> float:
    """Factor on a learning rate: rises linearly over ``rise`` steps, then falls linearly to a fifth."""
    if step < rise:
        return (step + 1) / rise
    return 1.0 - 0.8 * (step - rise) / max(1, steps - rise)


def decay_groups(network: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: matrices with weight decay, biases and norms without."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if (p.dim() >= 2) == decays], "weight_decay": decay}
        for decays, decay in ((True, weight_decay), (False, 0.0))
    ]


def adamw(groups: Iterable[dict[str, Any]], config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over parameter groups; the rate is 0 until it is set."""
    betas = (config.adam_beta1, config.adam_beta2)
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=True)


def hide_tokens(documents: TokenBatch, uniforms: torch.Tensor, rate: float, mask: int) -> torch.Tensor:
    """Decoder inputs (N, S): the documents with the share ``rate`` of their tokens masked.

    A decoder that does not see all of its own past has to read the summary (Bowman et al. 2016).
    ``uniforms`` (N, S) decide which tokens.
    """
    return documents.ids.masked_fill((uniforms < rate) & documents.mask, mask)
