"""Function words learned from text of any language."""

import pytest

from textae.evaluation.function_words import bare_word, learn_function_words


@pytest.mark.parametrize(
    ("word", "bare"),
    [("The", "the"), ("'s", "s"), ("mill.", "mill"), ("(u.s.)", "u.s"), ("--", ""), ("##-year", "##-year"),
     ("हिन्दी।", "हिन्दी")],
)  # fmt: skip
def test_bare_word(word, bare):
    assert bare_word(word) == bare


def test_frequent_words_that_are_seldom_last():
    # "the" is never last, "mill" twice of three times (before a mark, and at the end); "1900" has no letter,
    # and "of" and "old" come once.
    texts = ["the mill burnt , the mill of 1900", "The mill, the old 1900 mill"]
    # 13 words, of which burnt, 1900, mill and mill are last.
    assert learn_function_words(texts) == {"the"}


def test_the_bound_is_a_seventh_of_the_mean():
    # 30 of 60 words are last, so that a function word is last in less than 1/14 of its places.
    often = [f"to x{number}" for number in range(13)] + ["x to"]
    rare = [f"at y{number}" for number in range(15)] + ["y at"]
    assert "to" not in learn_function_words(often)  # 1 of 14
    assert "at" in learn_function_words(rare)  # 1 of 16


def test_rare_words_are_none():
    texts = ["the cat"] * 100 + ["of cat"]  # one of 202 words is less than 0.5%
    assert learn_function_words(texts) == {"the"}


def test_of_texts_whose_ends_are_in_doubt_the_most_frequent_words_are_taken():
    texts = [f"a b c d e f g h i j{number} to" for number in range(20)]
    assert learn_function_words(texts, seldom_last=False) == set("abcdefghi") | {"to"}


def test_characters_of_scripts_without_spaces():
    texts = ["北山的桥。", "大雪的夜。", "老人的家。"]
    assert learn_function_words(texts) >= {"的"}
    assert "桥" not in learn_function_words(texts)


def test_no_words_teach_nothing():
    assert learn_function_words(["", "... 12"]) == set()
