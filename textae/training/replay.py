"""Older samples that the discriminator goes on learning from, so that it does not forget them."""

import random
from typing import Any

import torch

from textae.training.reduce import Reduce


class Replay:
    """A memory of sampled summaries (experience replay; for adversarial training Shrivastava et al. 2017).

    A policy that returns to an old fault finds the reader still knows it. Rewards are not touched: only
    what the discriminator learns from is. The memory and all draws are those of the global batch, so they
    do not depend on the number of processes.

    Args:
        size: most summaries that are kept; 0 for none.
        share: share of the sampled rows whose place in the loss older ones take.
        seed: of all draws.
        reduce: gathers over processes.
    """

    def __init__(self, size: int, share: float, seed: int, reduce: Reduce):
        self.size, self.share, self.seed, self.reduce = size, share, seed, reduce
        self.memory: list[list[int]] = []

    def draw(self, step: int, rows: range, total: int) -> dict[int, list[int]]:
        """Older summaries, each with the sample whose place it takes, for one process's ``rows``.

        Args:
            step: of the run.
            rows: the process's part of the global batch's samples.
            total: number of samples in the global batch.

        Returns:
            Token ids with end tokens, by the number of the sample within ``rows``.
        """
        generator = random.Random(f"replay {self.seed} {step} out")
        count = min(round(self.share * total), len(self.memory))
        places, older = generator.sample(range(total), count), generator.sample(self.memory, count)
        drawn = zip(places, older, strict=True)
        return {place - rows.start: summary for place, summary in drawn if place in rows}

    def add(self, step: int, summaries: list[list[int]]) -> None:
        """Keep one process's ``summaries``; in a full memory each takes the place of a random one."""
        if not self.size:
            return
        generator = random.Random(f"replay {self.seed} {step} in")
        for summary in self.reduce.gather(summaries):
            if len(self.memory) < self.size:
                self.memory.append(summary)
            else:
                self.memory[generator.randrange(self.size)] = summary

    def state_dict(self) -> list[list[int]]:
        """The memory."""
        return self.memory

    def load_state_dict(self, state: list[Any]) -> None:
        """Restore it."""
        self.memory = state


def without_rows(mask: torch.Tensor, rows: list[int]) -> torch.Tensor:
    """``mask`` (M, T), false in the given rows."""
    kept = mask.clone()
    kept[torch.tensor(rows, dtype=torch.long, device=mask.device)] = False
    return kept
