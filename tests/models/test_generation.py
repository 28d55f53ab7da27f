"""Options of a summary: those of the model stand where none are given."""

import pytest

from textae.config import DecodingConfig
from textae.errors import InputError
from textae.models.generation import EXTRA_POSITIONS, reconstruction_decoding, summary_decoding

NOTHING = {
    "words": None,
    "min_words": 0,
    "max_words": None,
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
    decoding, words = summary_decoding(config, None, **NOTHING)
    assert words == config.length.summary_words
    assert decoding.max_tokens == config.length.maximum_tokens
    chosen = (decoding.num_beams, decoding.length_penalty, decoding.no_repeat_ngram_size)
    assert chosen == (3, 0.5, 2)
    assert decoding.candidates == 2
    assert (decoding.whole_words, decoding.distinct_words) == (False, True)


def test_what_is_given_wins(config):
    given = {
        "words": 9,
        "num_beams": 5,
        "candidates": 4,
        "length_penalty": 2.0,
        "no_repeat_ngram_size": 0,
        "whole_words": True,
        "distinct_words": False,
    }
    decoding, words = summary_decoding(config, None, **{**NOTHING, **given})
    assert words == 9
    assert decoding.max_tokens == 27
    for name, value in given.items():
        assert name == "words" or getattr(decoding, name) == value


@pytest.mark.parametrize(("checkpoint", "whole"), [(None, True), ("google/mt5-small", False)])
def test_only_an_encoder_from_a_checkpoint_spells_new_words(config, checkpoint, whole):
    config.decoding.whole_words = None
    config.encoder.checkpoint = checkpoint
    assert summary_decoding(config, None, **NOTHING)[0].whole_words is whole


def test_sampling_leaves_the_models_beams_alone_but_not_those_asked_for(config):
    sampling = {**NOTHING, "do_sample": True}
    assert summary_decoding(config, None, **sampling)[0].num_beams == 1
    with pytest.raises(InputError, match="num_beams is 2; set it to 1 when sampling"):
        summary_decoding(config, None, **{**sampling, "num_beams": 2})


def test_no_more_candidates_than_beams(config):
    assert summary_decoding(config, None, **{**NOTHING, "num_beams": 1})[0].candidates == 1
    for count, wanted in ((0, 3), (4, 3)):
        with pytest.raises(
            InputError, match=f"candidates is {count}; set it to .* at most the {wanted} beams"
        ):
            summary_decoding(config, None, **{**NOTHING, "candidates": count})


def test_a_greatest_length_lowers_the_wanted_one_and_positions_bound_the_tokens(config):
    assert summary_decoding(config, None, **{**NOTHING, "words": 9, "max_words": 2})[1] == 2
    decoding, _ = summary_decoding(config, 20, **{**NOTHING, "words": 9})
    assert decoding.max_tokens == 20 - EXTRA_POSITIONS


def test_documents_are_searched_for_and_kept_from_stuttering(config):
    decoding = reconstruction_decoding(config, 4)
    assert (decoding.num_beams, decoding.max_tokens) == (4, config.max_document_tokens)
    assert decoding.length_penalty == 0.5  # neither breaking off nor going on for ever wins
    assert (decoding.distinct_words, decoding.distinct_window, decoding.no_repeat_ngram_size) == (True, 8, 3)
    assert decoding.whole_words  # from scratch
    config.reconstructor.checkpoint = "elsewhere"
    assert not reconstruction_decoding(config, 1).whole_words
    with pytest.raises(InputError, match="num_beams is 0; set it to at least 1"):
        reconstruction_decoding(config, 0)
