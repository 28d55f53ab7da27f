"""Results of a corpus on disk or elsewhere: one file, or a folder of parts with a manifest."""

import hashlib
import itertools
import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import psutil
from tqdm import tqdm

from textae import __version__
from textae.data import remote
from textae.data.formats import WRITTEN_FORMATS, Record, file_format
from textae.errors import InputError
from textae.inference.job import Job, JobOver, Processes, Segment, listed
from textae.inference.places import Place
from textae.inference.rows import row_writer
from textae.inference.window import Window
from textae.manifest import MANIFEST

logger = logging.getLogger(__name__)
# Parts, and what a killed process may have left of one.
_PART = re.compile(r"(part|rejects)-\d{5}-of-\d{5}\.[a-z]+|\.(part|rejects)-\d{5}-of-\d{5}\.[a-z]+\.tmp")


def is_folder(output: str) -> bool:
    """Whether a result of this name is a folder of parts: it ends in ``/``, or is one without a suffix."""
    if output.endswith("/"):
        return True
    return not remote.is_url(output) and os.path.isdir(output) and not os.path.splitext(output)[1]


class Result:
    """The rows of a corpus in their order, whole or not there.

    Args:
        output: file or folder, of this machine or a URL.
        part_format: of the files in a folder, one of ``WRITTEN_FORMATS``.
        rejects: file of the records that could not be used; a folder has files of its own.
        processes: who this is; each writes a part of a folder, and the first writes a file.

    Raises:
        InputError: if there is no such format.
    """

    def __init__(self, output: str, part_format: str, rejects: str | None, processes: Processes):
        self.output, self.processes = output, processes
        self.folder = is_folder(output)
        if self.folder:
            if part_format not in WRITTEN_FORMATS:
                raise InputError(f"part_format is {part_format}; take one of {', '.join(WRITTEN_FORMATS)}")
            self.place, self.parts = Place(output), processes.count
            self.suffix, self.compressed, name = f".{part_format}", False, "parts"
        else:
            target = output if remote.is_url(output) else os.path.realpath(output)
            parent, name = target.rsplit("/", 1)
            self.place, self.parts, self.name = Place(parent or "/"), 1, name
            self.suffix, self.compressed = file_format(output)
        self.rejects = rejects
        # Beside the result, so that it can be renamed there; of a name that no file system finds too long.
        short = name if len(name) < 100 else hashlib.sha256(name.encode("utf-8")).hexdigest()
        self.work = Place(f"{self.place.root}/.{short}.partial")

    def make(
        self, window: Window, source: str, records: Iterable[Record], about: dict[str, Any], field: str
    ) -> dict[str, int]:
        """Make what is missing, and join it; returns the counts of this process's part, or of all of them.

        Args:
            window: makes the segments.
            source: name of the input, for a person.
            records: all of it, in its order.
            about: whatever the segments depend on.
            field: name of what is written.

        Raises:
            InputError: if the input is bad or the result cannot be written; what is finished stays.
        """
        about = {"textae": __version__, **about, "field": field, "window": window.size}
        job = Job(self.work, about, self.processes, self._is_written)
        try:
            return self._make(job, window, source, records, field)
        except JobOver:
            job.remove()  # with what this process may have left since
            return {}

    def _make(
        self, job: Job, window: Window, source: str, records: Iterable[Record], field: str
    ) -> dict[str, int]:
        with job.begun():
            try:
                total = self._segments(job, window, records)
                if total == 0:
                    raise InputError(f"{source} holds no records: give at least one")
                job.take_result()
                parts = [self._join(job, index, total, field) for index in self._own()]
                if self.processes.index > 0:
                    return parts[0]["counts"] if parts else {}
                parts = [job.wait_for_part(self._mark(index)) for index in range(self.parts)]
                counts = _sum(part["counts"] for part in parts)
                self._write_rejects(job, total)
                if self.folder:
                    self._write_manifest(job, parts, counts)
            except BaseException:
                self._keep_or_remove(job)
                raise
            job.remove()
            if others := job.others():
                logger.info(
                    "Unfinished work of another model, input or setting stays in %s: the command that began "
                    "it goes on from there; delete it if that is not wanted.",
                    listed(others),
                )
        return counts

    def _is_written(self) -> bool:
        """Whether what is written last is there, and was not when this process was started.

        All processes of a launch are started at once, long before the first of them has read a model.
        """
        written = self.place.modified(MANIFEST if self.folder else self.name)
        return written is not None and written >= psutil.Process().create_time()

    # Segments ------------------------------------------------------------------------------------

    def _segments(self, job: Job, window: Window, records: Iterable[Record]) -> int:
        """Make this process's segments that are missing; returns how many there are of all processes."""
        number, resumed = -1, 0
        with tqdm(unit=" records", disable=not sys.stderr.isatty()) as bar:
            for number, chunk in enumerate(chunks(records, window.size)):
                if number % self.processes.count == self.processes.index:
                    if job.has(number):
                        resumed += len(chunk)
                    else:
                        job.save(number, window.make(chunk, number * window.size + 1))
                bar.update(len(chunk))
        if resumed:
            logger.info("%s: %s records had been done before.", self.output, f"{resumed:,}")
        return number + 1

    def _keep_or_remove(self, job: Job) -> None:
        """Say where finished work is kept; without any that can be continued there is nothing to keep."""
        if self.processes.index > 0:
            return
        if job.can_continue and job.place.exists("segment-00000000"):
            logger.warning(
                "What was done is kept in %s; the same command goes on from there.", job.place.root
            )
        else:
            job.remove()

    # Joining -------------------------------------------------------------------------------------

    def _own(self) -> range:
        """Numbers of the parts that this process writes."""
        index = self.processes.index
        return range(index, min(index + 1, self.parts))

    def _part(self, index: int, kind: str = "part") -> str:
        return f"{kind}-{index:05d}-of-{self.parts:05d}"

    def _mark(self, index: int) -> str:
        """Under which a part is told to be written, which one of another format is not."""
        return f"{self._part(index)}{self.suffix}"

    def _range(self, index: int, total: int) -> range:
        """Segments of a part: those of all parts, one after the other, are all segments in their order."""
        return range(total * index // self.parts, total * (index + 1) // self.parts)

    def _join(self, job: Job, index: int, total: int, field: str) -> dict[str, Any]:
        mark = self._mark(index)
        name = mark if self.folder else self.name
        done = job.finished(mark)
        if done is not None and self.place.exists(name):
            return done
        counts: dict[str, int] = {}
        told = []
        with_ids = job.load(0).with_ids
        with (
            self.place.new(name) as stream,
            row_writer(stream, self.suffix, field, with_ids, self.compressed) as save,
        ):
            for segment in self._load(job, self._range(index, total)):
                save(segment.rows)
                told += segment.rejects
                counts = _sum([counts, segment.counts])
        about = {"name": name, "counts": counts, **self._measured(name)}
        if self.folder:
            with self.place.new(f"{self._part(index, 'rejects')}.jsonl") as stream:
                stream.write(_lines(told))
        job.finish(mark, about)
        return about

    @staticmethod
    def _load(job: Job, numbers: range) -> Iterator[Segment]:
        for number in numbers:
            yield job.load(number)

    def _measured(self, name: str) -> dict[str, Any]:
        digest, size = hashlib.sha256(), 0
        with self.place.open(name) as stream:
            while block := stream.read(2**20):
                digest.update(block)
                size += len(block)
        return {"bytes": size, "sha256": digest.hexdigest()}

    def _write_rejects(self, job: Job, total: int) -> None:
        if self.rejects is None:
            return
        target = self.rejects if remote.is_url(self.rejects) else os.path.realpath(self.rejects)
        parent, name = target.rsplit("/", 1)
        with Place(parent or "/").new(name) as stream:
            for segment in self._load(job, range(total)):
                stream.write(_lines(segment.rejects))

    def _write_manifest(self, job: Job, parts: list[dict[str, Any]], counts: dict[str, int]) -> None:
        """Tell what belongs together; parts of an earlier result that are not among it go."""
        kept = {part["name"] for part in parts} | {
            f"{self._part(index, 'rejects')}.jsonl" for index in range(self.parts)
        }
        for name in self.place.names():
            if _PART.fullmatch(name) and name not in kept:
                self.place.remove(name)
        manifest = {"counts": counts, "parts": parts, "made_with": job.about}
        with self.place.new(MANIFEST) as stream:
            stream.write((json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def chunks(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Cut records into lists of ``size``, the last of which may be shorter."""
    iterator = iter(records)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _sum(several: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in several:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total


def _lines(values: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode(
        "utf-8", "replace"
    )
