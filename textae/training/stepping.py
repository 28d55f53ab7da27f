"""From a loss to learned weights: backward, the clipping of each network, the optimizer's step."""

from collections.abc import Iterable
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from textae.training.checkpoint import put_moments
from textae.training.sharding import whole_tensor


class Stepping:
    """What the loop asks of gradients and of AdamW's moments, through Accelerate.

    Args:
        accelerator: of the run.
        optimizer: as Accelerate prepared it.

    Attributes:
        repeats: whether a backward pass that broke off leaves nothing behind, so that it may be repeated.
    """

    repeats = True

    def __init__(self, accelerator: Accelerator, optimizer: Any):
        self.accelerator, self.optimizer = accelerator, optimizer

    def backward(self, loss: torch.Tensor) -> None:
        """Gradients of this loss alone, averaged over processes."""
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)

    def clip(self, network: str, parameters: Iterable[nn.Parameter], limit: float) -> float:
        """Norm of the gradients of one network before they are cut to ``limit``."""
        return float(whole_tensor(self.accelerator.clip_grad_norm_(list(parameters), limit)))

    def step(self) -> None:
        """Learn from the gradients."""
        self.optimizer.step()

    def skip(self) -> None:
        """Learn nothing from them."""

    def moments(self, keep: bool) -> dict[int, dict[str, Any]]:
        """The optimizer's state by the number of a parameter, maybe in pieces; every process calls it.

        Args:
            keep: whether this process is the one that saves.
        """
        found: dict[int, dict[str, Any]] = self.optimizer.optimizer.state_dict()["state"]
        return found

    def put_moments(self, moments: Iterable[tuple[int, str, Any]]) -> None:
        """Take over what was saved of :meth:`moments`, in this mode or another.

        Args:
            moments: number of a parameter, name and whole value, one after the other.

        Raises:
            ValueError: if it does not fit the weights.
        """
        put_moments(self.optimizer.optimizer, moments)

    def forget(self) -> None:
        """The optimizer begins anew, with no moments."""
        self.optimizer.optimizer.state.clear()
