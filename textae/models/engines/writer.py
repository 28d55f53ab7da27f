"""The interface of an engine, and the engine that needs no export: PyTorch."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from textae.data.tokenizer import Vocabulary
from textae.models.constraints import Decoding, Lengths
from textae.models.decoding import Candidate, decode, pad_texts, search
from textae.models.seq2seq import Seq2Seq


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, an operation of PyTorch has one thread: where others work, more get in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Writer(ABC):
    """Writes texts for documents: rows of token ids in, rows of token ids out."""

    @property
    def name(self) -> str:
        """Which engine it is: two may round differently."""
        return type(self).__name__

    @property
    def workers(self) -> int:
        """So many batches at a time make the best of the machine."""
        return 1

    def refuses(self, decoding: Decoding, lengths: Sequence[Lengths]) -> str | None:
        """The setting that it cannot heed, None if it heeds all of them."""
        return None

    @abstractmethod
    def read(self, rows: list[list[int]]) -> Any:
        """What it needs of documents (B), read once for any number of searches."""

    @abstractmethod
    def decode(
        self, source: Any, words: list[int], decoding: Decoding, lengths: Sequence[Lengths]
    ) -> list[list[int]]:
        """A text of about ``words`` for each document, as :func:`textae.models.decoding.decode`."""

    @abstractmethod
    def search(
        self, source: Any, words: list[int], decoding: Decoding, lengths: Sequence[Lengths]
    ) -> list[list[Candidate]]:
        """The candidates of a beam search for each, as :func:`textae.models.decoding.search`."""


class StepWriter(Writer):
    """Writes token by token, with whatever gives the next token's distribution.

    Args:
        network: reads sources and begins texts, as :class:`Seq2Seq` does.
        vocabulary: of its tokens.
    """

    def __init__(self, network: Any, vocabulary: Vocabulary):
        self.network, self.vocabulary = network, vocabulary

    def read(self, rows: list[list[int]]) -> Any:
        """The encoded documents."""
        return self.network.read(pad_texts(rows, self.vocabulary, self.network.special.device))

    def decode(
        self, source: Any, words: list[int], decoding: Decoding, lengths: Sequence[Lengths]
    ) -> list[list[int]]:
        """Greedy, sampled, or the best of a beam search."""
        hints = self.vocabulary.hint_ids(words, source.ids.device)
        return decode(self.network, source, hints, self.vocabulary, decoding, lengths)

    def search(
        self, source: Any, words: list[int], decoding: Decoding, lengths: Sequence[Lengths]
    ) -> list[list[Candidate]]:
        """By beam search."""
        hints = self.vocabulary.hint_ids(words, source.ids.device)
        return search(self.network, source, hints, self.vocabulary, decoding, lengths)


class TorchWriter(StepWriter):
    """The network itself."""

    network: Seq2Seq
