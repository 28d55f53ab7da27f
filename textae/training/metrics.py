"""What a run writes down: metrics.jsonl, trackers, progress bar and log."""

import json
import logging
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from tqdm import tqdm

from textae.errors import InputError

logger = logging.getLogger("textae")
_handlers: list[logging.Handler] = []

# What the progress bar shows, under short names.
_BAR = {
    "loss/encoder": "encoder",
    "loss/reconstructor": "reconstructor",
    "reward/reader": "reader",
    "summary/words": "words",
    "discriminator/accuracy": "accuracy",
    "policy/kl": "kl",
}


class MetricsLog:
    """Collects the metrics of steps and writes their means every ``every`` steps.

    Names are an interface: ``loss/...``, ``reward/...``, ``summary/...``, ``policy/...``,
    ``discriminator/accuracy``, ``valid/...``. Only the main process writes.
    """

    def __init__(self, accelerator: Accelerator, file: Path, every: int, total: int, start: int):
        self.accelerator, self.file, self.every = accelerator, file, every
        self.sums: dict[str, list[float]] = defaultdict(list)
        self.bar = tqdm(
            total=total,
            initial=start,
            unit="step",
            dynamic_ncols=True,
            delay=1e-3,  # no bar before a first step: what is wrong with the data is told before it
            disable=not accelerator.is_main_process,
        )
        if accelerator.is_main_process:
            self._keep_until(start)

    def _keep_until(self, step: int) -> None:
        """Drop lines after ``step``: a resumed run writes them again."""
        read = {"encoding": "utf-8", "errors": "replace"}
        lines = self.file.read_text(**read).splitlines() if self.file.exists() else []
        kept = []
        for number, line in enumerate(lines, start=1):
            try:
                # A line that was cut short as the run ended is written again.
                if line.endswith("}") and json.loads(line)["step"] <= step:
                    kept.append(line)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(
                    f"{self.file}, line {number}: this is no line of metrics; remove it."
                ) from error
        temporary = self.file.with_suffix(".tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        os.replace(temporary, self.file)

    def step(self, step: int, phase: str, metrics: dict[str, float]) -> None:
        """Take in one step; a line is written every ``every`` steps."""
        for name, value in metrics.items():
            self.sums[name].append(value)
        self.bar.set_description(phase, refresh=False)
        shown = {short: f"{metrics[name]:.2f}" for name, short in _BAR.items() if name in metrics}
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(1)
        if step % self.every == 0:
            means = {name: sum(values) / len(values) for name, values in self.sums.items()}
            self.sums.clear()
            self.write(step, {"phase": phase, **means})

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Write one line now, to the file and to the trackers."""
        if self.accelerator.is_main_process:
            try:
                with self.file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"step": step, **values}) + "\n")
            except OSError as error:
                raise InputError(
                    f"{self.file}: cannot be written ({(error.strerror or str(error)).lower()}); "
                    "make room there and --resume latest."
                ) from error
        numbers = {name: value for name, value in values.items() if isinstance(value, float)}
        self.accelerator.log(numbers, step=step)

    def state_dict(self) -> dict[str, list[float]]:
        """Values since the last line, so that a resumed run writes the same next line."""
        return dict(self.sums)

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Restore them."""
        self.sums = defaultdict(list, {name: list(values) for name, values in state.items()})

    def close(self) -> None:
        """End the progress bar."""
        self.bar.close()


class _LogFile(logging.FileHandler):
    """A log that ends where its disk is full: what matters then is said by what cannot be saved."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing: the usual traceback would hide the sentence that helps."""


class _BesideProgressBar(logging.Handler):
    """Prints log lines without breaking the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record))


def set_up_log(file: Path) -> None:
    """Send the log to ``file`` and, beside the progress bar, to the screen, until :func:`close_log`."""
    screen, written = _BesideProgressBar(), _LogFile(file, encoding="utf-8")
    screen.setFormatter(logging.Formatter("%(message)s"))
    written.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in (screen, written):
        logger.addHandler(handler)
        _handlers.append(handler)


def close_log() -> None:
    """Undo :func:`set_up_log`, after a run that failed too: the log is its caller's again."""
    while _handlers:
        handler = _handlers.pop()
        logger.removeHandler(handler)
        handler.close()
    logger.propagate = True
