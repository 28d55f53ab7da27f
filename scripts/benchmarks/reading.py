"""How many records a second each reader gives, beside the others."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.timing import Contender, ratio, take_turns
from textae.data import newswire
from textae.data.corpus import read_records
from textae.data.formats import file_format
from textae.inference.corpus import DOCUMENT_COLUMNS
from textae.inference.rows import row_writer

# File by name of the reader; the first is what the others are compared with.
FILES = {
    "JSON lines": "documents.jsonl",
    "JSON lines, .gz": "documents.jsonl.gz",
    "CSV": "documents.csv",
    "Parquet": "documents.parquet",
    "text": "documents.txt",
}
# As many rows of a Parquet file are written at a time, as summarising does.
ROWS = 1024


def write_stories(folder: Path, documents: int) -> dict[str, Path]:
    """The same short stories of the embedded corpus in a file of each format, with ids where it has them."""
    rows = [(str(number), text) for number, text in enumerate(newswire.documents(documents))]
    files = {}
    for name, file in FILES.items():
        files[name] = folder / file
        suffix, compressed = file_format(file)
        with (
            files[name].open("wb") as stream,
            row_writer(stream, suffix, "document", with_ids=True, compressed=compressed) as save,
        ):
            for begin in range(0, len(rows), ROWS):
                save(rows[begin : begin + ROWS])
    return files


def reading(file: str) -> Callable[[], dict[str, int]]:
    """Read all records of ``file`` and take their text; gives how many there are, and their characters."""

    def work() -> dict[str, int]:
        records = characters = 0
        for record in read_records(file):
            records += 1
            characters += len(record.text(DOCUMENT_COLUMNS))
        return {"records": records, "characters": characters}

    return work


def measure_reading(rounds: int, threads: int, documents: int) -> dict[str, Any]:
    """Records a second of each reader, each in a process of its own.

    Raises:
        RuntimeError: if what a reader gives is not what was written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        files = write_stories(Path(temporary), documents)
        contenders = [Contender(name, reading, {"file": str(file)}) for name, file in files.items()]
        measured = take_turns(contenders, rounds, threads)
        sizes = {name: file.stat().st_size for name, file in files.items()}
    first = next(iter(measured.values()))
    written = {"records": documents, "characters": sum(map(len, newswire.documents(documents)))}
    readers = {}
    for name, found in measured.items():
        if found.result != written:
            raise RuntimeError(f"{name}: {found.result} was read where {written} was written")
        rates = [documents / seconds for seconds in found.seconds]
        readers[name] = {
            "bytes": sizes[name],
            "records_per_second": statistics.median(rates),
            "least": min(rates),
            "greatest": max(rates),
            "times_as_fast": ratio(first, found),
        }
    return {**written, "readers": readers}
