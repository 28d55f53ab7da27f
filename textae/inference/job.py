"""Work on a corpus that can be killed at any moment, shared by any number of processes, and continued.

A corpus is read in windows of so many records. What a window gives is a segment: a file that is there whole
or not at all, and that is the same bytes whichever process wrote it, and when. When all segments are there,
they are joined to the result.
"""

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from filelock import FileLock, Timeout

from textae.data import remote
from textae.data.corpus import expand_sources
from textae.errors import InputError
from textae.inference.places import Place, writing
from textae.inference.rows import Row

logger = logging.getLogger(__name__)
JOB = "job.json"
# What ends the name of a file that tells of a part of the result that it is written.
DONE = ".done"
_KEY = re.compile(r"[0-9a-f]{12}")
# So many bytes at either end of a file tell it from another, with its size.
ENDS = 2**16
# Seconds between two looks at what other processes have done.
PATIENCE = 0.2


@dataclass
class Segment:
    """What came of one window.

    Attributes:
        rows: id and text of each record, in their order.
        counts: of records by what happened to them.
        rejects: position in the corpus (from 1), place and reason of each record that could not be used.
        with_ids: whether any record had an id.
        plain: whether the first was a line of text.
    """

    rows: list[Row] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    with_ids: bool = False
    plain: bool = False

    def encode(self) -> bytes:
        """A line of checksum, and JSON."""
        body = json.dumps(asdict(self), ensure_ascii=True, default=str).encode("ascii")
        return hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" + body

    @classmethod
    def decode(cls, data: bytes) -> "Segment | None":
        """What :meth:`encode` gave; None if it is anything else, cut short or altered."""
        checksum, _, body = data.partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode("ascii") != checksum:
            return None
        values = json.loads(body)
        values["rows"] = [(identity, text) for identity, text in values["rows"]]
        return cls(**values)


class JobOver(Exception):
    """The first process has finished the job and removed it, before this one came to it."""


@dataclass(frozen=True)
class Processes:
    """Which process of how many this is, as the launcher says."""

    index: int = 0
    count: int = 1

    @classmethod
    def of_launch(cls) -> "Processes":
        """Read what ``accelerate launch`` and ``torchrun`` put into the environment."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


def model_identity(model: Any) -> str:
    """A checksum of everything that a model's texts depend on: settings, weights and tokenizer."""
    from textae.inference.compression import identity

    settings = json.dumps(asdict(model.config), sort_keys=True, default=str)
    return hashlib.sha256((settings + identity(model)).encode("utf-8")).hexdigest()


def describe_source(source: str) -> list[dict[str, Any]]:
    """Names of a source's files, with size and a checksum of both ends: changed files show."""
    described: list[dict[str, Any]] = []
    for name in expand_sources([source]):
        about: dict[str, Any] = {"name": name}
        if name != "-" and not name.startswith(("hub:", "newswire")):
            size = remote.size(name)
            digest = hashlib.sha256()
            with remote.open_to_read(name) as stream:
                digest.update(stream.read(ENDS))
                if size > ENDS:
                    stream.seek(max(ENDS, size - ENDS))
                    digest.update(stream.read(ENDS))
            about |= {"bytes": size, "ends": digest.hexdigest()}
        described.append(about)
    return described


class Job:
    """Segments in a folder, of which several processes write some each.

    All jobs of one result have a folder each in one place, so that what one left unfinished is still there
    when another has been done. One of them is at work at a time.

    Args:
        jobs: the place of all jobs of the result.
        about: everything that the segments depend on; segments of another job are not used. With an entry
            ``once`` the job cannot be continued, as nobody can tell whether its input comes again.
        processes: who this is.
        is_over: whether the result has been written since this launch began; processes other than the
            first, which removes the job then, ask before they wait.
    """

    def __init__(
        self,
        jobs: Place,
        about: dict[str, Any],
        processes: Processes,
        is_over: Callable[[], bool] = lambda: False,
    ):
        self.jobs, self.processes, self.is_over = jobs, processes, is_over
        self.about = json.loads(json.dumps(about, default=str))
        self.place = Place(jobs.show(_key(self.about)))

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Within, no other job of the result is at work; what this one left before is kept.

        Raises:
            InputError: if the folder cannot be written, or another program is at work on the result.
            JobOver: in this and all other methods that wait, if there is nothing left to wait for.
        """
        with ExitStack() as stack:
            if self.jobs.system is None:
                stack.enter_context(self._alone())
            if self.processes.index == 0:
                self._begin()
            else:
                self._wait(lambda: _read_about(self.place) == self.about)
            yield

    def _begin(self) -> None:
        for place in self.others():
            about = _read_about(place)
            if not about or "once" in about:
                place.remove_all()  # nobody can continue it
        known = _read_about(self.place)
        if known == self.about:
            return
        if known is not None:
            self.place.remove_all()
        if others := self.others():
            logger.info(
                "Beginning anew: the unfinished work in %s is of another model, input or setting.",
                listed(others),
            )
        with self.place.new(JOB) as stream:
            stream.write(json.dumps(self.about, indent=2).encode("utf-8"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = FileLock(self.jobs.path(f"process-{self.processes.index}.lock"), blocking=False)
        with writing(self.jobs.root):
            os.makedirs(self.jobs.inner, exist_ok=True)
            try:
                lock.acquire()
            except Timeout as error:
                raise InputError(
                    f"{self.jobs.root}: another process is writing this result; wait for it, or name another "
                    "output."
                ) from error
        with lock:
            yield

    @property
    def can_continue(self) -> bool:
        """Whether the same call made again is the same job."""
        return "once" not in self.about

    def remove(self) -> None:
        """Remove what the job has left; with the last job goes the place of all of them."""
        self.place.remove_all()
        if not self.others():
            self.jobs.remove_all()

    def others(self) -> list[Place]:
        """Folders that other jobs of the same result have left."""
        places = [Place(self.jobs.show(name)) for name in self.jobs.names() if _KEY.fullmatch(name)]
        return [place for place in places if place.root != self.place.root]

    def take_result(self) -> None:
        """Call before parts of the result are written: other jobs forget which of them they had written."""
        for place in self.others():
            for name in place.names():
                if name.endswith(DONE):
                    place.remove(name)

    # Segments ------------------------------------------------------------------------------------

    def has(self, number: int) -> bool:
        """Whether a segment was written, and is whole; a damaged one is said aloud and removed."""
        name = _segment(number)
        data = self.place.read(name)
        if data is None:
            return False
        if Segment.decode(data) is not None:
            return True
        logger.warning("%s is damaged and is made again.", self.place.show(name))
        self.place.remove(name)
        return False

    def save(self, number: int, segment: Segment) -> None:
        """Write a segment.

        Raises:
            InputError: if it cannot be written.
        """
        with self.place.new(_segment(number)) as stream:
            stream.write(segment.encode())

    def load(self, number: int) -> Segment:
        """Read a segment, which another process may still be about to write."""
        name = _segment(number)
        self._wait(lambda: self.place.exists(name))
        segment = Segment.decode(self.place.read(name) or b"")
        if segment is None:
            raise InputError(f"{self.place.show(name)} is damaged: run the same command again")
        return segment

    # Joining -------------------------------------------------------------------------------------

    def finished(self, name: str) -> dict[str, Any] | None:
        """What was told of a part of the result when it was written."""
        data = self.place.read(f"{name}{DONE}")
        try:
            return None if data is None else dict(json.loads(data))
        except (ValueError, TypeError):
            return None

    def finish(self, name: str, about: dict[str, Any]) -> None:
        """Tell that a part of the result is written."""
        with self.place.new(f"{name}{DONE}") as stream:
            stream.write(json.dumps(about).encode("utf-8"))

    def wait_for_part(self, name: str) -> dict[str, Any]:
        """What was told of a part, which another process may still be writing."""
        self._wait(lambda: self.finished(name) is not None)
        return self.finished(name) or {}

    def _wait(self, ready: Callable[[], bool]) -> None:
        # The launcher ends all processes when one of them fails, so that nobody waits for ever.
        while not ready():
            if self.processes.count == 1:
                raise InputError(
                    f"{self.place.root}: files of this job have gone; run the same command again"
                )
            if self.processes.index > 0 and self.is_over():
                raise JobOver
            time.sleep(PATIENCE)


def _segment(number: int) -> str:
    return f"segment-{number:08d}"


def _key(about: dict[str, Any]) -> str:
    """Short name of a job, the same whenever everything that its segments depend on is the same."""
    text = json.dumps(about, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


def _read_about(place: Place) -> dict[str, Any] | None:
    """What the job in this folder depends on; None where there is none, and nothing if it is damaged."""
    data = place.read(JOB)
    try:
        return None if data is None else dict(json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return {}


def listed(places: list[Place]) -> str:
    """Their names, with commas."""
    return ", ".join(place.root for place in places)
