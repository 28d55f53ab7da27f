"""A variational code: a document is a cloud, and clouds fill the space that samples are drawn from."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from textae.model_config import CodeConfig
from textae.models.codes.code import Circumstances, Code, Coded

if TYPE_CHECKING:
    from textae.training.reduce import Reduce

# A number is in use where the variance of its means over documents is above this (Burda et al. 2016).
ACTIVE = 0.01


class GaussianCode(Code):
    """A normal distribution over each document's code (Kingma and Welling 2014; Bowman et al. 2016).

    The divergence from the prior is paid for above ``free_bits`` nats a number, and its weight rises over
    ``kl_steps``: a decoder that can do without the code would else learn to ignore it.
    """

    def __init__(self, config: CodeConfig, width: int, vocabulary_size: int, sources: int):
        super().__init__(config, width, vocabulary_size, sources)
        self.log_variance = nn.Linear(config.width, config.width)
        # Small clouds at first: the decoder sees the documents before it sees their blur.
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, -3.0)

    def encode(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The clouds' means (B, M, D)."""
        return self.pool(states, mask)

    def learn(self, states: torch.Tensor, mask: torch.Tensor, around: Circumstances) -> Coded:
        """A point drawn from each cloud, and the divergence."""
        mean = self.pool(states, mask)
        log_variance = self.log_variance(mean)
        values = mean + (0.5 * log_variance).exp() * around.normal
        divergence = gaussian_divergence(mean, log_variance)
        paid = divergence.clamp_min(self.config.free_bits)
        rise = min(1.0, (around.progress + 1) / max(1, self.config.kl_steps))
        return Coded(
            values,
            nats={"kl": self.config.kl_weight * rise * paid.sum(dim=(1, 2))},
            measures={"kl": divergence.sum(dim=(1, 2)).detach()},
            update={"means": mean.detach()},
        )

    def after_step(self, coded: Coded, reduce: "Reduce") -> dict[str, float]:
        """Active units: numbers whose mean differs between documents (Burda et al. 2016)."""
        variance = reduce.rows(coded.update["means"]).flatten(1).var(dim=0, unbiased=False)
        return {"code/active_units": float((variance > ACTIVE).sum())}

    def draw(self, normal: torch.Tensor) -> torch.Tensor | None:
        """The prior is standard normal."""
        return normal


def gaussian_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of normal distributions from the standard one, in nats, elementwise."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


CODE = GaussianCode
