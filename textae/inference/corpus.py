"""Summarise a corpus, or restore documents from summaries: a stream in, a stream out, order kept."""

import csv
import gzip
import io
import itertools
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from textae.data.corpus import expand_sources, read_records
from textae.data.formats import Record, file_format
from textae.data.long_documents import split_sentences
from textae.errors import InputError

CHUNK = 1024
DOCUMENT_COLUMNS = ("document", "text", "article")
SUMMARY_COLUMNS = ("summary", "output", "text")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}

logger = logging.getLogger(__name__)
Row = tuple[Any, str]  # id or None, text written for the record


def summarize_corpus(
    model: Any,
    source: str,
    output: str,
    *,
    columns: Sequence[str] = DOCUMENT_COLUMNS,
    batch_size: int = 64,
    **decoding: Any,
) -> dict[str, int]:
    """Write a summary for every document of ``source`` to ``output``, one for each, in the same order.

    ``source`` is any source of :mod:`textae.data.corpus`. The extension of ``output`` names its format:
    ``.txt`` one summary per line, ``.jsonl`` objects with ``id`` (if any) and ``summary``, ``.csv``, ``.tsv``
    and ``.parquet`` those columns; ``-`` prints lines of text for plain text and JSON lines otherwise. A file
    appears under its name only when it is complete. Further arguments go to ``model.summarize``.

    Empty documents get empty summaries, and documents of more than ``model.config.max_document_tokens``
    tokens are condensed to their most central sentences by the model or, if
    ``model.config.decoding.long_documents`` says so or there is one sentence only, cut there; warnings
    say how many. Returns the counts ``records``, ``empty``, ``condensed`` and ``cut``. Raises
    :class:`InputError` for bad input and, before any model work, for an output that cannot be written.
    """

    def write(texts: list[str]) -> list[str]:
        return model.summarize(texts, batch_size=batch_size, **decoding)

    selects = model.config.decoding.long_documents == "select"
    names = ("document", "summary")
    return transform(model, write, source, output, columns, batch_size, names, selects)


def reconstruct_corpus(
    model: Any,
    source: str,
    output: str,
    *,
    columns: Sequence[str] | None = None,
    batch_size: int = 64,
    **decoding: Any,
) -> dict[str, int]:
    """Write the document that ``model.reconstruct`` restores from every summary of ``source`` to ``output``.

    Of a model with a code of numbers, it is what is left of every document after its way through the code.
    Everything is as in :func:`summarize_corpus`, except that the field written is ``document``.
    """
    read = "summary" if model.config.code.is_text else "document"
    if columns is None:
        columns = SUMMARY_COLUMNS if read == "summary" else DOCUMENT_COLUMNS

    def write(texts: list[str]) -> list[str]:
        return model.reconstruct(texts, batch_size=batch_size, **decoding)

    return transform(model, write, source, output, columns, batch_size, names=(read, "document"))


def transform(
    model: Any,
    write: Callable[[list[str]], list[str]],
    source: str,
    output: str,
    columns: Sequence[str] = DOCUMENT_COLUMNS,
    batch_size: int = 64,
    names: tuple[str, str] = ("document", "document"),
    selects: bool = False,
) -> dict[str, int]:
    """Read ``names[0]`` from ``source``, let ``write`` make ``names[1]`` of it, save that to ``output``.

    With ``selects``, what is too long for the model is condensed where it has several sentences.
    """
    counts = {"records": 0, "empty": 0, "condensed": 0, "cut": 0}
    limit = model.config.max_document_tokens
    _check_output(source, output)
    with ExitStack() as stack:
        stream = stack.enter_context(_open_output(output))
        records = read_records(source)
        bar = stack.enter_context(tqdm(unit=" records", disable=not sys.stderr.isatty()))
        save: Callable[[list[Row]], None] | None = None
        for chunk in chunks(records, max(CHUNK, batch_size)):
            if save is None:
                save = stack.enter_context(_writer(output, stream, names[1], chunk))
            texts = [record.text(columns) for record in chunk]
            filled = [text for text in texts if text.strip()]
            counts["records"] += len(texts)
            counts["empty"] += len(texts) - len(filled)
            if filled:
                lengths = zip(filled, model.count_tokens(filled), strict=True)
                long = [text for text, length in lengths if length > limit]
                several = sum(len(split_sentences(text)) > 1 for text in long) if selects else 0
                counts["condensed"] += several
                counts["cut"] += len(long) - several
            written = iter(write(filled) if filled else [])
            results = [" ".join(next(written).split()) if text.strip() else "" for text in texts]
            with _writing(output):
                save([(record.id, result) for record, result in zip(chunk, results, strict=True)])
            bar.update(len(chunk))
        if save is None:
            raise InputError(f"{source} holds no records: give at least one")
    if counts["empty"]:
        logger.warning("%s", _say(counts["empty"], names[0], f"empty and got an empty {names[1]}"))
    longer = f"longer than {limit} tokens and"
    if counts["condensed"]:
        what = f"{longer} condensed to the most central sentences"
        logger.warning("%s", _say(counts["condensed"], names[0], what))
    if counts["cut"]:
        logger.warning("%s", _say(counts["cut"], names[0], f"{longer} cut there"))
    return counts


def _say(count: int, name: str, what: str) -> str:
    """Return such as ``2 summaries were empty``."""
    plural = name.removesuffix("y") + "ies" if name.endswith("y") else name + "s"
    return f"1 {name} was {what}" if count == 1 else f"{count} {plural} were {what}"


def chunks(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Cut records into lists of ``size``, the last of which may be shorter."""
    iterator = iter(records)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _check_output(source: str, output: str) -> None:
    if output == "-":
        return
    file_format(output)
    if os.path.exists(output) and not os.path.isfile(output):
        raise InputError(f"{output} is no regular file: name another output")
    if os.path.realpath(output) in (os.path.realpath(name) for name in expand_sources([source])):
        raise InputError(f"{output} is the input itself: name another output")


@contextmanager
def _writing(output: str) -> Iterator[None]:
    """Tell a person in one sentence that the output cannot be written."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads standard output has had enough: no mistake of the person
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{output} cannot be written ({reason}): name a place that can") from error


@contextmanager
def _open_output(output: str) -> Iterator[BinaryIO]:
    """Open ``output`` under a temporary name that becomes its own only if the body succeeds."""
    if output == "-":
        yield sys.stdout.buffer
        return
    # A link keeps pointing where it does; what it points to is replaced.
    target = Path(os.path.realpath(output))
    partial = target.with_name(f".{os.getpid()}.partial.{target.name}")
    try:
        with ExitStack() as stack:
            with _writing(output):
                target.parent.mkdir(parents=True, exist_ok=True)
                stream: Any = stack.enter_context(open(partial, "wb"))
                if output.lower().endswith(".gz"):
                    stream = stack.enter_context(gzip.open(stream, "wb"))
            yield stream
            with _writing(output):
                stack.close()
        with _writing(output):
            os.replace(partial, target)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def _writer(
    output: str, stream: BinaryIO, field: str, first: list[Record]
) -> Iterator[Callable[[list[Row]], None]]:
    """Give a function that writes rows to ``stream``; the ``first`` chunk settles what there is to write."""
    with_ids = any(record.id is not None for record in first)
    printed = ".txt" if first[0].plain else ".jsonl"
    suffix = printed if output == "-" else file_format(output)[0]
    if suffix == ".parquet":
        with _parquet_writer(stream, field, with_ids) as save_table:
            yield save_table
        return
    if suffix in _DELIMITERS:
        stream.write(_encode_table([["id", field] if with_ids else [field]], _DELIMITERS[suffix]))

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
    if suffix in _DELIMITERS:
        table = [
            ["" if identity is None else identity, text] if with_ids else [text] for identity, text in rows
        ]
        return _encode_table(table, _DELIMITERS[suffix])
    if suffix == ".txt":
        lines = [text for _, text in rows]
    else:
        objects = [({} if identity is None else {"id": identity}) | {field: text} for identity, text in rows]
        lines = [json.dumps(value, ensure_ascii=False, default=str) for value in objects]
    return "".join(line + "\n" for line in lines).encode("utf-8")


def _encode_table(rows: list[list[Any]], delimiter: str) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode("utf-8")
