"""What codes of numbers are for: embeddings of a corpus, what discrete codes mean, anomalies."""

import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from textae.data.corpus import read_records
from textae.data.formats import Record
from textae.data.normalization import normalize
from textae.data.words import split_words
from textae.errors import InputError
from textae.evaluation.files import check_writable, write_bytes
from textae.inference.corpus import CHUNK, DOCUMENT_COLUMNS, chunks
from textae.model_config import NormalizationConfig

if TYPE_CHECKING:
    from textae.models.base import Autoencoder
    from textae.models.code_autoencoder import CodeAutoencoder

EMBEDDING_FORMATS = (".npy", ".parquet")
# A word tells what a code means if its documents have it so many times oftener than all documents do.
TELLING = 2.0


def read_documents(source: str, columns: Sequence[str] = DOCUMENT_COLUMNS) -> tuple[list[Any], list[str]]:
    """Ids (None where there is none) and texts of all records of a source.

    Raises:
        InputError: for anything wrong with the source, or if it holds no records.
    """
    records = list(read_records(source))
    if not records:
        raise InputError(f"{source} holds no records: give at least one")
    return [record.id for record in records], [record.text(columns) for record in records]


def read_kinds(
    source: str, kind: str | None, columns: Sequence[str] = DOCUMENT_COLUMNS
) -> tuple[list[str], list[str] | None]:
    """Texts of all records of a source that have one, and what the column ``kind`` says of each.

    Raises:
        InputError: for anything wrong with the source, if no record has a text, or one has no such column.
    """
    documents, kinds = [], []
    for record in read_records(source):
        text = record.text(columns)
        if not text.strip():
            continue
        documents.append(text)
        if kind is not None:
            if record.plain or kind not in record.fields:
                raise InputError(f'{record.where} has no column "{kind}": name another with --color')
            kinds.append(str(record.fields[kind]))
    if not documents:
        raise InputError(f"{source} holds no text: give some documents")
    return documents, kinds if kind is not None else None


def embed_corpus(
    model: "Autoencoder",
    source: str,
    output: str,
    *,
    columns: Sequence[str] = DOCUMENT_COLUMNS,
    batch_size: int = 64,
) -> tuple[int, int]:
    """Write a vector for every document of ``source`` to ``output``, in the same order.

    ``.npy`` is an array (N, D) of float32; ``.parquet`` a table of ``id``, if any, and ``embedding``. The
    file appears under its name only when it is complete.

    Returns:
        N and D.

    Raises:
        InputError: for bad input, and, before any work, for an output that cannot be written.
    """
    suffix = Path(output).suffix.lower()
    if suffix not in EMBEDDING_FORMATS:
        raise InputError(
            f"{output} has no extension that tells its format: use {' or '.join(EMBEDDING_FORMATS)}"
        )
    check_writable(output)
    identities: list[Any] = []
    arrays: list[np.ndarray] = []
    for chunk in _progress(read_records(source), max(CHUNK, batch_size)):
        identities += [record.id for record in chunk]
        arrays.append(model.embed([record.text(columns) for record in chunk], batch_size=batch_size).numpy())
    if not arrays:
        raise InputError(f"{source} holds no records: give at least one")
    vectors = np.concatenate(arrays).astype(np.float32)
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, vectors, allow_pickle=False)
    else:
        _write_parquet(buffer, identities, vectors)
    write_bytes(output, buffer.getvalue())
    return vectors.shape


def _write_parquet(buffer: io.BytesIO, identities: list[Any], vectors: np.ndarray) -> None:
    import pyarrow
    from pyarrow import parquet

    flat = pyarrow.array(vectors.reshape(-1))
    columns = {"embedding": pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])}
    if any(identity is not None for identity in identities):
        names = [None if identity is None else str(identity) for identity in identities]
        columns = {"id": pyarrow.array(names, pyarrow.string()), **columns}
    parquet.write_table(pyarrow.table(columns), buffer)


def _progress(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    with tqdm(unit=" records", disable=not sys.stderr.isatty()) as bar:
        for chunk in chunks(records, size):
            yield chunk
            bar.update(len(chunk))


@dataclass
class Meaning:
    """One discrete code in use.

    Attributes:
        place: which of a document's codes it is, counted from 0.
        number: of the code.
        count: documents that have it.
        words: those that its documents have more than others, most telling first.
        documents: the first that have it.
    """

    place: int
    number: int
    count: int
    words: list[str]
    documents: list[str]


def code_meanings(
    model: "CodeAutoencoder",
    documents: list[str],
    *,
    batch_size: int = 64,
    words: int = 6,
    examples: int = 2,
) -> list[Meaning]:
    """What each discrete code in use stands for, by the documents that have it; the most frequent first.

    A word's weight is the logarithm of how much oftener it is in the code's documents than in all, times
    their number: the word's part of the divergence between the two.

    Raises:
        InputError: if the model's code is not discrete.
    """
    indices = model.indices(documents, batch_size=batch_size)
    bags = [_content(text) for text in documents]
    everywhere = Counter(word for bag in bags for word in bag)
    meanings = []
    for place in range(indices.shape[1]):
        for number in sorted(set(indices[:, place].tolist())):
            members = [i for i, used in enumerate(indices[:, place].tolist()) if used == number]
            inside = Counter(word for i in members for word in bags[i])
            telling = _telling(inside, len(members), everywhere, len(documents))
            meanings.append(
                Meaning(
                    place, number, len(members), telling[:words], [documents[i] for i in members[:examples]]
                )
            )
    return sorted(meanings, key=lambda meaning: (meaning.place, -meaning.count, meaning.number))


def _content(text: str) -> set[str]:
    words = split_words(normalize(text, NormalizationConfig(lowercase=True, split_punctuation=True)))
    return {word for word in words if any(character.isalnum() for character in word)}


def _telling(inside: Counter[str], members: int, everywhere: Counter[str], total: int) -> list[str]:
    weights = {}
    for word, count in inside.items():
        ratio = (count / members) / (everywhere[word] / total)
        if ratio >= TELLING and count > 1:
            weights[word] = count * float(np.log(ratio))
    return sorted(weights, key=lambda word: (-weights[word], word))


@dataclass
class Anomalies:
    """What reconstruction says of documents.

    Attributes:
        threshold: nats per token; documents with more are called anomalous.
        losses: nats per token of each document.
        normal_losses: those of the normal documents.
    """

    threshold: float
    losses: list[float]
    normal_losses: list[float]

    @property
    def verdicts(self) -> list[bool]:
        """Whether each document is anomalous."""
        return [loss > self.threshold for loss in self.losses]


def find_anomalies(
    loss: Callable[[list[str]], list[float]], documents: list[str], normal: list[str], quantile: float
) -> Anomalies:
    """Judge documents by how hard they are to restore, beside normal ones that were not trained on.

    Args:
        loss: nats per token of documents, such as a model's ``reconstruction_loss``.
        documents: to be judged.
        normal: known to be in order; the threshold is the ``quantile`` of their losses.
        quantile: share of normal documents that shall be called normal.

    Raises:
        InputError: if ``quantile`` is not between 0 and 1.
    """
    if not 0 < quantile < 1:
        raise InputError(f"quantile is {quantile}; set it to a share between 0 and 1.")
    normal_losses = loss(normal)
    threshold = float(np.quantile(normal_losses, quantile))
    return Anomalies(threshold, loss(documents), normal_losses)
