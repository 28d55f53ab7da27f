"""Less memory: rows go through a network a few at a time, and again when their gradients are wanted."""

from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint

Parts = tuple[torch.Tensor | None, ...]


def in_chunks(rows: int, at_once: int | None, work: Callable[[torch.Tensor], Parts]) -> Parts:
    """What ``work`` gives for all rows, with the memory that a chunk of them takes.

    Of a chunk only the result is kept; backward it is computed again, with the same random numbers (Chen et
    al., "Training Deep Nets with Sublinear Memory Cost", 2016). Gradients are those of all rows at once,
    whatever is made of the results, which smaller batches, one after the other, would not give: rewards and
    means go over all rows.

    Args:
        rows: number N of rows.
        at_once: rows of a chunk; None for all, without computing anything twice.
        work: from the numbers of some rows (n,) to tensors (n, ...) of these rows alone, or Nones.
    """
    numbers = torch.arange(rows)
    if at_once is None:
        return work(numbers)
    results = [checkpoint(work, chunk, use_reentrant=False) for chunk in numbers.split(at_once)]
    return tuple(None if parts[0] is None else torch.cat(parts) for parts in zip(*results, strict=True))
