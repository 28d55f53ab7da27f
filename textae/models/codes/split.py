"""A code in two halves: what a document says, and how texts of its source say it."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from textae.config import CodeConfig
from textae.errors import InputError
from textae.models.codes.code import Circumstances, Code, Coded


class SplitCode(Code):
    """Content and style, told apart without paired examples (after Ganin et al. 2016; Chou et al. 2018).

    The last ``style_width`` numbers of each vector are style. In training a document gets the style of
    another document of its source, so that style can only hold what they share; and a classifier that
    tries to tell the source from content gets its gradient reversed on the way to the encoder.
    """

    def __init__(self, config: CodeConfig, width: int, vocabulary_size: int, sources: int):
        super().__init__(config, width, vocabulary_size, sources)
        if sources < 2:
            raise InputError(
                "code.kind = split wants documents of two sources or more; name them in data.documents, "
                "one entry for each."
            )
        content = config.width - config.style_width
        if content < 1:
            raise InputError(
                f"code.style_width = {config.style_width} must be below code.width = {config.width}."
            )
        self.from_content = _classifier(config.vectors * content, width, sources)
        self.from_style = _classifier(config.vectors * config.style_width, width, sources)

    def encode(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Content and style (B, M, D)."""
        return self.pool(states, mask)

    def parts(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Content (B, M, D - style width) and style (B, M, style width)."""
        content = self.config.width - self.config.style_width
        return values[..., :content], values[..., content:]

    def learn(self, states: torch.Tensor, mask: torch.Tensor, around: Circumstances) -> Coded:
        """Content with the style of another document of the source, and what the classifiers lose."""
        content, style = self.parts(self.pool(states, mask))
        read_content = self.from_content(_reversed(content.flatten(1)))
        read_style = self.from_style(style.flatten(1))
        lost = functional.cross_entropy(read_content, around.sources, reduction="none")
        kept = functional.cross_entropy(read_style, around.sources, reduction="none")
        weight = self.config.source_weight
        values = torch.cat([content, style[next_of_source(around.sources)]], dim=-1)
        return Coded(
            values,
            losses={"content": weight * lost, "style": weight * kept},
            measures={
                "content_tells_source": (read_content.argmax(-1) == around.sources).float(),
                "style_tells_source": (read_style.argmax(-1) == around.sources).float(),
            },
        )

    def restyle(self, values: torch.Tensor, models: torch.Tensor) -> torch.Tensor:
        """The content of ``values`` (B, M, D) with the mean style of ``models`` (N, M, D)."""
        style = self.parts(models)[1].mean(dim=0, keepdim=True).expand(len(values), -1, -1)
        return torch.cat([self.parts(values)[0], style], dim=-1)


def next_of_source(sources: torch.Tensor) -> torch.Tensor:
    """For each of B documents, the number (B,) of the next one of its source, in a circle."""
    result = torch.arange(len(sources), device=sources.device)
    for source in sources.unique():
        members = (sources == source).nonzero().flatten()
        result[members] = members.roll(-1)
    return result


def _classifier(width: int, hidden: int, sources: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, sources))


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return -gradient


def _reversed(values: torch.Tensor) -> torch.Tensor:
    """The same values, whose gradient comes back reversed (Ganin et al. 2016)."""
    result: torch.Tensor = _Reverse.apply(values)
    return result


CODE = SplitCode
