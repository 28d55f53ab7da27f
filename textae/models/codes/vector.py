"""The plain bottleneck: a few vectors."""

import torch

from textae.models.codes.code import Circumstances, Code, Coded


class VectorCode(Code):
    """The encoder's states pooled to M vectors of D numbers (Hinton and Salakhutdinov 2006)."""

    def encode(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Pooled states (B, M, D)."""
        return self.pool(states, mask)

    def learn(self, states: torch.Tensor, mask: torch.Tensor, around: Circumstances) -> Coded:
        """The same; reconstruction is all that it learns from."""
        return Coded(self.encode(states, mask))


CODE = VectorCode
