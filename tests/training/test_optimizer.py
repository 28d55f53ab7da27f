"""Learning rates and parameter groups."""

import pytest

from textae.config import OptimizerConfig, TrainingConfig
from textae.training.optimizer import build_optimizer, learning_rates, set_learning_rates


def test_learning_rates_of_both_phases():
    config = TrainingConfig()
    config.warmup.steps, config.warmup.warmup_steps = 100, 10
    config.warmup.learning_rate, config.warmup.discriminator_learning_rate = 1.0, 10.0
    config.adversarial.steps = 50
    config.adversarial.learning_rate = 2.0
    config.adversarial.reconstructor_learning_rate = 3.0
    config.adversarial.discriminator_learning_rate = 4.0
    first = {"encoder": 0.1, "reconstructor": 0.1, "discriminator": 1.0}
    assert learning_rates(config, 0) == pytest.approx(first)
    assert learning_rates(config, 10) == {"encoder": 1.0, "reconstructor": 1.0, "discriminator": 10.0}
    assert learning_rates(config, 99)["encoder"] == pytest.approx(1 - 0.8 * 89 / 90)
    again = {"encoder": 0.2, "reconstructor": 0.3, "discriminator": 0.4}
    assert learning_rates(config, 100) == pytest.approx(again)
    assert learning_rates(config, 110) == {"encoder": 2.0, "reconstructor": 3.0, "discriminator": 4.0}


def test_the_reconstructor_may_learn_faster_in_warmup():
    config = TrainingConfig()
    config.warmup.steps, config.warmup.warmup_steps, config.warmup.learning_rate = 100, 10, 1.0
    config.warmup.reconstructor_learning_rate = 4.0
    rates = learning_rates(config, 0)
    assert (rates["encoder"], rates["reconstructor"]) == pytest.approx((0.1, 0.4))
    rates = learning_rates(config, 99)
    assert rates["reconstructor"] == pytest.approx(4 * (1 - 0.8 * 89 / 90))
    assert learning_rates(config, 110)["reconstructor"] == config.adversarial.reconstructor_learning_rate


def test_a_short_warmup_rises_over_half_of_its_steps():
    config = TrainingConfig()
    config.warmup.steps, config.warmup.warmup_steps, config.warmup.learning_rate = 4, 100, 1.0
    assert [learning_rates(config, step)["encoder"] for step in range(3)] == [0.5, 1.0, 1.0]
    config.warmup.steps = 1
    assert learning_rates(config, 0)["encoder"] == 1.0


def test_each_parameter_is_in_one_group_and_only_matrices_decay(model):
    model.encoder.requires_grad_(False)
    kept = next(p for p in model.encoder.parameters() if p.dim() >= 2)
    kept.requires_grad_(True)
    optimizer = build_optimizer(model, OptimizerConfig(weight_decay=0.5, adam_beta1=0.8, adam_beta2=0.9))
    assert [group["network"] for group in optimizer.param_groups] == [
        n for n in model.parts() for _ in range(2)
    ]
    seen = [p for group in optimizer.param_groups for p in group["params"]]
    wanted = [p for p in model.parameters() if p.requires_grad]
    assert sorted(map(id, seen)) == sorted(map(id, wanted))
    for group in optimizer.param_groups:
        assert group["betas"] == (0.8, 0.9)
        assert all((p.dim() >= 2) == (group["weight_decay"] == 0.5) for p in group["params"])
        assert group["weight_decay"] in (0.0, 0.5)


def test_set_learning_rates_gives_each_network_its_own(model):
    optimizer = build_optimizer(model, OptimizerConfig())
    rates = {"encoder": 1.0, "reconstructor": 2.0, "discriminator": 3.0}
    set_learning_rates(optimizer, rates)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
