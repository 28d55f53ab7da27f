"""Ending a run between two steps when somebody asks for it: Ctrl-C, or SIGTERM from a scheduler."""

import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from textae.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Within, the first signal is noted in ``requested`` and no more; a second Ctrl-C interrupts at once.

    Only a program's main thread can have handlers of signals: in another one nothing is noted.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A launcher that gets Ctrl-C as well sends its processes SIGTERM after it: that asks for no haste.
        if self.requested is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = number

    def leave(self, step: int, output: Path) -> Interrupted:
        """What to raise once everything is saved at ``step``."""
        number = self.requested or signal.SIGTERM  # another process may have been asked
        return Interrupted(
            f"interrupted at step {step}, which is saved; go on with {resume_command(output)}", number
        )


def resume_command(output: Path) -> str:
    """The command that goes on with the run in ``output``, as one would type it."""
    recipe = ["--config", str(output / "config.yaml"), "--resume", "latest"]
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return shlex.join(["textae", "train", *recipe])
    # The launcher's own arguments are not known here.
    return f"accelerate launch ... {shlex.join([sys.argv[0], *recipe])}"
