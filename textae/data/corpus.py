"""Documents, human sentences and pairs: from files, globs, standard input, the Hub or the embedded corpus.

A source is a string: ``news.jsonl.gz``, ``"corpus/*.txt"``, ``s3://bucket/news.parquet`` (any URL that fsspec
knows), ``-`` (standard input: JSON lines if the first line begins with ``{``, else one text per line),
``hub:NAME[:CONFIG][@SPLIT]``, or ``newswire[:COUNT]`` and, as pairs, ``newswire:train[:COUNT]``,
``newswire:valid[:COUNT]`` and ``newswire:test[:COUNT]``.
"""

import glob
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from textae.data import remote
from textae.data.formats import Record, check_file, read_file, read_standard_input
from textae.data.normalization import normalize
from textae.errors import InputError, reason
from textae.model_config import NormalizationConfig

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

Kind = Literal["documents", "human"]
NEWSWIRE_TEXTS = 20000
NEWSWIRE_PAIRS = 500
_NEWSWIRE_FORMS = (
    "newswire, newswire:COUNT, newswire:train[:COUNT], newswire:valid[:COUNT] or newswire:test[:COUNT]"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """A document and the summaries that people wrote for it."""

    id: str | None
    document: str
    references: list[str]


def expand_sources(sources: Iterable[str]) -> list[str]:
    """Return ``sources`` with every glob replaced by its files in sorted order.

    Raises :class:`InputError` for a file that is missing, a folder or of unknown format, a glob that
    matches nothing, a malformed ``newswire`` or ``hub`` source, and standard input named twice.
    """
    expanded: list[str] = []
    for source in sources:
        if source == "-" or source.startswith("hub:"):
            if source == "-" and "-" in expanded:
                raise InputError('"-" is given twice: standard input can be read only once')
            if source.startswith("hub:"):
                _parse_hub(source)
            expanded.append(source)
        elif _is_newswire(source):
            _parse_newswire(source)
            expanded.append(source)
        else:
            expanded.extend(_expand_path(os.path.expanduser(source)))
    for source in expanded:
        if _is_local(source):
            check_file(source)
    return expanded


def read_records(
    source: str, *, kind: Kind = "documents", streaming: bool = True, strict: bool = True
) -> Iterator[Record]:
    """Yield the records of one source (of every file, if it is a glob) in their order, nothing dropped.

    Unless ``strict``, a record that cannot be read comes with an ``error`` and does not stop the others.
    ``kind`` says what plain ``newswire`` stands for: its stories or its headlines. ``streaming`` only
    matters to the Hub: whether the data set is downloaded first.
    """
    for name in expand_sources([source]):
        if name == "-":
            yield from read_standard_input(strict=strict)
        elif name.startswith("hub:"):
            yield from _read_hub(name, streaming)
        elif _is_newswire(name):
            yield from _read_newswire(name, kind)
        else:
            yield from read_file(name, strict=strict)


def read_texts(
    sources: list[str],
    columns: list[str],
    *,
    kind: Kind,
    streaming: bool,
    normalization: NormalizationConfig,
    share: float = 1.0,
) -> "Dataset | IterableDataset":
    """Return a data set of the normalised texts of all sources, empty ones dropped.

    Its columns are ``text``, and ``source``: which of ``sources`` the text came from, counted from 0.
    Of each file or other source the ``share`` is kept, evenly spread; a smaller share is part of a larger one
    that is a multiple of it.
    Of ``columns``, the first that a record has is taken; a human sentence may also be a list of them. A
    stream has one shard for each file, and its position can be saved and restored (``state_dict``).

    Raises :class:`InputError` for anything wrong with a source, or if there is no text in any of them.
    """
    import datasets

    if not sources:
        raise InputError(f"no source is given: set data.{kind} to a file, a glob, -, hub:NAME or newswire")
    expanded = expand_sources(sources)
    if streaming and "-" in expanded:
        raise InputError(
            f"standard input can be read only once, so that it cannot be a stream of several passes: "
            f"set data.streaming to false or give data.{kind} a file"
        )
    arguments: dict[str, Any] = {
        "columns": tuple(columns),
        "kind": kind,
        "streaming": streaming,
        "normalization": normalization,
        "share": share,
    }
    numbers = [number for number, source in enumerate(sources) for _ in expand_sources([source])]
    numbered = list(zip(numbers, expanded, strict=True))
    texts = _generate(numbered, **arguments)
    features = datasets.Features({"text": datasets.Value("string"), "source": datasets.Value("int64")})
    first = next(texts, None)
    if first is None:
        names = " and ".join(_name(source) for source in sources)
        of_share = f" of which data.share = {share} leaves any" if share < 1 else ""
        raise InputError(
            f"{names} {'holds' if len(sources) == 1 else 'hold'} no text{of_share}: data.{kind} needs some"
        )
    if streaming:
        # The list of sources is what makes the shards; everything that is no list is passed on whole.
        return datasets.IterableDataset.from_generator(
            _generate, features=features, gen_kwargs={"sources": numbered, **arguments}
        )
    return datasets.Dataset.from_list([first, *texts], features=features)


def _generate(
    sources: list[tuple[int, str]],
    columns: tuple[str, ...],
    kind: Kind,
    streaming: bool,
    normalization: NormalizationConfig,
    share: float,
) -> Iterator[dict[str, Any]]:
    for number, source in sources:
        count = 0
        for record in read_records(source, kind=kind, streaming=streaming):
            values = record.texts(columns) if kind == "human" else [record.text(columns)]
            for value in values:
                if text := normalize(value, normalization):
                    count += 1
                    if int(count * share) > int((count - 1) * share):
                        yield {"text": text, "source": number}


def read_pairs(
    sources: list[str],
    document_columns: list[str],
    summary_columns: list[str],
    normalization: NormalizationConfig,
) -> list[Pair]:
    """Return the (document, summaries) pairs of all sources, normalised.

    Pairs without a document or without any summary are of no use: they are left out with a warning.
    Raises :class:`InputError` for anything wrong with a source, or if there is no pair in any of them.
    """
    pairs: list[Pair] = []
    left_out = 0
    for source in expand_sources(sources):
        if _is_newswire(source) and _parse_newswire(source)[0] is None:
            raise InputError(f"{source} holds no pairs: use newswire:train, newswire:valid or newswire:test")
        for record in read_records(source):
            if record.plain:
                wanted = f'"{document_columns[0]}" and "{summary_columns[0]}"'
                raise InputError(
                    f"{record.where} is plain text, but pairs need the columns {wanted}: use JSON lines"
                )
            document = normalize(record.text(document_columns), normalization)
            references = [normalize(text, normalization) for text in record.texts(summary_columns)]
            references = [text for text in references if text]
            if document and references:
                pairs.append(Pair(_identity(record), document, references))
            else:
                left_out += 1
    if left_out:
        logger.warning("%d pairs without a document or a summary are left out", left_out)
    if not pairs:
        names = " and ".join(_name(source) for source in sources) or "the empty list of sources"
        raise InputError(f"{names} holds no pair of document and summary: give a file with both columns")
    return pairs


def read_columns(source: str, columns: list[str]) -> list[tuple[str | None, str | list[str]]]:
    """Return each record's ``id`` (or None) and the text or texts in the first of ``columns`` that it has.

    Nothing is dropped or normalised; null is an empty text. For predictions and references of an evaluation.
    Raises :class:`InputError` for anything wrong with the source, or if it holds no record.
    """
    values: list[tuple[str | None, str | list[str]]] = []
    for record in read_records(source):
        texts = record.texts(columns)
        values.append((_identity(record), texts if record.holds_list(columns) else texts[0]))
    if not values:
        raise InputError(f"{_name(source)} holds no records: give at least one")
    return values


def _identity(record: Record) -> str | None:
    return None if record.id is None else str(record.id)


def _name(source: str) -> str:
    return "standard input" if source == "-" else source


def _is_newswire(source: str) -> bool:
    return source.partition(":")[0] == "newswire"


def _is_local(source: str) -> bool:
    return not (source == "-" or source.startswith("hub:") or _is_newswire(source))


def _expand_path(path: str) -> list[str]:
    if remote.is_url(path):
        return remote.expand(path)
    # A file whose own name holds a bracket is taken as it is.
    if os.path.exists(path) or not glob.has_magic(path):
        return [path]
    files = sorted(match for match in glob.glob(path, recursive=True) if not os.path.isdir(match))
    if not files:
        raise InputError(f"{path} matches no file: check the pattern")
    return files


def _parse_newswire(source: str) -> tuple[str | None, int]:
    """Return the split of pairs (None for stories or headlines) and the number of texts or pairs."""
    parts = source.split(":")[1:]
    split = parts.pop(0) if parts and parts[0] in ("train", "valid", "test") else None
    count = parts.pop(0) if parts else str(NEWSWIRE_PAIRS if split else NEWSWIRE_TEXTS)
    # Of more digits Python makes no number.
    if parts or not (count.isascii() and count.isdigit() and len(count) < 19 and int(count) > 0):
        raise InputError(f"{source} is no source: use {_NEWSWIRE_FORMS} with a count of at least 1")
    return split, int(count)


def _read_newswire(source: str, kind: Kind) -> Iterator[Record]:
    from textae.data import newswire

    split, count = _parse_newswire(source)
    if split is not None:
        for number, (document, summary) in enumerate(newswire.pairs(count, split=split), start=1):
            fields = {"id": f"newswire-{split}-{number}", "document": document, "summary": summary}
            yield Record(fields, f"{source}:{number}")
        return
    texts = newswire.headlines(count) if kind == "human" else newswire.documents(count)
    for number, text in enumerate(texts, start=1):
        yield Record({"text": text}, f"{source}:{number}", plain=True)


def _parse_hub(source: str) -> tuple[str, str | None, str]:
    # The split goes first: it may hold a colon, as in train[:100].
    name, _, split = source.removeprefix("hub:").partition("@")
    name, _, configuration = name.partition(":")
    if not name:
        raise InputError(f"{source} names no data set: use hub:NAME[:CONFIG][@SPLIT]")
    return name, configuration or None, split or "train"


def _read_hub(source: str, streaming: bool) -> Iterator[Record]:
    import datasets

    name, configuration, split = _parse_hub(source)
    try:
        rows: Any = datasets.load_dataset(name, configuration, split=split, streaming=streaming)
        for number, fields in enumerate(rows, start=1):
            yield Record(fields, f"{source}:{number}")
    except Exception as error:  # the Hub, the network and every data format have errors of their own
        raise InputError(
            f"{source} cannot be loaded from the Hugging Face Hub ({type(error).__name__}: {reason(error)}): "
            f"check its name, configuration and split, and the network"
        ) from error
