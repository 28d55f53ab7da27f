import pytest
import torch

from textae.config import DiscriminatorConfig
from textae.data.batches import TokenBatch, pad_rows
from textae.models.discriminator import Discriminator, log_odds

ARCHITECTURES = ["gru", "transformer"]
ROWS = [[5, 6, 7, 8, 2], [9, 5, 2]]


def make(architecture, layers=2, dropout=0.3):
    torch.manual_seed(4)
    config = DiscriminatorConfig(architecture, width=8, layers=layers, heads=2, dropout=dropout)
    return Discriminator(config, 20, 16).eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_every_prefix_has_a_score_of_its_own(architecture):
    network, batch = make(architecture), pad_rows(ROWS, 0)
    scores = network(batch)
    assert scores.shape == (2, 5)
    assert scores.dtype == torch.float32
    assert len({round(score, 6) for score in scores[0].tolist()}) == 5
    for length in range(1, 6):
        prefix = network(pad_rows([ROWS[0][:length]], 0))
        assert torch.allclose(prefix[0], scores[0, :length], atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_a_later_token_does_not_change_earlier_scores_and_an_earlier_one_does(architecture):
    network, batch = make(architecture), pad_rows(ROWS, 0)
    scores = network(batch)
    for place in range(5):
        changed = TokenBatch(batch.ids.clone(), batch.mask)
        changed.ids[0, place] = 13
        difference = (network(changed) - scores).abs()
        assert (difference[0, :place] < 1e-6).all()
        assert (difference[0, place:] > 1e-6).all()
        assert (difference[1] < 1e-6).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_padding_does_not_matter(architecture):
    network = make(architecture)
    together = network(pad_rows([*ROWS, [5] * 12], 0))
    other_padding = network(pad_rows([*ROWS, [5] * 12], 17))
    for row, ids in enumerate(ROWS):
        alone = network(pad_rows([ids], 0))[0]
        assert torch.allclose(together[row, : len(ids)], alone, atol=1e-6)
        assert torch.allclose(other_padding[row, : len(ids)], alone, atol=1e-6)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_gets_a_gradient_and_dropout_only_acts_in_training(architecture):
    network, batch = make(architecture), pad_rows(ROWS, 0)
    assert torch.equal(network(batch), network(batch))
    network.train()
    first = network(batch)
    assert not torch.equal(first, network(batch))
    sum((part * batch.mask).sum() for part in network.train().judge(batch)).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_log_odds_are_bounded_and_end_before_the_end_token():
    """The mean over all tokens, and the other logit at the last word; an empty text has but one token."""

    class Given:
        def judge(self, sentences):
            return torch.tensor([[1.0, 9.0, -2.0], [3.0, 7.0, 7.0]]), torch.tensor(
                [[0.5, -8.0, 4.0], [1.5, 7.0, 7.0]]
            )

    human, ends = log_odds(Given(), pad_rows([[5, 6, 2], [2]], 0))
    assert human.tolist() == pytest.approx([(1.0 + 5.0 - 2.0) / 3, 3.0])
    assert ends.tolist() == [-5.0, 1.5]


def test_a_transformer_knows_the_order_of_what_it_read():
    network = make("transformer")
    first, second = network(pad_rows([[5, 6, 7]], 0)), network(pad_rows([[6, 5, 7]], 0))
    assert (first - second)[0, 2].abs().item() > 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_learns_to_tell_an_order_from_another(architecture):
    """Sentences in which 5 stands before 6 are human, the others not: no bag of words can tell."""
    network = make(architecture, layers=1, dropout=0.0)
    batch = pad_rows([[5, 6], [6, 5]], 0)
    target = torch.tensor([1.0, 0.0])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(batch)[:, 1], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
