"""What texts alone show of collapse."""

import pytest

from textae.data.collapse import repeated_at_once, repeated_bigrams, repeated_share, repetitions


def test_repeated_share():
    assert repeated_share(["a", "b", "a", "a"]) == 0.5
    assert repeated_share(["a", "b"]) == repeated_share([]) == 0.0


@pytest.mark.parametrize(
    ("text", "at_once", "bigrams", "all_together"),
    [
        ("", 0, 0, 0),
        ("rain", 0, 0, 0),
        ("rain rain rain", 2, 1, 5),  # two long words besides
        ("in the north in the south", 0, 1, 1),
        ("rain in the north and rain", 0, 0, 1),
        ("北 北 山", 1, 0, 1),
    ],
)
def test_repetitions_within_a_text(text, at_once, bigrams, all_together):
    words = text.split()
    assert (repeated_at_once(words), repeated_bigrams(words)) == (at_once, bigrams)
    assert repetitions(words) == all_together
