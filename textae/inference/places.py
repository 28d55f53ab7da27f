"""Where results go: a folder of this machine or behind a URL, in which files are whole or not there."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from textae.data import remote
from textae.errors import InputError
from textae.manifest import synchronize


@contextmanager
def writing(output: str) -> Iterator[None]:
    """Tell a person in one sentence that the output cannot be written.

    Raises:
        InputError: for an ``OSError``; a closed pipe stays what it is, as whoever reads standard output has
            had enough, and it is no mistake of the person.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{output} cannot be written ({reason}): name a place that can") from error


class Place:
    """A folder, local or of any file system that fsspec knows.

    Args:
        root: path or URL of the folder; it is made when something is written.
    """

    def __init__(self, root: str):
        self.root = root.rstrip("/") or root
        self.system: Any = None
        if remote.is_url(root):
            self.system, self.inner = remote.filesystem(self.root)
        else:
            # A link keeps pointing where it does; what it points to is written.
            self.inner = os.path.realpath(self.root)

    def path(self, name: str) -> str:
        """Of a file in it, for the file system that it is of."""
        return f"{self.inner}/{name}"

    def show(self, name: str) -> str:
        """The same as a person would write it."""
        return f"{self.root}/{name}"

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        if self.system is None:
            return os.path.exists(self.path(name))
        self.system.invalidate_cache()
        return bool(self.system.exists(self.path(name)))

    def modified(self, name: str) -> float | None:
        """When a file of this machine was written, in seconds; None if there is none, or elsewhere."""
        if self.system is not None:
            return None  # another clock is of no use
        with suppress(FileNotFoundError):
            return os.stat(self.path(name)).st_mtime
        return None

    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where there is none."""
        try:
            with self.open(name) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def open(self, name: str) -> Any:
        """A file as a stream of bytes."""
        if self.system is None:
            return open(self.path(name), "rb")
        return self.system.open(self.path(name), "rb")

    @contextmanager
    def new(self, name: str) -> Iterator[BinaryIO]:
        """A stream whose bytes become the file ``name`` if the body succeeds, and nothing otherwise.

        Elsewhere than on this machine the file is uploaded in one piece, once it is complete.

        Raises:
            InputError: if it cannot be written.
        """
        with writing(self.show(name)):
            temporary = self._temporary(name)
        try:
            with ExitStack() as stack:
                with writing(self.show(name)):
                    stream: BinaryIO = stack.enter_context(open(temporary, "wb"))
                yield stream
                with writing(self.show(name)):
                    stream.flush()
                    os.fsync(stream.fileno())
            with writing(self.show(name)):
                if self.system is None:
                    os.replace(temporary, self.path(name))
                    synchronize(Path(self.inner))
                else:
                    self.system.makedirs(self.inner, exist_ok=True)
                    self.system.put_file(temporary, self.path(name))
        finally:
            with suppress(OSError):
                os.unlink(temporary)

    def names(self) -> list[str]:
        """Of what is in the folder."""
        if self.system is None:
            try:
                return sorted(os.listdir(self.inner))
            except FileNotFoundError:
                return []
        self.system.invalidate_cache()
        if not self.system.exists(self.inner):
            return []
        return sorted(str(path).rsplit("/", 1)[-1] for path in self.system.ls(self.inner, detail=False))

    def _temporary(self, name: str) -> str:
        """A file has one writer at a time: what a killed one left is overwritten by the next."""
        if self.system is not None:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{name[:100]}.", suffix=".tmp")
            os.close(descriptor)
            return temporary
        Path(self.inner).mkdir(parents=True, exist_ok=True)
        short = name if len(name) < 200 else hashlib.sha256(name.encode("utf-8")).hexdigest()
        return self.path(f".{short}.tmp")

    def remove(self, name: str) -> None:
        """Remove a file that may be there, and that another process may be removing."""
        if self.exists(name):
            with writing(self.show(name)), suppress(FileNotFoundError):
                os.unlink(self.path(name)) if self.system is None else self.system.rm_file(self.path(name))

    def remove_all(self) -> None:
        """Remove the folder and what is in it."""
        import shutil

        if self.system is None:
            shutil.rmtree(self.inner, ignore_errors=True)
        elif self.system.exists(self.inner):
            self.system.rm(self.inner, recursive=True)
