"""Documents that resemble a sentence: an inverted index over their rarer words."""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable

from textae.data.words import SHORTEST_STEM, are_forms, split_words


class SimilarDocuments:
    """Finds documents that share rare words with a sentence.

    Args:
        texts: the documents.
        common: words in more documents than this share of them are not looked up.
        forms: forms of a word, such as ``killed`` and ``kills``, count as one.
    """

    def __init__(self, texts: Iterable[str], common: float = 0.005, forms: bool = False):
        self.texts = list(texts)
        self.forms = forms
        self.most = max(1.0, common * len(self.texts))
        self.index: dict[str, list[int]] = defaultdict(list)
        for number, text in enumerate(self.texts):
            for word in set(split_words(text)):
                self.index[word].append(number)
        self.stems: dict[str, list[str]] = defaultdict(list)
        for word in self.index if forms else ():
            self.stems[word[:SHORTEST_STEM]].append(word)
        self.found: dict[str, list[int]] = {}

    def documents_with(self, word: str) -> list[int]:
        """Numbers of the documents that have the word, in any form if forms count as one."""
        if not self.forms:
            return self.index.get(word, [])
        if word not in self.found:
            forms = [form for form in self.stems.get(word[:SHORTEST_STEM], ()) if are_forms(word, form)]
            self.found[word] = sorted({number for form in forms for number in self.index[form]})
        return self.found[word]

    def weight(self, word: str) -> float:
        """How much a word tells of what a text is about: 0 for common ones, most for unknown ones."""
        count = len(self.documents_with(word))
        return math.log(1.0 + len(self.texts) / max(count, 1)) if count <= self.most else 0.0

    def is_telling(self, word: str) -> bool:
        """Whether a word is rare enough to be looked up."""
        return self.weight(word) > 0

    def nearest(self, words: list[str], count: int) -> list[tuple[float, str]]:
        """The ``count`` documents with the greatest summed weight of shared words, best first.

        Each comes with the share of the sentence's weight that it holds; there are fewer where
        fewer documents share a word.
        """
        scores: dict[int, float] = defaultdict(float)
        total = 0.0
        for word in dict.fromkeys(words):
            weight = self.weight(word)
            total += weight
            if weight > 0:
                for number in self.documents_with(word):
                    scores[number] += weight
        best = heapq.nlargest(count, scores.items(), key=lambda item: (item[1], -item[0]))
        return [(score / total, self.texts[number]) for number, score in best]
