"""What a person is told when the input is wrong."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input from a person: a file, a line, a column or a setting.

    The message is one clear sentence that names the thing and says what to do. The command
    line prints it without a traceback and leaves with exit code 2.
    """


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


def nearest(name: str, options: Iterable[str]) -> str:
    """Return ``'; did you mean "x"?'`` for the option nearest to ``name``, or an empty string."""
    close = difflib.get_close_matches(name, list(options), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""
