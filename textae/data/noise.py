"""Corruptions that warm-up and the de-noising variant undo: pure functions of words and a seed."""

import random
from typing import TypeVar

from textae.config import NoiseConfig

T = TypeVar("T")


def insert_fragments(
    words: list[str], other: list[str], config: NoiseConfig, generator: random.Random
) -> list[str]:
    """Insert fragments of ``other``, a foreign document, into ``words`` at random places.

    A place is drawn as ``length * u ** (1 / (1 + late_fragments))`` with ``u`` uniform.
    """
    if not other:
        return list(words)
    count = generator.randint(*config.inserted_fragments)
    result = list(words)
    for _ in range(count):
        length = generator.randint(*config.fragment_words)
        begin = generator.randrange(max(1, len(other) - length + 1))
        at = round(len(result) * generator.random() ** (1 / (1 + config.late_fragments)))
        result[at:at] = other[begin : begin + length]
    return result


def shuffle_locally(words: list[T], distance: float, generator: random.Random) -> list[T]:
    """Jitter the positions of words or tokens by a normal deviate of ``distance`` (Lample et al. 2018)."""
    if distance <= 0:
        return list(words)
    keys = [position + generator.gauss(0.0, distance / 2) for position in range(len(words))]
    return [words[i] for i in sorted(range(len(words)), key=keys.__getitem__)]


def drop_words(words: list[str], rate: float, generator: random.Random) -> list[str]:
    """Leave out each word with probability ``rate``; at least one word stays."""
    kept = [word for word in words if generator.random() >= rate]
    return kept or words[:1]


def corrupt_sentence(
    words: list[str], other: list[str], config: NoiseConfig, generator: random.Random
) -> list[str]:
    """Make a human sentence look like a document that holds it.

    Words are dropped and jittered, and fragments of ``other``, a document that has nothing to do
    with the sentence, are inserted: whoever undoes this has learned to leave out what does not
    belong and to write in the human style (after Fevry and Phang 2018).
    """
    result = drop_words(words, config.drop, generator)
    result = shuffle_locally(result, config.shuffle_distance, generator)
    return insert_fragments(result, other, config, generator)


def corrupt_tokens(
    ids: list[int], other: list[int], config: NoiseConfig, mask: int, generator: random.Random
) -> list[int]:
    """A noisy form of a document's token ids: shuffled, and tokens left out, masked or replaced.

    A document that is restored from a noisy form has to be understood and not only copied (Vincent et al.
    2008; Hill et al. 2016). At least one token is left.

    Args:
        ids: the document's.
        other: of a document whose tokens may stand in their place.
        config: ``document_shuffle``, ``document_delete``, ``document_mask``, ``document_replace``.
        mask: the token for what is hidden.
        generator: of all chance.
    """
    ids = shuffle_locally(ids, config.document_shuffle, generator)
    deleted = config.document_delete
    hidden = deleted + config.document_mask
    replaced = hidden + config.document_replace
    result = []
    for token in ids:
        draw = generator.random()
        if draw < deleted:
            continue
        if draw < hidden:
            token = mask
        elif draw < replaced and other:
            token = generator.choice(other)
        result.append(token)
    return result or ids[:1]


def break_sentence(words: list[str], generator: random.Random) -> list[str]:
    """Make a human sentence unreadable: shuffled, with a word repeated or words missing, or turned about."""
    kind = generator.randrange(4)
    if kind == 0:
        return shuffle_locally(words, 4.0, generator)
    if kind == 1:
        return drop_words(words, 0.35, generator)
    if kind == 2:
        at = generator.randrange(len(words))
        return [*words[: at + 1], *words[at:]]
    begin = generator.randint(1, max(1, len(words) // 2))
    return words[begin:] + words[:begin]
