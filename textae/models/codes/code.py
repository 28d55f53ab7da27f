"""The interface of a code that is numbers: ``encode``, ``decode``, and a loss of its own."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from textae.errors import InputError
from textae.model_config import CodeConfig
from textae.models.codes.pooling import Pooling, Unfolding

if TYPE_CHECKING:
    from textae.training.reduce import Reduce


@dataclass
class Circumstances:
    """What a code may need to know of a training batch, besides the documents.

    Attributes:
        progress: step of the run, counted from 0.
        normal: (B, M, D) standard normal numbers, all the randomness there is.
        sources: (B,) number of the source that each document comes from.
    """

    progress: int
    normal: torch.Tensor
    sources: torch.Tensor


@dataclass
class Coded:
    """A batch's codes in training.

    Attributes:
        values: (B, M, D) what the decoder gets.
        losses: (B,) the code's own loss of each document, by name; weights are in them.
        nats: (B,) likewise of losses that count as the nats of a document's tokens do.
        measures: (B,) what the log tells of each document, by name.
        update: (B, M, ...) what :meth:`Code.after_step` needs, by name.
    """

    values: torch.Tensor
    losses: dict[str, torch.Tensor] = field(default_factory=dict)
    nats: dict[str, torch.Tensor] = field(default_factory=dict)
    measures: dict[str, torch.Tensor] = field(default_factory=dict)
    update: dict[str, torch.Tensor] = field(default_factory=dict)


class Code(nn.Module, ABC):
    """M vectors of D numbers that stand for a document.

    Shapes: B documents of S tokens, network width W, M vectors of width D, R states in all for the
    reconstructor to read.
    """

    # Whether a batch has to hold documents of all sources: those of one length may be of one source.
    wants_mixed_batches = False
    # How many of the training documents :meth:`fit` is to see, each time the model is about to be used.
    fitted_documents = 0

    def __init__(self, config: CodeConfig, width: int, vocabulary_size: int, sources: int):
        super().__init__()
        self.config, self.sources = config, sources
        self.pool = Pooling(width, config.vectors, config.width)
        self.unfold = Unfolding(config.vectors, config.width, config.slots, width)
        self.bag = nn.Linear(config.vectors * config.width, vocabulary_size) if config.bag_weight else None

    @abstractmethod
    def encode(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """States (B, S, W) and their mask (B, S) to values (B, M, D), without any chance in it."""

    @abstractmethod
    def learn(self, states: torch.Tensor, mask: torch.Tensor, around: Circumstances) -> Coded:
        """As :meth:`encode`, in training: with chance, and with the code's own losses."""

    def decode(self, values: torch.Tensor) -> torch.Tensor:
        """Values (B, M, D) to the states (B, R, W) that the reconstructor reads."""
        return self.unfold(values)

    def draw(self, normal: torch.Tensor) -> torch.Tensor | None:
        """Values (N, M, D) of made-up documents from standard normal numbers; None: it has no prior."""
        return None

    def indices(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor | None:
        """Numbers (B, M) of discrete codes; None: the code is not discrete."""
        return None

    def frequencies(self) -> torch.Tensor | None:
        """How likely each discrete code (M, K) is, none of them 0; None: the code is not discrete."""
        return None

    def look_up(self, indices: torch.Tensor) -> torch.Tensor:
        """Values (B, M, D) of discrete codes by their numbers (B, M).

        Raises:
            InputError: if the code is not discrete.
        """
        raise InputError(f"A {self.config.kind} code is not discrete: there is nothing to look up.")

    def restyle(self, values: torch.Tensor, models: torch.Tensor) -> torch.Tensor | None:
        """Values (B, M, D) in the style of others (N, M, D), on average; None: it has no style of its own."""
        return None

    def fit(self, values: torch.Tensor, sources: torch.Tensor) -> None:
        """Learn from what one and the same network makes of training documents, before the model is used.

        Args:
            values: (N, M, D) as they come out of the pooling.
            sources: (N,) number of the source that each document comes from.
        """

    def after_step(self, coded: Coded, reduce: "Reduce") -> dict[str, float]:
        """Learn what is learned without gradients; returns what the log tells of the batch as a whole."""
        return {}
