"""Going back to the best weights: when, to what, and how often."""

import json

import pytest
import torch
from torch import nn

from textae.config import AdversarialConfig
from textae.training.rollback import Rollback, total_reward
from textae.training.run import train


def watching(**values):
    settings = {"rollback_drop": 2.0, "rollback_signal": "reward", **values}
    return Rollback(AdversarialConfig(**settings))


def test_it_goes_back_when_the_number_has_fallen_too_far():
    model = nn.Linear(1, 1)
    rollback = watching(rollback_rate_factor=0.5, rollback_limit=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    assert not rollback.report(5.0, model)
    best = model.weight.clone()
    model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    assert not rollback.report(3.0, model)  # exactly 2 below the best is not further
    assert not torch.equal(model.weight, best) and len(optimizer.state) == 2
    assert rollback.report(2.9, model)
    rollback.go_back(model, optimizer.state.clear)
    assert torch.equal(model.weight, best) and len(optimizer.state) == 0
    assert rollback.slow_down({"encoder": 0.4, "reconstructor": 0.4}) == {
        "encoder": 0.2,
        "reconstructor": 0.4,
    }
    assert "rollback 1 of at most 2: the reward fell to 2.90, its best was 5.00" in rollback.describe(2.9)
    assert rollback.report(-9.0, model)
    rollback.go_back(model, optimizer.state.clear)
    assert rollback.slow_down({"encoder": 0.4})["encoder"] == pytest.approx(0.1)
    assert not rollback.report(-9.0, model)  # twice is all


def test_patience_counts_bad_reports_in_a_row():
    model, rollback = nn.Linear(1, 1), watching(rollback_patience=2)
    assert [rollback.report(value, model) for value in (5.0, 1.0, 4.0, 1.0, 1.0)] == [False] * 4 + [True]
    rollback.go_back(model, lambda: None)
    assert not rollback.report(1.0, model)  # counted anew


def test_a_new_best_keeps_its_own_weights():
    model, rollback = nn.Linear(1, 1), watching()
    rollback.report(1.0, model)
    with torch.no_grad():
        model.weight.add_(1.0)
    rollback.report(2.0, model)
    kept = rollback.weights["weight"]
    assert torch.equal(kept, model.weight)
    with torch.no_grad():
        model.weight.add_(1.0)
    rollback.report(1.5, model)
    assert rollback.weights["weight"] is kept and not torch.equal(kept, model.weight)


def test_the_total_reward_is_the_weighted_sum_of_the_raw_ones():
    rewards = AdversarialConfig().rewards
    metrics = {f"reward/{name}": 0.0 for name in ("reconstruction", "reader", "length", "repetition", "kl")}
    metrics |= {
        "reward/reconstruction": -3.0,
        "reward/length": -2.0,
        "reward/kl": -1.0,
        "reward/fluency": 9.0,
    }
    # weights 1, 0.3, 0.05 and, of fluency, 0
    assert total_reward(metrics, rewards) == pytest.approx(-3.0 - 0.6 - 0.05)


def test_rewards_are_averaged_over_windows_in_which_the_encoder_learns():
    rollback = watching(rollback_window=2, discriminator_first_steps=1)
    for name in ("reader", "length", "repetition", "kl"):
        getattr(rollback.config.rewards, name).weight = 0.0
    means = [
        rollback.window_mean({"reward/reconstruction": value}, step)
        for step, value in enumerate([100.0, 1.0, 2.0, 3.0, 5.0])
    ]
    assert means == [None, None, 1.5, None, 4.0]


@pytest.mark.parametrize("values", [{"rollback_drop": None}, {"rollback_signal": "valid"}])
def test_rewards_are_left_alone_where_nobody_watches_them(values):
    assert watching(**values).window_mean({}, 100) is None


def test_its_state_can_be_restored():
    model, first = nn.Linear(1, 1), watching(rollback_patience=3)
    for value in (5.0, 1.0, 1.0):
        first.report(value, model)
    second = watching(rollback_patience=3)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())), first.weights)
    assert (second.best, second.bad) == (5.0, 2)
    assert first.report(1.0, model) and second.report(1.0, model)
    fresh = watching()
    fresh.load_state_dict(json.loads(json.dumps(watching().state_dict())), None)
    assert not fresh.report(-100.0, model)  # the first number is the best so far


def test_a_run_goes_back_to_the_warm_model_when_the_valid_score_falls(tmp_path, make_config):
    """The score of step 6, two steps after the end of warm-up, falls by 3."""
    scores, seen = iter([1.0, 9.0, 6.0, 9.5, 9.5, 9.5]), []

    def evaluate(model, pairs):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"score": next(scores)}

    rollback = {"rollback_drop": 2.0, "rollback_rate_factor": 1e-6}
    sections = {"warmup": {"steps": 4}, "run": {"evaluate_every": 2, "sample_every": 100}}
    config = make_config(tmp_path / "run", adversarial={"steps": 8, **rollback}, **sections)
    train(config, evaluate=evaluate)
    log = (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
    assert log.count("rollback") == 1
    assert "step 6, rollback 1 of at most 3: the valid score fell to 6.00, its best was 9.00" in log
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line for line in lines if "rollback/count" in line] == [{"step": 6, "rollback/count": 1.0}]
    encoder = [name for name in seen[1] if name.startswith("encoder.")]
    moved = [sum(float((seen[at][name] - seen[1][name]).abs().sum()) for name in encoder) for at in (2, 3)]
    # Back at the warm weights, and hardly moving from there at a millionth of the rate.
    assert moved[0] > 0.1 and moved[1] < 1e-3 * moved[0]
