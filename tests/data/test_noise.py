import random
from collections import Counter

import pytest

from textae.config import NoiseConfig
from textae.data import noise

WORDS = [f"w{i}" for i in range(10)]
OTHER = [f"o{i}" for i in range(6)]


class Scripted(random.Random):
    """A generator whose every number is given in advance, as (function name, result)."""

    def __init__(self, *script):
        super().__init__(0)
        self.script = list(script)

    def _next(self, name):
        expected, value = self.script.pop(0)
        assert expected == name
        return value

    def random(self):
        return self._next("random")

    def randint(self, a, b):
        value = self._next("randint")
        assert a <= value <= b
        return value

    def randrange(self, stop):
        value = self._next("randrange")
        assert 0 <= value < stop
        return value

    def gauss(self, mu=0.0, sigma=1.0):
        self.sigma = sigma
        return mu + self._next("gauss")


def test_fragments_are_inserted_whole_at_the_drawn_places():
    config = NoiseConfig(inserted_fragments=[2, 5], fragment_words=[1, 7], late_fragments=0.0)
    generator = Scripted(
        ("randint", 2),  # two fragments
        *[("randint", 3), ("randrange", 1), ("random", 0.0)],  # o1 o2 o3 in front
        *[("randint", 2), ("randrange", 4), ("random", 0.99)],  # o4 o5 at the end: round(5 * 0.99)
    )
    words = ["a", "b"]
    assert noise.insert_fragments(words, OTHER, config, generator) == ["o1", "o2", "o3", "a", "b", "o4", "o5"]
    assert words == ["a", "b"]


def test_a_fragment_longer_than_the_other_document_is_all_of_it():
    config = NoiseConfig(inserted_fragments=[1, 1], fragment_words=[9, 9])
    generator = Scripted(("randint", 1), ("randint", 9), ("randrange", 0), ("random", 0.9))
    assert noise.insert_fragments(["a"], ["x", "y"], config, generator) == ["a", "x", "y"]


@pytest.mark.parametrize(("late", "at"), [(0.0, 4), (1.0, 6), (3.0, 8)])
def test_late_fragments_stand_further_back(late, at):
    config = NoiseConfig(inserted_fragments=[1, 1], fragment_words=[1, 1], late_fragments=late)
    generator = Scripted(("randint", 1), ("randint", 1), ("randrange", 0), ("random", 0.36))
    # 10 * 0.36 = 3.6; 10 * 0.36 ** (1 / 2) = 6; 10 * 0.36 ** (1 / 4) = 7.7.
    assert noise.insert_fragments(WORDS, OTHER, config, generator).index("o0") == at


def test_without_another_document_nothing_is_inserted():
    words = ["a"]
    result = noise.insert_fragments(words, [], NoiseConfig(), random.Random(0))
    assert result == ["a"]
    assert result is not words


def test_number_and_length_of_fragments_stay_in_their_bounds():
    config = NoiseConfig(inserted_fragments=[2, 3], fragment_words=[2, 4])
    lengths = set()
    for seed in range(200):
        result = noise.insert_fragments(WORDS, OTHER, config, random.Random(seed))
        assert [word for word in result if word in WORDS] == WORDS
        lengths.add(len(result) - len(WORDS))
    assert lengths == set(range(4, 13))


def test_positions_are_jittered_by_a_normal_deviate():
    generator = Scripted(("gauss", 0.0), ("gauss", 1.5), ("gauss", -0.5), ("gauss", 0.0))
    # Keys 0, 2.5, 1.5, 3.
    assert noise.shuffle_locally(["a", "b", "c", "d"], 2.0, generator) == ["a", "c", "b", "d"]
    assert generator.sigma == 1.0


@pytest.mark.parametrize("distance", [0, -1.0])
def test_without_distance_nothing_moves(distance):
    words = list(WORDS)
    result = noise.shuffle_locally(words, distance, Scripted())
    assert result == WORDS
    assert result is not words


def test_words_move_further_with_more_distance():
    def moved(distance):
        total = 0
        for seed in range(100):
            result = noise.shuffle_locally(WORDS, distance, random.Random(seed))
            assert sorted(result) == WORDS
            total += sum(abs(result.index(word) - WORDS.index(word)) for word in WORDS)
        return total / (100 * len(WORDS))

    assert 0.0 < moved(1.0) < 1.0 < moved(8.0)


def test_dropping_by_hand():
    generator = Scripted(("random", 0.1), ("random", 0.3), ("random", 0.29))
    assert noise.drop_words(["a", "b", "c"], 0.3, generator) == ["b"]


def test_one_word_stays_and_no_rate_drops_nothing():
    assert noise.drop_words(["a", "b"], 1.0, random.Random(0)) == ["a"]
    assert noise.drop_words(WORDS, 0.0, random.Random(0)) == WORDS
    assert noise.drop_words([], 0.5, random.Random(0)) == []


def test_a_corrupted_sentence_keeps_its_words_among_foreign_ones():
    config = NoiseConfig(drop=0.0, shuffle_distance=4.0)
    result = noise.corrupt_sentence(WORDS, OTHER, config, random.Random(5))
    own = [word for word in result if word in WORDS]
    assert sorted(own) == WORDS
    assert own != WORDS
    assert set(result) - set(WORDS) <= set(OTHER)
    assert len(result) > len(WORDS)
    assert result == noise.corrupt_sentence(WORDS, OTHER, config, random.Random(5))
    assert result != noise.corrupt_sentence(WORDS, OTHER, config, random.Random(6))


def test_a_corrupted_sentence_loses_words_at_the_configured_rate():
    config = NoiseConfig(drop=0.4)
    kept = [
        sum(word in WORDS for word in noise.corrupt_sentence(WORDS, OTHER, config, random.Random(seed)))
        for seed in range(300)
    ]
    assert 5.6 < sum(kept) / len(kept) < 6.4


class Choosing(random.Random):
    """A seeded generator whose first ``randrange`` gives the wanted kind."""

    def __init__(self, kind, seed=0):
        self.kind = kind
        super().__init__(seed)

    def randrange(self, start, stop=None, step=1):
        if self.kind is not None and (start, stop) == (4, None):
            kind, self.kind = self.kind, None
            return kind
        return super().randrange(start, stop, step)


def test_kinds_of_broken_sentences():
    shuffled = noise.break_sentence(WORDS, Choosing(0))
    assert shuffled != WORDS
    assert sorted(shuffled) == WORDS

    thinned = noise.break_sentence(WORDS, Choosing(1))
    assert 0 < len(thinned) < len(WORDS)
    assert thinned == [word for word in WORDS if word in thinned]

    repeated = noise.break_sentence(WORDS, Choosing(2))
    (word, count), *_ = Counter(repeated).most_common()
    assert (count, len(repeated)) == (2, len(WORDS) + 1)
    assert repeated[repeated.index(word) + 1] == word

    for seed in range(20):  # never turned by nothing: it would be called broken and be whole
        turned = noise.break_sentence(WORDS, Choosing(3, seed=seed))
        begin = WORDS.index(turned[0])
        assert 0 < begin <= 5
        assert turned == WORDS[begin:] + WORDS[:begin]


def test_all_kinds_of_breaking_occur_and_one_word_is_enough():
    kinds = Counter()
    for seed in range(200):
        result = noise.break_sentence(WORDS, random.Random(seed))
        kinds[len(result) > 10, len(result) < 10, sorted(result) == WORDS] += 1
        assert noise.break_sentence(["alone"], random.Random(seed)) in (["alone"], ["alone", "alone"])
    assert len(kinds) == 3
    assert all(count > 20 for count in kinds.values())


def test_tokens_are_left_out_hidden_replaced_or_kept_by_one_number_each():
    config = NoiseConfig(document_delete=0.2, document_mask=0.3, document_replace=0.1)
    # Below 0.2 left out, below 0.5 hidden, below 0.6 replaced, else as it is.
    generator = Scripted(
        ("random", 0.19), ("random", 0.2), ("random", 0.49), ("random", 0.59), ("random", 0.6)
    )
    generator.choice = lambda other: other[1]
    assert noise.corrupt_tokens([11, 12, 13, 14, 15], [91, 92], config, 4, generator) == [4, 4, 92, 15]
    assert not generator.script


def test_tokens_are_moved_before_anything_else_and_one_is_left():
    config = NoiseConfig(document_shuffle=4.0, document_delete=0.5)
    generator = Scripted(("gauss", 5.0), ("gauss", 0.0), ("gauss", 0.0), *[("random", 0.4)] * 3)
    assert noise.corrupt_tokens([11, 12, 13], [], config, 4, generator) == [12]
    assert generator.sigma == 2.0


def test_without_noise_tokens_are_as_they_were():
    assert noise.corrupt_tokens([11, 12, 13], [91], NoiseConfig(), 4, random.Random(0)) == [11, 12, 13]
