"""Results on disk: whole or not at all."""

import gzip
import json
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textae.errors import InputError


def check_writable(path: str | Path) -> None:
    """Find out before the work, not after it, that a result could not be written.

    Folders above the file are made.

    Raises:
        InputError: naming the path and the reason.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{path}: this is a folder; name a file in it.")
    if _is_special(target):
        return
    trial = _temporary(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise _refusal(path, error) from error


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8 under a temporary name, then rename; gzipped if the name ends in ``.gz``.

    Raises:
        InputError: if the file cannot be written.
    """
    data = text.encode("utf-8")
    write_bytes(path, gzip.compress(data, mtime=0) if Path(path).suffix == ".gz" else data)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` under a temporary name, then rename.

    Raises:
        InputError: if the file cannot be written.
    """
    target = Path(path)
    check_writable(target)
    # A pipe or /dev/stdout must be written into, never replaced.
    place = target if _is_special(target) else _temporary(target)
    try:
        place.write_bytes(data)
        if place != target:
            os.replace(place, target)
    except OSError as error:
        if place != target:
            place.unlink(missing_ok=True)
        raise _refusal(path, error) from error


def write_json(report: dict[str, Any], path: str | Path) -> None:
    """Write figures as indented JSON to a file, or to standard output if ``path`` is ``-``.

    Raises:
        InputError: if the file cannot be written.
    """
    text = json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_text(path, text)


def write_predictions(path: str | Path, identifiers: Iterable[str | None], summaries: Iterable[str]) -> None:
    """Write one JSON line for each summary: ``id`` (where there is one) and ``output``.

    Raises:
        InputError: if the file cannot be written.
    """
    lines = []
    for identifier, summary in zip(identifiers, summaries, strict=True):
        record = {"output": summary} if identifier is None else {"id": identifier, "output": summary}
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))


def _is_special(target: Path) -> bool:
    return target.exists() and not stat.S_ISREG(target.stat().st_mode)


def _temporary(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.tmp")


def _refusal(path: str | Path, error: OSError) -> InputError:
    reason = (error.strerror or str(error)).lower()
    return InputError(f"{path}: cannot be written ({reason}); choose another path.")
