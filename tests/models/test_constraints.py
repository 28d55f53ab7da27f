"""Words that stay whole while decoding; bounds on the length are tested in test_decoding.py."""

import pytest
import torch

from textae.data.tokenizer import train_tokenizer, vocabulary_of
from textae.models.constraints import WholeWords


@pytest.fixture(scope="module")
def vocabulary():
    """Pieces that spell ``zagreb`` in several, and ``rain`` and ``rains`` in one each."""
    return vocabulary_of(train_tokenizer(["rain rains"] * 9 + ["zag"] * 9 + ["'s ,"] * 9 + ["东京"] * 9, 330))


def pieces(vocabulary, text):
    (row,) = vocabulary.encode([text])
    return row


def allowed(vocabulary, source, written):
    processor = WholeWords(vocabulary, [vocabulary.as_source(pieces(vocabulary, source))], 1)
    scores = processor(torch.tensor([[vocabulary.start, *written]]), torch.zeros(1, len(vocabulary)))
    return set(torch.isfinite(scores[0]).nonzero().flatten().tolist())


def test_a_word_of_the_source_is_written_to_its_end(vocabulary):
    zagreb, (rain,), (rains,) = (pieces(vocabulary, text) for text in ("zagreb", "rain", "rains"))
    assert len(zagreb) > 2
    at_first = allowed(vocabulary, "rain in zagreb", [])
    assert {rain, rains, zagreb[0], vocabulary.end} <= at_first
    assert not set(zagreb[1:]) & at_first
    # One piece is a word of the vocabulary, and may end; it may also go on as the source's word does.
    assert {zagreb[1], rain, vocabulary.end} <= allowed(vocabulary, "rain in zagreb", zagreb[:1])
    for length in range(2, len(zagreb)):
        assert allowed(vocabulary, "rain in zagreb", [rain, *zagreb[:length]]) == {zagreb[length]}
    after = allowed(vocabulary, "rain in zagreb", zagreb)
    assert {rain, zagreb[0], vocabulary.end} <= after
    assert not set(zagreb[1:]) & after


def test_a_word_that_begins_another_may_end_or_go_on(vocabulary):
    shorter, longer = (pieces(vocabulary, text) for text in ("zagreb", "zagrebx"))
    assert longer[: len(shorter)] == shorter
    may = allowed(vocabulary, "zagreb zagrebx", shorter)
    assert {longer[len(shorter)], vocabulary.end} <= may
    assert longer[len(shorter)] not in allowed(vocabulary, "zagreb", shorter)


def test_marks_and_chinese_are_free(vocabulary):
    (rain,), (clitic, *_), (city, *_) = (pieces(vocabulary, text) for text in ("rain", "rain's", "东京"))
    comma = vocabulary.tokenizer.convert_tokens_to_ids(",")
    assert clitic == rain
    may = allowed(vocabulary, "zagreb", [rain])
    assert {comma, city, vocabulary.tokenizer.convert_tokens_to_ids("'")} <= may


def test_where_nothing_is_left_nothing_is_forbidden(vocabulary):
    zagreb, (rain,) = pieces(vocabulary, "zagreb"), pieces(vocabulary, "rain")
    processor = WholeWords(vocabulary, [vocabulary.as_source(zagreb)], 1)
    scores = torch.zeros(1, len(vocabulary))
    scores[0, zagreb[2]] = -float("inf")  # as a limit on lengths or a repeated n-gram would
    result = processor(torch.tensor([[vocabulary.start, *zagreb[:2]]]), scores)
    assert torch.equal(result, scores)
    assert torch.isfinite(result[0, rain])


def test_each_row_has_its_own_source(vocabulary):
    zagreb, zagros = pieces(vocabulary, "zagreb"), pieces(vocabulary, "zagros")
    same = next(i for i, (a, b) in enumerate(zip(zagreb, zagros, strict=False)) if a != b)
    assert same >= 1
    processor = WholeWords(vocabulary, [vocabulary.as_source(row) for row in (zagreb, zagros)], 1)
    written = torch.tensor([[vocabulary.start, *zagreb[:same]]] * 2)
    scores = torch.isfinite(processor(written, torch.zeros(2, len(vocabulary))))
    assert scores[0, zagreb[same]] and not scores[0, zagros[same]]
    assert scores[1, zagros[same]] and not scores[1, zagreb[same]]
