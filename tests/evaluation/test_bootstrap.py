import numpy as np
import pytest

from textae.evaluation.bootstrap import bootstrap_interval, bootstrap_means, paired_bootstrap


def test_interval_has_the_width_that_theory_gives_and_holds_the_mean():
    scores = np.random.default_rng(1).normal(5.0, 2.0, size=400)
    low, high = bootstrap_interval(scores, resamples=2000, seed=0)
    assert low < scores.mean() < high
    assert (high - low) / 2 == pytest.approx(1.96 * scores.std() / 20, rel=0.1)


def test_measures_share_the_draws():
    scores = np.arange(10.0)
    both = bootstrap_means(np.stack([scores, 2 * scores], axis=1), resamples=50, seed=4)
    assert both.shape == (50, 2)
    assert both[:, 1] == pytest.approx(2 * both[:, 0])


def test_seed_decides():
    scores = np.arange(30.0)
    assert bootstrap_means(scores, 20, 1).tolist() == bootstrap_means(scores, 20, 1).tolist()
    assert bootstrap_means(scores, 20, 1).tolist() != bootstrap_means(scores, 20, 2).tolist()


def test_many_examples_are_resampled_in_pieces(monkeypatch):
    monkeypatch.setattr("textae.evaluation.bootstrap._INDICES_AT_ONCE", 25)
    means = bootstrap_means(np.arange(10.0), resamples=7, seed=0)
    assert means.shape == (7,)
    assert len(set(means.tolist())) > 1


def test_one_example_has_an_interval_of_no_width():
    assert bootstrap_interval([3.0]).tolist() == [3.0, 3.0]


def test_nothing_cannot_be_resampled():
    with pytest.raises(ValueError, match="no examples"):
        bootstrap_means([])


def test_paired_comparison_finds_a_steady_difference_that_unpaired_intervals_hide():
    generator = np.random.default_rng(0)
    easy = generator.uniform(0, 100, size=200)
    better = easy + generator.normal(1.0, 1.0, size=200)
    result = paired_bootstrap(better, easy, seed=0)
    assert bootstrap_interval(easy)[1] > better.mean()
    assert result["difference"] == pytest.approx((better - easy).mean())
    assert 0 < result["interval"][0] < result["difference"] < result["interval"][1]
    assert result["p_value"] == pytest.approx(2 / 1001)


def test_paired_comparison_of_a_system_with_itself_says_nothing():
    assert paired_bootstrap([1.0, 2.0], [1.0, 2.0])["p_value"] == 1.0


def test_paired_comparison_is_antisymmetric():
    first, second = [1.0, 5.0, 2.0, 4.0], [2.0, 3.0, 3.0, 3.0]
    forward, backward = paired_bootstrap(first, second), paired_bootstrap(second, first)
    assert forward["difference"] == -backward["difference"]
    assert forward["p_value"] == backward["p_value"]


def test_paired_comparison_needs_the_same_examples():
    with pytest.raises(ValueError, match="one length"):
        paired_bootstrap([1.0], [1.0, 2.0])
