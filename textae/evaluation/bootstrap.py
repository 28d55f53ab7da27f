"""How far a mean over examples can be trusted: seeded bootstrap resampling."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_INDICES_AT_ONCE = 2_000_000


def bootstrap_means(scores: ArrayLike, resamples: int = 1000, seed: int = 0) -> NDArray[np.float64]:
    """Means of ``resamples`` samples drawn with replacement.

    Args:
        scores: (examples,) or (examples, measures); all measures share the draws.

    Returns:
        (resamples,) or (resamples, measures).

    Raises:
        ValueError: if there are no examples.
    """
    values = np.asarray(scores, dtype=np.float64)
    count = len(values)
    if count == 0:
        raise ValueError("there are no examples to resample")
    generator = np.random.default_rng(seed)
    # In pieces: a corpus of 100,000 rows would need a gigabyte of indices at once.
    piece = max(1, _INDICES_AT_ONCE // count)
    means = [
        values[generator.integers(count, size=(min(piece, resamples - start), count))].mean(axis=1)
        for start in range(0, resamples, piece)
    ]
    return np.concatenate(means)


def bootstrap_interval(
    scores: ArrayLike, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> NDArray[np.float64]:
    """Percentile interval of the mean: (2,), or (2, measures) for scores of (examples, measures)."""
    tail = 50.0 * (1.0 - level)
    return np.percentile(bootstrap_means(scores, resamples, seed), [tail, 100.0 - tail], axis=0)


def paired_bootstrap(
    scores_a: ArrayLike, scores_b: ArrayLike, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Compare two systems on the same examples (Koehn, EMNLP 2004).

    Args:
        scores_a: (examples,) scores of one system.
        scores_b: (examples,) scores of the other, in the same order.

    Returns:
        ``difference`` (mean of a minus mean of b), its 95% ``interval`` [low, high], and a
        two-sided ``p_value`` (never below 1 / (resamples + 1) times two).

    Raises:
        ValueError: if the two have different shapes or no examples.
    """
    first, second = np.asarray(scores_a, dtype=np.float64), np.asarray(scores_b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"scores must be two vectors of one length, not {first.shape} and {second.shape}")
    difference = first - second
    means = bootstrap_means(difference, resamples, seed)
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return {
        "difference": float(difference.mean()),
        "interval": [float(edge) for edge in np.percentile(means, [2.5, 97.5])],
        "p_value": min(1.0, 2.0 * (tail + 1) / (resamples + 1)),
    }
