"""Length-bucketed batches under a token budget, whose position can be saved and restored."""

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import datasets
import torch

from textae.data.tokenizer import Vocabulary
from textae.errors import InputError

NOTHING_LEFT = "No text is left to train on; raise data.max_human_tokens or give more text."


@dataclass
class TokenBatch:
    """Padded token ids (N, T) and their mask (N, T), true where a token stands."""

    ids: torch.Tensor
    mask: torch.Tensor

    def to(self, device: torch.device) -> "TokenBatch":
        """The same batch on ``device``."""
        return TokenBatch(self.ids.to(device), self.mask.to(device))

    def repeat(self, times: int) -> "TokenBatch":
        """Each row ``times`` times, copies side by side."""
        return TokenBatch(self.ids.repeat_interleave(times, 0), self.mask.repeat_interleave(times, 0))

    def first(self, count: int) -> "TokenBatch":
        """The first ``count`` rows."""
        return TokenBatch(self.ids[:count], self.mask[:count])

    def select(self, rows: torch.Tensor) -> "TokenBatch":
        """The rows of these numbers, or those where ``rows`` is true."""
        return TokenBatch(self.ids[rows], self.mask[rows])

    def rows(self) -> list[list[int]]:
        """The rows as lists, without padding."""
        return [row[kept].tolist() for row, kept in zip(self.ids, self.mask, strict=True)]


def pad_rows(rows: list[list[int]], pad: int, device: torch.device | None = None) -> TokenBatch:
    """Pad lists of ids on the right to one length of at least 1."""
    length = max(1, max((len(row) for row in rows), default=1))
    ids = torch.tensor([row + [pad] * (length - len(row)) for row in rows], dtype=torch.long)
    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(length)[None, :] < lengths[:, None]
    return TokenBatch(ids, mask).to(device) if device is not None else TokenBatch(ids, mask)


def join_rows(first: TokenBatch, second: TokenBatch, pad: int) -> TokenBatch:
    """The rows of two batches in one, padded to the longer."""
    length = max(first.ids.shape[1], second.ids.shape[1])

    def widen(part: torch.Tensor, value: int) -> torch.Tensor:
        return torch.nn.functional.pad(part, (0, length - part.shape[1]), value=value)

    return TokenBatch(
        torch.cat([widen(first.ids, pad), widen(second.ids, pad)]),
        torch.cat([widen(first.mask, 0), widen(second.mask, 0)]),
    )


@dataclass(frozen=True)
class Example:
    """A text, its token ids, and the number of the source that it came from."""

    text: str
    ids: list[int]
    source: int = 0


# So many batches are sorted by length together.
POOL_BATCHES = 20


class BatchStream:
    """An endless stream of batches of examples of similar length.

    Texts are taken in a shuffled order, sorted by length within a pool of many batches, cut into
    batches, and the batches of a pool are shuffled. Everything follows from the seed and the
    position, so that ``state_dict`` is small and a restored stream goes on exactly.

    Args:
        texts: dataset with a ``text`` column and, maybe, ``source``, in memory or streaming.
        batch_size: most examples in a batch.
        tokens_per_batch: most tokens in a batch, padding included; None for no such limit.
        max_tokens: longer texts are cut, or left out if ``drop_long``.
        pool_batches: how many batches are sorted together; 1 switches bucketing off.

    Raises:
        InputError: if no text is left.
    """

    def __init__(
        self,
        texts: datasets.Dataset | datasets.IterableDataset,
        vocabulary: Vocabulary,
        *,
        batch_size: int,
        max_tokens: int,
        seed: int,
        tokens_per_batch: int | None = None,
        drop_long: bool = False,
        pool_batches: int = POOL_BATCHES,
    ):
        self.vocabulary, self.max_tokens, self.drop_long = vocabulary, max_tokens, drop_long
        self.batch_size, self.tokens_per_batch = batch_size, tokens_per_batch
        self.pool_size = batch_size * pool_batches
        self.seed = seed
        self.pool_number, self.position = 0, 0
        self.pool: list[list[Example]] | None = None
        self.source: _Memory | _Stream
        if isinstance(texts, datasets.IterableDataset):
            self.source = _Stream(texts, seed, self._examples)
        else:
            numbers = texts["source"] if "source" in texts.column_names else [0] * len(texts)
            self.source = _Memory(self._examples(list(texts["text"]), list(numbers)), seed)
        self.source_state = self.source.state_dict()

    def _examples(self, texts: list[str], sources: list[int]) -> list[Example]:
        rows = self.vocabulary.encode(texts)
        return [
            Example(text, row[: self.max_tokens], source)
            for text, row, source in zip(texts, rows, sources, strict=True)
            if row and not (self.drop_long and len(row) > self.max_tokens)
        ]

    def _fill(self) -> list[list[Example]]:
        self.source_state = self.source.state_dict()
        examples = self.source.take(self.pool_size)
        generator = random.Random(f"pool {self.seed} {self.pool_number}")
        examples.sort(key=lambda example: len(example.ids))
        batches = list(cut_batches(examples, self.batch_size, self.tokens_per_batch))
        generator.shuffle(batches)
        return batches

    def __next__(self) -> list[Example]:
        if self.pool is None:
            self.pool = self._fill()
        elif self.position >= len(self.pool):
            self.pool_number, self.position = self.pool_number + 1, 0
            self.pool = self._fill()
        self.position += 1
        return self.pool[self.position - 1]

    def __iter__(self) -> Iterator[list[Example]]:
        return self

    def state_dict(self) -> dict[str, Any]:
        """Position of the next batch."""
        return {"source": self.source_state, "pool_number": self.pool_number, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.source.load_state_dict(state["source"])
        self.pool_number = state["pool_number"]
        self.pool = self._fill()
        self.position = state["position"]


def cut_batches(
    examples: list[Example], batch_size: int, tokens_per_batch: int | None
) -> Iterator[list[Example]]:
    """Cut ``examples``, sorted by length, into batches that keep both limits; none is empty."""
    batch: list[Example] = []
    for example in examples:
        padded = len(example.ids) * (len(batch) + 1)
        too_many = tokens_per_batch is not None and padded > tokens_per_batch
        if batch and (len(batch) == batch_size or too_many):
            yield batch
            batch = []
        batch.append(example)
    if batch:
        yield batch


class _Memory:
    """Examples in memory, one seeded order for each epoch, one epoch after the other."""

    def __init__(self, examples: list[Example], seed: int):
        if not examples:
            raise InputError(NOTHING_LEFT)
        self.examples, self.seed, self.taken = examples, seed, 0
        self.epoch: int | None = None
        self.order: list[int] = []

    def take(self, count: int) -> list[Example]:
        result = []
        for index in range(self.taken, self.taken + count):
            epoch, place = divmod(index, len(self.examples))
            if epoch != self.epoch:
                self.epoch, self.order = epoch, list(range(len(self.examples)))
                random.Random(f"epoch {self.seed} {epoch}").shuffle(self.order)
            result.append(self.examples[self.order[place]])
        self.taken += count
        return result

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.taken = state["taken"]


class _Stream:
    """A streaming dataset, shuffled in a buffer, started again at its end.

    The buffer is no part of the dataset's own state, so a restored stream reads its epoch again
    up to where it stood: slower than a jump, but exactly the same texts.
    """

    def __init__(self, texts: datasets.IterableDataset, seed: int, examples: Any, buffer_size: int = 10000):
        self.texts = texts.shuffle(seed=seed, buffer_size=buffer_size)
        self.examples, self.epoch, self.taken = examples, 0, 0
        self.iterator = iter(self.texts)

    def take(self, count: int) -> list[Example]:
        result: list[Example] = []
        barren_epochs = 0
        while len(result) < count:
            rows = list(islice(self.iterator, count - len(result)))
            self.taken += len(rows)
            result.extend(
                self.examples([row["text"] for row in rows], [row.get("source", 0) for row in rows])
            )
            if not rows:
                barren_epochs += not result
                if barren_epochs == 2:
                    raise InputError(NOTHING_LEFT)
                self._open(self.epoch + 1, 0)
        return result

    def _open(self, epoch: int, taken: int) -> None:
        self.epoch, self.taken = epoch, taken
        self.texts.set_epoch(epoch)
        self.iterator = iter(self.texts)
        deque(islice(self.iterator, taken), maxlen=0)

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._open(state["epoch"], state["taken"])
