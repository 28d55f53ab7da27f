"""What a kind of training says of itself to the loop that runs it."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch

from textae.config import TrainingConfig
from textae.models.base import Autoencoder
from textae.training.sharding import WholeModel


class Streams(Protocol):
    """The texts that come next, phase by phase."""

    phase: str | None

    def open(self, phase: str) -> None:
        """Open the data of a phase at its start."""

    def state_dict(self) -> dict[str, Any]:
        """Positions of the next texts."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""


class Subject(ABC):
    """What is learned: the code that is text, or one of numbers."""

    # The model whose settings and weights are at hand, whatever wraps it.
    model: Any
    streams: Streams
    gathering: WholeModel
    # Whether this process scores and saves.
    is_main: bool

    @staticmethod
    @abstractmethod
    def steps(config: TrainingConfig) -> int:
        """Steps of the whole run."""

    def load_helpers(self) -> None:
        """Load what neither learns nor is saved, before anything random happens."""

    @abstractmethod
    def read_data(self) -> None:
        """Open the sources; ``self.document_texts`` is a data set of documents."""

    @abstractmethod
    def training_texts(self) -> list[str]:
        """What a tokenizer is trained on."""

    @abstractmethod
    def build_model(self, checkpoint: Path | None) -> Autoencoder:
        """The untrained model."""

    @abstractmethod
    def build_rest(self) -> None:
        """Everything that needs model and vocabulary, ``self.streams`` among it."""

    @abstractmethod
    def next_batch(self) -> tuple[Any, int]:
        """What :meth:`losses` takes, and into how many parts its rows could be cut at most."""

    @abstractmethod
    def losses(
        self, batch: Any, rows_at_once: int | None
    ) -> tuple[str, torch.Tensor, dict[str, float], list[str]]:
        """Of a batch: the phase, the loss to go backward from, metrics, what was written.

        It may be asked twice for one batch, the second time with fewer rows at once.
        """

    @abstractmethod
    def learning_rates(self) -> dict[str, float]:
        """Learning rate of each part of the model at this step."""

    def before_step(self) -> None:
        """Between steps."""

    def after_step(self, phase: str, metrics: dict[str, float], texts: list[str]) -> None:
        """What happens once a step is logged."""

    def before_finish(self) -> None:
        """What happens after the last step."""

    def learned(self) -> dict[str, float]:
        """Right after the optimizer: what is learned without gradients; returns metrics."""
        return {}

    def whole(self) -> AbstractContextManager[Any]:
        """Within, the model with all of its weights, which may be sharded; every process enters.

        Where they are, only the main process is given them, for it alone scores and saves.
        """
        return self.gathering.of(self.model, keep=self.is_main)

    def as_result(self) -> AbstractContextManager[Any]:
        """Within, the model that a run would give if it ended now, as :meth:`whole`; every process enters."""
        return self.whole()

    @abstractmethod
    def show(self, model: Any) -> None:
        """Put a few documents and what becomes of them by ``model`` in the log."""

    @abstractmethod
    def scores(self, model: Any) -> dict[str, float] | None:
        """Of ``model`` on valid, ``score`` being what the best has most of; None if nothing can be scored."""

    def scored(self, score: float) -> None:
        """What happens once a score is known, in all processes; it is 0 in all but the main one."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds besides."""
        return {}

    def kept_weights(self) -> dict[str, torch.Tensor] | None:
        """Weights that a checkpoint holds besides the model's, if there are any."""
        return None

    def restore_rest(self, state: dict[str, Any], checkpoint: Path) -> None:
        """Restore what :meth:`state` and :meth:`kept_weights` gave."""

    @property
    def keeps_best(self) -> bool:
        """Whether a model of this step may be the run's result."""
        return True
