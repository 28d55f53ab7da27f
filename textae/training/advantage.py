"""From rewards to advantages: pure functions, no networks.

Shapes: B documents, K samples each, N = B * K rows (the K of one document side by side), T tokens.
"""

import torch


def leave_one_out(rewards: torch.Tensor, samples: int) -> torch.Tensor:
    """Each reward (N,) minus the mean of the document's other samples (Kool et al. 2019; 2402.14740)."""
    groups = rewards.view(-1, samples)
    others = (groups.sum(dim=1, keepdim=True) - groups) / (samples - 1)
    return (groups - others).view(-1)


def self_critical(rewards: torch.Tensor, greedy: torch.Tensor, samples: int) -> torch.Tensor:
    """Each reward (N,) minus that of the document's greedy summary (B,) (Rennie et al. 2017)."""
    return rewards - greedy.repeat_interleave(samples)


def center(rewards: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Each reward (N,) minus one mean over the batch."""
    return rewards - mean


def position_sums(rewards: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum and count (T,) of per-token rewards (N, T) at every position; padding does not count."""
    kept = mask.to(rewards.dtype)
    return (rewards * kept).sum(dim=0), kept.sum(dim=0)


def center_by_position(rewards: torch.Tensor, mask: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Per-token rewards (N, T) minus the mean (T,) of their position; 0 on padding.

    A prefix of one word is harder to judge than a whole sentence, and that is no merit of the
    word: only the difference from other summaries at the same position is.
    """
    return (rewards - mean[None, :]) * mask.to(rewards.dtype)


def discounted_returns(rewards: torch.Tensor, mask: torch.Tensor, discount: float) -> torch.Tensor:
    """Discounted sums (N, T) of the rewards at and after each token; 0 on padding.

    ``returns[t] = rewards[t] + discount * returns[t + 1]``.
    """
    kept = rewards * mask.to(rewards.dtype)
    returns = torch.zeros_like(kept)
    following = torch.zeros_like(kept[:, 0])
    for position in range(kept.shape[1] - 1, -1, -1):
        following = kept[:, position] + discount * following
        returns[:, position] = following
    return returns * mask.to(rewards.dtype)
