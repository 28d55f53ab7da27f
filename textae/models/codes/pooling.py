"""From any number of states to a few vectors, and from these to states again."""

import torch
from torch import nn


class Pooling(nn.Module):
    """M learned queries attend to S states (after Lee et al. 2019); each result becomes D numbers.

    Queries begin at zero, so that each vector begins as another projection of the mean state.
    """

    def __init__(self, width: int, vectors: int, code_width: int):
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(vectors, width))
        self.keys = nn.Linear(width, width, bias=False)
        self.values = nn.Parameter(torch.empty(vectors, 2 * width, code_width))
        nn.init.normal_(self.values, std=(2 * width) ** -0.5)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """States (B, S, W) and their mask (B, S) to vectors (B, M, D)."""
        scores = self.keys(states) @ self.queries.T / states.shape[-1] ** 0.5
        attention = scores.masked_fill(~mask[..., None], -torch.inf).softmax(dim=1)
        attended = attention.transpose(1, 2) @ states
        # The largest of each number beside the mean: what only one word says is not averaged away.
        largest = states.masked_fill(~mask[..., None], -torch.inf).amax(dim=1, keepdim=True)
        both = torch.cat([attended, largest.expand_as(attended)], dim=-1)
        return torch.einsum("bmw,mwd->bmd", both, self.values)


class Unfolding(nn.Module):
    """Each of M vectors becomes several states, so that a decoder's attention has a choice."""

    def __init__(self, vectors: int, code_width: int, slots: int, width: int):
        super().__init__()
        self.slots, self.width = slots, width
        self.project = nn.Linear(code_width, slots * width)
        self.positions = nn.Parameter(torch.zeros(vectors * slots, width))
        nn.init.normal_(self.positions, std=0.02)
        self.norm = nn.LayerNorm(width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Vectors (B, M, D) to states (B, M * slots, W)."""
        states = self.project(values).reshape(len(values), -1, self.width)
        return self.norm(states + self.positions)
