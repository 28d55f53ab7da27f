"""Tokenizers for ROUGE, with the interface of ``rouge_score``'s own."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from nltk.stem.porter import PorterStemmer  # type: ignore[import-untyped]
from rouge_score import tokenize
from rouge_score.tokenizers import Tokenizer

from textae.data.words import is_unspaced, split_words
from textae.errors import InputError

TokenKind = Literal["words", "characters", "unicode"]
TokenChoice = Literal["auto", "words", "characters", "unicode"]
_CHOICES = ("auto", "words", "characters", "unicode")
_AUTO_SAMPLE = 1000


@lru_cache(maxsize=65536)
def _is_word_character(character: str) -> bool:
    # Marks belong to words: without them Hindi words would fall apart at every vowel sign.
    return unicodedata.category(character)[0] in "LMN"


class CharacterTokenizer(Tokenizer):
    """Each Chinese or Japanese character is a token; so is each word of any other script.

    Lower-cased, without punctuation and symbols (except those in ``keep``), without stemming.
    On text without such characters it gives Unicode words.
    """

    def __init__(self, keep: str = "") -> None:
        self._keep = frozenset(keep)

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of ``text``."""
        cleaned = "".join(
            character if _is_word_character(character) or character in self._keep else " "
            for character in text.lower()
        )
        return split_words(cleaned)


class _CachedStemmer:
    """Porter's stemmer, each word once: stemming is most of the time that ROUGE takes."""

    def __init__(self) -> None:
        self.stem = lru_cache(maxsize=200_000)(PorterStemmer().stem)


class WordTokenizer(Tokenizer):
    """``rouge_score``'s default: lower-cased runs of a-z and 0-9, Porter-stemmed if ``stemmer``."""

    def __init__(self, stemmer: bool = True) -> None:
        self._stemmer = _CachedStemmer() if stemmer else None

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of ``text``."""
        return tokenize.tokenize(text, self._stemmer)


def choose_tokens(tokens: str, references: Iterable[list[str]]) -> TokenKind:
    """Resolve ``"auto"`` by the letters of the references (the first 1,000 rows of them).

    ``"characters"`` if most are Chinese or Japanese; ``"unicode"`` if most are outside a-z, because
    ``rouge_score``'s tokenizer drops all of those (Cyrillic, Arabic, Hangul, ... would score 0);
    ``"words"``, which published figures are made with, otherwise.

    Raises:
        InputError: if ``tokens`` is no known kind.
    """
    if tokens not in _CHOICES:
        raise InputError(f'tokens is "{tokens}"; choose one of {", ".join(_CHOICES)}.')
    if tokens != "auto":
        return tokens  # type: ignore[return-value]
    sample = " ".join(text for _, row in zip(range(_AUTO_SAMPLE), references, strict=False) for text in row)
    if is_unspaced(sample):
        return "characters"
    letters = [character for character in sample if character.isalpha()]
    foreign = sum(not character.isascii() for character in letters)
    return "unicode" if 2 * foreign > len(letters) else "words"


@lru_cache
def make_tokenizer(kind: TokenKind, stemmer: bool = True) -> Tokenizer:
    """Return the tokenizer of that kind, one for all callers; only ``"words"`` can be stemmed."""
    return WordTokenizer(stemmer) if kind == "words" else CharacterTokenizer()
