import pytest

from textae.data.words import count_unspaced, count_words, is_unspaced, join_words, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n ", []),
        ("rain  fell\ttoday", ["rain", "fell", "today"]),
        ("北山的桥", ["北", "山", "的", "桥"]),
        ("rain in 东京today", ["rain", "in", "东", "京", "today"]),
        ("カタカナ", ["カ", "タ", "カ", "ナ"]),
        ("비가 왔다", ["비가", "왔다"]),
        ("𠀀a", ["𠀀", "a"]),
    ],
)
def test_words_of_any_script(text, words):
    assert split_words(text) == words
    assert count_words(text) == len(words)


def test_characters_without_spaces_are_counted():
    assert count_unspaced("rain in 东京, カ") == 3
    assert count_unspaced("비가 왔다") == 0


@pytest.mark.parametrize(
    ("text", "answer"),
    [("", False), ("123 !", False), ("北山a", True), ("北a", False), ("北山 12", True), ("rain", False)],
)
def test_a_text_is_unspaced_when_most_letters_are(text, answer):
    assert is_unspaced(text) is answer


def test_joined_words_are_the_text_again():
    for text in ("rain in 东京 today", "北山的桥在周一关闭", "비가 왔다", ""):
        assert join_words(split_words(text)) == text
