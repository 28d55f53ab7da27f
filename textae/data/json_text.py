"""JSON that anybody may have written: read strictly, and of an array one item at a time."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

# Deeper ones are no data, and what recurses over them breaks somewhere, if not here.
MOST_NESTED = 100
# Read before an item is tried; of a longer one twice as much each time, so that no work is done often.
_CHUNK = 2**16
_SPACE = re.compile(r"[ \t\r\n]*")


def _float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


# Not in JSON are NaN, as which many a program writes what is missing, and infinity, also written as 1e999.
DECODER = json.JSONDecoder(parse_constant=lambda name: None, parse_float=_float)


class BrokenArrayError(ValueError):
    """No valid JSON, at ``line``, counted from 1."""

    def __init__(self, line: int, message: str):
        super().__init__(message)
        self.line = line


def why(error: Exception) -> str:
    """What is wrong with a text that ``DECODER`` raised a ValueError or RecursionError for."""
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    # Python refuses to read a whole number of thousands of digits, which takes long.
    return "too deeply nested" if isinstance(error, RecursionError) else "a number has too many digits"


def is_too_deep(value: Any) -> bool:
    """Whether lists and objects are nested deeper than ``MOST_NESTED``."""
    level = [value]
    for _ in range(MOST_NESTED):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


class JsonArray:
    """The items of one JSON array: a file of any size takes the memory of its largest item.

    Args:
        pieces: of its text, of any size.
        longest: an item may have about twice so many characters.
    """

    def __init__(self, pieces: Iterable[str], longest: int):
        self._pieces, self._longest = iter(pieces), longest
        self._text, self._at, self._line = "", 0, 1

    def items(self) -> Iterator[tuple[Any, str]]:
        """Yield each item and its own text.

        Raises:
            BrokenArrayError: for what is no array.
        """
        if self._next() != "[":
            raise self._error("Expecting an array")
        self._at += 1
        if self._next() != "]":
            yield self._item()
            while self._next() == ",":
                self._at += 1
                yield self._item()
            if self._next() != "]":
                raise self._error("Expecting ',' delimiter")
        self._at += 1
        if self._next():
            raise self._error("Extra data")

    def _item(self) -> tuple[Any, str]:
        self._next()
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # It may only be cut off.
                if isinstance(error, json.JSONDecodeError):
                    if len(self._text) - self._at <= self._longest and self._read():
                        continue
                    self._at = error.pos
                raise self._error(why(error)) from error
            text, self._at = self._text[self._at : end], end
            return value, text

    def _next(self) -> str:
        """The next character that is no white space; an empty string at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            assert space is not None
            self._at = space.end()
            if self._at < len(self._text) or not self._read():
                return self._text[self._at : self._at + 1]

    def _read(self) -> bool:
        """Take in as much again as is left, and forget what was passed; False at the end."""
        self._line += self._text.count("\n", 0, self._at)
        parts = [self._text[self._at :]]
        wanted = max(_CHUNK, len(parts[0]))
        for piece in self._pieces:
            parts.append(piece)
            wanted -= len(piece)
            if wanted <= 0:
                break
        self._text, self._at = "".join(parts), 0
        return len(parts) > 1

    def _error(self, message: str) -> BrokenArrayError:
        return BrokenArrayError(self._line + self._text.count("\n", 0, self._at), message)
