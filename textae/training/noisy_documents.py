"""Documents as an encoder reads them while it learns: corrupted, if the recipe says so."""

import random

from textae.config import TrainingConfig
from textae.data.batches import Example
from textae.data.noise import corrupt_tokens
from textae.data.tokenizer import Vocabulary


def noisy_documents(
    config: TrainingConfig, vocabulary: Vocabulary, step: int, rows: range, documents: list[Example]
) -> list[list[int]]:
    """Token ids, with the special ones around, of ``rows`` of the global batch of ``step``.

    Every row has a random generator of its own, so that the batch is the same however many processes
    share it.
    """
    sources = []
    for row in rows:
        generator = random.Random(f"noise {config.run.seed} {step} {row}")
        other = documents[(row + 1) % len(documents)].ids
        ids = corrupt_tokens(documents[row].ids, other, config.noise, vocabulary.mask, generator)
        sources.append(vocabulary.as_source(ids))
    return sources
