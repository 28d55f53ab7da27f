"""The files of an engine: whole or not there, and never those of other weights."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textae.errors import InputError
from textae.models.saving import WEIGHTS
from textae.models.untrusted import read_json

ABOUT = "export.json"


def fingerprint(folder: Path) -> str:
    """SHA-256 of the weights in a model's folder."""
    with (folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exporting(model: Path, engine: str, **about: Any) -> Iterator[Path]:
    """Give an empty folder, which takes the place of an engine's files if the body succeeds.

    Args:
        model: folder of the saved model.
        engine: its name, which the folder gets.
        about: what is told of the files beside the weights' checksum.

    Raises:
        InputError: if they cannot be written.
    """
    target = model / engine
    temporary = model / f".{engine}.{os.getpid()}.tmp"
    try:
        temporary.mkdir()
        yield temporary
        text = json.dumps({"engine": engine, "weights": fingerprint(model), **about}, indent=2)
        (temporary / ABOUT).write_text(text + "\n", encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"{target}: the export cannot be written there ({error.strerror}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def checked(model: Path, engine: str) -> Path:
    """The folder of an engine's files, if they were made of the very weights beside them.

    Raises:
        InputError: if they were not, or do not say.
    """
    folder = model / engine
    again = f"write them anew with textae export --engine {engine}."
    try:
        weights = read_json(folder / ABOUT)["weights"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: {ABOUT} is missing or damaged; {again}") from error
    if weights != fingerprint(model):
        raise InputError(f"{folder}: these files belong to other weights than {WEIGHTS}; {again}")
    return folder
