"""Checksums of the files in a folder, so that damage is found before anything is read from them."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from textae.errors import InputError

MANIFEST = "manifest.json"


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path) -> None:
    """Write the size and checksum of every file in ``folder`` beside them, all of it down to the disk.

    Only then may the folder get the name under which it is looked for: a machine that loses power may
    otherwise keep the name and lose the contents.

    Raises:
        OSError: if something cannot be read or written.
    """
    files: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != MANIFEST:
            files[path.name] = {"bytes": path.stat().st_size, "sha256": file_checksum(path)}
            synchronize(path)
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")
    synchronize(manifest)
    synchronize(folder)


def synchronize(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_whole(folder: Path, advice: str) -> None:
    """Raise :class:`InputError` with ``advice`` unless :func:`check_manifest` finds ``folder`` as written."""
    try:
        check_manifest(folder)
    except InputError as error:
        raise InputError(f"{error}; {advice}") from error


def check_manifest(folder: Path) -> None:
    """Read every file of ``folder`` once, and compare it with what was written.

    Raises:
        InputError: if the manifest or a file is missing, cut short or altered; the sentence names it and
            leaves it to the caller to say what to do.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        expected = {name: (int(about["bytes"]), str(about["sha256"])) for name, about in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{folder / MANIFEST} is missing or damaged") from error
    for name, (size, checksum) in expected.items():
        path = folder / name
        # A manifest speaks of the files beside it and of nothing else.
        if name in (".", "..") or Path(name).name != name:
            raise InputError(f'{folder / MANIFEST} names "{name}", which is no file of that folder')
        if not path.is_file():
            raise InputError(f"{path} is missing")
        if path.stat().st_size != size:
            raise InputError(f"{path} has {path.stat().st_size} bytes where {size} were written")
        if file_checksum(path) != checksum:
            raise InputError(f"{path} was altered after it had been written")
