"""Going back to the best weights when training has gone wrong, as Summary Loop (Laban et al. 2020) does."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from textae.config import AdversarialConfig, RewardsConfig
from textae.training.sharding import put_weights


def total_reward(metrics: dict[str, float], rewards: RewardsConfig) -> float:
    """Sum of the mean raw rewards of a step, each times its weight."""
    weights = {field.name: getattr(rewards, field.name).weight for field in dataclasses.fields(rewards)}
    return sum(weight * metrics[f"reward/{name}"] for name, weight in weights.items() if weight)


class Rollback:
    """Watches one number, of which more is better, and keeps the weights that had most of it.

    The number is the valid score at every evaluation from the end of warm-up on, or the mean total reward
    over every ``rollback_window`` steps in which the encoder learns.

    Attributes:
        count: how often the run went back.
        weights: of all networks at their best, on the CPU; None before the first report.
    """

    def __init__(self, config: AdversarialConfig):
        self.config = config
        self.best, self.bad, self.count = -float("inf"), 0, 0
        self.rewards: list[float] = []
        self.weights: dict[str, torch.Tensor] | None = None

    def watches(self, signal: str) -> bool:
        """Whether the number is this one: ``valid`` or ``reward``."""
        return self.config.rollback_drop is not None and self.config.rollback_signal == signal

    def window_mean(self, metrics: dict[str, float], step: int) -> float | None:
        """Take in a step of the phase, counted from 0; the mean at the end of a window, else None."""
        if not self.watches("reward") or step < self.config.discriminator_first_steps:
            return None
        self.rewards.append(total_reward(metrics, self.config.rewards))
        if len(self.rewards) < self.config.rollback_window:
            return None
        mean = sum(self.rewards) / len(self.rewards)
        self.rewards = []
        return mean

    def report(self, value: float, model: nn.Module) -> bool:
        """Take in ``value``, which ``model`` has now, and say whether to go back."""
        drop = self.config.rollback_drop
        assert drop is not None
        if self.weights is None or value > self.best:
            self.best, self.bad = value, 0
            state = model.state_dict()
            self.weights = {
                name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()
            }
        else:
            self.bad = self.bad + 1 if value < self.best - drop else 0
        return self.bad >= self.config.rollback_patience and self.count < self.config.rollback_limit

    def go_back(self, model: nn.Module, forget: Callable[[], None]) -> None:
        """Give ``model`` its best weights; ``forget`` clears the optimizer's moments, which led astray."""
        assert self.weights is not None
        put_weights(model, self.weights)
        forget()
        self.count, self.bad, self.rewards = self.count + 1, 0, []

    def describe(self, value: float) -> str:
        """What is told of the last time: ``value`` made the run go back."""
        config, watched = self.config, "the reward" if self.watches("reward") else "the valid score"
        return (
            f"rollback {self.count} of at most {config.rollback_limit}: {watched} fell to {value:.2f}, "
            f"its best was {self.best:.2f}; the best weights are back, and the encoder's learning rate is "
            f"multiplied by {config.rollback_rate_factor**self.count:g}"
        )

    def slow_down(self, rates: dict[str, float]) -> dict[str, float]:
        """Learning rates of the networks, the encoder's lowered once for each time the run went back."""
        factor: float = self.config.rollback_rate_factor**self.count
        return {**rates, "encoder": rates["encoder"] * factor}

    def state_dict(self) -> dict[str, Any]:
        """Everything but the weights."""
        return {"best": self.best, "bad": self.bad, "count": self.count, "rewards": self.rewards}

    def load_state_dict(self, state: dict[str, Any], weights: dict[str, torch.Tensor] | None) -> None:
        """Restore it, and the weights that were kept."""
        self.best, self.bad, self.count = state["best"], state["bad"], state["count"]
        self.rewards, self.weights = state["rewards"], weights
