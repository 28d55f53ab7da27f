"""Weights between the warm encoder and the trained one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from textae.training.sharding import whole_tensor


@contextmanager
def interpolated(network: nn.Module, other: nn.Module | None, share: float) -> Iterator[None]:
    """Within, parameters of ``network`` are ``share * other + (1 - share) * network``; then its own again.

    Training by rewards narrows what a network writes. The straight line back to where that training began
    trades some of the reward for the variety from before (Wortsman et al., "Robust fine-tuning of zero-shot
    models", CVPR 2022; for rewards Ramé et al., "WARP", 2024).

    Args:
        network: the one that learns; it gets its own weights back bit for bit.
        other: of the same architecture, perhaps in pieces (every process enters then); None changes nothing.
        share: between 0 and 1.
    """
    if other is None or share == 0:
        yield
        return
    own = [parameter.detach().clone() for parameter in network.parameters()]
    with torch.no_grad():
        for parameter, begun in zip(network.parameters(), other.parameters(), strict=True):
            # One whole tensor at a time, where the other's lie in pieces.
            parameter.lerp_(whole_tensor(begun).to(parameter), share)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, kept in zip(network.parameters(), own, strict=True):
                parameter.copy_(kept)
