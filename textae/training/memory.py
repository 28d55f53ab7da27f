"""When a batch is too large for the memory: the same step again, a part of its rows at a time."""

import gc

from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from textae.errors import InputError
from textae.training.metrics import logger

# What libraries below PyTorch say on a CPU: oneDNN of its kernels, C++ of anything.
_NO_MEMORY = ("could not create a primitive", "could not execute a primitive", "std::bad_alloc")


def ran_out_of_memory(error: Exception) -> bool:
    """Whether an operation failed because there was no memory left, on a GPU or a CPU."""
    told = isinstance(error, MemoryError) or should_reduce_batch_size(error)
    return told or any(text in str(error) for text in _NO_MEMORY)


class RowsAtOnce:
    """How many rows of a batch go through a network at a time; fewer once memory has run out.

    Gradients are those of all rows at once (see :func:`textae.models.chunks.in_chunks`).

    Args:
        setting: ``optimizer.rows_at_once``.
        rows: of the batch; 1 if it cannot be cut.
        repeats: whether a step may be tried again: not if several processes train, who would wait for each
            other in different places.
    """

    def __init__(self, setting: int | None, rows: int, repeats: bool):
        self.now, self.rows, self.repeats = setting, rows, repeats

    def reduce(self, step: int) -> None:
        """Halve it, and say so.

        Raises:
            InputError: if there is nothing to halve, or a step cannot be tried again.
        """
        current = self.rows if self.now is None else min(self.now, self.rows)
        if not self.repeats or current <= 1:
            raise InputError(
                f"step {step}: memory ran out with {current} rows at once; set optimizer.rows_at_once or "
                "documents_per_batch lower, or data.max_document_tokens, and --resume latest."
            )
        self.now = -(-current // 2)
        gc.collect()
        clear_device_cache()
        logger.warning(
            "step %d: memory ran out and the batch is taken %d rows at a time; where that happens often, "
            "optimizer.rows_at_once = %d saves the attempt.",
            step,
            self.now,
            self.now,
        )
