"""How long the adversarial phase's summaries shall be, and which human sentences stand beside them."""

import random

import torch

from textae.config import TrainingConfig
from textae.data.tokenizer import Vocabulary
from textae.data.words import count_words
from textae.model_config import LengthConfig

UNLEARNED = (
    "No human sentence has %s words, so warm-up does not teach such lengths, which uniform length_sampling "
    "asks for; set warmup.pseudo_summary_share above 0, or narrow length.minimum_words to maximum_words."
)


def human_lengths(human: list[int], limits: LengthConfig) -> list[int]:
    """The lengths of human sentences, in words, brought within what training asks for."""
    return [min(max(count, limits.minimum_words), limits.maximum_words) for count in human]


def uniform_lengths(count: int, limits: LengthConfig, seed: str) -> list[int]:
    """``count`` lengths in words, drawn evenly from all that training asks for; ``seed`` is any text."""
    generator = torch.Generator().manual_seed(random.Random(seed).getrandbits(32))
    return torch.randint(
        limits.minimum_words, limits.maximum_words + 1, (count,), generator=generator
    ).tolist()


def matching_sentences(wanted: list[int], human: list[int]) -> list[int]:
    """For each wanted length the number of a human sentence of that length, or of the nearest there is.

    Of several, the one that was taken least so far is taken, and of these the first. A sentence may be
    taken more than once and others not at all: only so do the real sentences that the discriminator
    reads have the lengths of the sampled ones, whatever the lengths of the corpus.

    Args:
        wanted: lengths in words.
        human: lengths in words of the batch's human sentences, at least one.
    """
    taken = [0] * len(human)
    chosen = []
    for count in wanted:
        best = min(range(len(human)), key=lambda i: (abs(human[i] - count), taken[i], i))
        taken[best] += 1
        chosen.append(best)
    return chosen


def unlearned_lengths(config: TrainingConfig, vocabulary: Vocabulary, sentences: list[str]) -> list[int]:
    """Lengths that the adversarial phase would ask for although warm-up has no text of them.

    Warm-up's hints are the lengths of its targets: of human sentences of up to ``data.max_human_tokens``,
    and, with ``warmup.pseudo_summary_share``, of first words of documents, which are of all lengths.
    """
    if config.warmup.pseudo_summary_share > 0:
        return []
    rows, most = vocabulary.encode(sentences), config.data.max_human_tokens
    learned = {count_words(text) for text, row in zip(sentences, rows, strict=True) if len(row) <= most}
    limits = config.length
    return [count for count in range(limits.minimum_words, limits.maximum_words + 1) if count not in learned]
