"""What a run's folder tells of how it was made: the code, the machine, the time."""

import json
import os
import time
from pathlib import Path
from typing import Any

from textae.provenance import provenance

RECORD = "run.json"


class RunRecord:
    """``run.json``: the parts of a run, each with its code and machine, and the seconds it took.

    A run that was resumed has several parts. Seconds are those up to the last checkpoint of each: what
    was lost with an interruption does not count, and was not learned either.
    """

    def __init__(self, folder: Path, start: int, processes: int):
        self.file, self.began = folder / RECORD, time.monotonic()
        self.parts: list[dict[str, Any]] = [part for part in _read(self.file) if part["from_step"] < start]
        # The code is asked for now: files may change while the run goes on.
        self.part: dict[str, Any] = {
            "from_step": start,
            "to_step": start,
            "seconds": 0.0,
            "processes": processes,
        }
        self.part |= provenance()

    def write(self, step: int) -> None:
        """Say that the run has come to ``step``."""
        self.part |= {"to_step": step, "seconds": round(time.monotonic() - self.began, 1)}
        parts = [*self.parts, self.part]
        temporary = self.file.with_name(f".{self.file.name}.tmp")
        temporary.write_text(json.dumps({"parts": parts}, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, self.file)


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        parts = json.loads(file.read_text(encoding="utf-8"))["parts"]
        return [part for part in parts if isinstance(part["from_step"], int)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
