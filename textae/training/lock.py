"""A run folder has one run at a time."""

import glob
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from textae.errors import InputError

LOCK = ".lock"


@contextmanager
def in_use(output: Path) -> Iterator[None]:
    """Hold a run's folder, which is made where it is missing; the lock goes with the process that has it.

    What a killed run has left half written there is removed.

    Raises:
        InputError: if another process holds it, or it cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock = FileLock(output / LOCK, blocking=False)
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"{output}: another process is training in this folder; wait for it, or set run.output to "
            "another."
        ) from error
    except OSError as error:
        raise not_writable(output, error) from error
    with lock:
        # What a killed run was writing, and nobody else can be: nothing that counts has such a name.
        beside = output.absolute().parent.glob(f".{glob.escape(output.absolute().name)}.*.tmp")
        for leftover in [*output.glob(".*.tmp"), *beside]:
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        yield


def not_writable(output: Path, error: OSError) -> InputError:
    """What is said of a folder that cannot be written."""
    return InputError(
        f"{output}: this folder cannot be written ({error.strerror}); set run.output to another."
    )
