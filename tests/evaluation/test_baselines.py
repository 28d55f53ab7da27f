import pytest

from textae.evaluation.baselines import baselines, equal_length, lead_ratio, lead_words


def test_lead_words():
    assert lead_words(["one two three", "one", ""], 2) == ["one two", "one", ""]
    assert lead_words(["one"], 0) == [""]


def test_lead_of_chinese_is_in_characters_without_spaces():
    assert lead_words(["今天上海下雨"], 4) == ["今天上海"]
    assert lead_ratio(["今天上海下雨"], 0.5) == ["今天上"]


def test_lead_ratio_rounds_down_but_keeps_a_word():
    assert lead_ratio(["a b c d e", "a", "", "a b c d"], 0.5) == ["a b", "a", "", "a b"]
    assert lead_ratio(["a b c"], 1.0) == ["a b c"]


def test_named_baselines():
    document = " ".join(f"w{index}" for index in range(12))
    found = baselines([document])
    assert {name: len(texts[0].split()) for name, texts in found.items()} == {
        "lead-8": 8,
        "lead-10": 10,
        "lead-half": 6,
    }
    assert all(document.startswith(texts[0] + " ") for texts in found.values())


def test_impossible_lengths_are_refused():
    with pytest.raises(ValueError, match="not -1"):
        lead_words(["a"], -1)
    with pytest.raises(ValueError, match=r"not 1\.5"):
        lead_ratio(["a"], 1.5)


def test_leads_as_long_as_a_model():
    assert [equal_length(mean) for mean in (7.49, 7.5, 8.0, 0.3)] == [7, 8, 8, 1]
    document = " ".join(f"w{index}" for index in range(12))
    found = baselines([document, "今天上海下雨了吗"], [equal_length(6.8), 8])
    assert list(found) == ["lead-7", "lead-8", "lead-10", "lead-half"]
    assert found["lead-7"] == ["w0 w1 w2 w3 w4 w5 w6", "今天上海下雨了"]
