"""What a person is told when the input is wrong."""

import difflib
import itertools
import unicodedata
from collections.abc import Iterable

# A sentence quotes names and values of a file that may hold anything.
_LONGEST_MESSAGE = 4000
# Comparing names takes time by the product of their lengths: nobody mistypes one so long, or among so many.
_LONGEST_NAME, _MOST_NAMES = 100, 1000


class InputError(ValueError):
    """Bad input from a person: a file, a line, a column or a setting.

    The message is one clear sentence that names the thing and says what to do. The command
    line prints it without a traceback and leaves with exit code 2. What it quotes of a file can neither
    break the line nor command a terminal: control characters and the marks that turn the direction of
    writing are spelt, as ``\\x1b``, and of a very long message the middle is left out.
    """

    def __init__(self, message: object):
        super().__init__(_one_line(str(message)))


class DivergenceError(InputError):
    """Training broke down: a loss is not finite. The same run would break down again."""


class Interrupted(KeyboardInterrupt):
    """A run was asked to end by a signal, and has saved all that it needs to go on.

    Args:
        message: one sentence that tells the command that goes on.
        number: of the signal.
    """

    def __init__(self, message: str, number: int):
        super().__init__(message)
        self.number = number


def _one_line(text: str) -> str:
    if len(text) > _LONGEST_MESSAGE:
        half = _LONGEST_MESSAGE // 2
        text = f"{text[:half]} ... {text[-half:]}"
    if text.isprintable():
        return text
    return "".join(map(_spelt, text))


def _spelt(character: str) -> str:
    # Joiners belong to the spelling of Persian, Hindi and many an emoji.
    if character.isprintable() or character in "\u200c\u200d" or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")


def reason(error: BaseException) -> str:
    """The first line of what a library says went wrong, or the name of its exception if it says nothing."""
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(".: ") if lines else "") or type(error).__name__


def nearest(name: str, options: Iterable[str]) -> str:
    """Return ``'; did you mean "x"?'`` for the option nearest to ``name``, or an empty string."""
    if len(name) > _LONGEST_NAME:
        return ""
    names = itertools.islice((option for option in options if len(option) <= _LONGEST_NAME), _MOST_NAMES)
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""
