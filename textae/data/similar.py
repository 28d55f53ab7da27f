"""Documents that resemble a sentence: an inverted index over their rarer words."""

import heapq
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable

from textae.data.words import split_words


class SimilarDocuments:
    """Finds documents that share rare words with a sentence.

    Args:
        texts: the documents.
        common: words in more documents than this share of them are not looked up.
    """

    def __init__(self, texts: Iterable[str], common: float = 0.005):
        self.texts = list(texts)
        counts: Counter[str] = Counter()
        for text in self.texts:
            counts.update(set(split_words(text)))
        most = max(1.0, common * len(self.texts))
        # A word that a single document has is looked up, too: the sentence may have it as well.
        self.weights = {
            word: math.log(1.0 + len(self.texts) / count) for word, count in counts.items() if count <= most
        }
        self.index: dict[str, list[int]] = {word: [] for word in self.weights}
        for number, text in enumerate(self.texts):
            for word in set(split_words(text)):
                if word in self.index:
                    self.index[word].append(number)

    def nearest(self, words: list[str], count: int) -> list[tuple[float, str]]:
        """The ``count`` documents with the greatest summed weight of shared words, best first.

        Each comes with the share of the sentence's weight that it holds; there are fewer where
        fewer documents share a word.
        """
        scores: dict[int, float] = defaultdict(float)
        total = 0.0
        for word in dict.fromkeys(words):
            weight = self.weights.get(word, 0.0)
            total += weight
            for number in self.index.get(word, ()):
                scores[number] += weight
        best = heapq.nlargest(count, scores.items(), key=lambda item: (item[1], -item[0]))
        return [(score / total, self.texts[number]) for number, score in best]

    def draw(self, words: list[str], count: int, generator: random.Random) -> str | None:
        """One of the ``count`` nearest documents, or None where no document shares a word."""
        found = self.nearest(words, count)
        return generator.choice(found)[1] if found else None
