"""A discrete code: each of a document's vectors is replaced by the nearest entry of a codebook."""

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from textae.model_config import CodeConfig
from textae.models.codes.code import Circumstances, Code, Coded

if TYPE_CHECKING:
    from textae.training.reduce import Reduce

# An entry is dead that stands for less than the share DEAD of what the mean entry stands for. One that begins
# anew is taken to stand for the share BEGUN, so that it has some steps to find its vectors.
DEAD, BEGUN = 0.03, 0.1


class QuantizedCode(Code):
    """M codebooks of K vectors, one for each vector of a document (van den Oord et al. 2017).

    Vectors are brought to one length first: they cannot shrink together until one entry stands for all
    (after Yu et al. 2022). Gradients pass straight through. Entries are running means of the vectors that
    they stand for, and dead ones begin anew at a vector of the batch (Razavi et al. 2019; Dhariwal et al.
    2020).
    """

    codebook: torch.Tensor
    counts: torch.Tensor

    def __init__(self, config: CodeConfig, width: int, vocabulary_size: int, sources: int):
        super().__init__(config, width, vocabulary_size, sources)
        shape = (config.vectors, config.codebook_size, config.width)
        self.register_buffer("codebook", torch.randn(shape))
        # None stands for anything yet, so that the first batch gives all of them a place.
        self.register_buffer("counts", torch.zeros(shape[:2]))

    def encode(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The codebook's entries (B, M, D)."""
        return self.look_up(self.indices(states, mask))

    def indices(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Number (B, M) of the nearest entry to each vector."""
        return self._nearest(self._vectors(states, mask))

    def _vectors(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(self.pool(states, mask), (self.config.width,))

    def look_up(self, indices: torch.Tensor) -> torch.Tensor:
        """Entries (B, M, D) by their numbers (B, M)."""
        return self.codebook[torch.arange(indices.shape[1], device=indices.device), indices]

    def frequencies(self) -> torch.Tensor:
        """Of each entry (M, K), as the running counts have it."""
        counts = self.counts + 1e-3 * self.counts.mean(dim=-1, keepdim=True) + 1e-6
        return counts / counts.sum(dim=-1, keepdim=True)

    def _nearest(self, vectors: torch.Tensor) -> torch.Tensor:
        distances = torch.cdist(vectors.transpose(0, 1), self.codebook)
        return distances.argmin(dim=-1).T

    def learn(self, states: torch.Tensor, mask: torch.Tensor, around: Circumstances) -> Coded:
        """The entries, through which gradients pass to the vectors, and the vectors' distance from them."""
        vectors = self._vectors(states, mask)
        indices = self._nearest(vectors.detach())
        entries = self.look_up(indices)
        distance = (vectors - entries).square().mean(dim=(1, 2))
        passed = vectors + (entries - vectors).detach()
        return Coded(
            vectors if around.progress < self.config.continuous_steps else passed,
            losses={"commitment": self.config.commitment_weight * distance},
            measures={"distance": distance.detach()},
            update={"vectors": vectors.detach(), "indices": indices},
        )

    @torch.no_grad()
    def after_step(self, coded: Coded, reduce: "Reduce") -> dict[str, float]:
        """Move the entries, revive dead ones; tells the perplexity of entries in use, mean over codebooks."""
        vectors, indices = reduce.rows(coded.update["vectors"]), reduce.rows(coded.update["indices"])
        chosen = functional.one_hot(indices, self.config.codebook_size).to(vectors.dtype)
        counts = chosen.sum(dim=0)
        sums = torch.einsum("bmk,bmd->mkd", chosen, vectors)
        decay = self.config.codebook_decay
        held = self.codebook * self.counts[..., None] * decay + sums * (1 - decay)
        self.counts.mul_(decay).add_(counts * (1 - decay))
        self.codebook.copy_(
            torch.where((counts > 0)[..., None], held / self.counts[..., None], self.codebook)
        )
        mean = self.counts.mean(dim=-1, keepdim=True)
        dead = self.counts < DEAD * mean
        # A vector of the batch for each, in turn: all processes do the same, by no chance.
        turn = dead.cumsum(dim=-1) - 1
        dead &= turn < len(vectors)
        revived = vectors.transpose(0, 1).gather(
            1, turn.clamp(0, len(vectors) - 1)[..., None].expand_as(self.codebook)
        )
        self.codebook.copy_(torch.where(dead[..., None], revived, self.codebook))
        self.counts.copy_(torch.where(dead, BEGUN * mean, self.counts))
        shares = counts / counts.sum(dim=-1, keepdim=True)
        entropy = -(shares * shares.clamp_min(1e-12).log()).sum(dim=-1)
        return {
            "code/perplexity": float(entropy.exp().mean()),
            "code/revived": float(dead.float().sum() / len(dead)),
        }


CODE = QuantizedCode
