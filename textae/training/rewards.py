"""What a summary is paid for: named rewards, one call signature.

A reward takes the :class:`Rollout` and returns one number for each sampled summary, (N,), or one
for each of its tokens, (N, T). Weights and normalisation are the trainer's business. Users add their
own through ``adversarial.custom_rewards`` (:mod:`textae.training.custom_rewards`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch

from textae.data.batches import TokenBatch
from textae.data.words import LONGEST_FUNCTION_WORD, split_words
from textae.models.discriminator import LOG_ODDS_BOUND

# In words: what a summary that was cut off instead of ending by itself is charged.
UNFINISHED_WORDS = 3.0


@dataclass
class Rollout:
    """Sampled summaries and everything that is known of them; N rows, all tensors detached.

    Attributes:
        summaries: (N, T) tokens with end tokens.
        texts: the N summaries as text.
        documents: the N documents as text, whole, each as often as it has summaries.
        words: (N,) their lengths in words.
        wanted_words: (N,) the lengths that were asked for.
        finished: (N,) whether a summary ended by itself.
        document_log_probabilities: (N, S) of the documents' tokens given the summaries, 0 on padding.
        empty_log_probabilities: (N, S) of the same tokens given an empty summary; 0 on padding, and
            everywhere unless ``adversarial.relative_reconstruction`` is set.
        document_weights: (N, S) how much each of the document's tokens counts, 0 on padding.
        scores: (N, T) discriminator logits of the prefixes.
        log_probabilities: (N, T) of the summaries under the policy.
        reference_log_probabilities: (N, T) under the warm encoder.
        fluency: (N, T) of the tokens, by the discriminator's language model.
        topic_similarity: (N,) cosine to the document by the corpus's own embeddings; 0 if not paid for.
        encoder_similarity: (N,) cosine to the document by the pretrained encoder; 0 if there is none.
    """

    summaries: TokenBatch
    texts: list[str]
    documents: list[str]
    words: torch.Tensor
    wanted_words: torch.Tensor
    finished: torch.Tensor
    document_log_probabilities: torch.Tensor
    empty_log_probabilities: torch.Tensor
    document_weights: torch.Tensor
    scores: torch.Tensor
    log_probabilities: torch.Tensor
    reference_log_probabilities: torch.Tensor
    fluency: torch.Tensor
    topic_similarity: torch.Tensor
    encoder_similarity: torch.Tensor


def reconstruction(rollout: Rollout) -> torch.Tensor:
    """Weighted mean log-probability (N,) of the document's tokens given the summary, in nats.

    Without weights a summary is paid as much for a copied ``of the`` as for a name, and the
    cheapest summary is the document's beginning, word for word.

    Relative to an empty summary it is what the summary tells of the document, in nats a token: the
    same is taken from all samples of a document, which cancels against another of its samples or its
    greedy summary, but not against the batch's mean, nor in the log.
    """
    weights = rollout.document_weights
    gains = rollout.document_log_probabilities - rollout.empty_log_probabilities
    totals = (gains * weights).sum(dim=1)
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
    """Minus the number (N,) of :func:`repetitions`."""
    counts = [repetitions(split_words(text)) for text in rollout.texts]
    return -torch.tensor(counts, dtype=torch.float32, device=rollout.words.device)


def repetitions(words: list[str]) -> int:
    """Count what a headline does not say twice.

    These are words that repeat the word before, bigrams that stood before, and words of more than
    three letters that stood before: function words may come again, ``japan 's ... nec 's`` too.

    >>> repetitions("rain rain in the north and in the south".split())
    3
    """
    bigrams = list(pairwise(words))
    long = [word for word in words if len(word) > LONGEST_FUNCTION_WORD]
    at_once = sum(first == second for first, second in bigrams)
    return at_once + len(bigrams) - len(set(bigrams)) + len(long) - len(set(long))


def kl(rollout: Rollout) -> torch.Tensor:
    """Minus the log-ratio (N, T) of policy and warm encoder: its mean is minus the KL divergence."""
    return rollout.reference_log_probabilities - rollout.log_probabilities


def fluency(rollout: Rollout) -> torch.Tensor:
    """How much likelier (N, T) human sentences make each token there than anywhere."""
    return rollout.fluency


def topic(rollout: Rollout) -> torch.Tensor:
    """Cosine (N,) of summary and document as weighted means of embeddings learned on the corpus."""
    return rollout.topic_similarity


def encoder(rollout: Rollout) -> torch.Tensor:
    """Cosine (N,) of summary and document as embedded by a pretrained network."""
    return rollout.encoder_similarity


Reward = Callable[[Rollout], torch.Tensor]
REWARDS: dict[str, Reward] = {
    "reconstruction": reconstruction,
    "reader": reader,
    "length": length,
    "repetition": repetition,
    "kl": kl,
    "fluency": fluency,
    "topic": topic,
    "encoder": encoder,
}
