"""The small grammar behind the embedded corpus: templates, and the names and numbers that fill them.

A template is plain text with ``{slot}`` to fill, ``(one|other)`` to choose from and ``[perhaps]`` to
keep at times; groups nest. A slot is named after its type and may carry a digit, so that
``{place}`` and ``{place2}`` are two different places. ``{person.s}`` is a filler's short form: the
family name, the adjective of a country, an amount without its currency.
"""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

Template = tuple[Any, ...]
"""A parsed template: strings, ``("slot", name, short)`` and ``("choice", share of silence, templates)``."""

RESERVED_SHARE = 0.1
"""Share of the places, family names and companies that training stories never use."""

UNSEEN_RATE = 0.25
"""How often a name in a valid or test story is one of the reserved ones."""

SILENCE = 0.6
"""How often an optional part of a template is left out."""

_MARK = re.compile(r"[\[\](){}|]|[^\[\](){}|]+")
_SMALL = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def load_table(name: str) -> dict[str, Any]:
    """Return a JSON table that lies beside this module."""
    return json.loads(files("textae.data").joinpath(name).read_text(encoding="utf-8"))


def below(generator: random.Random, bound: int) -> int:
    """Return an integer from 0 to ``bound`` - 1; only ``random()`` keeps its sequence in every Python."""
    return int(generator.random() * bound)


def pick(generator: random.Random, items: list[Any] | tuple[Any, ...]) -> Any:
    """Return one of the items."""
    return items[below(generator, len(items))]


def shuffled(items: list[str], seed: str) -> list[str]:
    """Return the items in an order that depends on the seed alone."""
    generator = random.Random(seed)
    return [item for _, item in sorted((generator.random(), item) for item in items)]


@cache
def parse(text: str) -> Template:
    """Parse a template once; ``ValueError`` if its brackets do not match."""
    tokens = _MARK.findall(text)
    template, position = _parse_sequence(tokens, 0)
    if position != len(tokens):
        raise ValueError(f'unbalanced brackets in the template "{text}"')
    return template


def _parse_sequence(tokens: list[str], position: int) -> tuple[Template, int]:
    parts: list[Any] = []
    while position < len(tokens) and tokens[position] not in ("|", ")", "]"):
        token = tokens[position]
        if token == "{":
            name, _, form = tokens[position + 1].partition(".")
            parts.append(("slot", name, form == "s"))
            position += 3
        elif token in "([":
            choices: list[Template] = []
            closing = ")" if token == "(" else "]"
            while not choices or tokens[position] == "|":
                choice, position = _parse_sequence(tokens, position + 1)
                choices.append(choice)
                if position == len(tokens):
                    raise ValueError(f'no "{closing}" in the template "{"".join(tokens)}"')
            parts.append(("choice", 0.0 if token == "(" else SILENCE, tuple(choices)))
            position += 1
        else:
            parts.append(token)
            position += 1
    return tuple(parts), position


def slot_names(template: Template) -> set[str]:
    """Return the names of all slots in a template."""
    names: set[str] = set()
    for part in template:
        if isinstance(part, tuple) and part[0] == "slot":
            names.add(part[1])
        elif isinstance(part, tuple):
            names.update(*(slot_names(choice) for choice in part[2]))
    return names


@dataclass
class Fillers:
    """The names and numbers of one story: each slot is drawn when first asked for, and then kept."""

    generator: random.Random
    """Where the draws come from."""
    unseen: bool = False
    """Whether names that are reserved for evaluation may be drawn."""
    values: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The long and the short form of each slot drawn so far."""
    names_used: set[str] = field(default_factory=set)
    """Every name drawn so far, so that no two slots share one."""

    def get(self, slot: str, short: bool = False) -> str:
        """Return the filler of a slot."""
        if slot not in self.values:
            kind = slot.rstrip("0123456789")
            for _ in range(20):
                value = self._draw(kind)
                if value[0] not in self.names_used:
                    break
            self.names_used.add(value[0])
            self.values[slot] = value
        return self.values[slot][short]

    def _draw(self, kind: str) -> tuple[str, str]:
        compose = COMPOSED.get(kind)
        if compose is not None:
            long, _, short = compose(self).partition("|")
        else:
            long, _, short = pick(self.generator, name_lists()[kind]).partition("|")
        return long, short or long

    def name(self, kind: str) -> str:
        """Return a place, family name or company, a reserved one at times where that is allowed."""
        common, reserved = reserved_lists()[kind]
        return pick(
            self.generator, reserved if self.unseen and self.generator.random() < UNSEEN_RATE else common
        )

    def number(self, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``."""
        return low + below(self.generator, high - low + 1)


def render(template: Template, fillers: Fillers) -> str:
    """Return a template's text: choices made, slots filled, single spaces, "an" where it belongs."""
    parts: list[str] = []
    _render(template, fillers, parts)
    words = "".join(parts).replace(", ,", ",").split()
    for index in range(len(words) - 1):
        if words[index] == "a" and re.match(r"[aeio]|u(?!ni|k)|8|11\b|18\b", words[index + 1]):
            words[index] = "an"
    return " ".join(words)


def _render(template: Template, fillers: Fillers, parts: list[str]) -> None:
    for part in template:
        if isinstance(part, str):
            parts.append(part)
        elif part[0] == "slot":
            parts.append(fillers.get(part[1], part[2]))
        elif not part[1] or fillers.generator.random() >= part[1]:
            _render(pick(fillers.generator, part[2]), fillers, parts)


@cache
def name_lists() -> dict[str, list[str]]:
    """Return the fillers that are plain lists."""
    return load_table("newswire_names.json")


@cache
def reserved_lists() -> dict[str, tuple[list[str], list[str]]]:
    """Return, for places, family names and companies, the common ones and those kept for evaluation."""
    lists = name_lists()
    taken = {
        word for key, items in lists.items() if "_" not in key for item in items for word in item.split()
    }

    def combine(kind: str, count: int, gap: str = "") -> list[str]:
        names = [
            root + gap + end
            for root in lists[f"root_{kind}"]
            for end in lists[f"end_{kind}"]
            if gap or (root[-1] != end[0] and root + end not in taken)
        ]
        return shuffled(names, f"newswire {kind}")[:count]

    places = combine("place", 360)
    # a fifth of the places has a word in front, as in "port ellin"
    fronts = lists["front_place"]
    names = {
        "place": [
            f"{fronts[index // 5 % len(fronts)]} {place}" if index % 5 == 0 else place
            for index, place in enumerate(places)
        ],
        "family": combine("family", 340),
        "company": combine("company", 240, gap=" "),
    }
    cut = {kind: round(len(items) * RESERVED_SHARE) for kind, items in names.items()}
    return {kind: (items[cut[kind] :], items[: cut[kind]]) for kind, items in names.items()}


def _person(fillers: Fillers) -> str:
    family = fillers.name("family")
    return f"{pick(fillers.generator, name_lists()['given'])} {family}|{family}"


def _team(fillers: Fillers) -> str:
    place = fillers.name("place")
    return f"{place} {pick(fillers.generator, name_lists()['nickname'])}|{place}"


def _company(fillers: Fillers) -> str:
    name = fillers.name("company")
    return f"{name}|{name.split()[0]}"


def _title(fillers: Fillers) -> str:
    lists = name_lists()
    return f"{pick(fillers.generator, lists['adjective'])} {pick(fillers.generator, lists['noun'])}"


def _count(fillers: Fillers) -> str:
    return (
        str(fillers.number(13, 95))
        if fillers.generator.random() < 0.6
        else pick(fillers.generator, _SMALL[1:])
    )


def _big(fillers: Fillers) -> str:
    if fillers.generator.random() < 0.5:
        return str(fillers.number(11, 99) * 10)
    return f"{fillers.number(1, 9)},{fillers.number(1, 9)}00"


def _bigger(fillers: Fillers) -> str:
    if fillers.generator.random() < 0.2:
        return f"{fillers.number(1, 9)}.{fillers.number(1, 9)} million"
    return f"{fillers.number(11, 99) * (10 if fillers.generator.random() < 0.3 else 1)},000"


def _money(fillers: Fillers) -> str:
    currency = "dollars" if fillers.generator.random() < 0.7 else "crowns"
    shape = fillers.generator.random()
    if shape < 0.45:
        amount = f"{fillers.number(1, 9)}.{fillers.number(1, 9)} million"
    elif shape < 0.85:
        amount = f"{fillers.number(10, 95)} million"
    else:
        amount = f"{fillers.number(1, 9)}.{fillers.number(1, 9)} billion"
    return f"{amount} {currency}|{amount}"


def _sum(fillers: Fillers) -> str:
    currency = "dollars" if fillers.generator.random() < 0.7 else "crowns"
    if fillers.generator.random() < 0.4:
        amount = f"{fillers.number(1, 9)}.{fillers.number(1, 9)} million"
    else:
        amount = f"{fillers.number(11, 98) * 10},000"
    return f"{amount} {currency}|{amount}"


def _percent(fillers: Fillers) -> str:
    half = ".5" if fillers.generator.random() < 0.3 else ""
    return f"{fillers.number(2, 19)}{half}"


def _score(fillers: Fillers) -> str:
    lead, behind = fillers.number(1, 3), fillers.number(0, 3)
    return f"{lead + behind}-{behind}"


def _range(low: int, high: int, step: int = 1) -> Callable[[Fillers], str]:
    return lambda fillers: str(fillers.number(low // step, high // step) * step)


COMPOSED: dict[str, Callable[[Fillers], str]] = {
    "place": lambda fillers: fillers.name("place"),
    "person": _person,
    "company": _company,
    "team": _team,
    "title": _title,
    "small": lambda fillers: pick(fillers.generator, _SMALL),
    "count": _count,
    "big": _big,
    "bigger": _bigger,
    "money": _money,
    "sum": _sum,
    "percent": _percent,
    "share": _range(20, 85),
    "age": _range(34, 97),
    "youth": _range(11, 19),
    "degrees": _range(2, 29),
    "heat": _range(39, 49),
    "speed": _range(110, 190, 10),
    "limit": _range(20, 80, 10),
    "year": _range(1931, 2021),
    "future": _range(2031, 2050),
    "oldyear": _range(1480, 1890),
    "score": _score,
    "magnitude": lambda fillers: f"{fillers.number(5, 7)}.{fillers.number(1, 9)}",
    "fraction": lambda fillers: pick(fillers.generator, ("0.25", "0.5", "0.75")),
}
"""How to draw a filler, with its short form after a bar, of the types that are no plain lists."""
