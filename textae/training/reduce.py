"""Means over the global batch, however many processes share it."""

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object


class Reduce:
    """Sums over processes, arranged so that gradients come out as if there were one process.

    Distributed data parallel averages gradients over processes. A mean over the global batch is
    therefore computed as local sum * processes / global count.
    """

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.processes = accelerator.num_processes

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Sum over processes, without gradient."""
        value = value.detach().float()
        return value if self.processes == 1 else self.accelerator.reduce(value.clone(), "sum")

    def any(self, value: bool) -> bool:
        """Whether it is true in any process; every process calls it."""
        return (
            value
            if self.processes == 1
            else bool(self.sum(torch.tensor(float(value), device=self.accelerator.device)))
        )

    def gather(self, rows: list[list[int]]) -> list[list[int]]:
        """The rows of all processes, in their order; every process calls it."""
        return rows if self.processes == 1 else gather_object(rows)

    def mean(self, total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """Local part of a global mean: ``total`` * processes / global ``count``."""
        return total * self.processes / self.sum(count).clamp_min(1.0)

    def value(self, local_part: torch.Tensor) -> float:
        """The global mean itself, for the log, from what :meth:`mean` gave."""
        return float(self.sum(local_part)) / self.processes

    def rows(self, value: torch.Tensor) -> torch.Tensor:
        """The rows of all processes' tensors, which may have different numbers of them, in their order."""
        if self.processes == 1:
            return value
        counts = self.accelerator.gather(torch.tensor([len(value)], device=value.device)).tolist()
        padded = self.accelerator.pad_across_processes(value.contiguous(), dim=0)
        parts = self.accelerator.gather(padded).split(padded.shape[0])
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])
