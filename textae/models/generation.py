"""What a person asks of a summary: checked, and completed from the model's own settings."""

from typing import Any

from textae.config import AutoencoderConfig
from textae.errors import InputError
from textae.models.constraints import Decoding

# Special tokens around a text, a start token, a length hint, and what some families add to a position.
EXTRA_POSITIONS = 8
# Within so many words a document repeats none of more than three letters.
DISTINCT_WINDOW = 8
# Of documents: their log-probability is divided by their length to this power. With 1, texts win by going
# on in phrases that suit any document.
DOCUMENT_LENGTH_PENALTY = 0.5


def summary_decoding(
    config: AutoencoderConfig,
    positions: int | None,
    *,
    words: int | None,
    min_words: int,
    max_words: int | None,
    num_beams: int | None,
    candidates: int | None,
    length_penalty: float | None,
    no_repeat_ngram_size: int | None,
    whole_words: bool | None,
    distinct_words: bool | None,
    do_sample: bool,
    temperature: float,
    seed: int,
) -> tuple[Decoding, int]:
    """How to decode, and the number of words to ask for.

    Args:
        config: the model's; its ``decoding`` stands for whatever is ``None``.
        positions: the encoder's, ``None`` where it has no limit.
        words: as the others, see :meth:`~textae.models.autoencoder.TextAutoencoder.summarize`.

    Raises:
        InputError: if a length or size makes no sense.
    """
    own = config.decoding
    least = max(1, min_words)
    check(max_words is None or max_words >= least, "max_words", max_words, f"at least {least}")
    wanted = config.length.summary_words if words is None else words
    if max_words is not None:
        wanted = min(wanted, max_words)
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
    check(wanted >= 1, "words", wanted, "at least 1")
    check(temperature > 0, "temperature", temperature, "above 0")
    check(length_penalty >= 0, "length_penalty", length_penalty, "at least 0")
    check(not (do_sample and num_beams > 1), "num_beams", num_beams, "1 when sampling")
    max_tokens = max(config.length.maximum_tokens, 3 * wanted, 3 * min_words)
    if positions is not None:
        max_tokens = min(max_tokens, positions - EXTRA_POSITIONS)
    check(min_words <= max_tokens, "min_words", min_words, f"at most {max_tokens}")
    decoding = Decoding(
        max_tokens=max_tokens,
        min_words=min_words,
        max_words=max_words,
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
    return decoding, wanted


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
    )


def check(right: bool, name: str, value: Any, wanted: str) -> None:
    """Raise ``InputError`` with the name, the value and what is ``wanted`` unless ``right``."""
    if not right:
        raise InputError(f"{name} is {value}; set it to {wanted}.")
