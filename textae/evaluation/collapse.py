"""The collapse report: what a file of summaries shows of a model that has stopped summarising."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from textae.data.collapse import (
    FEWEST_WORDS,
    MOST_REPEATED,
    MOST_REPETITIVE,
    repeated_at_once,
    repeated_bigrams,
    repeated_share,
    repetitions,
)
from textae.data.corpus import read_columns, read_records
from textae.data.words import split_words
from textae.errors import InputError
from textae.evaluation.function_words import bare_word, learn_function_words
from textae.evaluation.joining import PREDICTION_COLUMNS, read_joined
from textae.evaluation.measures import distinct_share, novelty
from textae.evaluation.report import spread

# Distinct n-grams grow ever rarer with the number of texts: they are counted in so many, spread evenly.
DISTINCT_SAMPLE = 1000
MOST_FREQUENT = 5


@dataclass(frozen=True)
class Sign:
    """A figure, the bound beyond which it is a sign of collapse, and what is said then."""

    title: str
    bound: float | None = None
    warning: str = ""
    least: bool = False
    """Whether the bound is the least that is fine and not the most."""
    is_share: bool = True

    def shows(self, value: float) -> bool:
        """Tell whether ``value`` is beyond the bound."""
        return self.bound is not None and (value < self.bound if self.least else value > self.bound)


SIGNS = {
    "distinct": Sign("different summaries"),
    "repeated": Sign("repeated summaries", MOST_REPEATED, "many documents get the same summary"),
    "distinct_1": Sign("distinct-1", 0.02, "few different words are used", least=True),
    "distinct_2": Sign("distinct-2", 0.2, "few different pairs of words are used", least=True),
    "repeated_bigram": Sign("with a repeated bigram", 0.1, "summaries say a pair of words twice"),
    "repeated_at_once": Sign("with a word repeated at once", 0.1, "summaries stutter"),
    "repetitive": Sign(
        "with one of these or a long word twice", MOST_REPETITIVE, "summaries repeat themselves"
    ),
    "mean_words": Sign("words, mean", FEWEST_WORDS, "summaries are nearly empty", True, False),
    "median_words": Sign("words, median", is_share=False),
    "maximum_words": Sign("words, most", is_share=False),
    "at_maximum": Sign("as long as can be", 0.5, "the length is at its bound"),
    "ends_in_function_word": Sign("end in a function word", 0.1, "summaries break off"),
    "first_word": Sign("with the commonest first word", 0.3, "summaries begin alike"),
    "last_word": Sign("with the commonest last word", 0.3, "summaries end alike"),
    "novelty": Sign("words not in the document", 0.5, "summaries do not speak of their documents"),
}


def collapse_report(
    summaries: list[str],
    documents: list[str] | None = None,
    *,
    maximum_words: int | None = None,
    function_words: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Count the signs of collapse in summaries.

    Words are as everywhere (a Chinese or Japanese character is one). First, last and function words
    are compared in lower case and without the marks around them. Function words that are not given
    are learned: from the documents the frequent ones that seldom stand last, else from the summaries
    the few most frequent (:func:`~textae.evaluation.function_words.learn_function_words`).

    Args:
        summaries: at least one.
        documents: one for each summary, or None.
        maximum_words: longest length that was allowed; the longest summary's if not given.
        function_words: words that hardly end a text.

    Returns:
        ``count``; ``figures`` by the names of :data:`SIGNS`, shares between 0 and 1 and lengths in words:
        ``distinct`` and ``repeated`` (shares that add up to 1), ``distinct_1`` and ``distinct_2``
        (different n-grams over n-grams, Li et al. 2016, of at most 1,000 summaries spread evenly),
        ``repeated_bigram``, ``repeated_at_once``, ``repetitive`` (what training calls so:
        :func:`~textae.data.collapse.repetitions` of any kind), ``mean_words``, ``median_words``,
        ``maximum_words``, ``at_maximum``, ``ends_in_function_word``, ``first_word``, ``last_word`` and,
        with documents, ``novelty``;
        ``thresholds`` and ``warnings``, one sentence for each figure beyond its own;
        ``most_repeated``, ``first_words`` and ``last_words``: the five most frequent, with their numbers;
        ``function_words``.
    """
    rows = [split_words(text) for text in summaries]
    # A mark at either end is no word: ``killed .`` ends in ``killed``.
    bare = [[word for word in map(bare_word, row) if word] for row in rows]
    lengths = [len(row) for row in rows]
    longest = max(lengths) if maximum_words is None else maximum_words
    if function_words is not None:
        known = {bare_word(word) for word in function_words}
    else:
        known = learn_function_words(documents or summaries, seldom_last=documents is not None)
    first = Counter(row[0] for row in bare if row)
    last = Counter(row[-1] for row in bare if row)
    count = len(summaries)
    sample = spread(rows, DISTINCT_SAMPLE)
    figures = {
        "distinct": distinct_share(summaries),
        "repeated": repeated_share(summaries),
        "distinct_1": _distinct_ngrams(sample, 1),
        "distinct_2": _distinct_ngrams(sample, 2),
        "repeated_bigram": sum(repeated_bigrams(row) > 0 for row in rows) / count,
        "repeated_at_once": sum(repeated_at_once(row) > 0 for row in rows) / count,
        "repetitive": sum(repetitions(row) > 0 for row in rows) / count,
        "mean_words": float(mean(lengths)),
        "median_words": float(median(lengths)),
        "maximum_words": float(max(lengths)),
        "at_maximum": sum(0 < length >= longest for length in lengths) / count,
        "ends_in_function_word": sum(row[-1] in known for row in bare if row) / count,
        "first_word": max(first.values(), default=0) / count,
        "last_word": max(last.values(), default=0) / count,
    }
    if documents is not None:
        figures["novelty"] = novelty(documents, summaries)
    return {
        "count": count,
        "figures": figures,
        "thresholds": {name: sign.bound for name, sign in SIGNS.items() if sign.bound is not None},
        "warnings": [
            f"{sign.warning}: {sign.title} {form(sign, figures[name])}, "
            f"{'at least' if sign.least else 'at most'} {form(sign, sign.bound)} is fine"
            for name, sign in SIGNS.items()
            if name in figures and sign.bound is not None and sign.shows(figures[name])
        ],
        "most_repeated": _most_frequent(Counter(summaries), least=2),
        "first_words": _most_frequent(first),
        "last_words": _most_frequent(last),
        "function_words": sorted(known),
    }


def collapse_of_files(
    summaries: str,
    documents: str | None = None,
    *,
    summary_columns: Sequence[str] = PREDICTION_COLUMNS,
    document_columns: Sequence[str] = ("document",),
    function_words: str | None = None,
    maximum_words: int | None = None,
) -> dict[str, Any]:
    """:func:`collapse_report` of the summaries in one file, as they stand, and their documents in another.

    Joined on ``id`` where both have one, else by order. ``function_words`` names a file with one a line.

    Raises:
        InputError: for anything wrong with a source, a column or the join.
    """
    found: list[str] | None = None
    if documents is None:
        rows = read_columns(summaries, list(summary_columns))
        texts = []
        for number, (_, value) in enumerate(rows, start=1):
            if not isinstance(value, str):
                raise InputError(
                    f"{summaries}: summary {number} is a list of {len(value)} texts; give one text."
                )
            texts.append(value)
    else:
        names = ("summary", "document")
        joined = read_joined(summaries, documents, summary_columns, document_columns, names)
        texts, found = joined.predictions, [row[0] for row in joined.references]
    words = None
    if function_words is not None:
        words = [record.text(["text", "word"]) for record in read_records(function_words)]
    report = collapse_report(texts, found, maximum_words=maximum_words, function_words=words)
    return {"summaries": summaries, "documents": documents, **report}


def form(sign: Sign, value: float) -> str:
    """Write a figure as its sign wants it."""
    return f"{value:.1%}" if sign.is_share else f"{value:.1f}"


def _distinct_ngrams(rows: list[list[str]], size: int) -> float:
    ngrams = [tuple(row[at : at + size]) for row in rows for at in range(len(row) - size + 1)]
    # None at all is no sign: it is the length that tells of summaries of one word.
    return len(set(ngrams)) / len(ngrams) if ngrams else 1.0


def _most_frequent(counts: Counter[str], least: int = 1) -> list[dict[str, Any]]:
    return [
        {"text": text, "count": count} for text, count in counts.most_common(MOST_FREQUENT) if count >= least
    ]
