"""What ROUGE does not see: length, novelty, copying, variety, and what the model itself thinks."""

import math
from typing import Any, Protocol

from textae.data.words import count_words, share_of_words
from textae.evaluation.tokens import CharacterTokenizer
from textae.model_config import DecodingConfig, NormalizationConfig

# "#" stands for a digit in the Gigaword headline corpus.
_tokenizer = CharacterTokenizer(keep="#")


class SummaryModelConfig(Protocol):
    """The part of a model's configuration that evaluation reads."""

    normalization: NormalizationConfig
    decoding: DecodingConfig


class SummaryModel(Protocol):
    """What evaluation asks of a model; ``TextAutoencoder`` offers it."""

    config: Any

    def summarize(self, documents: list[str], **options: Any) -> list[str]:
        """One summary for each document."""

    def reconstruct(self, summaries: list[str]) -> list[str]:
        """The document that each summary seems to stand for."""

    def readability(self, sentences: list[str], *, batch_size: int = 64) -> list[float]:
        """The discriminator's probability that a human wrote each sentence."""

    def reconstruction_loss(
        self, documents: list[str], summaries: list[str] | None = None, *, batch_size: int = 64
    ) -> list[float]:
        """Nats per document token, through the summary."""


def mean_words(texts: list[str]) -> float:
    """Mean number of words; a Chinese or Japanese character counts as one; 0 for no texts."""
    return sum(count_words(text) for text in texts) / len(texts) if texts else 0.0


def length_error(texts: list[str], wanted: list[int]) -> float:
    """Mean distance in words of each text's length from the wanted one; 0 for no texts."""
    errors = [abs(count_words(text) - count) for text, count in zip(texts, wanted, strict=True)]
    return sum(errors) / len(errors) if errors else 0.0


def wanted_lengths(
    documents: list[str], words: int | None = None, ratio: float | None = None, max_words: int | None = None
) -> list[int]:
    """The length asked for of each document, in words; an empty list if neither way of asking was used."""
    wanted = [] if words is None else [words] * len(documents)
    if ratio is not None:
        wanted = [share_of_words(count_words(document), ratio) for document in documents]
    return [min(count, max_words or count) for count in wanted]


def novelty(documents: list[str], summaries: list[str]) -> float:
    """Share of all summary words that do not occur in their own document.

    Words are compared lower-cased and without punctuation; 0 if the summaries have no words.
    """
    return _share_not_in_source(documents, summaries, 1)


def copy_rate(documents: list[str], summaries: list[str]) -> float:
    """Share of all pairs of neighbouring summary words that are neighbours in their document too.

    High novelty says that a model writes its own words; a high copy rate says that it takes
    whole passages. 0 if no summary has two words.
    """
    pairs = sum(max(0, len(_tokenizer.tokenize(summary)) - 1) for summary in summaries)
    return 1.0 - _share_not_in_source(documents, summaries, 2) if pairs else 0.0


def compression_ratio(documents: list[str], summaries: list[str]) -> float:
    """Words of all summaries over words of all documents; 0 if the documents have none."""
    total = sum(count_words(document) for document in documents)
    return sum(count_words(summary) for summary in summaries) / total if total else 0.0


def distinct_share(summaries: list[str]) -> float:
    """Different summaries over summaries: far below 1 means that the model has collapsed; 0 for none."""
    return len(set(summaries)) / len(summaries) if summaries else 0.0


def text_measures(documents: list[str], summaries: list[str]) -> dict[str, float]:
    """All measures of this module that need no model, each a share between 0 and 1.

    Returns:
        ``novelty``, ``copy_rate``, ``compression``, ``distinct``.
    """
    return {
        "novelty": novelty(documents, summaries),
        "copy_rate": copy_rate(documents, summaries),
        "compression": compression_ratio(documents, summaries),
        "distinct": distinct_share(summaries),
    }


def model_measures(
    model: SummaryModel, documents: list[str], summaries: list[str], batch_size: int = 64
) -> dict[str, float | None]:
    """What the model thinks of summaries, its own or others'.

    Returns:
        ``reconstruction_loss``: nats per document token through the summary, mean over documents;
        ``readability``: the discriminator's probability of "human", mean over summaries. Rows for
        which the model gives no finite number are left out; None if none is left.
    """
    losses = model.reconstruction_loss(documents, summaries, batch_size=batch_size)
    readable = model.readability(summaries, batch_size=batch_size)
    return {"reconstruction_loss": _mean(losses), "readability": _mean(readable)}


def _mean(values: list[float]) -> float | None:
    finite = [float(value) for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


def _share_not_in_source(documents: list[str], summaries: list[str], size: int) -> float:
    total = missing = 0
    for document, summary in zip(documents, summaries, strict=True):
        source = set(_ngrams(document, size))
        found = _ngrams(summary, size)
        total += len(found)
        missing += sum(ngram not in source for ngram in found)
    return missing / total if total else 0.0


def _ngrams(text: str, size: int) -> list[tuple[str, ...]]:
    words = _tokenizer.tokenize(text)
    return list(zip(*(words[start:] for start in range(size)), strict=False))
