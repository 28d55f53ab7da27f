import json
import math
from fractions import Fraction

import numpy as np
import pytest

from textae.errors import InputError
from textae.evaluation.scoring import RougeProtocol, cut_bytes, example_scores, rouge
from textae.evaluation.tokens import CharacterTokenizer, WordTokenizer, choose_tokens


def f1(precision: Fraction, recall: Fraction) -> float:
    return float(2 * precision * recall / (precision + recall))


def test_rouge_by_hand():
    # Prediction 5 words, reference 6; shared: the, cat, on, mat -> 4; bigrams shared: the-cat -> 1.
    scores = example_scores(["the cat slept on mat"], [["the cat sat on the mat"]])
    assert scores[0, 0] == pytest.approx(f1(Fraction(4, 5), Fraction(4, 6)), abs=1e-12)
    assert scores[0, 1] == pytest.approx(f1(Fraction(1, 4), Fraction(1, 5)), abs=1e-12)
    assert scores[0, 2] == pytest.approx(f1(Fraction(4, 5), Fraction(4, 6)), abs=1e-12)


def test_longest_common_subsequence_respects_order_and_repeats_are_clipped():
    scores = example_scores(["b a a a"], [["a b"]])
    assert scores[0, 0] == pytest.approx(f1(Fraction(2, 4), Fraction(2, 2)))
    assert scores[0, 2] == pytest.approx(f1(Fraction(1, 4), Fraction(1, 2)))


def test_stemming_joins_inflections_and_can_be_switched_off():
    stemmed = example_scores(["companies merging"], [["company merges"]])
    plain = example_scores(["companies merging"], [["company merges"]], RougeProtocol(stemmer=False))
    assert stemmed[0].tolist() == [1.0, 1.0, 1.0]
    assert plain[0].tolist() == [0.0, 0.0, 0.0]


def test_cached_stemmer_agrees_with_rouge_score_itself():
    from rouge_score.tokenizers import DefaultTokenizer

    text = "Companies' merging-talks were happily #-# ended; die Companies!"
    for stemmer in (True, False):
        assert WordTokenizer(stemmer).tokenize(text) == DefaultTokenizer(stemmer).tokenize(text)


def test_several_references_average_and_best_per_type():
    references = [["a b c d", "a x b y"]]
    # ROUGE-1: 2/4 twice for "a b"; ROUGE-2: first has the bigram, second has not.
    unigram, bigram = f1(Fraction(1), Fraction(2, 4)), f1(Fraction(1), Fraction(1, 3))
    first, second = [unigram, bigram, unigram], [unigram, 0.0, unigram]
    average = example_scores(["a b"], references)
    best = example_scores(["a b"], references, RougeProtocol(multiple="best"))
    assert average[0] == pytest.approx(np.mean([first, second], axis=0))
    assert best[0] == pytest.approx(first)


def test_byte_limit_scores_recall_of_the_cut_prediction():
    result = rouge(["abcd efgh ijkl"], [["abcd efgh ijkl mnop"]], RougeProtocol(byte_limit=9))
    assert result["rouge1"] == pytest.approx(50.0)
    assert result["rouge2"] == pytest.approx(100 / 3)
    assert (result["measure"], result["byte_limit"], result["mean_words"]) == ("recall", 9, 2.0)


def test_f1_can_be_asked_for_under_a_byte_limit():
    result = rouge(["abcd efgh"], [["abcd"]], RougeProtocol(byte_limit=9, measure="f1"))
    assert result["rouge1"] == pytest.approx(100 * f1(Fraction(1, 2), Fraction(1)))


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, "a"), (2, "a"), (3, "aé"), (4, "aé"), (5, "aé"), (6, "aé中"), (99, "aé中")]
)
def test_bytes_never_split_a_character(limit, expected):
    assert cut_bytes("aé中", limit) == expected


def test_chinese_is_scored_by_characters():
    result = rouge(["上海有雨"], [["上海下雨"]])
    assert result["tokens"] == "characters"
    assert result["stemmer"] is False
    assert result["rouge1"] == pytest.approx(75.0)
    assert result["rouge2"] == pytest.approx(100 / 3)
    assert result["rougeL"] == pytest.approx(75.0)
    assert result["mean_words"] == 4.0


def test_words_tokenizer_gives_chinese_nothing():
    assert rouge(["上海有雨"], [["上海有雨"]], RougeProtocol(tokens="words"))["rouge1"] == 0.0


def test_character_tokenizer_keeps_latin_words_whole_and_drops_punctuation():
    expected = ["iphone", "6", "在", "东", "京", "wi", "fi"]
    assert CharacterTokenizer().tokenize("iPhone 6在东京、Wi-Fi。") == expected
    assert CharacterTokenizer(keep="#").tokenize("g# ends #-#.") == ["g#", "ends", "#", "#"]


def test_scripts_outside_latin_are_scored_by_unicode_words():
    result = rouge(["в москве дождь"], [["в москве снег"]])
    assert result["tokens"] == "unicode"
    assert result["rouge1"] == pytest.approx(100 * 2 / 3)


def test_hindi_words_hold_together():
    assert CharacterTokenizer().tokenize("दिल्ली में बारिश।") == ["दिल्ली", "में", "बारिश"]


@pytest.mark.parametrize(
    ("references", "kind"),
    [
        ([["rain in paris"]], "words"),
        ([["für Übergrößen"]], "words"),
        ([["東京で雨 in Tokyo"]], "words"),
        ([["東京で雨が降る Tokyo"]], "characters"),
        ([["서울에 비"]], "unicode"),
        ([["# # 12"]], "words"),
        ([[""]], "words"),
    ],
)
def test_auto_tokens_go_by_most_letters(references, kind):
    assert choose_tokens("auto", references) == kind


def test_result_states_the_protocol_and_is_plain_json():
    result = rouge(["rain in paris", "snow"], [["rain in paris"], ["sun"]])
    assert result["rouge1"] == 50.0
    assert result["mean_words"] == 2.0
    assert result["count"] == 2
    stated = {key: result[key] for key in ("measure", "stemmer", "multiple", "byte_limit", "tokens")}
    assert stated == {
        "measure": "f1",
        "stemmer": True,
        "multiple": "average",
        "byte_limit": None,
        "tokens": "words",
    }
    for kind in ("rouge1", "rouge2", "rougeL"):
        low, high = result["intervals"][kind]
        assert 0.0 <= low <= result[kind] <= high <= 100.0
    assert json.loads(json.dumps(result)) == result


def test_intervals_depend_on_the_seed_alone():
    predictions = [f"word{index % 7} rain" for index in range(60)]
    references = [[f"word{index % 5} rain"] for index in range(60)]
    first, again, other = (
        rouge(predictions, references, RougeProtocol(seed=seed))["intervals"] for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_empty_prediction_scores_zero():
    result = rouge([""], [["rain"]])
    assert [result[kind] for kind in ("rouge1", "rouge2", "rougeL", "mean_words")] == [0.0] * 4
    assert not math.isnan(result["rouge1"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"multiple": "worst"}, 'multiple is "worst"; choose average or best.'),
        ({"measure": "precision"}, 'measure is "precision"'),
        ({"byte_limit": 0}, "byte_limit is 0"),
        ({"resamples": 0}, "resamples is 0"),
    ],
)
def test_impossible_protocol_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        RougeProtocol(**settings)


def test_unknown_tokens_are_refused():
    with pytest.raises(InputError, match='tokens is "bytes"; choose one of auto'):
        rouge(["a"], [["a"]], RougeProtocol(tokens="bytes"))


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (["a", "b"], [["a"]], "2 predictions for 1 references"),
        (["a", "b"], [["a"], []], "Example 2 has no reference"),
        ([], [], "nothing to score"),
    ],
)
def test_unusable_examples_are_refused(predictions, references, message):
    with pytest.raises(InputError, match=message):
        rouge(predictions, references)
