"""Summaries that need no model: what every score has to be compared with."""

import math
from collections.abc import Iterable

from textae.data.words import join_words, split_words


def lead_words(documents: list[str], count: int) -> list[str]:
    """The first ``count`` words of each document (characters in Chinese and Japanese).

    Raises:
        ValueError: if ``count`` is negative.
    """
    if count < 0:
        raise ValueError(f"count must be at least 0, not {count}")
    return [join_words(split_words(document)[:count]) for document in documents]


def lead_ratio(documents: list[str], ratio: float = 0.5) -> list[str]:
    """The first ``ratio`` of the words of each document, rounded down, but at least one word.

    Raises:
        ValueError: if ``ratio`` is not between 0 and 1.
    """
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"ratio must be between 0 and 1, not {ratio}")
    lead = []
    for document in documents:
        words = split_words(document)
        lead.append(join_words(words[: max(1, math.floor(ratio * len(words)))]))
    return lead


def equal_length(mean_words: float) -> int:
    """Words of the lead that is as long as summaries of ``mean_words``: rounded, a half up, at least one.

    >>> equal_length(7.5), equal_length(0.2)
    (8, 1)
    """
    return max(1, math.floor(mean_words + 0.5))


def baselines(documents: list[str], lengths: Iterable[int] = ()) -> dict[str, list[str]]:
    """The named baselines that stand beside every model: lead-8, lead-10 and lead-half.

    For each of ``lengths`` there is a lead of so many words, too.
    """
    return {
        **{f"lead-{count}": lead_words(documents, count) for count in sorted({8, 10, *lengths})},
        "lead-half": lead_ratio(documents, 0.5),
    }
