"""How the cost of a training step and of summarising grows, with fitted exponents."""

import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.summarizing import greedy, our_summaries, stories
from benchmarks.timing import Contender, take_turns
from benchmarks.training import STEPS, our_step
from textae.data import newswire
from textae.settings import config_from_dict, save_config

ROOT = Path(__file__).resolve().parents[2]
# Where a size is not varied, it is this. Weights are random, so that every summary has all its tokens.
BASE = {"source": 64, "summary": 12, "samples": 4, "vocabulary": 4000, "width": 128, "documents": 16}
TRAINING = {
    "source length, tokens": ("source", (32, 64, 128, 256)),
    "summary length, tokens": ("summary", (6, 12, 24, 48)),
    "samples of a document": ("samples", (2, 4, 8, 16)),
    "vocabulary": ("vocabulary", (1000, 2000, 4000, 8000)),
    "width": ("width", (64, 128, 256, 512)),
    "documents a step": ("documents", (8, 16, 32, 64)),
}
DOCUMENTS = (64, 128, 256, 512)


def sized_recipe(folder: Path, **sizes: int) -> dict[str, Any]:
    """A recipe whose every document and summary has exactly as many tokens as ``sizes`` say."""
    at = {**BASE, **sizes}
    long = folder / "documents.txt"
    if not long.exists():
        # Several stories in each line, so that all of them reach the greatest length.
        texts = newswire.documents(3200)
        lines = [" ".join(texts[begin : begin + 8]) for begin in range(0, len(texts), 8)]
        long.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    network = {"width": at["width"], "layers": 2, "heads": 4, "feed_forward": 2 * at["width"], "dropout": 0.0}
    rates = ("learning_rate", "reconstructor_learning_rate", "discriminator_learning_rate")
    return {
        "data": {
            "documents": [str(long)],
            "human": ["newswire:2000"],
            "max_document_tokens": at["source"],
            "max_human_tokens": 64,
        },
        "tokenizer": {"vocabulary_size": at["vocabulary"]},
        "encoder": network,
        "reconstructor": network,
        "discriminator": {"width": 96},
        "length": {"maximum_tokens": at["summary"]},
        "warmup": {"steps": 0},
        "adversarial": {
            "steps": 10**6,
            "documents_per_batch": at["documents"],
            "samples": at["samples"],
            "discriminator_first_steps": 0,
            **dict.fromkeys(rates, 1e-9),
        },
        "run": {"trackers": [], "log_every": 10**6},
    }


def fitted_exponent(sizes: tuple[int, ...], costs: list[float]) -> dict[str, float]:
    """The exponent of the power law nearest to the points, by least squares of logarithms, and its fit.

    Returns:
        ``exponent``, and ``r_squared``, the share of the logarithms' variance that the law tells.
    """
    x, y = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    slope = covariance / sum((a - mean_x) ** 2 for a in x)
    left = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    whole = sum((b - mean_y) ** 2 for b in y)
    return {"exponent": slope, "r_squared": 1 - left / whole if whole else 1.0}


def measure_scaling(rounds: int, threads: int) -> dict[str, Any]:
    """Seconds at each size, all else equal, and the fitted exponent, for every size there is."""
    report: dict[str, Any] = {"base": BASE}
    with tempfile.TemporaryDirectory() as temporary:
        for name, (size, values) in TRAINING.items():
            contenders = [
                Contender(
                    str(value),
                    our_step,
                    {"recipe": sized_recipe(Path(temporary), **{size: value}), "pretrained": False},
                )
                for value in values
            ]
            measured = take_turns(contenders, rounds, threads)
            costs = [measured[str(value)].median / STEPS for value in values]
            report[name] = _law(values, costs)
        report["processes"] = _processes(Path(temporary))
    measured = take_turns(
        [
            Contender(str(count), our_summaries, {"documents": stories(count), "decoding": greedy()})
            for count in DOCUMENTS
        ],
        rounds,
        threads,
    )
    report["documents summarised"] = _law(DOCUMENTS, [measured[str(count)].median for count in DOCUMENTS])
    return report


def _law(sizes: tuple[int, ...], costs: list[float]) -> dict[str, Any]:
    return {"sizes": list(sizes), "seconds": costs, **fitted_exponent(sizes, costs)}


def _processes(folder: Path, steps: tuple[int, int] = (3, 13)) -> dict[str, Any]:
    """Seconds a step with one process of one thread, and with two, through the launcher."""
    seconds = {}
    for count, launch in ((1, "one_process.yaml"), (2, "two_cpu_processes.yaml")):
        taken = []
        for limit in steps:
            recipe = sized_recipe(folder, documents=32)
            recipe["adversarial"]["steps"] = limit
            recipe["run"] |= {"output": str(folder / f"run-{count}-{limit}"), "sample_every": 10**6}
            path = folder / f"recipe-{count}-{limit}.yaml"
            save_config(config_from_dict(recipe), path)
            taken.append(_launch(launch, path))
        # What both have in common, starting and saving, is taken away.
        seconds[count] = (taken[1] - taken[0]) / (steps[1] - steps[0])
    return {
        "sizes": list(seconds),
        "seconds": list(seconds.values()),
        "times_as_fast_is_two": seconds[1] / seconds[2],
    }


def _launch(launch: str, recipe: Path) -> float:
    words = [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(ROOT / "configs" / "accelerate" / launch)),
        *(str(ROOT / "scripts" / "train.py"), "--config", str(recipe)),
    ]
    begin = time.perf_counter()
    # Threads are set by hand: more of them for one process would not be a question of processes.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run(words, env=environment, capture_output=True, check=True)
    return time.perf_counter() - begin
