"""Pairs of document and summary to learn from, in an order whose position can be saved and restored."""

import logging
import random
from dataclasses import dataclass
from typing import Any

from textae.data.corpus import Pair
from textae.data.tokenizer import Vocabulary
from textae.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PairExample:
    """A document and a summary that belongs to it, as text and as token ids without special tokens."""

    document: str
    summary: str
    document_ids: list[int]
    summary_ids: list[int]


def pair_examples(
    pairs: list[Pair], vocabulary: Vocabulary, max_document_tokens: int, max_summary_tokens: int
) -> list[list[PairExample]]:
    """Tokenise pairs: for each document one example for every summary.

    Documents are cut at ``max_document_tokens``. Summaries of more than ``max_summary_tokens`` are left out
    with a warning, for cut ones would teach to break off.

    Raises:
        InputError: if there are pairs but no summary is left.
    """
    documents = vocabulary.encode([pair.document for pair in pairs], max_document_tokens)
    examples, left_out = [], 0
    for pair, document in zip(pairs, documents, strict=True):
        rows = zip(pair.references, vocabulary.encode(pair.references), strict=True)
        kept = [
            PairExample(pair.document, summary, document, ids)
            for summary, ids in rows
            if document and 0 < len(ids) <= max_summary_tokens
        ]
        left_out += len(pair.references) - len(kept)
        if kept:
            examples.append(kept)
    if pairs and not examples:
        raise InputError(
            f"data.pairs: no summary has at most data.max_human_tokens = {max_summary_tokens} tokens; "
            "raise it or give shorter summaries"
        )
    if left_out:
        logger.warning("data.pairs: %d summaries of more than %d tokens are left out",
                       left_out, max_summary_tokens)  # fmt: skip
    return examples


class PairStream:
    """An endless stream of pairs, one seeded order for each epoch; of several summaries one an epoch.

    Args:
        examples: for each document its examples, as :func:`pair_examples` gives them; maybe none.
        share: share of the rows of a batch that get a pair.
        seed: of the order and of the choice of rows.
    """

    def __init__(self, examples: list[list[PairExample]], *, share: float, seed: int):
        self.examples, self.share, self.seed = examples, share, seed
        self.taken = 0
        self.epoch: int | None = None
        self.order: list[int] = []

    def for_rows(self, step: int, count: int) -> dict[int, PairExample]:
        """Pairs for some of the ``count`` rows of the global batch of ``step``, evenly spread over them.

        There are ``share * count`` of them, rounded up or down by a random number, so that the mean over
        many steps is exact and small batches get their share, too.
        """
        if not self.examples:
            return {}
        offset = random.Random(f"pairs {self.seed} {step}").random()
        ends = [int(row * self.share + offset) for row in range(count + 1)]
        return {row: self._next() for row in range(count) if ends[row + 1] > ends[row]}

    def _next(self) -> PairExample:
        epoch, place = divmod(self.taken, len(self.examples))
        if epoch != self.epoch:
            self.epoch, self.order = epoch, list(range(len(self.examples)))
            random.Random(f"pairs {self.seed} epoch {epoch}").shuffle(self.order)
        self.taken += 1
        alternatives = self.examples[self.order[place]]
        return alternatives[epoch % len(alternatives)]

    def state_dict(self) -> dict[str, Any]:
        """Position of the next pair."""
        return {"taken": self.taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.taken = state["taken"]
