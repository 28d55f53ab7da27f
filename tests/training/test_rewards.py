"""Each reward by hand."""

from dataclasses import replace

import pytest
import torch

from textae.config import RewardsConfig
from textae.data.batches import TokenBatch
from textae.training.rewards import (
    REWARDS,
    UNFINISHED_WORDS,
    Rollout,
    encoder,
    fluency,
    kl,
    length,
    reader,
    reconstruction,
    repetition,
    repetitions,
    topic,
)


@pytest.fixture
def rollout():
    ids = torch.tensor([[5, 6, 2], [7, 2, 0]])
    return Rollout(
        summaries=TokenBatch(ids, ids != 0),
        texts=["rain rain rain", "sun"],
        documents=["it rained , and rained", "the sun came out"],
        words=torch.tensor([3, 1]),
        wanted_words=torch.tensor([5, 1]),
        finished=torch.tensor([True, True]),
        document_log_probabilities=torch.tensor([[-1.0, -2.0, -3.0], [-4.0, 0.0, 0.0]]),
        empty_log_probabilities=torch.zeros(2, 3),
        document_weights=torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]),
        scores=torch.tensor([[0.5, -7.0, 9.0], [5.0, -5.0, 0.0]]),
        log_probabilities=torch.tensor([[-1.0, -2.0, -0.5], [-3.0, -1.0, 0.0]]),
        reference_log_probabilities=torch.tensor([[-1.5, -1.0, -0.5], [-3.0, -4.0, 0.0]]),
        fluency=torch.tensor([[0.5, -2.0, 1.0], [3.0, -1.0, 0.0]]),
        topic_similarity=torch.tensor([0.75, -0.25]),
        encoder_similarity=torch.tensor([0.5, 1.0]),
    )


def test_every_reward_has_its_settings_and_the_other_way_round():
    assert set(REWARDS) == set(RewardsConfig.__dataclass_fields__)


def test_reconstruction_is_the_mean_over_the_documents_own_tokens(rollout):
    assert reconstruction(rollout).tolist() == [-2.0, -4.0]


def test_reconstruction_weighs_tokens(rollout):
    weights = torch.tensor([[0.0, 1.0, 3.0], [0.5, 0.0, 0.0]])
    weighted = reconstruction(replace(rollout, document_weights=weights))
    assert weighted.tolist() == [-(1 * 2 + 3 * 3) / 4, -4.0]


def test_reconstruction_relative_to_an_empty_summary(rollout):
    empty = torch.tensor([[-2.0, -2.5, -6.0], [-3.0, 0.0, 0.0]])
    relative = replace(rollout, empty_log_probabilities=empty)
    assert reconstruction(relative).tolist() == [(1.0 + 0.5 + 3.0) / 3, -1.0]
    weights = torch.tensor([[0.0, 1.0, 3.0], [0.5, 0.0, 0.0]])
    assert reconstruction(replace(relative, document_weights=weights)).tolist() == [(0.5 + 3 * 3) / 4, -1.0]


def test_similarities_are_paid_as_they_are(rollout):
    assert topic(rollout).tolist() == [0.75, -0.25]
    assert encoder(rollout).tolist() == [0.5, 1.0]


def test_reader_is_the_score_of_each_prefix_within_its_bounds(rollout):
    assert reader(rollout).tolist() == [[0.5, -5.0, 5.0], [5.0, -5.0, 0.0]]


def test_fluency_is_paid_as_it_is(rollout):
    assert fluency(rollout).tolist() == [[0.5, -2.0, 1.0], [3.0, -1.0, 0.0]]


def test_length_is_minus_the_distance_in_words_either_way(rollout):
    assert length(rollout).tolist() == [-2.0, 0.0]
    assert length(replace(rollout, wanted_words=torch.tensor([1, 1]))).tolist() == [-2.0, 0.0]


def test_a_summary_that_does_not_end_pays_more(rollout):
    unfinished = replace(rollout, finished=torch.tensor([False, True]))
    assert length(unfinished).tolist() == [-2.0 - UNFINISHED_WORDS, 0.0]


def test_repetition_counts_each_text(rollout):
    # twice the word before, once a bigram that stood before, twice a long word that did
    assert repetition(rollout).tolist() == [-5.0, 0.0]
    assert repetition(rollout).dtype == torch.float32


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("rain", 0),
        ("the the", 1),
        ("rain rain", 2),
        ("the fog and the sea", 0),
        ("in the fog and in the sea", 1),
        ("a b a b", 1),
        ("a b a b a", 2),
        ("a b c a", 0),
        ("rain here and rain there", 1),
        ("rain rain in the north and in the south", 3),
    ],
)
def test_repetitions(text, count):
    assert repetitions(text.split()) == count


def test_kl_is_what_the_reference_gives_more_than_the_policy(rollout):
    assert kl(rollout).tolist() == [[-0.5, 1.0, 0.0], [0.0, -3.0, 0.0]]
