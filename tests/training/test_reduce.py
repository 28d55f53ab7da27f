"""Means over the global batch."""

from types import SimpleNamespace

import pytest
import torch

from textae.training import loop
from textae.training.reduce import Reduce
from textae.training.run import train


def launch_of_two(other):
    """The first of two processes, the second of which always adds ``other``."""
    return Reduce(SimpleNamespace(num_processes=2, reduce=lambda value, how: value + other))


def test_one_process_has_plain_means(reduce):
    total = torch.tensor(6.0, requires_grad=True)
    mean = reduce.mean(total, torch.tensor(4))
    assert mean.item() == 1.5
    mean.backward()
    assert total.grad.item() == 0.25
    assert reduce.value(mean) == 1.5


def test_sums_carry_no_gradient(reduce):
    assert not reduce.sum(torch.ones(2, requires_grad=True)).requires_grad


def test_nothing_to_count_gives_zero_and_no_division_by_it(reduce):
    assert reduce.mean(torch.tensor(0.0), torch.tensor(0)).item() == 0.0


def test_two_processes_share_one_mean_whose_gradient_survives_averaging():
    # Here 6 over 4 tokens, there 2 over 12: the global mean is 8 / 16.
    total = torch.tensor(6.0, requires_grad=True)
    here = launch_of_two(other=12.0).mean(total, torch.tensor(4))
    there = launch_of_two(other=4.0).mean(torch.tensor(2.0), torch.tensor(12))
    assert here.item() == 6.0 * 2 / 16
    assert (here.item() + there.item()) / 2 == 8 / 16
    assert launch_of_two(other=there.detach()).value(here) == pytest.approx(8 / 16)
    here.backward()
    # Averaged with the other process' zero: 1 / 16, as if one process had it all.
    assert total.grad.item() / 2 == 1 / 16


def test_the_value_that_is_summed_is_left_as_it_was():
    value = torch.tensor([1.0])
    reduce = Reduce(SimpleNamespace(num_processes=2, reduce=lambda value, how: value.mul_(2)))
    assert reduce.sum(value).tolist() == [2.0]
    assert value.tolist() == [1.0]


def test_sums_over_processes_in_a_step(tmp_path, make_config, monkeypatch):
    """So many small messages a step costs besides gradients: configs/SCALE.md reckons with them."""
    counted, asked = [], []
    sum_of, any_of, step = Reduce.sum, Reduce.any, loop.Training.train_step
    monkeypatch.setattr(Reduce, "sum", lambda self, value: asked.append("sum") or sum_of(self, value))
    monkeypatch.setattr(Reduce, "any", lambda self, value: asked.append("any") or any_of(self, value))

    def train_step(self):
        asked.clear()
        result = step(self)
        counted.append((result[0], len(asked)))
        return result

    monkeypatch.setattr(loop.Training, "train_step", train_step)
    plain = {"discriminator": {"width": 8, "language_model": False}, "data": {"valid": []}}
    steps = {"documents_per_batch": 4, "samples": 2, "steps": 2, "rewards": {}}
    train(make_config(tmp_path, **plain, adversarial=steps))
    assert set(counted) == {("warm-up", 14), ("adversarial", 72)}
