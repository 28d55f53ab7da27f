"""Log-probabilities of a target given a source: what encoder and reconstructor have in common."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from textae.data.batches import TokenBatch
from textae.data.tokenizer import Vocabulary
from textae.model_config import NetworkConfig
from textae.models.backbone import Backbone
from textae.models.chunks import in_chunks
from textae.models.copying import (
    CopyHead,
    copied_log_mass,
    copyable_tokens,
    mixture_distribution,
    mixture_log_probability,
    next_mixture,
)


@dataclass
class Source:
    """An encoded source: ``states`` (B, S, W), ``ids`` (B, S), ``mask`` (B, S).

    The copy head's are ``keys`` (B, S, W) and ``copyable`` (B, S), which tokens it may copy.
    """

    states: torch.Tensor
    ids: torch.Tensor
    mask: torch.Tensor
    keys: torch.Tensor | None
    copyable: torch.Tensor

    def repeat(self, times: int) -> "Source":
        """Each row ``times`` times, copies side by side: (B * times, S, ...)."""
        if times == 1:
            return self
        return self.select(torch.arange(len(self.ids), device=self.ids.device).repeat_interleave(times))

    def select(self, rows: torch.Tensor) -> "Source":
        """The given rows."""
        keys = None if self.keys is None else self.keys[rows]
        return Source(self.states[rows], self.ids[rows], self.mask[rows], keys, self.copyable[rows])


class Writing:
    """Texts on their way, one for each row of a source: what a decoder remembers of them.

    Args:
        network: whose decoder writes.
        source: (N) rows.
    """

    def __init__(self, network: "Seq2Seq", source: Source):
        self.network, self.source = network, source
        self.cache = network.backbone.new_cache()

    def next_log_probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        """Take in the tokens (N, T) written since the last call; log-probabilities (N, V) of the next."""
        source = self.source
        hidden = self.network.backbone.decode(inputs, source.states, source.mask, self.cache)[:, -1]
        return self.network.next_log_probabilities(hidden, source)

    def reorder(self, origins: torch.Tensor) -> None:
        """Go on in each row with what the row ``origins`` (N,) has, which is of the same source."""
        # What is remembered of the source is alike in both, and not small: it stays where it is.
        self.cache.self_attention_cache.reorder_cache(origins)

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone."""
        self.source = self.source.select(rows)
        self.cache.batch_select_indices(rows)


class Seq2Seq(nn.Module):
    """A backbone with an optional copy head and the ids of the vocabulary."""

    special: torch.Tensor

    def __init__(self, backbone: Backbone, config: NetworkConfig, vocabulary: Vocabulary):
        super().__init__()
        self.backbone = backbone
        self.copy_head = CopyHead(backbone.width, config.copy_runs) if config.copy_head else None
        self.pad, self.start, self.end, self.mask = (
            vocabulary.pad,
            vocabulary.start,
            vocabulary.end,
            vocabulary.mask,
        )
        self.register_buffer("special", vocabulary.special.clone(), persistent=False)
        configured = getattr(backbone.network.config, "decoder_start_token_id", None)
        if configured is not None:
            self.start = configured

    def read(self, source: TokenBatch, embedded: torch.Tensor | None = None) -> Source:
        """Encode a batch of sources (B, S), whose embeddings (B, S, E) may be given."""
        states = self.backbone.encode(source.ids, source.mask, embedded)
        keys = None if self.copy_head is None else self.copy_head.keys(states)
        return Source(states, source.ids, source.mask, keys, copyable_tokens(source, self.special))

    def begin(self, source: Source) -> Writing:
        """Begin a text for each row of a source, token by token."""
        return Writing(self, source)

    def prefix(self, rows: int, hints: torch.Tensor | None, device: torch.device) -> torch.Tensor:
        """What every decoder row begins with: the start token and, if given, the length hint (N,)."""
        start = torch.full((rows, 1), self.start, dtype=torch.long, device=device)
        return start if hints is None else torch.cat([start, hints[:, None]], dim=1)

    def log_probabilities(
        self,
        source: Source,
        targets: TokenBatch,
        hints: torch.Tensor | None = None,
        inputs: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Log-probability (N, T) in float32 of every target token given the source; 0 on padding.

        ``source`` has B rows and ``targets`` N = B * K, the K of one source side by side.
        ``inputs`` (N, T) may replace the targets as decoder input (word dropout).
        """
        return self.distribution_at(source, targets, hints, inputs)[0]

    def distribution_at(
        self,
        source: Source,
        targets: TokenBatch,
        hints: torch.Tensor | None = None,
        inputs: torch.Tensor | None = None,
        smoothing: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As :meth:`log_probabilities`, and, if asked, the mean log-probability over the vocabulary.

        The second (N, T) is what label smoothing needs: the mean of the vocabulary's own
        log-probabilities, without the copy head.
        """
        rows, length = targets.ids.shape
        repeated = source.repeat(rows // source.ids.shape[0])
        prefix = self.prefix(rows, hints, targets.ids.device)
        given = targets.ids if inputs is None else inputs
        decoder_inputs = torch.cat([prefix, given[:, :-1]], dim=1)
        hidden = self.backbone.decode(decoder_inputs, repeated.states, repeated.mask)
        hidden = hidden[:, prefix.shape[1] - 1 :]

        # Only rows that hold a token go through the vocabulary head, the dearest part of a small network.
        kept = targets.mask
        logits = self.backbone.logits(hidden[kept])
        # One operation for softmax and choice has a backward pass with fewer tensors of logits' size.
        chosen = -F.cross_entropy(logits, targets.ids[kept], reduction="none")
        generated = torch.zeros(rows, length, dtype=chosen.dtype, device=chosen.device)
        generated = generated.masked_scatter(kept, chosen)
        smooth = None
        if smoothing:
            mean = logits.mean(dim=-1) - logits.logsumexp(dim=-1)
            smooth = torch.zeros_like(generated).masked_scatter(kept, mean)
        if self.copy_head is None:
            return generated, smooth
        scores = self.copy_head(hidden, source.states, source.keys, source.copyable)
        copied = copied_log_mass(scores.attention, repeated.ids, targets.ids)
        mixed = mixture_log_probability(scores, generated, copied)
        return mixed.masked_fill(~kept, 0.0), smooth

    def distribution_of(
        self,
        source: TokenBatch,
        targets: TokenBatch,
        hints: torch.Tensor | None = None,
        inputs: torch.Tensor | None = None,
        smoothing: bool = False,
        rows_at_once: int | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As :meth:`distribution_at`, of a source that is still to be read; see :func:`in_chunks`."""
        if rows_at_once is None:
            return self.distribution_at(self.read(source), targets, hints, inputs, smoothing)
        group = len(targets.ids) // len(source.ids)

        def work(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
            sources, each = (rows // group).unique(return_inverse=True)
            return self.distribution_at(
                self.read(source.select(sources)).select(each.to(source.ids.device)),
                targets.select(rows),
                None if hints is None else hints[rows],
                None if inputs is None else inputs[rows],
                smoothing,
            )

        chosen, mean = in_chunks(len(targets.ids), rows_at_once, work)
        assert chosen is not None
        return chosen, mean

    def log_distributions(
        self, source: Source, targets: TokenBatch, hints: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Log-probabilities (N, T, V) of every token of the vocabulary in place of each target token."""
        rows = len(targets.ids)
        repeated = source.repeat(rows // source.ids.shape[0])
        prefix = self.prefix(rows, hints, targets.ids.device)
        inputs = torch.cat([prefix, targets.ids[:, :-1]], dim=1)
        hidden = self.backbone.decode(inputs, repeated.states, repeated.mask)[:, prefix.shape[1] - 1 :]
        logits = self.backbone.logits(hidden)
        if self.copy_head is None:
            return logits.log_softmax(dim=-1)
        scores = self.copy_head(hidden, source.states, source.keys, source.copyable)
        return mixture_distribution(scores, logits, repeated.ids)

    def next_log_probabilities(self, hidden: torch.Tensor, source: Source) -> torch.Tensor:
        """Decoder states (N, W) of the last position to log-probabilities (N, V) of the next token."""
        logits = self.backbone.logits(hidden)
        if self.copy_head is None:
            return logits.log_softmax(dim=-1)
        scores = self.copy_head(hidden[:, None, :], source.states, source.keys, source.copyable)
        return next_mixture(scores, logits, source.ids)

    def next_sample(self, hidden: torch.Tensor, source: Source, uniforms: torch.Tensor) -> torch.Tensor:
        """Draw the next token (N,) from exactly the distribution of :meth:`next_log_probabilities`.

        ``uniforms`` (N, 2) decide: the first chooses between copying and the vocabulary, the
        second the token, by the inverse of the cumulative distribution. The two-step draw has the
        mixture's distribution, and only rows that generate need the vocabulary head.
        """
        if self.copy_head is None:
            return _invert(self.backbone.logits(hidden).softmax(dim=-1), uniforms[:, 1])
        scores = self.copy_head(hidden[:, None, :], source.states, source.keys, source.copyable)
        position = _invert(scores.attention[:, 0].exp(), uniforms[:, 1])
        tokens = source.ids.gather(1, position[:, None]).squeeze(1)
        generates = uniforms[:, 0] < scores.log_generate[:, 0].exp()
        if generates.any():
            probabilities = self.backbone.logits(hidden[generates]).softmax(dim=-1)
            tokens[generates] = _invert(probabilities, uniforms[generates, 1])
        return tokens


def _invert(probabilities: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Index (N,) at which the cumulative sum of ``probabilities`` (N, C) passes ``uniforms`` (N,)."""
    cumulative = probabilities.cumsum(dim=-1)
    # Rounding may leave the total a little off one, and a draw must not fall behind the last choice.
    wanted = uniforms.clamp(max=1 - 1e-6)[:, None] * cumulative[:, -1:]
    return (
        torch.searchsorted(cumulative, wanted, right=True).squeeze(-1).clamp(max=probabilities.shape[-1] - 1)
    )
