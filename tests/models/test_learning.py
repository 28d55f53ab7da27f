"""Rates, parameter groups and hidden words."""

import pytest
import torch

from textae.config import OptimizerConfig
from textae.data.batches import pad_rows
from textae.models.learning import adamw, decay_groups, hide_tokens, ramp


def test_ramp_rises_linearly_and_falls_to_a_fifth():
    factors = [ramp(step, steps=12, rise=2) for step in range(13)]
    assert factors[:4] == [0.5, 1.0, 1.0, pytest.approx(0.92)]
    assert factors[7] == pytest.approx(0.6)
    assert factors[12] == pytest.approx(0.2)


def test_ramp_without_a_rise_or_without_a_fall():
    assert ramp(0, steps=4, rise=0) == 1.0
    assert ramp(3, steps=3, rise=3) == 1.0


def test_matrices_decay_and_biases_do_not():
    network = torch.nn.Linear(3, 2)
    first, second = adamw(decay_groups(network, 0.5), OptimizerConfig(adam_beta1=0.8)).param_groups
    assert (first["params"], first["weight_decay"]) == ([network.weight], 0.5)
    assert (second["params"], second["weight_decay"]) == ([network.bias], 0.0)
    assert {(group["lr"], group["betas"]) for group in (first, second)} == {(0.0, (0.8, 0.98))}


def test_what_is_frozen_is_not_optimized():
    network = torch.nn.Linear(3, 2)
    network.bias.requires_grad_(False)
    assert [len(group["params"]) for group in decay_groups(network, 0.1)] == [1, 0]


def test_hidden_tokens_are_drawn_and_padding_is_none():
    documents = pad_rows([[5, 6, 7], [8]], pad=0)
    uniforms = torch.tensor([[0.1, 0.3, 0.29], [0.9, 0.0, 0.0]])
    hidden = hide_tokens(documents, uniforms, 0.3, mask=4)
    assert hidden.tolist() == [[4, 6, 4], [8, 0, 0]]
    assert documents.ids.tolist() == [[5, 6, 7], [8, 0, 0]]
