"""A code in two halves: what a document says, and how texts of its source say it."""

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from textae.errors import InputError
from textae.model_config import CodeConfig
from textae.models.codes.code import Circumstances, Code, Coded

if TYPE_CHECKING:
    from textae.training.reduce import Reduce


# Share of the running means that a step renews; deviation of the noise on content, whose own is 1: what tells
# the source is a small difference, and drowns in it.
RENEWED, NOISE = 0.1, 0.3
# No number of content is taken to deviate by less: a constant one would be divided by nothing.
LEAST = 1e-3


class SplitCode(Code):
    """Content and style, told apart without paired examples (after Ganin et al. 2016; Chou et al. 2018).

    The last ``style_width`` numbers of each vector are style. In training a document gets the style of
    another document of its source, so that style can only hold what they share. Content is normalised by the
    mean and deviation of its source, as instance normalisation takes a speaker out of speech (Chou and Lee
    2019), and some noise is laid over it; and a classifier learns to tell the source from content, which
    learns that the classifier shall find all sources equally likely (Tzeng et al. 2015): unlike the
    classifier's own loss with its sign turned, that has a least value. Outside of training the source is what
    another classifier reads from the style, and content is moved so that its mean and its whole covariance
    are the same in every source, by the shortest way between two normal distributions (Mroueh 2020).
    """

    wants_mixed_batches = True
    fitted_documents = 20_000
    means: torch.Tensor
    deviations: torch.Tensor
    alignments: torch.Tensor

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
        self.register_buffer("means", torch.zeros(sources, config.vectors, content))
        self.register_buffer("deviations", torch.ones(sources, config.vectors, content))
        unmoved = torch.eye(config.vectors * content).repeat(sources, 1, 1)
        self.register_buffer("alignments", unmoved)

    def encode(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Content and style (B, M, D)."""
        content, style = self.parts(self.pool(states, mask))
        likely = self.from_style(style.flatten(1)).softmax(dim=-1)
        content = self.normalized(content, likely)
        aligned = torch.einsum("bs,bi,sij->bj", likely, content.flatten(1), self.alignments)
        return torch.cat([aligned.view_as(content), style], dim=-1)

    @torch.no_grad()
    def fit(self, values: torch.Tensor, sources: torch.Tensor) -> None:
        """Measure each source's content: mean, deviation, and the way from its covariance to that of all."""
        content = self.parts(values)[0]
        numbers = content[0].numel()
        present = [source for source in range(self.sources) if int((sources == source).sum()) > 1]
        for source in present:
            rows = content[sources == source]
            self.means[source] = rows.mean(dim=0)
            self.deviations[source] = rows.std(dim=0).clamp_min(LEAST)
        # The covariance of few documents says more of them than of their source.
        known = [source for source in present if int((sources == source).sum()) >= 2 * numbers]
        if len(known) < 2:
            return
        covariances = {}
        for source in known:
            rows = (content[sources == source] - self.means[source]) / self.deviations[source]
            covariances[source] = rows.flatten(1).double().T.cov()
        everyone = torch.stack(list(covariances.values())).mean(dim=0)
        for source, covariance in covariances.items():
            self.alignments[source] = shortest_way(covariance, everyone).to(self.alignments.dtype)

    def normalized(self, content: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """Content (B, M, C) by mean and deviation of its source; ``sources`` (B, S) are shares."""
        mean = torch.einsum("bs,smc->bmc", sources, self.means)
        return (content - mean) / torch.einsum("bs,smc->bmc", sources, self.deviations)

    def normalized_in_batch(self, content: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """Content (B, M, C) by mean and deviation of the batch's documents of its source (B,)."""
        known = functional.one_hot(sources, self.sources).to(content.dtype)
        counts = known.sum(dim=0)[:, None, None]
        means = torch.einsum("bs,bmc->smc", known, content) / counts.clamp_min(1)
        centred = content - means[sources]
        variances = torch.einsum("bs,bmc->smc", known, centred.square()) / (counts - 1).clamp_min(1)
        # One document alone deviates from nothing: it is measured by what has been seen before.
        alone = (counts < 2)[sources]
        own = centred / (variances + LEAST**2).sqrt()[sources]
        return torch.where(alone, self.normalized(content, known), own)

    def parts(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Content (B, M, D - style width) and style (B, M, style width)."""
        content = self.config.width - self.config.style_width
        return values[..., :content], values[..., content:]

    def learn(self, states: torch.Tensor, mask: torch.Tensor, around: Circumstances) -> Coded:
        """Content with the style of another document of the source, and what the classifiers lose."""
        raw, style = self.parts(self.pool(states, mask))
        # By the batch's own means, through which gradients go: from running ones content runs away, and what
        # it is ahead of them tells the source.
        content = self.normalized_in_batch(raw, around.sources)
        content = content + NOISE * self.parts(around.normal)[0].to(raw.dtype)
        flat = content.flatten(1)
        read_content, read_style = self.from_content(flat.detach()), self.from_style(style.flatten(1))
        # The same classifier, which does not learn from being misled.
        frozen = {name: parameter.detach() for name, parameter in self.from_content.named_parameters()}
        misled = torch.func.functional_call(self.from_content, frozen, (flat,)).log_softmax(dim=-1)
        weight = self.config.source_weight
        return Coded(
            torch.cat([content, style[next_of_source(around.sources)]], dim=-1),
            losses={
                "content": functional.cross_entropy(read_content, around.sources, reduction="none"),
                "hidden": weight * (-misled.mean(dim=-1) - math.log(self.sources)),
                "style": weight * functional.cross_entropy(read_style, around.sources, reduction="none"),
            },
            measures={
                "content_tells_source": (read_content.argmax(-1) == around.sources).float(),
                "style_tells_source": (read_style.argmax(-1) == around.sources).float(),
            },
            update={"content": raw.detach(), "sources": around.sources},
        )

    @torch.no_grad()
    def after_step(self, coded: Coded, reduce: "Reduce") -> dict[str, float]:
        """Move each source's mean and deviation towards those of its documents in the batch."""
        content, sources = reduce.rows(coded.update["content"]), reduce.rows(coded.update["sources"])
        for source in range(self.sources):
            rows = content[sources == source]
            if len(rows) > 1:  # one document alone deviates from nothing
                self.means[source].lerp_(rows.mean(dim=0), RENEWED)
                self.deviations[source].lerp_(rows.std(dim=0).clamp_min(LEAST), RENEWED)
        return {}

    def restyle(self, values: torch.Tensor, models: torch.Tensor) -> torch.Tensor:
        """The content of ``values`` (B, M, D) with the mean style of ``models`` (N, M, D)."""
        style = self.parts(models)[1].mean(dim=0, keepdim=True).expand(len(values), -1, -1)
        return torch.cat([self.parts(values)[0], style], dim=-1)


def shortest_way(covariance: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The symmetric matrix (C, C) that takes one covariance (C, C) to another and moves numbers the least."""
    ridge = LEAST * torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    root = power(covariance + ridge, 0.5)
    unroot = power(covariance + ridge, -0.5)
    return unroot @ power(root @ (wanted + ridge) @ root, 0.5) @ unroot


def power(matrix: torch.Tensor, exponent: float) -> torch.Tensor:
    """A symmetric matrix without negative eigenvalues to the power of ``exponent``."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ (values.clamp_min(1e-12) ** exponent).diag() @ vectors.T


def next_of_source(sources: torch.Tensor) -> torch.Tensor:
    """For each of B documents, the number (B,) of the next one of its source, in a circle."""
    result = torch.arange(len(sources), device=sources.device)
    for source in sources.unique():
        members = (sources == source).nonzero().flatten()
        result[members] = members.roll(-1)
    return result


def _classifier(width: int, hidden: int, sources: int) -> nn.Module:
    # One length for all: what is hidden shall be hidden, and not only made small.
    scale = nn.LayerNorm(width, elementwise_affine=False)
    return nn.Sequential(scale, nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, sources))


CODE = SplitCode
