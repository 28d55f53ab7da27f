"""What counts as a word, in any script."""

import math
import re

# In letters: shorter words may be repeated, and so may single Chinese or Japanese characters.
LONGEST_FUNCTION_WORD = 3
# In letters: forms of one word share as many in front.
SHORTEST_STEM = 4

# Han, kana and Hangul are written without spaces inside a clause (Hangul has spaces, and is left to them).
_UNSPACED = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}\U00020000-\U0003ffff]")


def split_words(text: str) -> list[str]:
    """Split ``text`` at white space, and each Chinese or Japanese character from its neighbours.

    >>> split_words("rain in 东京 today")
    ['rain', 'in', '东', '京', 'today']
    """
    return _UNSPACED_CHARACTER.sub(r" \g<0> ", text).split()


def count_unspaced(text: str) -> int:
    """Count the characters of ``text`` that are written without spaces between words."""
    return len(_UNSPACED_CHARACTER.findall(text))


def is_unspaced(text: str) -> bool:
    """Tell whether most of the letters of ``text`` belong to a script without spaces."""
    letters = sum(character.isalpha() for character in text)
    return letters > 0 and 2 * count_unspaced(text) > letters


def join_words(words: list[str]) -> str:
    """Undo :func:`split_words`: no space between two characters of a script without spaces.

    >>> join_words(["rain", "in", "东", "京", "today"])
    'rain in 东京 today'
    """
    text = " ".join(words)
    return re.sub(rf"(?<={_UNSPACED_CHARACTER.pattern}) (?={_UNSPACED_CHARACTER.pattern})", "", text)


def count_words(text: str) -> int:
    """Count the words of ``text``; a Chinese or Japanese character counts as one."""
    return len(split_words(text))


def share_of_words(count: int, ratio: float) -> int:
    """``ratio`` of ``count`` words, rounded (a half up), but at least one.

    >>> share_of_words(5, 0.5), share_of_words(1, 0.1)
    (3, 1)
    """
    return max(1, math.floor(ratio * count + 0.5))


def endings(first: str, second: str) -> tuple[str, str]:
    """What follows the letters that two words share in front.

    >>> endings("denies", "denied")
    ('s', 'd')
    """
    pairs = enumerate(zip(first, second, strict=False))
    shared = next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))
    return first[shared:], second[shared:]


def are_forms(first: str, second: str) -> bool:
    """Tell whether two words look like forms of one, by their endings alone.

    They share at least four letters in front; behind them one has at most one more letter and the
    other at most three. It knows no language: irregular forms pass it by.

    >>> pairs = ("kills killed", "china chinese", "interest internet", "rise rose")
    >>> [are_forms(*pair.split()) for pair in pairs]
    [True, True, False, False]
    """
    if first == second:
        return True
    rests = [len(ending) for ending in endings(first, second)]
    return len(first) - rests[0] >= SHORTEST_STEM and min(rests) <= 1 and max(rests) <= 3
