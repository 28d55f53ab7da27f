"""Human sentences told by real documents: the nearest thing to a pair that unpaired text gives."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator

from textae.data.similar import SimilarDocuments
from textae.data.word_classes import WordClasses
from textae.data.words import SHORTEST_STEM, are_forms, split_words

# Words in more documents than this share are not looked up, and mark no place.
COMMON = 0.02
# A missing word takes the place of one of the document's at most so many words from a shared one.
REACH = 4
# A word is the sentences' own if they have it so often, and so many times as often as documents do.
OWN_COUNT, OWN_RATIO = 20, 20.0


class Grafts:
    """Rewrites a real document so that it tells what a sentence of other content says.

    Args:
        similar: finds documents and knows which words tell what a text is about; others, such as
            ``of``, mark no place.
        classes: knows which words may stand for each other.
        own: words that only sentences have. No document shows them, so nobody can learn to copy them:
            they stay out, and whoever restores the sentence learns when to write them.
    """

    def __init__(self, similar: SimilarDocuments, classes: WordClasses, own: set[str]):
        self.similar, self.classes, self.own = similar, classes, own

    @classmethod
    def from_texts(cls, documents: list[str], sentences: list[str]) -> "Grafts":
        """Learn from a corpus: documents and, of other content, sentences."""
        similar = SimilarDocuments(documents, COMMON, forms=True)
        classes = WordClasses(documents, similar.is_telling)
        return cls(similar, classes, own_words(documents, sentences))

    def graft(
        self, words: list[str], document: list[str], drop: float, generator: random.Random
    ) -> list[str]:
        """Put what ``document`` lacks of a sentence into it.

        The document is about something else but shares some words with the sentence. They stand in
        their place and in the document's form (``killed`` for ``kills``). A missing word takes the
        place of a word of its class near the shared word before it (``oslo`` for ``rome``, wherever
        ``rome`` stands), or near the first shared word if it comes before that; where there is none it
        goes right behind that shared word, or in front of the first. So the noise has the order, the
        attributions and the side facts of real documents.

        Args:
            words: of the sentence.
            document: words of the document.
            drop: share of missing words that stay missing.
            generator: decides which.
        """
        places = _places(words, document)
        marks = [
            at if self.similar.is_telling(word) else None for word, at in zip(words, places, strict=True)
        ]
        missing = [
            at is None and generator.random() >= drop and word not in self.own
            for word, at in zip(words, places, strict=True)
        ]
        instead = self._substitutes(words, document, places, marks, missing)
        behind = next((at for at in marks if at is not None), 0)
        grafts: list[list[str]] = [[] for _ in range(len(document) + 1)]
        for word, lacking, mark in zip(words, missing, marks, strict=True):
            if lacking and word not in instead.values():
                grafts[behind].append(word)
            behind = behind if mark is None else mark + 1
        grafted = list(grafts[0])
        for word, graft in zip(document, grafts[1:], strict=True):
            grafted += [instead.get(word, word), *graft]
        return grafted

    def _substitutes(
        self,
        words: list[str],
        document: list[str],
        places: list[int | None],
        marks: list[int | None],
        missing: list[bool],
    ) -> dict[str, str]:
        """Words of the document, each with the missing word that takes its place."""
        kept = {document[at] for at in places if at is not None}
        instead: dict[str, str] = {}
        for index, near in _surroundings(marks, len(document)):
            if not missing[index]:
                continue
            for at in near:
                other = document[at]
                if other not in kept and other not in instead and self.classes.are_alike(words[index], other):
                    instead[other] = words[index]
                    break
        return instead


def own_words(documents: Iterable[str], sentences: Iterable[str]) -> set[str]:
    """Words that sentences have often and documents hardly ever, such as the verbs of headlines."""
    there = Counter(word for text in documents for word in split_words(text))
    here = Counter(word for text in sentences for word in split_words(text))
    # Half a count, so that no document at all is not infinitely seldom.
    rate = OWN_RATIO * here.total() / max(1, there.total())
    return {
        word
        for word, count in here.items()
        if count >= OWN_COUNT and count + 0.5 >= rate * (there[word] + 0.5)
    }


def _places(words: list[str], document: list[str]) -> list[int | None]:
    """Where the document first has each word in some form."""
    # Forms of one word begin alike: few words have to be compared.
    stems: dict[str, list[int]] = {}
    for position, other in enumerate(document):
        stems.setdefault(other[:SHORTEST_STEM], []).append(position)
    return [
        next((at for at in stems.get(word[:SHORTEST_STEM], ()) if are_forms(word, document[at])), None)
        for word in words
    ]


def _surroundings(marks: list[int | None], length: int) -> Iterator[tuple[int, Iterable[int]]]:
    """For each word that is no mark, positions in the document where it may stand, the best first."""
    first = next((index for index, at in enumerate(marks) if at is not None), None)
    if first is None:
        return
    here = marks[first]
    assert here is not None
    for index in reversed(range(first)):
        yield index, range(here - 1, max(0, here - REACH) - 1, -1)
    before = here
    for index in range(first, len(marks)):
        mark = marks[index]
        if mark is not None:
            before = mark
            continue
        after = next((at for at in marks[index:] if at is not None), -1)
        end = min(length, before + 1 + REACH)
        yield index, range(before + 1, min(end, after) if after > before else end)
