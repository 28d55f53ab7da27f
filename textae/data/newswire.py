"""The embedded corpus: a seeded generator of short news stories and, apart from them, of headlines.

It serves the demo, the tests and anyone without data. Everything in it is invented. A story has 25 to
70 words: a lead-in in two stories of three, the main fact, attributions, side facts about other
people and places. A headline has 6 to 11 words and rewords a main fact. Text is lower-case and
tokenised by spaces, as corpora for headline generation are.

Four streams never share a main fact, whatever their seeds: the documents, the headlines of other
stories, and the ``valid`` and ``test`` pairs. Which stream a fact may enter is decided by a checksum
of its kind and of the names in its headline, so a headline in training never belongs to a document
in training, and every pair for evaluation combines an event with names as no training text does. A
tenth of the places, family names and companies occurs in evaluation pairs only. The ``train`` pairs are
stories of the documents with their headlines, so they share no fact with the other three streams either.
"""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from textae.data.newswire_grammar import Fillers, Template, load_table, parse, pick, render, slot_names
from textae.errors import InputError, nearest

SHORTEST_STORY, LONGEST_STORY = 25, 70
SHORTEST_HEADLINE, LONGEST_HEADLINE = 6, 11
SHORTEST_LEAD_IN, LONGEST_LEAD_IN = 5, 15

_SPLITS = ("train", "valid", "test")
_STREAMS = {"valid": range(0, 2), "test": range(2, 4), "documents": range(4, 12), "headlines": range(12, 20)}
_BUCKETS = 20
"""Checksums of main facts are taken modulo this; each stream owns a range of remainders."""
_FEWER_SIDES = (0.15, 0.5, 0.85)
"""Shares of stories with no side sentence, at most one, at most two; the others have three."""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Story:
    """A story in parts; ``text`` joins them."""

    kind: str
    """Kind of event, such as ``"takeover"``."""
    lead_in: str
    """What stands before the main fact (attribution, scene, quote); may be empty."""
    fact: str
    """The clause with the main fact."""
    tail: str
    """Attribution after the fact and its full stop."""
    sides: tuple[str, ...]
    """Sentences after the main one."""
    headline: str
    """The main fact as a headline."""

    @property
    def text(self) -> str:
        """The whole story."""
        return " ".join(part for part in (self.lead_in, self.fact, self.tail, *self.sides) if part)


@dataclass(frozen=True)
class _Kind:
    facts: tuple[Template, ...]
    headlines: tuple[Template, ...]
    sides: tuple[Template, ...]
    key: tuple[str, ...]
    """Slots that occur in the headlines: with the kind they identify a main fact."""


def documents(count: int, seed: int = 0) -> list[str]:
    """Return ``count`` different stories to learn from; raises ``InputError`` if ``count`` is negative."""
    return _distinct(count, lambda index: story("documents", seed, index).text)


def headlines(count: int, seed: int = 0) -> list[str]:
    """Return ``count`` different headlines, none of a story that ``documents`` can return.

    Raises ``InputError`` if ``count`` is negative.
    """

    def headline(index: str) -> str:
        generator = random.Random(f"newswire/headlines/{seed}/{index}")
        name, fillers = _main_fact(generator, "headlines")
        return _headline(kinds()[name].headlines, fillers)

    return _distinct(count, headline)


def pairs(count: int, seed: int = 0, split: str = "valid") -> list[tuple[str, str]]:
    """Return ``count`` different (story, headline) pairs.

    ``split`` is ``"valid"`` or ``"test"`` for evaluation, or ``"train"``: the documents, with headlines.
    Raises ``InputError`` for any other, and if ``count`` is negative.
    """
    if split not in _SPLITS:
        raise InputError(
            f'newswire has no split "{split}"; choose "train", "valid" or "test"{nearest(split, _SPLITS)}'
        )
    stream = "documents" if split == "train" else split

    def pair(index: str) -> tuple[str, str]:
        parts = story(stream, seed, index)
        return parts.text, parts.headline

    return _distinct(count, pair)


def story(stream: str, seed: int, index: str) -> Story:
    """Return a story of a stream (``documents``, ``valid`` or ``test``) in its parts, with its headline."""
    generator = random.Random(f"newswire/{stream}/{seed}/{index}")
    name, fillers = _main_fact(generator, stream)
    kind = kinds()[name]
    wording = pick(generator, kind.facts)
    # a headline may only tell what the story tells
    told = slot_names(wording)
    headline = _headline(tuple(head for head in kind.headlines if slot_names(head) <= told), fillers)
    lead_in, sourced = _lead_in(generator, fillers)
    date = "" if sourced or generator.random() < 0.4 else f"on {fillers.get('day')}"
    fact = " ".join(render(wording, fillers).replace("@", date).split()).replace(", ,", ",")
    # one attribution is enough
    tail = "." if sourced or generator.random() < 0.5 else f"{_surrounding('tails', fillers)} ."
    sides = _sides(kind, fillers, sum(len(part.split()) for part in (lead_in, fact, tail)))
    return Story(name, lead_in, fact, tail, sides, headline)


@cache
def kinds() -> dict[str, _Kind]:
    """Return the kinds of event, parsed."""
    return {name: _parse_kind(entry) for name, entry in load_table("newswire_events.json")["kinds"].items()}


def _parse_kind(entry: dict[str, list[str]]) -> _Kind:
    facts, heads, sides = (tuple(map(parse, entry[part])) for part in ("facts", "headlines", "sides"))
    return _Kind(facts, heads, sides, tuple(sorted(set().union(*map(slot_names, heads)))))


@cache
def _surroundings() -> dict[str, tuple[Template, ...]]:
    table = load_table("newswire_events.json")["surroundings"]
    return {part: tuple(map(parse, texts)) for part, texts in table.items()}


def _surrounding(part: str, fillers: Fillers) -> str:
    return render(pick(fillers.generator, _surroundings()[part]), fillers)


def _distinct(count: int, make: Callable[[str], _Item]) -> list[_Item]:
    if count < 0:
        raise InputError(f"newswire count is {count}; ask for 0 or more texts")
    made: dict[_Item, None] = {}
    for index in range(count):
        attempt = 0
        while (item := make(f"{index}/{attempt}")) in made:
            attempt += 1
        made[item] = None
    return list(made)


def _main_fact(generator: random.Random, stream: str) -> tuple[str, Fillers]:
    """Draw a kind of event and its names until the fact belongs to the stream."""
    unseen = stream in ("valid", "test")
    while True:
        name = pick(generator, tuple(kinds()))
        fillers = Fillers(generator, unseen)
        key = "|".join((name, *(fillers.get(slot) for slot in kinds()[name].key)))
        if zlib.crc32(key.encode()) % _BUCKETS in _STREAMS[stream]:
            return name, fillers


def _headline(wordings: tuple[Template, ...], fillers: Fillers) -> str:
    """Return a headline; the names stay, the wording is drawn again until its length fits."""
    while True:
        text = render(pick(fillers.generator, wordings), fillers)
        if SHORTEST_HEADLINE <= len(text.split()) <= LONGEST_HEADLINE:
            return text


def _lead_in(generator: random.Random, fillers: Fillers) -> tuple[str, bool]:
    """Return what comes before the fact, and whether it gives a day or a source."""
    share = generator.random()
    if share < 0.34:
        return "", False
    part = "leads" if share < 0.76 else "scenes"
    while True:
        text = _surrounding(part, fillers)
        if SHORTEST_LEAD_IN <= len(text.split()) <= LONGEST_LEAD_IN:
            return text, part == "leads"


def _sides(kind: _Kind, fillers: Fillers, words: int) -> tuple[str, ...]:
    """Return sentences to follow: often one that names the main persons or places again."""
    generator = fillers.generator
    draw = generator.random()
    wanted = sum(draw >= share for share in _FEWER_SIDES)
    texts: list[str] = []
    related = generator.random() < 0.75
    while len(texts) < wanted or words < SHORTEST_STORY:
        own = related and not texts
        text = render(pick(generator, kind.sides), fillers) + " ." if own else _surrounding("sides", fillers)
        if text in texts or words + len(text.split()) > LONGEST_STORY:
            wanted -= 1
            continue
        texts.append(text)
        words += len(text.split())
    return tuple(texts)
