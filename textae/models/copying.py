"""Copy head: mixes the vocabulary with the source's own tokens; fits any encoder-decoder network."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from textae.data.batches import TokenBatch
from textae.models.precision import at_least_float32

# Stands for log(0) where minus infinity would make gradients not-a-number.
LOG_ZERO = -1e9


class CopyScores(NamedTuple):
    """What the copy head says of decoder states: a tuple, in which DeepSpeed finds what has gradients.

    ``attention`` (N, T, S) is log-attention over the source's tokens; ``log_generate`` and
    ``log_copy`` (N, T) are the log-probabilities of the gate's two sides.
    """

    attention: torch.Tensor
    log_generate: torch.Tensor
    log_copy: torch.Tensor


class CopyHead(nn.Module):
    """Pointer-generator (See, Liu and Manning 2017) with an attention of its own.

    A gate mixes the vocabulary's distribution with attention over the source's tokens. The
    attention is computed here and not taken from the decoder, so that the backbone may be of any
    family and may use fused attention. With ``runs`` a token's key also sees the token before it,
    and starts out alike to the query: whoever has just copied a token finds the one after it from
    the first step on, where a network from scratch needs hundreds of steps to learn to copy runs.
    """

    def __init__(self, width: int, runs: bool = True):
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.key_before = nn.Linear(width, width, bias=False) if runs else None
        self.gate = nn.Linear(2 * width, 1)
        if self.key_before is not None:
            with torch.no_grad():
                self.key_before.weight.copy_(self.query.weight)

    def keys(self, states: torch.Tensor) -> torch.Tensor:
        """Source states (B, S, W) to keys (B, S, W)."""
        if self.key_before is None:
            return self.key(states)
        before = F.pad(states[:, :-1], (0, 0, 1, 0))
        return self.key(states) + self.key_before(before)

    def forward(
        self, hidden: torch.Tensor, states: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor
    ) -> CopyScores:
        """Decoder states (N, T, W), source states and keys (B, S, W), mask (B, S) of what may be copied.

        N is a multiple of B: the K = N / B rows of one document stand together and share its keys,
        which are ``self.keys(states)``.
        """
        rows, length, width = hidden.shape
        batch, source_length, _ = states.shape
        query = self.query(hidden).view(batch, -1, width)
        scores = query @ keys.transpose(1, 2) / math.sqrt(width)
        attention = F.log_softmax(at_least_float32(scores).masked_fill(~mask[:, None, :], LOG_ZERO), dim=-1)
        context = (attention.exp().to(states.dtype) @ states).view(rows, length, width)
        gate = at_least_float32(self.gate(torch.cat([hidden, context], dim=-1)).squeeze(-1))
        return CopyScores(
            attention=attention.view(rows, length, source_length),
            log_generate=F.logsigmoid(gate),
            log_copy=F.logsigmoid(-gate),
        )


def copyable_tokens(source: TokenBatch, special: torch.Tensor) -> torch.Tensor:
    """Which tokens (B, S) of a source may be copied: all of the text, no special token (``special`` (V,)).

    Attention that has nothing to copy rests on the source's end token. Could that be copied, a text
    would be likely to end in the middle of a sentence. An empty text leaves nothing else: there it may.
    """
    copyable = source.mask & ~special[source.ids]
    return torch.where(copyable.any(dim=1, keepdim=True), copyable, source.mask)


def copied_log_mass(attention: torch.Tensor, source: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log of the attention mass on source tokens that equal the target.

    ``attention`` (N, T, S) is log-attention, ``source`` (N, S) ids, ``targets`` (N, T) ids; the
    result is (N, T), :data:`LOG_ZERO` where the source does not hold the target. No tensor of
    vocabulary size is made.
    """
    matches = targets[:, :, None] == source[:, None, :]
    return attention.masked_fill(~matches, LOG_ZERO).logsumexp(dim=-1)


def mixture_log_probability(
    scores: CopyScores, generated: torch.Tensor, copied: torch.Tensor
) -> torch.Tensor:
    """Log-probability (N, T) of targets that can be generated or copied."""
    return torch.logaddexp(scores.log_generate + generated, scores.log_copy + copied)


def mixture_distribution(scores: CopyScores, logits: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (N, T, V) over the whole vocabulary, for decoding.

    ``logits`` (N, T, V), ``source`` (N, S) ids.
    """
    probabilities = logits.softmax(dim=-1) * scores.log_generate.exp()[..., None]
    copied = scores.attention.exp() * scores.log_copy.exp()[..., None]
    index = source[:, None, :].expand(copied.shape)
    return probabilities.scatter_add(-1, index, copied).clamp_min(1e-30).log()


def next_mixture(scores: CopyScores, logits: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (N, V) of the next token, for decoding.

    The numbers are those of :func:`mixture_distribution`. Only what stands in the source can be copied, so
    that of the vocabulary as a whole nothing but the softmax is needed.

    Args:
        scores: of one position (N, 1, ...).
        logits: (N, V).
        source: (N, S) ids.
    """
    generated = scores.log_generate + logits.log_softmax(dim=-1)
    # A token that stands there several times has all of the attention of its places at each of them.
    same = (source[:, :, None] == source[:, None, :]).to(logits.dtype)
    mass = (same @ scores.attention.exp().transpose(1, 2)).squeeze(2)
    copied = scores.log_copy + mass.clamp_min(1e-30).log()
    both = torch.logaddexp(generated.gather(1, source), copied)
    return generated.scatter(1, source, both)
