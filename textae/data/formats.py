"""Records out of one file or standard input, with the file and line of each for whoever must correct it."""

import codecs
import csv
import gzip
import itertools
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from textae.data import remote
from textae.data.json_text import DECODER, BrokenArrayError, JsonArray, is_too_deep, why
from textae.errors import InputError, nearest, reason

FORMATS = (".txt", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
KNOWN_FORMATS = ", ".join(FORMATS) + " (all but the last also with .gz)"
# Those in which results are written, as a person names them.
WRITTEN_FORMATS = ("jsonl", "parquet", "csv", "tsv", "txt")
STANDARD_INPUT = "standard input"
# In bytes: no document is so long, and a compressed file can hold a line that no memory can.
LONGEST_RECORD = 2**26
_LONGEST = f"{LONGEST_RECORD // 2**20} MiB"
_PIECE = 2**16
_UNDECODED = re.compile("[\udc80-\udcff]")
# Of Parquet: a text that a file holds once, in its dictionary, stands in memory for each of so many rows.
_ROWS = 32
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Record:
    """One record of a source: its fields, and where it stands, such as ``"news.jsonl:12"``.

    A ``plain`` record is a line of text; its field is called ``text`` and stands for any column. A record
    that could not be read has no fields, and an ``error``: the sentence that a person would be told.
    """

    fields: dict[str, Any]
    where: str
    plain: bool = False
    error: str | None = None

    @property
    def id(self) -> Any:
        """The field ``id`` as it was read, or None."""
        return None if self.plain else self.fields.get("id")

    def text(self, columns: Iterable[str]) -> str:
        """Return the first of ``columns`` that the record has and that is not null; all null gives ``""``.

        Raises :class:`InputError` if the record has none of them or the value is no text.
        """
        column, value = self._pick(list(columns))
        if not isinstance(value, str):
            raise InputError(f'{self.where}: column "{column}" holds {_kind(value)} where text is expected')
        return value

    def texts(self, columns: Iterable[str]) -> list[str]:
        """Like :meth:`text` for a column that may hold a text or a list of texts; returns the list."""
        column, value = self._pick(list(columns))
        values = value if isinstance(value, list) else [value]
        for item in values:
            if not isinstance(item, str):
                held = f'column "{column}" holds {_kind(item)}'
                raise InputError(f"{self.where}: {held} where a text or a list of texts is expected")
        return values

    def holds_list(self, columns: Iterable[str]) -> bool:
        """Tell whether the value that :meth:`texts` would take is a list."""
        return isinstance(self._pick(list(columns))[1], list)

    def _pick(self, columns: list[str]) -> tuple[str, Any]:
        if self.error is not None:
            raise InputError(self.error)
        if self.plain:
            return "text", self.fields["text"]
        present = [column for column in columns if column in self.fields]
        if not present:
            wanted = " or ".join(f'"{column}"' for column in columns)
            held = ", ".join(f'"{column}"' for column in self.fields) or "none"
            hints = (nearest(column, self.fields) for column in columns)
            hint = next((hint for hint in hints if hint), "; name one of them or correct the data")
            raise InputError(f"{self.where} has no column {wanted}, its columns are {held}{hint}")
        filled = (column for column in present if self.fields[column] is not None)
        column = next(filled, None)
        return (present[0], "") if column is None else (column, self.fields[column])


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "null" if value is None else f"a {type(value).__name__}")


def file_format(path: str) -> tuple[str, bool]:
    """Return the extension of ``path`` that names its format, and whether the file is gzipped.

    >>> file_format("news.JSONL.gz")
    ('.jsonl', True)
    """
    name = Path(path).name.lower()
    compressed = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in FORMATS or (compressed and suffix == ".parquet"):
        raise InputError(f"{path} has no extension that tells its format: use one of {KNOWN_FORMATS}")
    return suffix, compressed


def check_file(path: str) -> None:
    """Raise :class:`InputError` unless ``path``, which may be a URL, is a file of a known format."""
    if remote.is_url(path):
        file_format(path)
        remote.check(path)
        return
    if os.path.isdir(path):
        raise InputError(
            f"{path} is a folder: name a file in it or a pattern such as {Path(path) / '*.jsonl'}"
        )
    if not os.path.exists(path):
        folder = Path(path).parent
        readable = folder.is_dir() and os.access(folder, os.R_OK)
        options = ["newswire", *(sorted(os.listdir(folder)) if readable else [])]
        raise InputError(f"{path} does not exist{nearest(Path(path).name, options) or ': check the path'}")
    file_format(path)


def read_file(path: str, *, strict: bool = True) -> Iterator[Record]:
    """Yield the records of one file in their order; blank lines of a text file are records as well.

    Of text, JSON and tables only one record at a time is in memory, however large a file is or was before it
    was compressed; a record of more than ``LONGEST_RECORD`` bytes is refused.

    Raises :class:`InputError` for a file that is missing, empty, unreadable or broken, naming the line.
    Unless ``strict``, a record that cannot be read is one with an ``error``, and the others follow it.
    """
    check_file(path)
    suffix, compressed = file_format(path)
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(remote.open_to_read(path))
            if suffix == ".parquet":
                yield from _read_parquet(stream, path)
                return
            if compressed:
                stream = stack.enter_context(gzip.open(stream, "rb"))
            yield from _checked(_parsed(_pieces(stream), path, suffix), strict)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a complete gzip file ({error}): compress it again") from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: you lack the permission") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def read_standard_input(*, strict: bool = True) -> Iterator[Record]:
    """Yield records from standard input: JSON lines if the first begins with ``{``, else lines of text."""
    pieces = _pieces(sys.stdin.buffer)
    first = next(pieces, b"")
    suffix = ".jsonl" if first.lstrip().startswith(b"{") else ".txt"
    yield from _checked(
        _parsed(itertools.chain([first] if first else [], pieces), STANDARD_INPUT, suffix), strict
    )


def _checked(records: Iterator[Record], strict: bool) -> Iterator[Record]:
    for record in records:
        if strict and record.error is not None:
            raise InputError(record.error)
        yield record


def _parsed(pieces: Iterator[bytes], name: str, suffix: str) -> Iterator[Record]:
    if suffix == ".json":
        yield from _parse_json(pieces, name)
    else:
        yield from _PARSERS[suffix](_lines(pieces, name), name)


def _pieces(stream: Any) -> Iterator[bytes]:
    """The lines of a binary stream, those that are longer than a piece in several; no byte order mark."""
    if first := stream.readline(_PIECE):
        yield first.removeprefix(codecs.BOM_UTF8)
    yield from iter(partial(stream.readline, _PIECE), b"")


def _lines(pieces: Iterable[bytes], name: str, skipped: int = 0) -> Iterator[str | None]:
    """Whole lines as text, None for those that are too long; ``skipped`` ones were empty.

    Bytes that are no UTF-8 are surrogates in it, which no valid UTF-8 has.
    """
    empty = skipped == 0
    for line in _whole(pieces):
        empty = False
        yield None if line is None else line.decode("utf-8", "surrogateescape")
    if empty:
        raise InputError(f"{name} is empty: give at least one line")


def _whole(pieces: Iterable[bytes]) -> Iterator[bytes | None]:
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size <= LONGEST_RECORD:
            parts.append(piece)
        else:
            parts = []
        if piece.endswith(b"\n"):
            yield b"".join(parts) if size <= LONGEST_RECORD else None
            parts, size = [], 0
    if size:
        yield b"".join(parts) if size <= LONGEST_RECORD else None


def _unreadable(line: str | None, where: str) -> Record | None:
    """A record that tells what is wrong with a line, or None if it is sound."""
    if line is None:
        return Record({}, where, error=f"{where} is longer than {_LONGEST}: break it into several lines")
    if line.isascii() or not (found := _UNDECODED.search(line)):
        return None
    place = f"byte {len(line[: found.start()].encode('utf-8')) + 1} of the line"
    return Record({}, where, error=f"{where} is not valid UTF-8 ({place}): convert it to UTF-8")


def _parse_text(lines: Iterable[str | None], name: str) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        where = f"{name}:{number}"
        yield _unreadable(line, where) or Record({"text": (line or "").rstrip("\r\n")}, where, plain=True)


def _parse_json_lines(lines: Iterable[str | None], name: str, skipped: int = 0) -> Iterator[Record]:
    for number, line in enumerate(lines, start=skipped + 1):
        where = f"{name}:{number}"
        if unreadable := _unreadable(line, where):
            yield unreadable
        elif text := (line or "").strip():
            try:
                yield _json_record(DECODER.decode(text), text, where)
            except InputError as error:
                yield Record({}, where, error=str(error))
            except (ValueError, RecursionError) as error:
                told = f"{where} is not valid JSON ({why(error)}): correct or remove it"
                yield Record({}, where, error=told)


def _parse_json(pieces: Iterator[bytes], name: str) -> Iterator[Record]:
    """Parse JSON lines, or one array of objects."""
    first, skipped = None, 0
    for first in pieces:
        if first.strip():
            break
        skipped += first.endswith(b"\n")
    if first is None:
        raise InputError(f"{name} is empty: give at least one line")
    pieces = itertools.chain([first], pieces)
    if not first.lstrip().startswith(b"["):
        yield from _parse_json_lines(_lines(pieces, name, skipped), name, skipped)
        return
    array = JsonArray(_decode(pieces, name, skipped), LONGEST_RECORD)
    try:
        for number, (value, text) in enumerate(array.items(), start=1):
            yield _json_record(value, text, f"{name}:item {number}")
    except BrokenArrayError as error:
        line = skipped + error.line
        place = f" at line {line}" if line > 1 else ""
        raise InputError(f"{name} is not valid JSON{place} ({error}): correct or remove it") from error


def _decode(pieces: Iterable[bytes], name: str, skipped: int) -> Iterator[str]:
    """The text of pieces that may end in the middle of a character."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = skipped + 1
    try:
        for piece in pieces:
            yield decoder.decode(piece)
            line += piece.endswith(b"\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InputError(f"{name}:{line} is not valid UTF-8: convert it to UTF-8") from error


def _json_record(value: Any, text: str, where: str) -> Record:
    if not isinstance(value, dict):
        raise InputError(f'{where} is JSON but no object: write it as {{"document": "..."}}')
    if is_too_deep(value):
        raise InputError(f"{where} is not valid JSON (too deeply nested): correct or remove it")
    if _SURROGATE_ESCAPE.search(text):
        # Half of an escaped surrogate pair cannot be written as UTF-8 again; it becomes a question mark.
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8"))
    return Record(value, where)


def _parse_separated(lines: Iterable[str | None], name: str, delimiter: str) -> Iterator[Record]:
    # The largest limit that fits a C long everywhere; the default refuses fields over 128 KiB.
    csv.field_size_limit(2**31 - 1)
    header: list[str] | None = None
    line, size = 1, 0

    def counted() -> Iterator[str]:
        nonlocal size
        for text in lines:
            if text is None:
                too_long = f"is longer than {_LONGEST}: break it into several lines"
                raise InputError(f"{name}:{rows.line_num + 1} {too_long}")
            size += len(text)
            if size > LONGEST_RECORD:
                # A quote that is never closed makes one row of all that follows.
                raise InputError(f"{name}:{line} begins a row of more than {_LONGEST}: is a quote missing?")
            yield text

    rows = csv.reader(counted(), delimiter=delimiter, strict=True)
    while True:
        where = f"{name}:{line}"
        try:
            row = next(rows, None)
            told = None
        except csv.Error as error:
            row, told = [], f"{where} is not valid {_TABLE_NAMES[delimiter]} ({error}): correct it"
        line, size = rows.line_num + 1, 0
        if row is None:
            return
        if told is None:
            if not row:
                continue
            bad = next((found for field in row if (found := _unreadable(field, where))), None)
            told = None if bad is None else bad.error
        if header is None:
            if told is not None:
                raise InputError(told)
            header = row
            if len(set(header)) < len(header) or not all(header):
                raise InputError(f"{where} is no header: the first line must name every column once")
            continue
        if told is None and len(row) != len(header):
            told = f"{where} has {len(row)} fields but the header names {len(header)} columns: correct it"
        if told is not None:
            yield Record({}, where, error=told)
        else:
            yield Record(dict(zip(header, row, strict=True)), where)


def _read_parquet(stream: Any, path: str) -> Iterator[Record]:
    import pyarrow
    from pyarrow import parquet

    if remote.size(path) == 0:
        raise InputError(f"{path} is empty: give at least one line")
    number = 0
    try:
        with parquet.ParquetFile(stream) as table:
            for batch in table.iter_batches(batch_size=_ROWS):
                for fields in batch.to_pylist():
                    number += 1
                    yield Record(fields, f"{path}:row {number}")
    except PermissionError:
        raise
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no readable Parquet file ({reason(error)}): write it again") from error


_TABLE_NAMES = {",": "CSV", "\t": "TSV"}
# Of lines; JSON that may be one array is no format of lines.
_PARSERS: dict[str, Callable[[Iterable[str | None], str], Iterator[Record]]] = {
    ".txt": _parse_text,
    ".jsonl": _parse_json_lines,
    ".ndjson": _parse_json_lines,
    ".csv": lambda lines, name: _parse_separated(lines, name, ","),
    ".tsv": lambda lines, name: _parse_separated(lines, name, "\t"),
}
