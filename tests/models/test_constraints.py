"""Words that stay whole while decoding; bounds on the length are tested in test_decoding.py."""

from itertools import pairwise

import pytest
import torch

from textae.data.tokenizer import train_tokenizer, vocabulary_of
from textae.data.words import split_words
from textae.models.constraints import ContrastedStart, Decoding, DistinctWords, NoStutter, WholeWords
from textae.models.decoding import decode, pad_texts


@pytest.fixture(scope="module")
def vocabulary():
    """Pieces that spell ``zagreb`` in several, and ``rain`` and ``rains`` in one each."""
    return vocabulary_of(
        train_tokenizer(["rain rains"] * 9 + ["zag"] * 9 + ["'s ,"] * 9 + ["东京"] * 9 + ["640"] * 9, 335)
    )


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
    # A short piece is a word of the vocabulary, and may end; it may also go on as the source's word does.
    assert {zagreb[1], rain, vocabulary.end} <= allowed(vocabulary, "rain in zagreb", zagreb[:1])
    for length in range(2, len(zagreb)):
        assert allowed(vocabulary, "rain in zagreb", [rain, *zagreb[:length]]) == {zagreb[length]}
    after = allowed(vocabulary, "rain in zagreb", zagreb)
    assert {rain, zagreb[0], vocabulary.end} <= after
    assert not set(zagreb[1:]) & after


def test_a_long_piece_goes_on_where_a_word_of_the_source_begins_with_it(vocabulary):
    (rain,), (first, *rest) = pieces(vocabulary, "rain"), pieces(vocabulary, "rainbow")
    assert first == rain and rest
    assert allowed(vocabulary, "rainbow", [rain]) == {rest[0]}
    # The source may have it as a word of its own, too, or not at all.
    assert {rest[0], vocabulary.end} <= allowed(vocabulary, "rainbow rain", [rain])
    assert vocabulary.end in allowed(vocabulary, "zagreb", [rain])


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


def test_what_hangs_together_is_one_word(vocabulary):
    """``zag-rain`` lends no piece to other words, and is not left half-way."""
    (zag, hyphen, *tail), (rain,) = pieces(vocabulary, "zag-rain"), pieces(vocabulary, "rain")
    comma = vocabulary.tokenizer.convert_tokens_to_ids(",")
    source = "zag-rain rain ,"
    assert tail and rain not in tail
    assert hyphen in allowed(vocabulary, source, [zag])
    assert allowed(vocabulary, source, [zag, hyphen]) == {tail[0]}
    after = allowed(vocabulary, source, [zag, hyphen, *tail])
    assert {rain, comma, vocabulary.end} <= after and tail[0] not in after
    # Behind another word the hyphen is a mark like any other, and nothing hangs on it.
    assert hyphen in allowed(vocabulary, source, [rain])
    after = allowed(vocabulary, source, [rain, hyphen])
    assert {rain, comma, vocabulary.end} <= after
    assert not set(tail) & after


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


# Words that come once ----------------------------------------------------------------------------------


def forbidden(vocabulary, text):
    written = pieces(vocabulary, text)
    scores = torch.zeros(1, len(vocabulary))
    result = DistinctWords(vocabulary, 1)(torch.tensor([[vocabulary.start, *written]]), scores)
    return set((result[0] == -float("inf")).nonzero().flatten().tolist())


def test_long_words_come_once_and_short_ones_again(vocabulary):
    (rain,), (rains,), (zag, *_) = (pieces(vocabulary, text) for text in ("rain", "rains", "zagreb"))
    assert forbidden(vocabulary, "") == set()
    assert forbidden(vocabulary, "rain zag 's") == {rain}
    assert forbidden(vocabulary, "rain in rains") == {rain, rains}
    # "zag" has three letters and may come again; the longer name that begins with it may not.
    assert forbidden(vocabulary, "zagreb , zag") == {zag}
    assert forbidden(vocabulary, "东京东京") == set()


def test_numbers_come_once(vocabulary):
    (number,) = pieces(vocabulary, "640")
    assert forbidden(vocabulary, "640 ,") == {number}
    # A lone digit may begin a longer number, and so may the first piece of one.
    assert forbidden(vocabulary, "6") == set()
    assert len(pieces(vocabulary, "64,000")) > 1 and forbidden(vocabulary, "64,000") == set()


def test_within_a_window_words_may_come_again(vocabulary):
    (rain,), (rains,) = (pieces(vocabulary, text) for text in ("rain", "rains"))
    scores, written = torch.zeros(1, len(vocabulary)), pieces(vocabulary, "rain , rains")
    for window, expected in ((1, {rains}), (2, {rains}), (3, {rain, rains})):
        result = DistinctWords(vocabulary, 1, window)(torch.tensor([[vocabulary.start, *written]]), scores)
        assert set((result[0] == -float("inf")).nonzero().flatten().tolist()) == expected


def test_short_pieces_of_long_words_may_begin_others(vocabulary):
    first, *rest = pieces(vocabulary, "olmava")
    assert rest and len(vocabulary.decode([[first]])[0]) < 3
    assert forbidden(vocabulary, "olmava") == set()


def test_where_every_word_was_written_nothing_is_forbidden(vocabulary):
    (rain,) = pieces(vocabulary, "rain")
    scores = torch.full((1, len(vocabulary)), -float("inf"))
    scores[0, rain] = 0.0
    result = DistinctWords(vocabulary, 1)(torch.tensor([[vocabulary.start, rain]]), scores)
    assert torch.equal(result, scores)


# Words that do not follow themselves --------------------------------------------------------------------


def after(vocabulary, written, sources):
    """The tokens that each row forbids behind the same text."""
    processor = NoStutter(vocabulary, [vocabulary.as_source(pieces(vocabulary, s)) for s in sources], 1)
    rows = torch.tensor([[vocabulary.start, *pieces(vocabulary, written)]] * len(sources))
    scores = processor(rows, torch.zeros(len(sources), len(vocabulary)))
    return [set((row == -float("inf")).nonzero().flatten().tolist()) for row in scores]


def test_no_word_follows_itself_unless_a_longer_one_of_the_source_begins_so(vocabulary):
    (rain,), (zag,) = pieces(vocabulary, "rain"), pieces(vocabulary, "zag")
    assert pieces(vocabulary, "zagreb")[0] == zag
    assert after(vocabulary, "", ["rain"]) == [set()]
    assert after(vocabulary, "zag rain", ["rain rain"]) == [{rain}]
    assert after(vocabulary, "rain zag", ["rain zag", "rain zagreb"]) == [{zag}, set()]
    # Another word, a piece of one, a mark and characters that are words by themselves.
    for text in ("rain zagreb", "rain 's", "rain ,", "东"):
        assert after(vocabulary, text, ["zag"]) == [set()]


def test_where_only_the_same_word_is_left_it_may_follow_itself(vocabulary):
    (rain,) = pieces(vocabulary, "rain")
    scores = torch.full((1, len(vocabulary)), -float("inf"))
    scores[0, rain] = 0.0
    processor = NoStutter(vocabulary, [vocabulary.as_source([rain])], 1)
    assert torch.equal(processor(torch.tensor([[vocabulary.start, rain]]), scores), scores)


WAYS = [{}, {"do_sample": True, "temperature": 2.0}, {"num_beams": 3}]


@pytest.mark.parametrize("way", WAYS)
def test_summaries_spell_no_word_that_the_document_has_not(tiny_model, tiny_vocabulary, sentences, way):
    documents = sentences[:6]
    known = {word for document in documents for word in split_words(document)}

    def new_words(whole_words):
        summaries = tiny_model.summarize(
            documents, words=12, no_repeat_ngram_size=0, whole_words=whole_words, **way
        )
        # But for the last word, which the greatest number of tokens may cut off.
        words = {word for summary in summaries for word in split_words(summary)[:-1]}
        words = {word for word in words if word.isascii() and word.isalpha()}
        return [word for word in words - known if len(tiny_vocabulary.encode([word])[0]) > 1]

    assert new_words(whole_words=True) == []
    assert new_words(whole_words=False)


@pytest.mark.parametrize("way", [WAYS[0], WAYS[2]])
def test_summaries_say_long_words_once(tiny_model, tiny_vocabulary, sentences, way):
    documents = [*sentences[:6], *(f"{text} {text}" for text in sentences[:6])]

    def repeated(distinct_words):
        options = {"words": 12, "no_repeat_ngram_size": 0, "distinct_words": distinct_words, **way}
        summaries = tiny_model.summarize(documents, whole_words=False, **options)
        long = [[word for word in split_words(text) if len(word) > 3] for text in summaries]
        twice = {word for words in long for word in words if words.count(word) > 1}
        return [word for word in twice if len(tiny_vocabulary.encode([word])[0]) == 1]

    assert repeated(distinct_words=True) == []
    assert repeated(distinct_words=False)


def test_reconstructions_have_no_word_behind_itself(tiny_model, tiny_vocabulary, sentences, monkeypatch):
    def stutters():
        found = []
        for source, text in zip(
            sentences[:8], tiny_model.reconstruct(sentences[:8], num_beams=1), strict=True
        ):
            spelled = [tiny_vocabulary.encode([word])[0] for word in split_words(source)]
            beginnings = {row[0] for row in spelled if len(row) > 1}
            for word, after in pairwise(split_words(text)):
                row = tiny_vocabulary.encode([word])[0]
                if word == after and word.isalnum() and len(row) == 1 and row[0] not in beginnings:
                    found.append(word)
        return found

    assert stutters() == []
    monkeypatch.setattr("textae.models.decoding.NoStutter", lambda *_: lambda _, scores: scores)
    assert stutters()


# The first word ----------------------------------------------------------------------------------------


def test_only_the_first_token_pays_for_being_likely_anyway():
    processor = ContrastedStart(torch.tensor([-1.0, -4.0, -2.0]), 0.5, 1)
    scores = torch.tensor([[-1.0, -2.0, -float("inf")]])
    assert processor(torch.tensor([[7]]), scores).tolist() == [[-0.5, 0.0, -float("inf")]]
    assert torch.equal(processor(torch.tensor([[7, 3]]), scores), scores)


def test_a_contrasted_text_begins_with_what_the_source_makes_likelier(tiny_model, tiny_vocabulary, sentences):
    network = tiny_model.reconstructor

    def first_tokens(contrast):
        source = network.read(pad_texts(tiny_model.prepare(sentences), tiny_vocabulary, tiny_model.device))
        decoding = Decoding(max_tokens=1, contrast=contrast)
        return [
            (row or [tiny_vocabulary.end])[0]
            for row in decode(network, source, None, tiny_vocabulary, decoding)
        ]

    with torch.no_grad():
        empty = network.read(pad_texts([[]], tiny_vocabulary, tiny_model.device))
        start = network.prefix(1, None, tiny_model.device)
        hidden = network.backbone.decode(start, empty.states, empty.mask)[:, -1]
        expected = network.next_log_probabilities(hidden, empty)[0]
        changed = [(a, b) for a, b in zip(first_tokens(0.0), first_tokens(5.0), strict=True) if a != b]
    assert changed
    assert all(expected[b] < expected[a] for a, b in changed)
