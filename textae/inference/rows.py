"""Rows of results as text, tables, JSON lines and Parquet."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO

from textae.data.spreadsheets import safe_cell

Row = tuple[Any, str]  # id or None, text written for the record
DELIMITERS = {".csv": ",", ".tsv": "\t"}


@contextmanager
def row_writer(
    stream: BinaryIO, suffix: str, field: str, with_ids: bool, compressed: bool = False
) -> Iterator[Callable[[list[Row]], None]]:
    """Give a function that writes rows to ``stream``; the same rows are always the same bytes.

    Args:
        stream: of bytes.
        suffix: of the format, such as ``.jsonl``.
        field: name of the text.
        with_ids: whether tables have a column for the ids.
        compressed: by gzip.
    """
    with ExitStack() as stack:
        if compressed:
            # Neither time nor name in its header: they would tell one run from another.
            packed: Any = gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0)
            stream = stack.enter_context(packed)
        if suffix == ".parquet":
            yield stack.enter_context(_parquet_writer(stream, field, with_ids))
            return
        if suffix in DELIMITERS:
            stream.write(_encode_table([["id", field] if with_ids else [field]], DELIMITERS[suffix]))

        def save(rows: list[Row]) -> None:
            stream.write(_encode(rows, suffix, field, with_ids))
            stream.flush()

        yield save


@contextmanager
def _parquet_writer(stream: BinaryIO, field: str, with_ids: bool) -> Iterator[Callable[[list[Row]], None]]:
    import pyarrow
    from pyarrow import parquet

    names = ["id", field] if with_ids else [field]
    schema = pyarrow.schema([(name, pyarrow.string()) for name in names])
    with parquet.ParquetWriter(stream, schema) as table:

        def save(rows: list[Row]) -> None:
            columns: dict[str, list[str | None]] = {field: [text for _, text in rows]}
            if with_ids:
                columns["id"] = [None if identity is None else str(identity) for identity, _ in rows]
            table.write_table(pyarrow.table(columns, schema=schema))

        yield save


def _encode(rows: list[Row], suffix: str, field: str, with_ids: bool) -> bytes:
    if suffix in DELIMITERS:
        table = [
            ["" if identity is None else identity, text] if with_ids else [text] for identity, text in rows
        ]
        return _encode_table(table, DELIMITERS[suffix])
    if suffix == ".txt":
        lines = [text for _, text in rows]
    else:
        objects = [({} if identity is None else {"id": identity}) | {field: text} for identity, text in rows]
        lines = [json.dumps(value, ensure_ascii=False, default=str) for value in objects]
    return "".join(line + "\n" for line in lines).encode("utf-8")


def _encode_table(rows: list[list[Any]], delimiter: str) -> bytes:
    buffer = io.StringIO()
    safe = [[safe_cell(value) for value in row] for row in rows]
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows(safe)
    return buffer.getvalue().encode("utf-8")
