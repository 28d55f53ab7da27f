"""ROUGE as plain functions over ``rouge_score`` (Lin, 2004); :mod:`textae.evaluation.rouge` wraps them.

They stand apart from the ``evaluate.Metric`` because importing ``evaluate`` takes seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer

from textae.data.corpus import Pair
from textae.data.words import count_words
from textae.errors import InputError
from textae.evaluation.bootstrap import bootstrap_interval
from textae.evaluation.tokens import TokenChoice, choose_tokens, make_tokenizer

# What tables and pictures call them.
ROUGE_TITLES = {"rouge1": "R-1", "rouge2": "R-2", "rougeL": "R-L"}
ROUGE_TYPES = tuple(ROUGE_TITLES)
Multiple = Literal["average", "best"]
Measure = Literal["f1", "recall"]


@dataclass
class RougeProtocol:
    """What has to be said beside a ROUGE figure, because each choice moves it by points."""

    multiple: Multiple = "average"
    """Several references: the mean over them, or the best of them for each example and each ROUGE type."""
    measure: Measure | None = None
    """F1 or recall; when None, recall under a byte limit and F1 without one."""
    byte_limit: int | None = None
    """Score only this many UTF-8 bytes of each prediction (75 in DUC)."""
    tokens: TokenChoice = "auto"
    """Words of a-z and 0-9, characters (Chinese, Japanese), Unicode words, or chosen by the references."""
    stemmer: bool = True
    """Porter stemming; only of words."""
    resamples: int = 1000
    """Bootstrap resamples for the 95% intervals."""
    seed: int = 0
    """Seed of the bootstrap."""

    def __post_init__(self) -> None:
        """Check every choice.

        Raises:
            InputError: naming the field and what it can be.
        """
        if self.multiple not in get_args(Multiple):
            raise InputError(f'multiple is "{self.multiple}"; choose average or best.')
        if self.measure is not None and self.measure not in get_args(Measure):
            raise InputError(f'measure is "{self.measure}"; choose f1 or recall.')
        if self.byte_limit is not None and self.byte_limit < 1:
            raise InputError(f"byte_limit is {self.byte_limit}; set it to at least 1, or leave it out.")
        if self.resamples < 1:
            raise InputError(f"resamples is {self.resamples}; set it to at least 1.")

    def resolve(self, references: list[list[str]]) -> "RougeProtocol":
        """Return this protocol with nothing left to choose, given the references."""
        kind = choose_tokens(self.tokens, references)
        return RougeProtocol(
            multiple=self.multiple,
            measure=self.measure or ("f1" if self.byte_limit is None else "recall"),
            byte_limit=self.byte_limit,
            tokens=kind,
            stemmer=self.stemmer and kind == "words",
            resamples=self.resamples,
            seed=self.seed,
        )

    def stated(self) -> dict[str, Any]:
        """The fields that a reader of the figures must know."""
        return {
            "measure": self.measure,
            "stemmer": self.stemmer,
            "multiple": self.multiple,
            "byte_limit": self.byte_limit,
            "tokens": self.tokens,
        }


def cut_bytes(text: str, limit: int) -> str:
    """The longest beginning of ``text`` that has at most ``limit`` UTF-8 bytes; no character is split."""
    return text.encode("utf-8")[:limit].decode("utf-8", errors="ignore")


def example_scores(
    predictions: list[str], references: list[list[str]], protocol: RougeProtocol | None = None
) -> NDArray[np.float64]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of each example, as shares: (examples, 3).

    An empty prediction scores 0.

    Raises:
        InputError: if the two lists differ in length, or an example has no reference.
    """
    _check(predictions, references)
    settled = (protocol or RougeProtocol()).resolve(references)
    scorer = RougeScorer(list(ROUGE_TYPES), tokenizer=make_tokenizer(settled.tokens, settled.stemmer))  # type: ignore[arg-type]
    field = "recall" if settled.measure == "recall" else "fmeasure"
    reduce = np.max if settled.multiple == "best" else np.mean
    rows = np.zeros((len(predictions), len(ROUGE_TYPES)))
    for row, prediction, targets in zip(rows, predictions, references, strict=True):
        text = prediction if settled.byte_limit is None else cut_bytes(prediction, settled.byte_limit)
        found = [scorer.score(target, text) for target in targets]
        row[:] = reduce([[getattr(one[kind], field) for kind in ROUGE_TYPES] for one in found], axis=0)
    return rows


def rouge(
    predictions: list[str], references: list[list[str]], protocol: RougeProtocol | None = None
) -> dict[str, Any]:
    """ROUGE of a system: means over examples in percent, with bootstrap intervals and the protocol.

    Returns:
        ``rouge1``, ``rouge2``, ``rougeL`` (percent), ``mean_words`` (of what was scored, so after
        the cut at a byte limit; a Chinese or Japanese character counts as a word), ``count``
        (examples), ``intervals`` (95%, percent, [low, high] for each), and the protocol's
        ``measure``, ``stemmer``, ``multiple``, ``byte_limit``, ``tokens``.

    Raises:
        InputError: as :func:`example_scores`, and if there are no examples.
    """
    if not predictions and not references:
        raise InputError("There is nothing to score; give at least one prediction and its reference.")
    _check(predictions, references)
    settled = (protocol or RougeProtocol()).resolve(references)
    return summarize_scores(example_scores(predictions, references, settled), predictions, settled)


def summarize_scores(
    scores: NDArray[np.float64], predictions: list[str], protocol: RougeProtocol
) -> dict[str, Any]:
    """The dictionary of :func:`rouge` from scores (examples, 3) that are there already."""
    limit = protocol.byte_limit
    scored = predictions if limit is None else [cut_bytes(text, limit) for text in predictions]
    means = mean_scores(scores, protocol)
    intervals = means.pop("intervals")
    return {
        **means,
        "mean_words": sum(count_words(text) for text in scored) / len(scored),
        "count": len(predictions),
        "intervals": intervals,
        **protocol.stated(),
    }


def mean_scores(scores: NDArray[np.float64], protocol: RougeProtocol) -> dict[str, Any]:
    """``rouge1``, ``rouge2``, ``rougeL`` and their ``intervals`` in percent, of scores (examples, 3)."""
    low, high = bootstrap_interval(scores, protocol.resamples, protocol.seed)
    means = scores.mean(axis=0)
    return {
        **{kind: 100.0 * float(mean) for kind, mean in zip(ROUGE_TYPES, means, strict=True)},
        "intervals": {
            kind: [100.0 * float(low[i]), 100.0 * float(high[i])] for i, kind in enumerate(ROUGE_TYPES)
        },
    }


def rouge_on_valid(model: Any, pairs: Sequence[Pair]) -> dict[str, float]:
    """Score a model while it trains.

    Args:
        model: a ``TextAutoencoder``.
        pairs: valid pairs of document and references.

    Returns:
        ``rouge1``, ``rouge2``, ``rougeL`` (stemmed F1, percent), ``mean_words``, and ``score``, the mean
        of the three, which chooses the best checkpoint.
    """
    summaries = model.summarize([pair.document for pair in pairs])
    figures = rouge(summaries, [pair.references for pair in pairs], RougeProtocol(resamples=1))
    scores = {name: figures[name] for name in (*ROUGE_TYPES, "mean_words")}
    return {**scores, "score": sum(figures[name] for name in ROUGE_TYPES) / len(ROUGE_TYPES)}


def _check(predictions: list[str], references: list[list[str]]) -> None:
    if len(predictions) != len(references):
        raise InputError(
            f"There are {len(predictions)} predictions for {len(references)} references; give one for each."
        )
    empty = next((index for index, row in enumerate(references) if not row), None)
    if empty is not None:
        raise InputError(f"Example {empty + 1} has no reference summary; leave it out or give it one.")
