import math

import pytest

from textae.evaluation.measures import (
    compression_ratio,
    copy_rate,
    distinct_share,
    mean_words,
    model_measures,
    novelty,
    text_measures,
)


def test_novelty_ignores_case_and_punctuation():
    assert novelty(["Rain fell, in Paris ."], ["rain in paris today"]) == 0.25


def test_novelty_looks_in_the_summary_s_own_document():
    assert novelty(["a b", "c d"], ["c", "c"]) == 0.5


def test_novelty_knows_hidden_digits():
    assert novelty(["g# met"], ["g# ##"]) == 0.5


def test_novelty_of_chinese_is_in_characters():
    assert novelty(["今天上海下雨"], ["上海有雨"]) == 0.25


def test_copy_rate_counts_neighbours():
    # "the old", "old bridge" are neighbours in the document, "bridge closed" is not.
    assert copy_rate(["the old bridge was closed"], ["the old bridge closed"]) == pytest.approx(2 / 3)
    assert copy_rate(["a b"], ["a"]) == 0.0


def test_lengths_and_variety():
    assert mean_words(["a b c", "a"]) == 2.0
    assert mean_words([]) == 0.0
    assert compression_ratio(["a b c d", "e f"], ["a b", "e"]) == 0.5
    assert compression_ratio([""], ["a"]) == 0.0
    assert distinct_share(["a", "a", "b", "a"]) == 0.5
    assert distinct_share([]) == 0.0


def test_text_measures_of_empty_summaries_are_numbers():
    assert text_measures(["a b"], [""]) == {
        "novelty": 0.0,
        "copy_rate": 0.0,
        "compression": 0.0,
        "distinct": 1.0,
    }


class Recorder:
    def __init__(self):
        self.calls = []

    def reconstruction_loss(self, documents, summaries=None, *, batch_size):
        self.calls.append((documents, summaries, batch_size))
        return [float("nan") if not document else float(len(document)) for document in documents]

    def readability(self, sentences, *, batch_size):
        return [len(sentence) / 10 for sentence in sentences]


def test_model_measures_leave_out_rows_without_a_number():
    model = Recorder()
    result = model_measures(model, ["aa", "", "aaaa"], ["b", "bb", "bbb"], batch_size=2)
    assert model.calls == [(["aa", "", "aaaa"], ["b", "bb", "bbb"], 2)]
    assert result["reconstruction_loss"] == 3.0
    assert math.isclose(result["readability"], 0.2)


def test_model_measures_without_any_number_are_none():
    assert model_measures(Recorder(), [""], ["b"])["reconstruction_loss"] is None
