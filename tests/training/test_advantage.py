"""Advantages, with numbers worked out by hand."""

import torch

from textae.training.advantage import (
    center,
    center_by_position,
    discounted_returns,
    leave_one_out,
    position_sums,
    self_critical,
)

ENDED = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])


def test_leave_one_out_takes_the_mean_of_the_other_samples_of_the_same_document():
    rewards = torch.tensor([1.0, 2.0, 6.0, 10.0, 10.0, 40.0])
    # 1 - (2 + 6) / 2, 2 - (1 + 6) / 2, 6 - (1 + 2) / 2; 10 - 25, 10 - 25, 40 - 10
    expected = torch.tensor([-3.0, -1.5, 4.5, -15.0, -15.0, 30.0])
    torch.testing.assert_close(leave_one_out(rewards, 3), expected)


def test_leave_one_out_sums_to_zero_within_a_document():
    rewards = torch.randn(8, generator=torch.Generator().manual_seed(1))
    sums = leave_one_out(rewards, 4).view(2, 4).sum(dim=1)
    torch.testing.assert_close(sums, torch.zeros(2), atol=1e-6, rtol=0)


def test_self_critical_compares_with_the_documents_own_greedy_summary():
    rewards = torch.tensor([1.0, 2.0, 3.0, 4.0])
    result = self_critical(rewards, torch.tensor([1.5, 10.0]), 2)
    assert result.tolist() == [-0.5, 0.5, -7.0, -6.0]


def test_center_takes_one_mean_from_all():
    assert center(torch.tensor([1.0, 5.0]), torch.tensor(3.0)).tolist() == [-2.0, 2.0]


def test_position_sums_leave_padding_out():
    rewards = torch.tensor([[1.0, 2.0, 3.0], [4.0, 99.0, 99.0], [7.0, 8.0, 99.0]])
    sums, counts = position_sums(rewards, ENDED)
    assert sums.tolist() == [12.0, 10.0, 3.0]
    assert counts.tolist() == [3.0, 2.0, 1.0]


def test_center_by_position_takes_the_positions_mean_and_leaves_zero_on_padding():
    rewards = torch.tensor([[1.0, 2.0, 3.0], [4.0, 99.0, 99.0], [7.0, 8.0, 99.0]])
    centred = center_by_position(rewards, ENDED, torch.tensor([4.0, 5.0, 3.0]))
    assert centred.tolist() == [[-3.0, -3.0, 0.0], [0.0, 0.0, 0.0], [3.0, 3.0, 0.0]]


def test_returns_are_discounted_backwards_and_stop_at_the_end():
    rewards = torch.tensor([[1.0, 2.0, 4.0], [8.0, 99.0, 99.0], [1.0, -2.0, 99.0]])
    returns = discounted_returns(rewards, ENDED, 0.5)
    # 4; 2 + 4 / 2 = 4; 1 + 4 / 2 = 3
    assert returns.tolist() == [[3.0, 4.0, 4.0], [8.0, 0.0, 0.0], [0.0, -2.0, 0.0]]


def test_no_discount_of_the_future_pays_each_token_for_itself_and_a_full_one_for_all_that_follows():
    rewards = torch.tensor([[1.0, 2.0, 4.0]])
    mask = torch.ones(1, 3, dtype=torch.bool)
    assert discounted_returns(rewards, mask, 0.0).tolist() == [[1.0, 2.0, 4.0]]
    assert discounted_returns(rewards, mask, 1.0).tolist() == [[7.0, 6.0, 4.0]]
