"""What a person asks of a summary: checked, and completed from the model's own settings."""

from collections.abc import Sequence
from typing import Any

from textae.data.words import share_of_words
from textae.errors import InputError
from textae.model_config import AutoencoderConfig
from textae.models.backbone import EXTRA_POSITIONS
from textae.models.constraints import UNBOUNDED, Decoding, Lengths

# Room for a summary, in tokens for each of its words.
TOKENS_PER_WORD = 3
# Within so many words a document repeats none of more than three letters.
DISTINCT_WINDOW = 8
# Of documents: their log-probability is divided by their length to this power. With 1, texts win by going
# on in phrases that suit any document.
DOCUMENT_LENGTH_PENALTY = 0.5
# Weight of how likely a document's first token is without the summary: many begin with a phrase that
# suits any story.
DOCUMENT_CONTRAST = 0.5


def summary_decoding(
    config: AutoencoderConfig,
    *,
    num_beams: int | None,
    candidates: int | None,
    length_penalty: float | None,
    no_repeat_ngram_size: int | None,
    whole_words: bool | None,
    distinct_words: bool | None,
    do_sample: bool,
    temperature: float,
    seed: int,
) -> Decoding:
    """How to decode, whatever the lengths.

    Args:
        config: the model's; its ``decoding`` stands for whatever is ``None``.
        num_beams: as the others, see :meth:`~textae.models.autoencoder.TextAutoencoder.summarize`.

    Raises:
        InputError: if a size makes no sense.
    """
    own = config.decoding
    if num_beams is None:
        num_beams = 1 if do_sample else own.num_beams
    if candidates is None:
        candidates = min(own.candidates, num_beams)
    if length_penalty is None:
        length_penalty = own.length_penalty
    if no_repeat_ngram_size is None:
        no_repeat_ngram_size = own.no_repeat_ngram_size
    if distinct_words is None:
        distinct_words = own.distinct_words
    if whole_words is None:
        whole_words = own.whole_words
    if whole_words is None:
        # A network from scratch seldom spells a new word well.
        whole_words = config.encoder.checkpoint is None
    check(num_beams >= 1, "num_beams", num_beams, "at least 1")
    check(
        1 <= candidates <= num_beams,
        "candidates",
        candidates,
        f"at least 1 and at most the {num_beams} beams",
    )
    check(temperature > 0, "temperature", temperature, "above 0")
    check(length_penalty >= 0, "length_penalty", length_penalty, "at least 0")
    check(not (do_sample and num_beams > 1), "num_beams", num_beams, "1 when sampling")
    return Decoding(
        num_beams=num_beams,
        candidates=candidates,
        length_penalty=length_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        whole_words=whole_words,
        distinct_words=distinct_words,
        do_sample=do_sample,
        temperature=temperature,
        seed=seed,
    )


def summary_lengths(
    config: AutoencoderConfig,
    positions: int | None,
    documents: Sequence[tuple[int, int]],
    *,
    words: int | None,
    ratio: float | None,
    min_words: int | None,
    max_words: int | None,
) -> tuple[list[int], list[Lengths]]:
    """The number of words to ask for, document by document, and the bounds that hold in any case.

    A wish is more than the hint, which a network may not heed and which ends at 32 words: where
    ``words`` or ``ratio`` is given, a summary has at most one word less or more, unless ``min_words``
    or ``max_words`` say otherwise. The model's own length is a hint only.

    Args:
        config: the model's.
        positions: the encoder's, ``None`` where it has no limit.
        documents: words of each document, and words of what the network reads of it; no share of a
            document is more than is read.
        words: as the others, see :meth:`~textae.models.autoencoder.TextAutoencoder.summarize`.

    Raises:
        InputError: if a length makes no sense, or the network cannot write as much.
    """
    if words is not None and ratio is not None:
        raise InputError("words and ratio exclude each other; give one of them.")
    check(ratio is None or 0 < ratio <= 1, "ratio", ratio, "above 0 and at most 1")
    check(words is None or words >= 1, "words", words, "at least 1")
    least = max(1, min_words or 0)
    check(max_words is None or max_words >= least, "max_words", max_words, f"at least {least}")
    if ratio is not None:
        wanted = [min(share_of_words(count, ratio), max(1, read)) for count, read in documents]
    else:
        wanted = [config.length.summary_words if words is None else words] * len(documents)
    if max_words is not None:
        wanted = [min(count, max_words) for count in wanted]
    most_tokens = UNBOUNDED if positions is None else positions - EXTRA_POSITIONS
    check(min_words is None or min_words <= most_tokens, "min_words", min_words, f"at most {most_tokens}")
    too_many = words is not None and min(words, max_words or words) > most_tokens
    check(not too_many, "words", words, f"at most {most_tokens}")
    is_wish = words is not None or ratio is not None
    lengths = []
    for count in wanted:
        fewest, most = min_words or 0, max_words
        if is_wish and min_words is None:
            fewest = max(1, min(count - 1, most_tokens))
        if is_wish and max_words is None:
            most = max(count, fewest) + 1
        tokens = max(config.length.maximum_tokens, TOKENS_PER_WORD * max(count, fewest))
        lengths.append(Lengths(min(tokens, most_tokens), fewest, most))
    return wanted, lengths


def reconstruction_decoding(config: AutoencoderConfig, num_beams: int) -> Decoding:
    """How to write a document from its summary.

    Raises:
        InputError: if ``num_beams`` is below 1.
    """
    check(num_beams >= 1, "num_beams", num_beams, "at least 1")
    return Decoding(
        max_tokens=config.max_document_tokens,
        num_beams=num_beams,
        length_penalty=DOCUMENT_LENGTH_PENALTY,
        no_repeat_ngram_size=3,
        whole_words=config.reconstructor.checkpoint is None,
        distinct_words=True,
        distinct_window=DISTINCT_WINDOW,
        no_stutter=True,
        contrast=DOCUMENT_CONTRAST,
    )


def check(right: bool, name: str, value: Any, wanted: str) -> None:
    """Raise ``InputError`` with the name, the value and what is ``wanted`` unless ``right``."""
    if not right:
        raise InputError(f"{name} is {value}; set it to {wanted}.")
