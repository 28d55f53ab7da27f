"""What the machine can give at most, and the shares of it that training and summarising reach."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.summarizing import greedy, our_summaries, shipped, stories
from benchmarks.timing import Contender, synchronize, take_turns
from benchmarks.training import STEPS, our_step, prepared, shipped_recipe

SIDE = 2048
# Rows, width and vocabulary of the vocabulary head in a training step: what most of its work looks like.
HEAD = (8192, 128, 8000)
COPIED = 128 * 2**20


def matrix_products(rounds: int, shape: tuple[int, int, int] = (SIDE, SIDE, SIDE)) -> float:
    """Floating-point operations per second of a float32 product (N, M) by (M, P), the median of rounds."""
    rows, inner, columns = shape
    device = _device()
    left, right = torch.randn(rows, inner, device=device), torch.randn(inner, columns, device=device)
    return 2 * rows * inner * columns / _median(lambda: left @ right, rounds)


def memory_bandwidth(rounds: int) -> float:
    """Bytes read and written per second when 512 MiB are copied, the median of rounds."""
    source = torch.randn(COPIED, device=_device())
    target = torch.empty_like(source)
    return 2 * 4 * COPIED / _median(lambda: target.copy_(source), rounds)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _median(work: Callable[[], Any], rounds: int) -> float:
    seconds = []
    for _ in range(rounds + 1):
        synchronize()
        begin = time.perf_counter()
        work()
        synchronize()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def products_of_a_step(recipe: dict[str, Any]) -> Callable[[], float]:
    """Counts the floating-point operations of matrix products in training steps."""
    training = prepared(recipe)

    def work() -> float:
        with FlopCounterMode(display=False) as counter:
            for _ in range(STEPS):
                training.train_step()
        return float(counter.get_total_flops())

    return work


def products_of_summaries(documents: list[str]) -> Callable[[], float]:
    """Counts them in greedy summarising."""
    model = shipped()

    def work() -> float:
        with FlopCounterMode(display=False) as counter:
            model.summarize(documents, **greedy())
        return float(counter.get_total_flops())

    return work


def peak(rounds: int) -> Callable[[], dict[str, float]]:
    """What the machine gives, as the work of one round."""
    return lambda: {
        "large_product_flops": matrix_products(rounds),
        "head_product_flops": matrix_products(rounds, HEAD),
        "bytes_per_second": memory_bandwidth(rounds),
    }


def measure_limit(rounds: int, threads: int, documents: int, samples: int) -> dict[str, Any]:
    """Rates of the machine, and of our work on it, measured in turns."""
    recipe, texts = shipped_recipe(documents, samples), stories(256)
    counted = take_turns(
        [
            Contender("training", products_of_a_step, {"recipe": recipe}),
            Contender("summarising", products_of_summaries, {"documents": texts}),
        ],
        1,
        threads,
    )
    measured = take_turns(
        [
            Contender("machine", peak, {"rounds": 3}),
            Contender("training", our_step, {"recipe": recipe}),
            Contender("summarising", our_summaries, {"documents": texts, "decoding": greedy()}),
        ],
        rounds,
        threads,
    )
    machine = measured["machine"].result
    report: dict[str, Any] = {"machine": machine}
    for name in ("training", "summarising"):
        rate = counted[name].result / measured[name].median
        report[name] = {
            "flops_in_matrix_products": rate,
            "share_of_large_product": rate / machine["large_product_flops"],
            "share_of_head_product": rate / machine["head_product_flops"],
        }
    return report
