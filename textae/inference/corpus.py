"""Summarise a corpus, or restore documents from summaries: a stream in, a stream out, order kept."""

import contextlib
import json
import logging
import os
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tqdm import tqdm

from textae.data import remote
from textae.data.corpus import expand_sources, read_records
from textae.data.formats import Record, file_format
from textae.errors import InputError
from textae.inference.job import Processes, describe_source, model_identity
from textae.inference.places import writing
from textae.inference.results import Result, chunks, is_folder
from textae.inference.rows import row_writer
from textae.inference.window import Window

CHUNK = 1024
DOCUMENT_COLUMNS = ("document", "text", "article")
SUMMARY_COLUMNS = ("summary", "output", "text")

logger = logging.getLogger(__name__)


def summarize_corpus(
    model: Any,
    source: str,
    output: str,
    *,
    columns: Sequence[str] = DOCUMENT_COLUMNS,
    batch_size: int = 64,
    rejects: str | None = None,
    part_format: str = "jsonl",
    **decoding: Any,
) -> dict[str, int]:
    """Write a summary for every document of ``source`` to ``output``, one for each, in the same order.

    ``source`` is any source of :mod:`textae.data.corpus`. The extension of ``output`` names its format:
    ``.txt`` one summary per line, ``.jsonl`` objects with ``id`` (if any) and ``summary``, ``.csv``, ``.tsv``
    and ``.parquet`` those columns; ``-`` prints lines of text for plain text and JSON lines otherwise.

    A folder (one that is there, or a name that ends in ``/``) gets ``part-00000-of-00001.jsonl`` and so on,
    one part for each process of a launch, whose rows follow each other from part to part, and a
    ``manifest.json``; ``part_format`` is then that of the parts. Input and output may be URLs of anything
    that fsspec knows.

    A file appears under its name only when it is complete. Until then finished windows of 1,024 records are
    kept beside it (``.NAME.partial``), and the same call goes on from there, to the same bytes. A call with
    another model, input or settings has a folder of its own there and begins anew; what others have left
    stays, and is named in the log. Reading from standard input or printing is done in one go.

    A record that cannot be used stops the work, unless ``rejects`` names a file of JSON lines (``position``,
    ``where``, ``reason``) or the output is a folder, which has ``rejects-...`` files of its own: the record
    then gets an empty summary. Further arguments go to ``model.summarize``.

    Empty documents get empty summaries, and documents of more than ``model.config.max_document_tokens``
    tokens are condensed to their most central sentences by the model or, if
    ``model.config.decoding.long_documents`` says so or there is one sentence only, cut there; warnings
    say how many. Returns the counts ``records``, ``empty``, ``condensed``, ``cut`` and ``rejected``. Raises
    :class:`InputError` for bad input and, before any model work, for an output that cannot be written.
    """

    def write(texts: list[str]) -> list[str]:
        return model.summarize(texts, batch_size=batch_size, **decoding)

    return transform(
        model,
        write,
        source,
        output,
        columns,
        batch_size,
        names=("document", "summary"),
        selects=model.config.decoding.long_documents == "select",
        # Engines round differently: what one has written is not joined to what another writes.
        settings={**decoding, "engines": model.engines},
        rejects=rejects,
        part_format=part_format,
    )


def reconstruct_corpus(
    model: Any,
    source: str,
    output: str,
    *,
    columns: Sequence[str] | None = None,
    batch_size: int = 64,
    rejects: str | None = None,
    part_format: str = "jsonl",
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

    return transform(
        model,
        write,
        source,
        output,
        columns,
        batch_size,
        names=(read, "document"),
        settings=decoding,
        rejects=rejects,
        part_format=part_format,
    )


def transform(
    model: Any,
    write: Callable[[list[str]], list[str]],
    source: str,
    output: str,
    columns: Sequence[str] = DOCUMENT_COLUMNS,
    batch_size: int = 64,
    *,
    names: tuple[str, str] = ("document", "document"),
    selects: bool = False,
    settings: dict[str, Any] | None = None,
    rejects: str | None = None,
    part_format: str = "jsonl",
) -> dict[str, int]:
    """Read ``names[0]`` from ``source``, let ``write`` make ``names[1]`` of it, save that to ``output``.

    With ``selects``, what is too long for the model is condensed where it has several sentences. ``settings``
    are all that ``write`` depends on besides the model; where they change, it is another job.
    """
    processes = Processes.of_launch()
    _check_output(source, output, rejects, processes)
    strict = rejects is None and not is_folder(output)
    window = Window(model, write, columns, names[0], selects, max(CHUNK, batch_size), strict)
    records = read_records(source, strict=strict)
    if output == "-":
        if processes.index > 0:
            return {}
        counts = _print(window, records, source, names[1], rejects)
    else:
        about = {
            "model": model_identity(model),
            "input": describe_source(source),
            "columns": list(columns),
            "batch_size": batch_size,
            "strict": strict,
            "settings": settings or {},
        }
        if source == "-":
            about["once"] = uuid.uuid4().hex  # nobody can tell whether the same texts come again
        counts = Result(output, part_format, rejects, processes).make(
            window, source, records, about, names[1]
        )
    if processes.index == 0:
        told = rejects or f"{output.rstrip('/')}/rejects-*"
        _warn(counts, names, model.config.max_document_tokens, told)
    return counts


def _print(
    window: Window, records: Iterable[Record], source: str, field: str, rejects: str | None
) -> dict[str, int]:
    """Write to standard output as it comes."""
    counts: Counter[str] = Counter()
    told: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(tqdm(unit=" records", disable=not sys.stderr.isatty()))
        save = None
        for chunk in chunks(records, window.size):
            segment = window.make(chunk, counts["records"] + 1)
            if save is None:
                suffix = ".txt" if segment.plain else ".jsonl"
                save = stack.enter_context(row_writer(sys.stdout.buffer, suffix, field, segment.with_ids))
            with writing("-"):
                save(segment.rows)
            told += segment.rejects
            counts.update(segment.counts)
            bar.update(len(chunk))
    if not counts:
        raise InputError(f"{source} holds no records: give at least one")
    if rejects is not None:
        from textae.evaluation.files import write_text

        write_text(rejects, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in told))
    return dict(counts)


def _warn(counts: dict[str, int], names: tuple[str, str], limit: int, rejects: str) -> None:
    longer = f"longer than {limit} tokens and"
    for kind, what in (
        ("empty", f"empty and got an empty {names[1]}"),
        ("condensed", f"{longer} condensed to the most central sentences"),
        ("cut", f"{longer} cut there"),
        ("rejected", f"rejected, as {rejects} tells, and got an empty {names[1]}"),
    ):
        if counts[kind]:
            logger.warning("%s", _say(counts[kind], names[0], what))


def _say(count: int, name: str, what: str) -> str:
    """Return such as ``2 summaries were empty``."""
    plural = name.removesuffix("y") + "ies" if name.endswith("y") else name + "s"
    return f"1 {name} was {what}" if count == 1 else f"{count} {plural} were {what}"


def _check_output(source: str, output: str, rejects: str | None, processes: Processes) -> None:
    if source == "-" and processes.count > 1:
        raise InputError("standard input reaches one process of a launch only: give --input a file")
    if rejects == "-":
        raise InputError("rejects are no results: give --rejects a file of their own")
    files = [name for name in (output, rejects) if name not in (None, "-")]
    read = {os.path.realpath(name) for name in expand_sources([source]) if not remote.is_url(name)}
    for name in files:
        assert name is not None
        if name == output and not is_folder(name):
            file_format(name)
        if remote.is_url(name) or is_folder(name):
            continue
        with writing(name), contextlib.suppress(FileNotFoundError):
            os.stat(name)
        if os.path.exists(name) and not os.path.isfile(name):
            raise InputError(f"{name} is no regular file: name another output")
        if os.path.realpath(name) in read:
            raise InputError(f"{name} is the input itself: name another output")
