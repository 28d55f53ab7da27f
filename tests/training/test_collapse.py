"""Every sign of collapse shows when it should, and only then."""

import pytest

from textae.training.collapse import CollapseSigns

HEALTHY = {
    "summary/words": 8.0,
    "summary/unfinished": 0.05,
    "summary/repetitive": 0.1,
    "summary/copied": 0.7,
    "discriminator/accuracy": 0.8,
    "policy/kl": 0.2,
    "reward/reconstruction": -3.0,
}


def watch(*changes, texts=lambda step: [f"text {step}", f"other {step}"], window=10):
    """Signs after ten steps; ``changes`` holds one dictionary for all, or one for each half."""
    signs = CollapseSigns(window=window, maximum_words=12)
    for step in range(10):
        change = changes[step * len(changes) // 10] if changes else {}
        signs.add({**HEALTHY, **change}, texts(step))
    return signs.warnings()


def test_a_healthy_run_says_nothing():
    assert watch() == []


def test_a_wasserstein_critic_has_no_accuracy():
    signs = CollapseSigns(window=2, maximum_words=12)
    for step in range(2):
        metrics = {name: value for name, value in HEALTHY.items() if name != "discriminator/accuracy"}
        signs.add({**metrics, "summary/words": 30.0}, [f"text {step}"])
    (sign,) = signs.warnings()
    assert sign.startswith("length at its bound")


def test_nothing_is_said_before_the_window_is_full():
    assert watch({"summary/words": 30.0}, window=11) == []
    assert len(watch({"summary/words": 30.0}, window=10)) == 1


@pytest.mark.parametrize(
    ("bad", "fine", "sign"),
    [
        ({"summary/words": 12.1}, {"summary/words": 12.0}, "length at its bound: 12.1 words"),
        ({"summary/unfinished": 0.26}, {"summary/unfinished": 0.25}, "26% do not end"),
        ({"summary/words": 1.9}, {"summary/words": 2.0}, "nearly empty: 1.9 words"),
        ({"summary/repetitive": 0.51}, {"summary/repetitive": 0.5}, "repeat themselves"),
        ({"discriminator/accuracy": 0.98}, {"discriminator/accuracy": 0.96}, "right 98% of the time"),
        ({"discriminator/accuracy": 0.51}, {"discriminator/accuracy": 0.53}, "only guesses"),
        ({"discriminator/accuracy": 0.49}, {"discriminator/accuracy": 0.47}, "only guesses"),
    ],
)
def test_a_sign_shows_beyond_its_bound_and_not_within(bad, fine, sign):
    (warning,) = watch(bad)
    assert sign in warning
    assert watch(fine) == []


def test_repeated_summaries():
    (warning,) = watch(texts=lambda step: ["the same", f"text {step}"])
    assert warning.startswith("45% of summaries are repeated")  # 20 texts, 11 different
    assert watch(texts=lambda step: [f"text {step // 2}" if step < 4 else f"{step}", f"b {step}"]) == []


def test_a_divergence_that_jumps_in_the_last_steps():
    changes = [{"policy/kl": 0.1}] * 9 + [{"policy/kl": 3.0}]
    (warning,) = watch(*changes)
    assert "jumped to 3.0 nats" in warning
    assert watch({"policy/kl": 3.0}) == []  # high all the time is no jump
    assert watch(*[{"policy/kl": 0.1}] * 9, {"policy/kl": 0.9}) == []  # small, however it grew


def test_reconstruction_that_improves_while_summaries_leave_the_document():
    before = {"reward/reconstruction": -3.0, "summary/copied": 0.8}
    better = {"reward/reconstruction": -2.8, "summary/copied": 0.6}
    (warning,) = watch(before, better)
    assert "private code" in warning
    assert watch(before, {**better, "summary/copied": 0.75}) == []
    assert watch(before, {**better, "reward/reconstruction": -3.0}) == []


def test_only_the_last_steps_count():
    signs = CollapseSigns(window=2, maximum_words=12)
    signs.add({**HEALTHY, "summary/words": 90.0}, ["old"])
    for step in range(2):
        signs.add(HEALTHY, [f"new {step}"])
    assert signs.warnings() == []
