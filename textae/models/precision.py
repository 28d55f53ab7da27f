"""How exact probabilities are."""

import torch


def at_least_float32(scores: torch.Tensor) -> torch.Tensor:
    """``scores`` in float32, or as they are where they are more exact: sums over a vocabulary want it."""
    return scores if scores.dtype == torch.float64 else scores.float()
