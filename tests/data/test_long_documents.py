"""Sentences of long documents: where they end, which are chosen, what is cut."""

import random
import time

import numpy as np
import pytest

from textae.data.long_documents import _Vectors, condense, cut_at_word, split_sentences
from textae.data.tokenizer import train_tokenizer, vocabulary_of
from textae.model_config import NormalizationConfig

PLAIN = NormalizationConfig()
FILLERS = [
    "the cat slept on warm stones",
    "rain fell over empty fields",
    "someone painted seven chairs blue",
    "her uncle collects old spoons",
    "a tall tree grew behind walls",
    "they played cards until midnight",
    "no letters came that week",
    "its clock had stopped again",
]
FACT = "mayor ruth adler closed harbour bridge"


@pytest.fixture(scope="module")
def vocabulary():
    """Every word that these tests use is one token."""
    texts = [*FILLERS, FACT, "after because when cracks engineers found were in and the of bridge harbour ."]
    return vocabulary_of(train_tokenizer(texts * 20, 600))


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It rained. Who knew?  I did!", ["It rained. ", "Who knew?  ", "I did!"]),
        ("下雨了。天晴\uff01谁知道\uff1f我", ["下雨了。", "天晴\uff01", "谁知道\uff1f", "我"]),
        ("「走吧。」他说。", ["「走吧。」", "他说。"]),
        ("first line\nsecond\n\n  third", ["first line\n", "second\n\n  ", "third"]),
        ('He said "no." Then he left...  Why?!', ['He said "no." ', "Then he left...  ", "Why?!"]),
        ("J. R. Roe of the U.S. Army had 3.5. Done", ["J. R. Roe of the U.S. Army had 3.5. ", "Done"]),
        ("he left . she stayed .", ["he left . ", "she stayed ."]),
        ("क्या? हाँ। ठीक", ["क्या? ", "हाँ। ", "ठीक"]),
        ("هل؟ نعم. لا", ["هل؟ ", "نعم. ", "لا"]),
        ("one\n* * *\n...\ntwo", ["one\n* * *\n...\n", "two"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_end_at_marks_and_new_lines_in_any_script(text, sentences):
    assert split_sentences(text) == sentences


def test_a_split_loses_nothing():
    generator = random.Random(0)
    for _ in range(200):
        text = "".join(generator.choices("ab .!?\n\u3002\u201d京 ", k=30))
        assert "".join(split_sentences(text)) == text


def test_similarity_and_centrality_by_hand():
    # Three sentences: "a" is in two, the other words are in one each.
    vectors = _Vectors(["a b", "a c", "d"])
    a, b = np.log(4 / 2.5), np.log(4 / 1.5)
    cosine = a * a / (a * a + b * b)
    assert vectors.similarity(0, 1) == pytest.approx(cosine)
    assert (vectors.similarity(0, 2), vectors.similarity(2, 2)) == (0.0, pytest.approx(1.0))
    # The third has less weight than the mean, but shares nothing anyhow. Places count 1 / sqrt(n) more.
    expected = [2 * cosine, (1 + 1 / np.sqrt(2)) * cosine, 0.0]
    assert vectors.centrality() == pytest.approx(expected)


def test_a_few_common_words_are_not_central():
    # "a" is in all four; alone it has the cosine 1 with itself, and more with each other than these have.
    vectors = _Vectors(["a b c", "a b d", "a b e", "a"])
    all_four, b, one = np.log(5 / 4.5), np.log(5 / 3.5), np.log(5 / 1.5)
    norms = np.sqrt([all_four**2 + b**2 + one**2] * 3 + [all_four**2])
    others = 2 * (all_four**2 + b**2) / norms[0] ** 2 + all_four / norms[0]
    last = 3 * all_four / norms[0] * norms[3] / norms.mean()
    assert vectors.centrality()[[0, 3]] == pytest.approx([2 * others, 1.5 * last])


def test_where_nothing_is_shared_the_beginning_is_told(vocabulary):
    assert not _Vectors(["a b", "c d", "", "e f"]).centrality().any()
    assert len(_Vectors([]).centrality()) == 0
    assert told(vocabulary, FILLERS[4:7], 15) == " . ".join(FILLERS[4:6]) + " ."


def told(vocabulary, sentences, window, join=" . "):
    text = join.join(sentences) + join.rstrip()
    row = condense(text, vocabulary, PLAIN, window)
    assert len(row) <= window
    return vocabulary.decode([row])[0]


def test_a_fact_that_is_told_again_and_again_on_the_last_page_is_chosen(vocabulary):
    again = [
        FACT,
        "engineers found cracks in harbour bridge",
        "the cracks were found when mayor adler closed the bridge",
    ]
    # Pages about this and that: common words, and others that come once each.
    pages = [f"in the end b{number} was after the c{number} of d{number}" for number in range(40)]
    sentences = [*pages, *again]
    window = sum(len(row) + 1 for row in vocabulary.encode(again))
    assert told(vocabulary, sentences, window) == " . ".join(again) + " ."
    # Less room: the best of them, still in their order and whole.
    parts = told(vocabulary, sentences, window - 6).removesuffix(" .").split(" . ")
    assert parts[-1] in again and set(parts) <= set(sentences)
    assert [sentences.index(part) for part in parts] == sorted(sentences.index(part) for part in parts)


def test_what_says_the_same_is_chosen_once(vocabulary):
    sentences = [FACT, *FILLERS[:3], FACT, *FILLERS[3:6], FACT]
    text = told(vocabulary, sentences, 21)
    assert text.count(FACT) == 1
    assert len(text.split(" . ")) == 3
    # Where all say the same, room is not left empty.
    assert told(vocabulary, [FACT] * 9, 14).count(FACT) == 2


def test_room_that_is_left_goes_to_the_beginning_of_a_later_sentence(vocabulary):
    first, second = FILLERS[0], FILLERS[1]  # 6 and 5 words, and a full stop each
    assert told(vocabulary, [first, second], 11) == f"{first} . rain fell over empty"
    assert told(vocabulary, [first, second], 10) == f"{first} . rain fell over"
    # Of less than half of it nothing is told.
    assert told(vocabulary, [first, second], 9) == f"{first} ."


def test_a_single_sentence_is_cut_at_a_word(vocabulary):
    sentence = " ".join(FILLERS)
    words = sentence.split()
    assert told(vocabulary, [sentence], 10) == " ".join(words[:10])
    (row,) = vocabulary.encode(["the harbour-bridges of zzzebra"])
    pieces = vocabulary.decode([[token] for token in row])
    assert len(pieces) > 5
    for limit in range(1, len(row) + 1):
        cut = vocabulary.decode([cut_at_word(row, limit, vocabulary)])[0]
        assert cut in (
            "the",
            "the harbour-bridges",
            "the harbour-bridges of",
            "the harbour-bridges of zzzebra",
        )
    # A word longer than the limit has to be cut inside.
    assert cut_at_word(row[-4:], 2, vocabulary) == row[-4:-2]
    assert cut_at_word(row, 0, vocabulary) == []


def test_half_a_chinese_character_is_not_told(vocabulary):
    text = "桥北山" * 30
    for window in (10, 11, 12):
        row = condense(text, vocabulary, PLAIN, window)
        assert len(row) <= window
        assert text.startswith(vocabulary.decode([row])[0])


def test_chinese_sentences_are_chosen_without_spaces_between_them():
    sentences = ["大雪之后桥关闭。", "他喝茶看书。", "桥在周一关闭。", "猫睡了一天。"]
    vocabulary = vocabulary_of(train_tokenizer(sentences * 20, 400))
    row = condense("".join(sentences * 2), vocabulary, PLAIN, 12)
    text = vocabulary.decode([row])[0]
    assert "桥关闭。" in text and " " not in text and len(row) <= 12


def test_normalisation_comes_after_the_split(vocabulary):
    settings = NormalizationConfig(lowercase=True, split_punctuation=True)
    text = f"{FACT.upper()}.\n{FILLERS[0].upper()}\n{FILLERS[1].upper()}."
    row = condense(text, vocabulary, settings, 13)
    assert vocabulary.decode([row]) == [f"{FACT} . {FILLERS[0]}"]


def test_nothing_to_tell_is_nothing(vocabulary):
    assert condense("", vocabulary, PLAIN, 5) == []
    assert condense(" \n ", vocabulary, PLAIN, 5) == []
    assert 1 <= len(condense("... !? " * 20, vocabulary, PLAIN, 5)) <= 5  # not a single word


def test_the_choice_is_the_same_each_time_and_fast_enough_for_a_book(vocabulary):
    generator = random.Random(1)
    words = [word for filler in FILLERS for word in filler.split()]
    sentences = [" ".join(generator.choices(words, k=19)) + " ." for _ in range(5000)]
    begin = time.process_time()
    row = condense(" ".join(sentences), vocabulary, PLAIN, 96)
    # 100,000 words take a second or two; to compare all pairs of sentences would take far longer.
    assert time.process_time() - begin < 20
    assert len(row) > 60
    text = " ".join(sentences[:100])
    assert condense(text, vocabulary, PLAIN, 96) == condense(text, vocabulary, PLAIN, 96)
