"""Memory of summarising a corpus of any size: the resident size of the process as it goes on."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.summarizing import exported
from textae.data import newswire

# Seconds between two looks at the process.
EVERY = 1.0


def measure_corpus(documents: int) -> dict[str, Any]:
    """Summarise so many short stories by the command, and watch it.

    The shipped model, greedily, by ONNX Runtime; the stories are those of the embedded corpus, all different.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ((_, model, _),) = exported("copy head", folder)
        source, output = folder / "documents.txt", folder / "summaries"
        with source.open("w", encoding="utf-8") as file:
            file.writelines(f"{text}\n" for text in newswire.documents(documents))
        words = ["summarize", "--model", model, "--engine", "onnx", "--beams", "1", "--candidates", "1"]
        words += ["--no-repeat-ngram", "0", "--no-whole-words", "--no-distinct-words"]
        words += ["--input", str(source), "--output", f"{output}/"]
        begin = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "textae", *words])
        points = []
        while process.poll() is None:
            time.sleep(EVERY)
            resident = resident_bytes(process.pid)
            done = 1024 * sum(1 for _ in (output / ".parts.partial").glob("*/segment-*"))
            if resident and done:
                points.append({"seconds": time.monotonic() - begin, "documents": done, "bytes": resident})
        if process.returncode:
            raise RuntimeError(f"textae summarize ended with {process.returncode}")
        rows = sum(1 for _ in (output / "part-00000-of-00001.jsonl").open(encoding="utf-8"))
        if rows != documents:
            raise RuntimeError(f"{rows} summaries of {documents} documents")
        return {
            "documents": documents,
            "seconds": time.monotonic() - begin,
            "points": points,
            "growth": points[-1]["bytes"] / first_after(points, 10_000)["bytes"],
        }


def draw_corpus(report: dict[str, Any], path: Path) -> None:
    """Draw the resident size against the documents that were summarised."""
    from textae.evaluation.pictures import new_figure, save_figure

    figure = new_figure((6.0, 3.0))
    axes = figure.add_subplot()
    points = report["points"]
    axes.plot([point["documents"] for point in points], [point["bytes"] / 2**20 for point in points])
    axes.axvline(10_000, linestyle=":", color="grey")
    axes.set(xscale="log", xlabel="documents summarised", ylabel="resident MiB")
    axes.set_ylim(bottom=0)
    save_figure(figure, path)


def first_after(points: list[dict[str, Any]], documents: int) -> dict[str, Any]:
    """The first point at which so many documents were done, or the last."""
    return next((point for point in points if point["documents"] >= documents), points[-1])


def resident_bytes(process: int) -> int:
    """Resident size of a process; 0 if it has ended."""
    try:
        for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0
