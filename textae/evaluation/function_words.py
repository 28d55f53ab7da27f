"""Function words of any language, learned from text: frequent words that seldom stand last."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator

from textae.data.words import split_words

# Where texts show which words stand last: the most frequent words are looked at.
FREQUENT_WORDS = 50
# A function word is last less than a seventh as often as words are in the mean.
SELDOM_LAST = 1 / 7
# Where they do not, the most frequent words alone are taken.
MOST_FREQUENT_WORDS = 10
# Either way a word must come so often, and make up this share of all words.
LEAST_COUNT = 2
LEAST_SHARE = 0.005


def learn_function_words(texts: Iterable[str], *, seldom_last: bool = True) -> set[str]:
    """Learn which words hardly end a text.

    A word is last where a mark or the end of the text follows. Words without any letter are none.

    Args:
        texts: documents.
        seldom_last: of the frequent words take those that are seldom last. Without it just the few
            most frequent, for texts whose own ends are in doubt.

    Returns:
        Words as :func:`bare_word` gives them.
    """
    counts: Counter[str] = Counter()
    last: Counter[str] = Counter()
    for text in texts:
        for word, is_last in _placed_words(text):
            counts[word] += 1
            last[word] += is_last
    total = sum(counts.values())
    frequent = [
        word
        for word, count in counts.most_common(FREQUENT_WORDS if seldom_last else MOST_FREQUENT_WORDS)
        if count >= max(LEAST_COUNT, LEAST_SHARE * total) and any(character.isalpha() for character in word)
    ]
    if not seldom_last:
        return set(frequent)
    mean = sum(last.values()) / max(1, total)
    return {word for word in frequent if last[word] / counts[word] < SELDOM_LAST * mean}


def bare_word(word: str) -> str:
    """``word`` in lower case without the marks around it; empty if it is nothing else.

    >>> bare_word('"Don\\'t,')
    "don't"
    """
    begin, end = 0, len(word)
    while begin < end and not _is_of_word(word[begin]):
        begin += 1
    while begin < end and not _is_of_word(word[end - 1]):
        end -= 1
    return word[begin:end].lower()


def _is_of_word(character: str) -> bool:
    # "#" stands for a digit in the Gigaword headline corpus.
    return character == "#" or unicodedata.category(character)[0] in "LMN"


def _placed_words(text: str) -> Iterator[tuple[str, bool]]:
    """Each word of ``text``, bare, and whether a mark or the end of the text follows it."""
    words = split_words(text)
    for position, word in enumerate(words):
        if bare := bare_word(word):
            at_end = position + 1 == len(words) or not bare_word(words[position + 1])
            yield bare, at_end or not _is_of_word(word[-1])
