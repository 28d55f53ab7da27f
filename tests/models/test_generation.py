"""Options of a summary: those of the model stand where none are given."""

import pytest

from textae.errors import InputError
from textae.model_config import DecodingConfig
from textae.models.constraints import Lengths
from textae.models.generation import (
    EXTRA_POSITIONS,
    reconstruction_decoding,
    summary_decoding,
    summary_lengths,
)

NOTHING = {
    "num_beams": None,
    "length_penalty": None,
    "no_repeat_ngram_size": None,
    "whole_words": None,
    "distinct_words": None,
    "candidates": None,
    "do_sample": False,
    "temperature": 1.0,
    "seed": 0,
}
NO_LENGTH = {"words": None, "ratio": None, "min_words": None, "max_words": None}


@pytest.fixture
def config(build_config):
    own = DecodingConfig(
        num_beams=3,
        candidates=2,
        length_penalty=0.5,
        no_repeat_ngram_size=2,
        whole_words=False,
        distinct_words=True,
    )
    return build_config(decoding=own)


def test_what_is_not_given_is_the_models(config):
    decoding = summary_decoding(config, **NOTHING)
    chosen = (decoding.num_beams, decoding.length_penalty, decoding.no_repeat_ngram_size)
    assert chosen == (3, 0.5, 2)
    assert decoding.candidates == 2
    assert (decoding.whole_words, decoding.distinct_words) == (False, True)


def test_what_is_given_wins(config):
    given = {
        "num_beams": 5,
        "candidates": 4,
        "length_penalty": 2.0,
        "no_repeat_ngram_size": 0,
        "whole_words": True,
        "distinct_words": False,
    }
    decoding = summary_decoding(config, **{**NOTHING, **given})
    for name, value in given.items():
        assert getattr(decoding, name) == value


@pytest.mark.parametrize(("checkpoint", "whole"), [(None, True), ("google/mt5-small", False)])
def test_only_an_encoder_from_a_checkpoint_spells_new_words(config, checkpoint, whole):
    config.decoding.whole_words = None
    config.encoder.checkpoint = checkpoint
    assert summary_decoding(config, **NOTHING).whole_words is whole


def test_sampling_leaves_the_models_beams_alone_but_not_those_asked_for(config):
    sampling = {**NOTHING, "do_sample": True}
    assert summary_decoding(config, **sampling).num_beams == 1
    with pytest.raises(InputError, match="num_beams is 2; set it to 1 when sampling"):
        summary_decoding(config, **{**sampling, "num_beams": 2})


def test_no_more_candidates_than_beams(config):
    assert summary_decoding(config, **{**NOTHING, "num_beams": 1}).candidates == 1
    for count, wanted in ((0, 3), (4, 3)):
        with pytest.raises(
            InputError, match=f"candidates is {count}; set it to .* at most the {wanted} beams"
        ):
            summary_decoding(config, **{**NOTHING, "candidates": count})


def lengths_of(config, positions=None, documents=((20, 20),), **given):
    return summary_lengths(config, positions, documents, **{**NO_LENGTH, **given})


def test_the_models_own_length_is_no_bound(config):
    assert lengths_of(config) == ([4], [Lengths(12, 0, None)])
    given = lengths_of(config, min_words=5, max_words=7)
    assert given == ([4], [Lengths(15, 5, 7)])


@pytest.mark.parametrize(
    ("given", "wanted", "tokens", "least", "most"),
    [
        ({"words": 9}, 9, 27, 8, 10),
        ({"words": 1}, 1, 12, 1, 2),
        ({"words": 40}, 40, 120, 39, 41),
        ({"words": 9, "max_words": 2}, 2, 12, 1, 2),
        ({"words": 9, "max_words": 12}, 9, 27, 8, 12),
        ({"words": 9, "min_words": 0}, 9, 27, 0, 10),
        ({"words": 3, "min_words": 6}, 3, 18, 6, 7),
        ({"ratio": 0.5}, 10, 30, 9, 11),
        ({"ratio": 0.5, "max_words": 8}, 8, 24, 7, 8),
    ],
)
def test_a_wish_holds_within_a_word_unless_bounds_say_otherwise(config, given, wanted, tokens, least, most):
    assert lengths_of(config, **given) == ([wanted], [Lengths(tokens, least, most)])


def test_a_ratio_is_of_each_documents_own_words_and_of_no_more_than_is_read(config):
    documents = [(20, 20), (5, 5), (1, 1), (0, 0), (300, 24), (30, 24)]
    wanted, lengths = lengths_of(config, documents=documents, ratio=0.5)
    # A half is rounded up; of 300 words only 24 are read, so no more can be told.
    assert wanted == [10, 3, 1, 1, 24, 15]
    assert [(row.min_words, row.max_words) for row in lengths] == [
        (9, 11), (2, 4), (1, 2), (1, 2), (23, 25), (14, 16),
    ]  # fmt: skip


def test_positions_bound_what_can_be_asked_for(config):
    positions = 20 + EXTRA_POSITIONS
    assert lengths_of(config, positions, words=9)[1] == [Lengths(20, 8, 10)]
    assert lengths_of(config, positions, words=20)[1] == [Lengths(20, 19, 21)]
    with pytest.raises(InputError, match=r"words is 21; set it to at most 20\."):
        lengths_of(config, positions, words=21)
    assert lengths_of(config, positions, words=21, max_words=9)[0] == [9]
    # Chinese: more words than tokens are read, and no document is refused for the others' sake.
    assert lengths_of(config, positions, [(40, 40)], ratio=1.0)[1] == [Lengths(20, 20, 41)]


def test_words_and_ratio_exclude_each_other(config):
    with pytest.raises(InputError) as caught:
        lengths_of(config, words=8, ratio=0.5)
    assert str(caught.value) == "words and ratio exclude each other; give one of them."


def test_documents_are_searched_for_and_kept_from_stuttering(config):
    decoding = reconstruction_decoding(config, 4)
    assert (decoding.num_beams, decoding.max_tokens) == (4, config.max_document_tokens)
    assert decoding.length_penalty == 0.5  # neither breaking off nor going on for ever wins
    assert (decoding.distinct_words, decoding.distinct_window, decoding.no_repeat_ngram_size) == (True, 8, 3)
    assert decoding.contrast == 0.5
    assert decoding.whole_words  # from scratch
    config.reconstructor.checkpoint = "elsewhere"
    assert not reconstruction_decoding(config, 1).whole_words
    with pytest.raises(InputError, match="num_beams is 0; set it to at least 1"):
        reconstruction_decoding(config, 0)
