"""Bounds on the number of words while decoding, and n-grams that may not come twice."""

import pytest
import torch

from textae.data.tokenizer import train_tokenizer, vocabulary_of
from textae.data.words import count_words
from textae.models.constraints import Lengths
from textae.models.decoding import Decoding, WordLimits, decode, pad_texts

CPU = torch.device("cpu")
START = 1


def allowed(limits, written):
    """Tokens that may follow ``written``."""
    scores = limits(torch.tensor([[START, *written]]), torch.zeros(1, len(limits.words)))
    return set(torch.isfinite(scores[0]).nonzero().flatten().tolist())


def test_limits_by_hand_on_chinese_text():
    tokenizer = train_tokenizer(["北山", "的桥", "rain"] * 4, 340)
    vocabulary = vocabulary_of(tokenizer)
    (north,), (bridge,), (rain,) = vocabulary.encode(["北山", "的桥", "rain"])
    blank, letter = tokenizer.convert_tokens_to_ids(["Ġ", "r"])
    assert vocabulary.words_of_token[[north, bridge, rain, blank, letter]].tolist() == [2, 2, 1, 0, 0]

    most = WordLimits(vocabulary, [Decoding(max_words=3)], 1, CPU)
    assert {north, bridge, rain, blank, vocabulary.end, letter} <= allowed(most, [])
    # One word of two characters more would pass three; one of letters would not.
    after = allowed(most, [north])
    assert {rain, blank, vocabulary.end, letter} <= after
    assert not {north, bridge} & after
    full = allowed(most, [north, rain])
    assert {vocabulary.end, letter} <= full
    assert not {north, bridge, rain, blank} & full
    # A lone space promises a word, which may then be spelt out.
    assert letter in allowed(most, [north, blank])
    assert allowed(WordLimits(vocabulary, [Decoding(max_words=2)], 1, CPU), [north, blank]) == {
        vocabulary.end
    }

    least = WordLimits(vocabulary, [Decoding(min_words=3, max_tokens=20)], 1, CPU)
    for written, may_end in [([], False), ([north], False), ([north, bridge], True), ([north, rain], True)]:
        assert (vocabulary.end in allowed(least, written)) is may_end
    # With as many tokens left as words missing, only tokens that begin a word may come.
    hurried = WordLimits(vocabulary, [Decoding(min_words=3, max_tokens=3)], 1, CPU)
    assert all(vocabulary.words_of_token[token] > 0 for token in allowed(hurried, [rain]))
    assert letter in allowed(hurried, [north, rain])


def test_each_row_has_limits_of_its_own(tiny_vocabulary):
    (heron,) = tiny_vocabulary.encode(["heron"])[0][:1]
    end, begins = tiny_vocabulary.end, tiny_vocabulary.words_of_token > 0
    rows = [Lengths(9, 0, 1), Lengths(9, 2, None), Lengths(2, 2, 3)]
    limits = WordLimits(tiny_vocabulary, rows, 1, CPU)
    written = torch.tensor([[START, heron]] * 3)
    finite = torch.isfinite(limits(written, torch.zeros(3, len(tiny_vocabulary))))
    assert finite[:, end].tolist() == [True, False, False]
    assert finite[:, begins].any(1).tolist() == [False, True, True]
    # The third has one token left for the word that it lacks.
    inside = ~begins & ~tiny_vocabulary.special
    assert finite[:, inside].any(1).tolist() == [True, True, False]


def test_special_tokens_are_never_written(tiny_vocabulary):
    may = allowed(WordLimits(tiny_vocabulary, [Decoding()], 1, CPU), [])
    assert may & set(range(36)) == {tiny_vocabulary.end}
    assert len(may) == 400 - 35


LIMITS = [(0, 1), (0, 3), (2, 2), (5, 5), (3, 6), (8, None), (1, 4)]
WAYS = [{}, {"do_sample": True}, {"do_sample": True, "temperature": 2.0}, {"num_beams": 3}]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("least", "most"), LIMITS)
def test_word_limits_are_never_violated(least, most, way, tiny_vocabulary, build_model, sentences):
    seen = set()
    for seed in range(2):
        model = build_model(tiny_vocabulary, seed)
        for summary in model.summarize(sentences[3:], min_words=least, max_words=most, seed=seed, **way):
            seen.add(count_words(summary))
    assert min(seen) >= least
    assert most is None or max(seen) <= most


@pytest.mark.parametrize("kind", ["t5", "bert", "mbart"])
@pytest.mark.parametrize(("least", "most"), [(3, 3), (2, 5)])
def test_word_limits_hold_for_tokenizers_of_checkpoints(
    kind, least, most, build_tokenizer, build_model, sentences
):
    vocabulary = vocabulary_of(build_tokenizer(kind))
    for seed in range(3):
        model = build_model(vocabulary, seed)
        for summary in model.summarize(sentences, min_words=least, max_words=most, do_sample=True, seed=seed):
            assert least <= count_words(summary) <= most


@pytest.mark.parametrize("way", [WAYS[0], WAYS[1], WAYS[3]], ids=str)
@pytest.mark.parametrize("size", [1, 2])
def test_no_ngram_comes_twice(size, way, tiny_vocabulary, build_model, sentences):
    def ngrams(row):
        return [tuple(row[i : i + size]) for i in range(len(row) - size + 1)]

    repeats = 0
    for seed in range(2):
        model = build_model(tiny_vocabulary, seed)
        source = model.encoder.read(
            pad_texts(tiny_vocabulary.encode(sentences), tiny_vocabulary, model.device)
        )
        hints = torch.full((len(sentences),), tiny_vocabulary.hint(5))
        for limit in (size, 0):
            settings = Decoding(max_tokens=20, no_repeat_ngram_size=limit, min_words=6, **way)
            for row in decode(model.encoder, source, hints, tiny_vocabulary, settings):
                if limit:
                    assert len(set(ngrams(row))) == len(ngrams(row))
                else:
                    repeats += len(ngrams(row)) - len(set(ngrams(row)))
    assert repeats > 0
