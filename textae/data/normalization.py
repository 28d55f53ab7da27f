"""How raw text is cleaned before anything else sees it."""

import re
import unicodedata
from functools import cache

from textae.data.words import count_unspaced, is_unspaced
from textae.model_config import NormalizationConfig

_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201e", '"') | dict.fromkeys("\u2018\u2019", "'"))
_SPACED = re.compile(r"""
      \.{2,} | -{2,} | `` | ''      # ellipsis, dash, quotes as the Penn Treebank writes them
    | (?<!&amp); | [?!()\[\]{}"—%]
    | [,:](?![\d\#]|//) | (?<![\d\#])[,:](?!//)   # but neither 1,000 nor 5:30 nor http://
    """, re.VERBOSE)  # fmt: skip
_CURRENCY = re.compile(r"([$£€¥])(?=[\d#])")
_CLITIC = re.compile(r"(?<=[^\W_])(n't)\b|(?<=[^\s'])('(?:s|re|ve|ll|d|m))\b", re.IGNORECASE)
_CLOSING_APOSTROPHE = re.compile(r"(?<=[^\s'])(?<!'n)'(?=\s|$)")
_PERIOD = re.compile(r"(?<=[^\s.])\.(?=\s|$)")
_INNER_PERIODS = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")
# As many on one letter are enough for any script (https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format),
# and sorting those of one letter takes the square of their number: no time in a text that is not long.
_MOST_MARKS, _LONG = 30, 5000
_DIGIT = re.compile(r"\d")
# Words that keep their period in the middle of a sentence; a name's initial does as well.
_ABBREVIATIONS = frozenset(
    """
    mr mrs ms dr prof sen sens rep reps gov gen col lt sgt spc capt cpl maj rev hon pres st ste mt ft jr
    sr co cos corp inc ltd bros bhd bancorp vs etc jan feb apr jun jul aug sept sep oct nov dec ariz
    calif colo conn fla ga kan mass mich minn pa va wis approx dept est fig vol
    """.split()  # noqa: SIM905 (seventy quoted words are harder to read)
)


def normalize(text: str, config: NormalizationConfig) -> str:
    """Return ``text`` cleaned as ``config`` says; white space is always collapsed and stripped.

    Cleaning twice gives the same as cleaning once, unless a replacement makes what is replaced.
    Splitting punctuation follows the Penn Treebank for scripts with spaces and leaves text in
    Chinese or Japanese characters alone.

    >>> settings = NormalizationConfig(lowercase=True, digits_to_hash=True, split_punctuation=True)
    >>> normalize("He didn't say U.S. sales rose 5.3%, Mr. Smith's aide said.", settings)
    "he did n't say u.s. sales rose #.# % , mr. smith 's aide said ."
    """
    for old, new in config.replacements.items():
        text = text.replace(old, new)
    if config.unicode_nfkc:
        # Once more afterwards, as one mark may be normalised to two.
        text = _thin_out(unicodedata.normalize("NFKC", _thin_out(text)))
    if config.split_punctuation:
        text = _split_punctuation(text)
    if config.lowercase:
        text = text.lower()
    if config.digits_to_hash:
        text = _DIGIT.sub("#", text)
    return " ".join(text.split())


def _thin_out(text: str) -> str:
    """``text``, if it is long, without marks such as accents that follow on thirty others on a letter."""
    if len(text) < _LONG or text.isascii():
        return text
    return _marks().sub(lambda match: match.group()[:_MOST_MARKS], text)


@cache
def _marks() -> re.Pattern[str]:
    """More marks in a row than there may be, each a character that NFKC begins with a mark for."""
    # There are none beyond the first two planes.
    characters = map(chr, range(0x80, 0x20000))
    found = [
        character
        for character in characters
        if unicodedata.combining(character)
        or unicodedata.combining(unicodedata.normalize("NFKD", character)[0])
    ]
    return re.compile(f"[{''.join(found)}]{{{_MOST_MARKS + 1},}}")


def _split_punctuation(text: str) -> str:
    if count_unspaced(text) and is_unspaced(text):
        return text
    text = " ".join(_SPACED.sub(r" \g<0> ", text.translate(_QUOTES)).split())
    text = _CURRENCY.sub(r"\1 ", text)
    text = _CLITIC.sub(lambda match: " " + match.group(), text)
    text = _CLOSING_APOSTROPHE.sub(" '", text)
    return _PERIOD.sub(_split_period, text)


def _split_period(match: re.Match[str]) -> str:
    """Return the period apart from its word if it ends a sentence, else as it stands."""
    text, position = match.string, match.start()
    start = text.rfind(" ", 0, position) + 1
    # Within the word: without one, a search of the whole text before every full stop would take very long.
    start = max(text.rfind("-", start, position), text.rfind("'", start, position), start - 1) + 1
    word = text[start:position]
    if word.lower() in _ABBREVIATIONS or _INNER_PERIODS.fullmatch(word):
        return "."
    following = text[match.end() + 1 : match.end() + 2]
    if len(word) == 1 and word.isalpha() and following:
        return "."
    return "." if word.lower() == "no" and (following.isdigit() or following == "#") else " ."
