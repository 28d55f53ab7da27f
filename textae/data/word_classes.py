"""Which words are of one class, such as two names of places, told by the words beside them."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise

from textae.data.words import split_words

# Two words are of one class if their neighbours' counts have at least this cosine.
ALIKE = 0.7
# Words in more texts than this share, such as "the", are of no class.
COMMON = 0.1

_RARE = "<rare>"


class WordClasses:
    """Tells words of one class by their neighbours (distributional similarity, Harris 1954).

    Args:
        texts: where the words are met.
        telling: whether a word is rare; all rare words count as one where they are neighbours, for
            names stand beside many different names.
    """

    def __init__(self, texts: Iterable[str], telling: Callable[[str], bool]):
        self.neighbours: dict[str, Counter[tuple[int, str]]] = defaultdict(Counter)
        seen: Counter[str] = Counter()
        total = 0
        neighbour_of: dict[str, str] = {}
        for text in texts:
            words = split_words(text)
            total += 1
            seen.update(set(words))
            for word in words:
                if word not in neighbour_of:
                    neighbour_of[word] = _RARE if telling(word) else word
            for first, second in pairwise(words):
                self.neighbours[first][1, neighbour_of[second]] += 1
                self.neighbours[second][-1, neighbour_of[first]] += 1
        for word, count in seen.items():
            if count > COMMON * total:
                self.neighbours.pop(word, None)
        self.lengths = {
            word: math.sqrt(sum(count * count for count in counts.values()))
            for word, counts in self.neighbours.items()
        }
        self.found: dict[tuple[str, str], bool] = {}

    def are_alike(self, first: str, second: str) -> bool:
        """Whether two words are of one class; a word that was never met is of none."""
        if (first, second) not in self.found:
            self.found[first, second] = self._cosine(first, second) >= ALIKE
        return self.found[first, second]

    def _cosine(self, first: str, second: str) -> float:
        if first not in self.lengths or second not in self.lengths:
            return 0.0
        one, other = self.neighbours[first], self.neighbours[second]
        product = sum(count * other[neighbour] for neighbour, count in one.items() if neighbour in other)
        return product / (self.lengths[first] * self.lengths[second])
