"""Signs of collapse that texts alone show, with their bounds: for the log of training, and for an audit."""

from itertools import pairwise

from textae.data.words import LONGEST_FUNCTION_WORD

# Beyond these shares a model has collapsed: of summaries that another one equals, and of those that
# repeat themselves.
MOST_REPEATED = 0.3
MOST_REPETITIVE = 0.5
# In words on average: below, summaries are nearly empty.
FEWEST_WORDS = 2.0


def repeated_share(texts: list[str]) -> float:
    """Share of texts that would go if each were there once; 0 for none."""
    return (len(texts) - len(set(texts))) / len(texts) if texts else 0.0


def repeated_at_once(words: list[str]) -> int:
    """Number of words that repeat the word before."""
    return sum(first == second for first, second in pairwise(words))


def repeated_bigrams(words: list[str]) -> int:
    """Number of bigrams that stood before."""
    bigrams = list(pairwise(words))
    return len(bigrams) - len(set(bigrams))


def repetitions(words: list[str]) -> int:
    """Count what a headline does not say twice.

    These are words that repeat the word before, bigrams that stood before, and words of more than
    three letters that stood before: function words may come again, ``japan 's ... nec 's`` too.

    >>> repetitions("rain rain in the north and in the south".split())
    3
    """
    long = [word for word in words if len(word) > LONGEST_FUNCTION_WORD]
    return repeated_at_once(words) + repeated_bigrams(words) + len(long) - len(set(long))
