"""Peak memory of a training step against the sizes of model, batch and K, and with what bounds it."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.scaling import BASE, sized_recipe
from benchmarks.timing import Contender, take_turns
from benchmarks.training import STEPS, our_step

# Summaries of 12 tokens of documents of 64; what is not said here is as in scaling.py.
CASES: tuple[dict[str, int | None], ...] = (
    {"width": 128, "documents": 16, "samples": 4, "rows_at_once": None},
    {"width": 128, "documents": 16, "samples": 4, "rows_at_once": 16},
    {"width": 128, "documents": 16, "samples": 4, "rows_at_once": 4},
    {"width": 128, "documents": 32, "samples": 4, "rows_at_once": None},
    {"width": 128, "documents": 32, "samples": 4, "rows_at_once": 16},
    {"width": 128, "documents": 64, "samples": 4, "rows_at_once": None},
    {"width": 128, "documents": 64, "samples": 4, "rows_at_once": 16},
    {"width": 128, "documents": 16, "samples": 8, "rows_at_once": None},
    {"width": 128, "documents": 16, "samples": 8, "rows_at_once": 16},
    {"width": 256, "documents": 16, "samples": 4, "rows_at_once": None},
    {"width": 256, "documents": 16, "samples": 4, "rows_at_once": 16},
    {"width": 512, "documents": 16, "samples": 4, "rows_at_once": None},
    {"width": 512, "documents": 16, "samples": 4, "rows_at_once": 16},
)


def step_memory(recipe: dict[str, Any]) -> Callable[[], int]:
    """Bytes that steps add at their peak to what the process has had before."""
    before: list[int] = []
    work = our_step(recipe, pretrained=False)

    def measured() -> int:
        if not before:
            before.append(_peak())
        work()
        return _peak() - before[0]

    return measured


def _peak() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    # Not getrusage: what it tells of a process begins with the peak of the one that started it.
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("this machine does not tell the peak memory of a process")


def measure_memory(threads: int) -> dict[str, Any]:
    """Peak and seconds of each case, each in a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            sizes = {name: value for name, value in case.items() if name != "rows_at_once"}
            recipe = sized_recipe(Path(folder), **{n: v for n, v in sizes.items() if v is not None})
            recipe["optimizer"] = {"rows_at_once": case["rows_at_once"]}
            measured = take_turns([Contender("step", step_memory, {"recipe": recipe})], 2, threads)["step"]
            rows.append({**case, "bytes": measured.result, "seconds": measured.median / STEPS})
    return {"base": BASE, "cases": rows}
