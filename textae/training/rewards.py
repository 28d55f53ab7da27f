"""What a summary is paid for: named rewards, one call signature.

A reward takes the :class:`Rollout` and returns one number for each sampled summary, (N,), or one
for each of its tokens, (N, T). Weights and normalisation are the trainer's business.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from textae.data.batches import TokenBatch
from textae.data.collapse import repetitions
from textae.data.words import split_words
from textae.models.discriminator import LOG_ODDS_BOUND

# In words: what a summary that was cut off instead of ending by itself is charged.
UNFINISHED_WORDS = 3.0


@dataclass
class Rollout:
    """Sampled summaries and everything that is known of them; N rows, all tensors detached.

    Attributes:
        summaries: (N, T) tokens with end tokens.
        texts: the N summaries as text.
        words: (N,) their lengths in words.
        wanted_words: (N,) the lengths that were asked for.
        finished: (N,) whether a summary ended by itself.
        document_log_probabilities: (N, S) of the documents' tokens given the summaries, 0 on padding.
        document_weights: (N, S) how much each of the document's tokens counts, 0 on padding.
        scores: (N, T) discriminator logits of the prefixes.
        log_probabilities: (N, T) of the summaries under the policy.
        reference_log_probabilities: (N, T) under the warm encoder.
        fluency: (N, T) of the tokens, by the discriminator's language model.
    """

    summaries: TokenBatch
    texts: list[str]
    words: torch.Tensor
    wanted_words: torch.Tensor
    finished: torch.Tensor
    document_log_probabilities: torch.Tensor
    document_weights: torch.Tensor
    scores: torch.Tensor
    log_probabilities: torch.Tensor
    reference_log_probabilities: torch.Tensor
    fluency: torch.Tensor


def reconstruction(rollout: Rollout) -> torch.Tensor:
    """Weighted mean log-probability (N,) of the document's tokens given the summary, in nats.

    Without weights a summary is paid as much for a copied ``of the`` as for a name, and the
    cheapest summary is the document's beginning, word for word.
    """
    weights = rollout.document_weights
    totals = (rollout.document_log_probabilities * weights).sum(dim=1)
    return totals / weights.sum(dim=1).clamp_min(1e-6)


def reader(rollout: Rollout) -> torch.Tensor:
    """The discriminator's log-odds (N, T) that each prefix is human, between -5 and 5.

    Log-odds keep a gradient where a probability is saturated; the bounds keep one outlier from
    ruling the batch.
    """
    return rollout.scores.clamp(-LOG_ODDS_BOUND, LOG_ODDS_BOUND)


def length(rollout: Rollout) -> torch.Tensor:
    """Minus the distance (N,) in words from the wanted length; a summary that does not end pays more."""
    distance = (rollout.words - rollout.wanted_words).abs().float()
    return -(distance + UNFINISHED_WORDS * (~rollout.finished).float())


def repetition(rollout: Rollout) -> torch.Tensor:
    """Minus the number (N,) of :func:`~textae.data.collapse.repetitions`."""
    counts = [repetitions(split_words(text)) for text in rollout.texts]
    return -torch.tensor(counts, dtype=torch.float32, device=rollout.words.device)


def kl(rollout: Rollout) -> torch.Tensor:
    """Minus the log-ratio (N, T) of policy and warm encoder: its mean is minus the KL divergence."""
    return rollout.reference_log_probabilities - rollout.log_probabilities


def fluency(rollout: Rollout) -> torch.Tensor:
    """How much likelier (N, T) human sentences make each token there than anywhere."""
    return rollout.fluency


REWARDS: dict[str, Callable[[Rollout], torch.Tensor]] = {
    "reconstruction": reconstruction,
    "reader": reader,
    "length": length,
    "repetition": repetition,
    "kl": kl,
    "fluency": fluency,
}
