"""Documents that are longer than a network reads: the sentences that tell most, in their order.

Sentences that share rarer words with many others are central: degree centrality, after Erkan and
Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization" (JAIR 2004). (A
random walk, their other way, gives sentences that only speak of each other no more than any.)
Nothing is learned and no language is known: sentences end at marks and at new lines, words weigh by
how few sentences have them, and earlier sentences count more, for texts that say the main thing first.
"""

import re
from collections import Counter
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from textae.data.normalization import normalize
from textae.data.tokenizer import Vocabulary
from textae.data.words import split_words
from textae.model_config import NormalizationConfig

# Sentences as similar as this say the same.
SAME = 0.5

# A full stop ends a sentence before white space, but not behind a single letter: "J. Doe", "U.S. troops".
# The marks of scripts without spaces need no white space: 3002 and ff61 are full stops, ff01 and ff1f are
# full-width; 61f and 6d4 are Arabic, 964 is Indic, 2026 an ellipsis. Quotes and brackets close behind them.
_END = re.compile(
    r"""(?: (?<!\b[^\W\d_])\. | [!?\u061f\u06d4\u0964\u2026] )+ ["')\]\u2019\u201d\xbb]* \s+
      | [\u3002\uff61\uff01\uff1f]+ [\u300d\u300f\u2019\u201d\uff09]* \s*
      | \n\s*
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"\w+")


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text`` in any script, each with the white space behind it.

    >>> split_sentences("It rained. Who knew? 下雨了。天晴。")
    ['It rained. ', 'Who knew? ', '下雨了。', '天晴。']
    """
    ends = [match.end() for match in _END.finditer(text)]
    bounds = [0, *(end for end in ends if end < len(text)), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(bounds)]
    sentences: list[str] = []
    for piece in pieces:
        if sentences and not _WORD.search(piece):  # marks alone, such as "* * *"
            sentences[-1] += piece
        elif piece:
            sentences.append(piece)
    return sentences


def condense(text: str, vocabulary: Vocabulary, normalization: NormalizationConfig, window: int) -> list[int]:
    """Token ids, at most ``window``, of the sentences of ``text`` that tell most, in their order.

    The most central ones are taken while they fit; those that say what a chosen one says, only where
    room is left after all others. What room then is left goes to the beginning, cut behind a word, of
    the best later sentence of which half or more fits. Where no sentence fits, the best one is cut.

    Args:
        text: as it was given, for sentences may end at new lines.
        vocabulary: encodes the sentences.
        normalization: how they are cleaned before.
        window: most tokens.
    """
    given = split_sentences(text)
    sentences = [normalize(sentence, normalization) for sentence in given]
    rows = vocabulary.encode(sentences)
    vectors = _Vectors(sentences)
    ranked = [int(i) for i in np.argsort(-vectors.centrality(), kind="stable") if rows[i]]
    chosen = _choose(ranked, [len(row) for row in rows], vectors, window)
    room = window - sum(len(rows[i]) for i in chosen)
    parts = {i: given[i] for i in chosen}
    for i in ranked:
        # Nothing may follow what is cut: the two would read as one.
        if not chosen or (i > max(chosen) and 2 * room >= len(rows[i])):
            (beginning,) = vocabulary.decode([cut_at_word(rows[i], room, vocabulary)])
            # Half a character at the end is none.
            parts[i] = beginning.rstrip("\ufffd") + " "
            break
    # As one text, for tokenizers may join what meets; so it can be some tokens more than the parts.
    whole = normalize("".join(parts[i] for i in sorted(parts)), normalization)
    (row,) = vocabulary.encode([whole])
    return cut_at_word(row, window, vocabulary)


def _choose(ranked: list[int], costs: list[int], vectors: "_Vectors", window: int) -> set[int]:
    """The sentences that fit, best first; those that repeat chosen ones only after all others."""
    room, least = window, min((costs[i] for i in ranked), default=0)
    chosen: list[int] = []
    repeats: list[int] = []
    for i in ranked:
        if room < least:
            break
        if costs[i] > room:
            continue
        if any(vectors.similarity(i, j) >= SAME for j in chosen):
            repeats.append(i)
            continue
        chosen.append(i)
        room -= costs[i]
    for i in repeats:
        if costs[i] <= room:
            chosen.append(i)
            room -= costs[i]
    return set(chosen)


def cut_at_word(row: list[int], limit: int, vocabulary: Vocabulary) -> list[int]:
    """The first ``limit`` ids of ``row``, without the beginning of a word that is cut off there."""
    if len(row) <= limit:
        return row
    attaches = vocabulary.attaches
    end = limit
    while end > 0 and attaches[row[end]]:
        end -= 1
    return row[: end or limit]


class _Vectors:
    """Sentences as unit vectors over words, weighted by inverse sentence frequency."""

    def __init__(self, sentences: list[str]):
        words = [_WORD.findall(" ".join(split_words(text.lower()))) for text in sentences]
        holders = Counter(word for row in words for word in set(row))
        weights = {word: np.log((len(words) + 1) / (count + 0.5)) for word, count in holders.items()}
        self.vectors: list[dict[str, float]] = []
        norms: list[float] = []
        for row in words:
            vector = {word: count * weights[word] for word, count in Counter(row).items()}
            norm = float(np.sqrt(sum(value * value for value in vector.values())))
            norms.append(norm)
            self.vectors.append({word: value / norm for word, value in vector.items()} if norm else {})
        self.norms = np.array(norms)
        numbers = {word: number for number, word in enumerate(holders)}
        self.width = len(numbers)
        self.rows = np.array([i for i, vector in enumerate(self.vectors) for _ in vector], dtype=np.int64)
        self.columns = np.array([numbers[word] for vector in self.vectors for word in vector], dtype=np.int64)
        self.values = np.array([value for vector in self.vectors for value in vector.values()])

    def similarity(self, first: int, second: int) -> float:
        """The cosine of two sentences."""
        one, other = self.vectors[first], self.vectors[second]
        return sum(value * other[word] for word, value in one.items() if word in other)

    def centrality(self) -> NDArray[np.float64]:
        """How much each sentence (N,) has in common with all others, earlier ones counting up to twice.

        The cosines (N, N) are never written out: their sums are products of the vectors. Sentences of
        less weight than the mean lose in proportion, for a few common words are close to everything.
        """
        count = len(self.vectors)
        if not self.width:
            return np.zeros(count)
        words = np.bincount(self.columns, self.values, minlength=self.width)
        sums = np.bincount(self.rows, self.values * words[self.columns], minlength=count)
        shared = sums - np.bincount(self.rows, self.values**2, minlength=count)  # without itself
        shared[shared < 1e-9] = 0.0
        shared *= np.minimum(1.0, self.norms / max(float(self.norms.mean()), 1e-9))
        return shared * (1.0 + 1.0 / np.sqrt(np.arange(count) + 1.0))
