"""The collapse report, on summaries whose figures are counted by hand."""

import json

import pytest

from textae.errors import InputError
from textae.evaluation.audit_tables import collapse_text
from textae.evaluation.collapse import SIGNS, collapse_of_files, collapse_report

SUMMARIES = ["the mill burns", "the mill burns", "fog in fog in town", "rain rain stops", ""]
DOCUMENTS = ["A mill burns .", "Storm at the mill .", "Fog in town today .", "It stops .", "Nothing at all ."]


def test_every_figure():
    report = collapse_report(SUMMARIES, DOCUMENTS, function_words=["The", "of", "town"])
    assert report["count"] == 5
    assert report["figures"] == pytest.approx(
        {
            "distinct": 4 / 5,
            "repeated": 1 / 5,
            # the mill burns fog in town rain stops, of 14 words
            "distinct_1": 8 / 14,
            # the mill, mill burns; fog in, in fog, in town; rain rain, rain stops; of 2 + 2 + 4 + 2
            "distinct_2": 7 / 10,
            "repeated_bigram": 1 / 5,
            "repeated_at_once": 1 / 5,
            "repetitive": 2 / 5,
            "mean_words": 14 / 5,
            "median_words": 3.0,
            "maximum_words": 5.0,
            "at_maximum": 1 / 5,
            "ends_in_function_word": 1 / 5,
            "first_word": 2 / 5,
            "last_word": 2 / 5,
            # the; burns; rain and rain
            "novelty": 4 / 14,
        }
    )
    assert report["function_words"] == ["of", "the", "town"]
    assert report["most_repeated"] == [{"text": "the mill burns", "count": 2}]
    assert report["first_words"] == [
        {"text": "the", "count": 2},
        {"text": "fog", "count": 1},
        {"text": "rain", "count": 1},
    ]
    assert report["last_words"][0] == {"text": "burns", "count": 2}
    assert [warning.partition(":")[0] for warning in report["warnings"]] == [
        "summaries say a pair of words twice",
        "summaries stutter",
        "summaries break off",
        "summaries begin alike",
        "summaries end alike",
    ]
    assert report["warnings"][2] == (
        "summaries break off: end in a function word 20.0%, at most 10.0% is fine"
    )


def test_healthy_summaries_show_no_sign():
    # The letters: each its own words, and words in common.
    summaries = [f"a{number} and b{number} meet c{number} in d{number}" for number in range(20)]
    report = collapse_report(summaries, maximum_words=9)
    assert report["warnings"] == []
    assert report["figures"]["at_maximum"] == 0.0
    assert "novelty" not in report["figures"]
    assert collapse_report(summaries, maximum_words=7)["figures"]["at_maximum"] == 1.0


UNLIKE = [f"x{number} y{number}" for number in range(9)]


@pytest.mark.parametrize(
    ("bad", "fine", "options", "warning"),
    [
        # 4 of 10, and 3 of 10, are repeated.
        (
            ["same"] * 5 + [f"x{n}" for n in range(5)],
            ["same"] * 4 + [f"x{n}" for n in range(6)],
            {},
            "many documents get the same summary: repeated summaries 40.0%, at most 30.0% is fine",
        ),
        # 3 words of 153, and of 102.
        (["a b c"] * 51, ["a b c"] * 34, {}, "few different words are used: distinct-1 2.0%, at least 2.0%"),
        (
            [*UNLIKE, "a"],
            [*UNLIKE, "a b"],
            {},
            "summaries are nearly empty: words, mean 1.9, at least 2.0 is fine",
        ),
        (
            UNLIKE,
            [*UNLIKE, *["a"] * 9],
            {"maximum_words": 2},
            "the length is at its bound: as long as can be",
        ),
        (
            [*UNLIKE[:8], "a a", "b b"],
            [*UNLIKE, "a a"],
            {},
            "summaries stutter: with a word repeated at once",
        ),
        (
            UNLIKE[:6] + ["a z"] * 4,
            UNLIKE[:7] + ["a z"] * 3,
            {},
            "summaries end alike: with the commonest last",
        ),
    ],
)
def test_a_sign_shows_beyond_its_bound_and_not_within(bad, fine, options, warning):
    def said(summaries, beginning):
        found = collapse_report(summaries, **options, function_words=[])["warnings"]
        return any(text.startswith(beginning) for text in found)

    assert said(bad, warning)
    assert not said(fine, warning.partition(":")[0])


def test_words_that_are_not_in_the_document():
    report = collapse_report(["a b", "c d"], ["a", "c"])
    assert report["figures"]["novelty"] == 0.5
    assert not any("speak of their documents" in warning for warning in report["warnings"])
    report = collapse_report(["a b", "c d"], ["a", "e"])
    assert (
        "summaries do not speak of their documents: words not in the document 75.0%"
        in (report["warnings"][-1])
    )


def test_function_words_are_learned_from_the_documents_or_else_from_the_summaries():
    documents = ["the mill of the lake , the bridge of the mill"]
    assert collapse_report(["mill of"], documents)["figures"]["ends_in_function_word"] == 1.0
    assert collapse_report(["mill lake"], documents)["figures"]["ends_in_function_word"] == 0.0
    alone = collapse_report(["x to"] * 2 + [f"a{n} b{n} c{n} d{n} to e{n} g{n}" for n in range(5)])
    assert alone["figures"]["ends_in_function_word"] == pytest.approx(2 / 7)


def test_chinese_summaries_are_counted_in_characters():
    report = collapse_report(["大雪之后的", "大雪之后"], ["大雪之后的桥。关闭的路。"] * 2)
    assert report["figures"]["mean_words"] == 4.5
    assert "的" in report["function_words"]
    assert report["first_words"] == [{"text": "大", "count": 2}]
    assert report["figures"]["novelty"] == 0.0


def test_distinct_ngrams_are_of_a_sample():
    # Counted over all, 2,000 summaries of 500 kinds would have half the share.
    summaries = [f"x{number % 500} y{number % 500}" for number in range(2000)]
    report = collapse_report(summaries)
    assert report["figures"]["distinct_2"] == 250 / 1000  # every second one, of which 250 differ


def test_every_sign_with_a_bound_says_something():
    assert all(sign.warning for sign in SIGNS.values() if sign.bound is not None)


def test_text_of_a_report():
    text = collapse_text(collapse_report(SUMMARIES, function_words=["town"]))
    lines = text.splitlines()
    assert "| repeated summaries | 20.0% | <= 30.0% |" in [" ".join(line.split()) for line in lines]
    assert "| words, mean | 2.8 | >= 2.0 |" in [" ".join(line.split()) for line in lines]
    assert "5 summaries." in lines
    assert "First words: the (2), fog (1), rain (1)." in lines
    assert "      2 x the mill burns" in lines
    end = "summaries end alike: with the commonest last word 40.0%, at most 30.0% is fine"
    assert lines[-1] == f"Sign of collapse: {end}."
    healthy = collapse_text(collapse_report([f"a{n} b{n}" for n in range(9)], maximum_words=3))
    assert healthy.endswith("\n\nNo sign of collapse.")
    assert max(len(line) for line in lines) <= 110


def test_files_are_joined_by_id(tmp_path):
    summaries, documents = tmp_path / "s.jsonl", tmp_path / "d.jsonl"
    summaries.write_text('{"id": 1, "output": "mill burns"}\n{"id": 2, "output": "fog"}\n')
    documents.write_text('{"id": 2, "document": "Fog came"}\n{"id": 1, "document": "the mill burns"}\n')
    words = tmp_path / "words.txt"
    words.write_text("Fog\n")
    report = collapse_of_files(str(summaries), str(documents), function_words=str(words))
    assert report["figures"]["novelty"] == 0.0
    assert report["figures"]["ends_in_function_word"] == 0.5
    assert (report["summaries"], report["documents"]) == (str(summaries), str(documents))
    json.dumps(report, allow_nan=False)


def test_summaries_alone_and_columns_that_are_named(tmp_path):
    file = tmp_path / "s.csv"
    file.write_text("title,other\nmill burns,x\nfog in town,y\n")
    report = collapse_of_files(str(file), summary_columns=["title"], maximum_words=3)
    assert (report["count"], report["documents"]) == (2, None)
    assert report["figures"]["at_maximum"] == 0.5


def test_what_cannot_be_read_is_refused(tmp_path):
    two, three, lists = tmp_path / "2.txt", tmp_path / "3.txt", tmp_path / "l.jsonl"
    two.write_text("a\nb\n")
    three.write_text("a\nb\nc\n")
    lists.write_text('{"summary": ["a", "b"]}\n')
    with pytest.raises(InputError, match=r"2.txt has 2 summaries and .*3.txt has 3 documents; make"):
        collapse_of_files(str(two), str(three))
    with pytest.raises(InputError, match="summary 1 is a list of 2 texts; give one text"):
        collapse_of_files(str(lists))
    with pytest.raises(InputError, match='no column "title"'):
        collapse_of_files(str(lists), summary_columns=["title"])
