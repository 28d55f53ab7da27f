"""Contenders in processes of their own, that take turns."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass
class Contender:
    """Who is measured: ``make(**arguments)`` returns the work of one round, which returns a result.

    ``make`` is a function of a module, and arguments and results can be sent to another process. Each
    contender has a process of its own: an allocator's settings, threads and caches of one are not the
    other's.
    """

    name: str
    make: Callable[..., Callable[[], Any]]
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class Measured:
    """Seconds of each round, and what the work returned in the last."""

    seconds: list[float]
    result: Any

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.seconds)


def synchronize() -> None:
    """Wait for a GPU, where there is one, so that what is measured has been done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def take_turns(contenders: list[Contender], rounds: int, threads: int) -> dict[str, Measured]:
    """Measure contenders alternately: each works once a round, in an order that changes with the round.

    Args:
        contenders: each with a name of its own.
        rounds: that count; one before them warms up.
        threads: of each process; only one works at a time.

    Raises:
        RuntimeError: with what a contender's process says, if it fails.
    """
    with _workers(contenders, threads) as pipes:
        measured = {contender.name: Measured([], None) for contender in contenders}
        for number in range(-1, rounds):
            first = number % len(contenders)
            for contender in contenders[first:] + contenders[:first]:
                seconds, result = _ask(pipes[contender.name], contender.name)
                if number >= 0:
                    measured[contender.name].seconds.append(seconds)
                    measured[contender.name].result = result
        return measured


def ratio(slower: Measured, faster: Measured) -> dict[str, float]:
    """How many times as fast: the median, least and greatest of the rounds' ratios.

    A noisy machine is slow for both contenders of a round, so that ratios spread less than seconds.
    """
    ratios = [one / other for one, other in zip(slower.seconds, faster.seconds, strict=True)]
    return {"median": statistics.median(ratios), "least": min(ratios), "greatest": max(ratios)}


@contextmanager
def _workers(contenders: list[Contender], threads: int) -> Iterator[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    try:
        for contender in contenders:
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(there, contender, threads), daemon=True)
            process.start()
            there.close()
            pipes[contender.name] = here
            processes.append(process)
            _receive(here, contender.name)
        yield pipes
    finally:
        for pipe in pipes.values():
            pipe.close()
        for process in processes:
            process.join(timeout=5)
            if process.is_alive():
                process.terminate()


def _ask(pipe: Any, name: str) -> tuple[float, Any]:
    pipe.send("work")
    return _receive(pipe, name)


def _receive(pipe: Any, name: str) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise RuntimeError(f"{name}: the process ended before its work was done") from None
    if isinstance(answer, Exception):
        raise RuntimeError(f"{name}: {answer}") from answer
    return answer


def _work(pipe: Any, contender: Contender, threads: int) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(threads)
    try:
        work = contender.make(**contender.arguments)
        pipe.send("ready")
        while pipe.recv() == "work":
            synchronize()
            begin = time.perf_counter()
            result = work()
            synchronize()
            pipe.send((time.perf_counter() - begin, result))
    except EOFError:  # nobody asks any more
        pass
    except Exception as error:
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))
