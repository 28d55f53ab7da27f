"""Systems side by side: figures of each, means over seeds, paired comparisons, lengths."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textae.data.words import count_words
from textae.evaluation.bootstrap import paired_bootstrap
from textae.evaluation.measures import length_error, text_measures
from textae.evaluation.scoring import (
    ROUGE_TYPES,
    RougeProtocol,
    example_scores,
    mean_scores,
    summarize_scores,
)

Scores = NDArray[np.float64]


def score_system(
    summaries: list[str], documents: list[str], references: list[list[str]], protocol: RougeProtocol
) -> tuple[Scores, dict[str, Any]]:
    """ROUGE of each example, as shares (examples, 3), and the system's row of a report.

    The row has ``rouge1``, ``rouge2``, ``rougeL``, ``mean_words``, ``count``, ``intervals`` and the
    measures of :func:`~textae.evaluation.measures.text_measures`. ``protocol`` is a resolved one.
    """
    scores = example_scores(summaries, references, protocol)
    figures = summarize_scores(scores, summaries, protocol)
    stated = protocol.stated()
    row = {key: value for key, value in figures.items() if key not in stated}
    return scores, {**row, **text_measures(documents, summaries)}


def compare_scores(first: Scores, second: Scores, protocol: RougeProtocol) -> dict[str, Any]:
    """For each ROUGE type the paired bootstrap of one system against another (percent)."""
    return {
        kind: paired_bootstrap(100.0 * first[:, column], 100.0 * second[:, column], protocol.seed)
        for column, kind in enumerate(ROUGE_TYPES)
    }


def pool_seeds(
    scores: Sequence[Scores], rows: Sequence[Mapping[str, Any]], protocol: RougeProtocol
) -> tuple[Scores, dict[str, Any], dict[str, Any]]:
    """Several seeds of one system as one: each example's mean score, the row of means, the row of ranges.

    The intervals of the means are those of resampled examples, each with its mean over the seeds;
    how much a seed changes is what the ranges (highest minus lowest) tell.
    """
    pooled: Scores = np.mean(np.stack(scores), axis=0)
    means, ranges = dict(rows[0]), {}
    for key, value in rows[0].items():
        if isinstance(value, float):
            # A loss that was not finite is None.
            values = [row[key] for row in rows if row[key] is not None]
            means[key], ranges[key] = sum(values) / len(values), max(values) - min(values)
    return pooled, {**means, **mean_scores(pooled, protocol)}, ranges


def length_row(words: int, summaries: list[str], scores: Scores, protocol: RougeProtocol) -> dict[str, Any]:
    """How well a model kept to ``words`` that were asked for.

    Returns:
        ``words``; ``length_error``, the mean distance from it; ``mean_words``; ``share_over``, the
        share of summaries that are longer; and the ROUGE of :func:`~textae.evaluation.scoring.mean_scores`.
    """
    counts = [count_words(summary) for summary in summaries]
    return {
        "words": words,
        "length_error": length_error(summaries, [words] * len(summaries)),
        "mean_words": sum(counts) / len(counts),
        "share_over": sum(count > words for count in counts) / len(counts),
        **mean_scores(scores, protocol),
    }


def sample_rows(count: int, most: int, step: int = 100) -> list[int]:
    """Rows to show, by a rule that nobody can choose by: 0, 100, 200 and so on, ``most`` of them at most.

    >>> sample_rows(250, 10), sample_rows(2000, 3)
    ([0, 100, 200], [0, 100, 200])
    """
    return list(range(0, count, step))[:most]
