"""The discriminator is held back while it wins too clearly."""

import pytest
import torch

from textae.training.hold import DiscriminatorHold


def test_the_running_accuracy_decides():
    hold = DiscriminatorHold(0.85)
    assert not hold.update(0.8)
    assert not hold.update(1.0)  # 0.9 * 0.8 + 0.1 * 1 = 0.82
    assert not hold.update(1.0)  # 0.838
    assert hold.update(1.0)  # 0.8542
    assert hold.state_dict() == pytest.approx(0.8542)
    again = DiscriminatorHold(0.85)
    again.load_state_dict(hold.state_dict())
    assert hold.update(0.9) and again.update(0.9)  # 0.85878
    assert not hold.update(0.5)  # 0.822902
    assert again.state_dict() == pytest.approx(0.85878)


def test_without_a_limit_it_is_never_held():
    hold = DiscriminatorHold(None)
    assert not hold.update(1.0)
    assert hold.state_dict() is None


@pytest.mark.parametrize(("running", "held"), [(0.99, True), (0.5, False)])
def test_a_held_discriminator_takes_part_but_gets_no_gradient(step, config, model, sampled, running, held):
    config.adversarial.discriminator_hold_accuracy = 0.85
    step.hold = DiscriminatorHold(0.85)
    step.hold.running = running  # 0.9 * 0.99 is above 0.85 whatever this step's accuracy
    plain_outputs = model(sampled.inputs)
    outputs = model(sampled.inputs)
    loss, metrics = step.losses(sampled, outputs, step=0)
    assert metrics["discriminator/held"] == float(held)
    assert metrics["loss/discriminator"] > 0  # the log tells the loss as it is
    config.adversarial.discriminator_hold_accuracy = None
    step.hold = DiscriminatorHold(None)
    plain, without = step.losses(sampled, plain_outputs, step=0)
    assert "discriminator/held" not in without
    difference = metrics["loss/discriminator"] if held else 0.0
    assert plain.item() - loss.item() == pytest.approx(difference, abs=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    score = model.discriminator.score.weight.grad
    assert bool((score == 0).all()) == held
    # Where sentences end is no contest: it is learned all the same.
    assert model.discriminator.ending.weight.grad.abs().sum() > 0
    assert torch.isfinite(score).all()
