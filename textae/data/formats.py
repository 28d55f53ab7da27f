"""Records out of one file or standard input, with the file and line of each for whoever must correct it."""

import csv
import gzip
import itertools
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textae.data import remote
from textae.errors import InputError, nearest

FORMATS = (".txt", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
KNOWN_FORMATS = ", ".join(FORMATS) + " (all but the last also with .gz)"
STANDARD_INPUT = "standard input"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UNDECODED = re.compile("[\udc80-\udcff]")
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

    Raises :class:`InputError` for a file that is missing, empty, unreadable or broken, naming the line.
    Unless ``strict``, a record that cannot be read is one with an ``error``, and the others follow it.
    """
    check_file(path)
    suffix, compressed = file_format(path)
    try:
        with remote.open_to_read(path) as stream:
            if suffix == ".parquet":
                yield from _read_parquet(stream, path)
            elif compressed:
                with gzip.open(stream, "rb") as unpacked:
                    yield from _parsed(_decode(unpacked, path), path, suffix, strict)
            else:
                yield from _parsed(_decode(stream, path), path, suffix, strict)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a complete gzip file ({error}): compress it again") from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: you lack the permission") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def read_standard_input(*, strict: bool = True) -> Iterator[Record]:
    """Yield records from standard input: JSON lines if the first begins with ``{``, else lines of text."""
    lines = _decode(sys.stdin.buffer, STANDARD_INPUT)
    first = next(lines)
    suffix = ".jsonl" if first.lstrip().startswith("{") else ".txt"
    yield from _parsed(itertools.chain([first], lines), STANDARD_INPUT, suffix, strict)


def _parsed(lines: Iterable[str], name: str, suffix: str, strict: bool) -> Iterator[Record]:
    for record in _PARSERS[suffix](lines, name):
        if strict and record.error is not None:
            raise InputError(record.error)
        yield record


def _decode(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """Yield lines; bytes that are no UTF-8 are in them as surrogates, which no valid UTF-8 has."""
    number = 0
    for number, line in enumerate(stream, start=1):
        if number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        yield line.decode("utf-8", "surrogateescape")
    if number == 0:
        raise InputError(f"{name} is empty: give at least one line")


def _undecoded(line: str, where: str) -> Record | None:
    """A record that tells of bytes in ``line`` that are no UTF-8, or None if it has none."""
    if line.isascii() or not (found := _UNDECODED.search(line)):
        return None
    place = f"byte {len(line[: found.start()].encode('utf-8')) + 1} of the line"
    return Record({}, where, error=f"{where} is not valid UTF-8 ({place}): convert it to UTF-8")


def _parse_text(lines: Iterable[str], name: str) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        where = f"{name}:{number}"
        yield _undecoded(line, where) or Record({"text": line.rstrip("\r\n")}, where, plain=True)


def _parse_json_lines(lines: Iterable[str], name: str) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{name}:{number}"
            yield _undecoded(line, where) or _json_line(line.strip(), where)


def _json_line(line: str, where: str) -> Record:
    try:
        return _json_record(_load_json(line, where), where)
    except InputError as error:
        return Record({}, where, error=str(error))


def _parse_json(lines: Iterable[str], name: str) -> Iterator[Record]:
    """Parse JSON lines, or one array of objects."""
    head = []
    for line in lines:
        head.append(line)
        if line.strip():
            break
    lines = itertools.chain(head, lines)
    if not head[-1].lstrip().startswith("["):
        yield from _parse_json_lines(lines, name)
        return
    # One array is one value: what is wrong anywhere in it leaves nothing to go on with.
    whole = list(lines)
    for number, line in enumerate(whole, start=1):
        if (broken := _undecoded(line, f"{name}:{number}")) is not None:
            yield broken
            return
    for number, value in enumerate(_load_json("".join(whole), name), start=1):
        yield _json_record(value, f"{name}:item {number}")


def _load_json(text: str, where: str) -> Any:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        place = (
            f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) and error.lineno > 1 else ""
        )
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deeply nested"
        raise InputError(f"{where} is not valid JSON{place} ({reason}): correct or remove it") from error
    if _SURROGATE_ESCAPE.search(text):
        # Half of an escaped surrogate pair cannot be written as UTF-8 again; it becomes a question mark.
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8"))
    return value


def _json_record(value: Any, where: str) -> Record:
    if not isinstance(value, dict):
        raise InputError(f'{where} is JSON but no object: write it as {{"document": "..."}}')
    return Record(value, where)


def _parse_separated(lines: Iterable[str], name: str, delimiter: str) -> Iterator[Record]:
    # The largest limit that fits a C long everywhere; the default refuses fields over 128 KiB.
    csv.field_size_limit(2**31 - 1)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    while True:
        where, row = f"{name}:{line}", None
        try:
            row = next(rows, None)
            if row is None:
                return
            bad = next((found for field in row if (found := _undecoded(field, where))), None)
        except csv.Error as error:
            reason = f"{where} is not valid {_TABLE_NAMES[delimiter]} ({error}): correct it"
            bad = Record({}, where, error=reason)
        line = rows.line_num + 1
        if row is not None and not row:
            continue
        if header is None:
            if bad is not None or row is None:
                raise InputError(bad.error if bad is not None and bad.error else f"{where} is no header")
            header = row
            if len(set(header)) < len(header) or not all(header):
                raise InputError(f"{where} is no header: the first line must name every column once")
        elif bad is not None or row is None:
            yield bad or Record({}, where, error=f"{where} cannot be read")
        elif len(row) != len(header):
            told = f"{where} has {len(row)} fields but the header names {len(header)} columns: correct it"
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
            for batch in table.iter_batches(batch_size=1024):
                for fields in batch.to_pylist():
                    number += 1
                    yield Record(fields, f"{path}:row {number}")
    except PermissionError:
        raise
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{path} is no readable Parquet file ({reason}): write it again") from error


_TABLE_NAMES = {",": "CSV", "\t": "TSV"}
_PARSERS: dict[str, Callable[[Iterable[str], str], Iterator[Record]]] = {
    ".txt": _parse_text,
    ".jsonl": _parse_json_lines,
    ".ndjson": _parse_json_lines,
    ".json": _parse_json,
    ".csv": lambda lines, name: _parse_separated(lines, name, ","),
    ".tsv": lambda lines, name: _parse_separated(lines, name, "\t"),
}
