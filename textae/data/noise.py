"""Corruptions that warm-up and the de-noising variant undo: pure functions of words and a seed."""

import random
from collections.abc import Callable

from textae.config import NoiseConfig
from textae.data.words import SHORTEST_STEM, are_forms


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


def shuffle_locally(words: list[str], distance: float, generator: random.Random) -> list[str]:
    """Jitter the positions of ``words`` by a normal deviate of ``distance`` (Lample et al. 2018)."""
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


def graft_sentence(
    words: list[str],
    document: list[str],
    telling: Callable[[str], bool],
    config: NoiseConfig,
    generator: random.Random,
) -> list[str]:
    """Put what ``document`` lacks of a sentence into it, beside what it has.

    The document is a real one about something else that shares some words with the sentence. They
    stand in their place and in the document's form (``killed`` for ``kills``); each missing word goes
    behind the last shared word before it, or in front of the first. So the noise has the order, the
    attributions and the side facts of real documents.

    Args:
        words: of the sentence.
        document: words of the document.
        telling: whether a word tells what a text is about; others, such as ``of``, mark no place.
        config: ``drop`` is the share of missing words that stay missing, ``lead_in`` how many words of
            the document may stay before the first shared one.
        generator: decides both.
    """

    # Forms of one word begin alike: few words have to be compared.
    stems: dict[str, list[int]] = {}
    for position, other in enumerate(document):
        stems.setdefault(other[:SHORTEST_STEM], []).append(position)

    def place(word: str, begin: int = 0) -> int | None:
        alike = stems.get(word[:SHORTEST_STEM], [])
        found = (index - begin for index in alike if index >= begin and are_forms(word, document[index]))
        return next(found, None)

    begin = 0
    if config.lead_in is not None:
        first = min((at for word in words if telling(word) and (at := place(word)) is not None), default=0)
        begin = max(0, first - generator.randint(0, config.lead_in))
    places = [place(word, begin) for word in words]
    document = document[begin:]
    marks = [at if telling(word) else None for word, at in zip(words, places, strict=True)]
    behind = next((at for at in marks if at is not None), 0)
    grafts: list[list[str]] = [[] for _ in range(len(document) + 1)]
    for word, at, mark in zip(words, places, marks, strict=True):
        if at is None and generator.random() >= config.drop:
            grafts[behind].append(word)
        behind = behind if mark is None else mark + 1
    grafted = list(grafts[0])
    for word, graft in zip(document, grafts[1:], strict=True):
        grafted += [word, *graft]
    return grafted


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
