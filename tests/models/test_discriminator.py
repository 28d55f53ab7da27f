import pytest
import torch

from textae.data.batches import TokenBatch, pad_rows
from textae.model_config import DiscriminatorConfig
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

        def fluency(self, sentences):
            return torch.tensor([[1.0, 2.0, -5.0], [4.0, 0.0, 0.0]])

    human, ends, fluent = log_odds(Given(), pad_rows([[5, 6, 2], [2]], 0))
    assert fluent.tolist() == pytest.approx([-2 / 3, 4.0])
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


# Its language model ---------------------------------------------------------------------------------


def predicting(architecture="gru", dropout=0.0):
    torch.manual_seed(4)
    config = DiscriminatorConfig(
        architecture, width=8, layers=2, heads=2, dropout=dropout, language_model=True
    )
    return Discriminator(config, 20, 16).eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_probabilities_of_what_comes_next_add_up_to_one(architecture):
    network = predicting(architecture)
    for prefix in ([], [5, 6]):
        every = network.log_probabilities(pad_rows([[*prefix, token] for token in range(20)], 0))
        assert every[:, len(prefix)].exp().sum().item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_a_token_is_predicted_from_those_before_it(architecture):
    network, batch = predicting(architecture), pad_rows(ROWS, 0)
    known = network.log_probabilities(batch)
    assert known.shape == (2, 5) and (known[1, 3:] == 0).all()
    for place in range(5):
        changed = TokenBatch(batch.ids.clone(), batch.mask)
        changed.ids[0, place] = 13
        difference = (network.log_probabilities(changed) - known).abs()
        assert (difference[0, :place] < 1e-6).all()
        assert (difference[0, place:] > 1e-6).all()
    alone = network.log_probabilities(pad_rows([ROWS[1]], 0))
    assert torch.allclose(known[1, :3], alone[0], atol=1e-6)


@torch.no_grad()
def test_fluency_is_how_much_likelier_a_token_is_there_than_anywhere():
    network, batch = predicting(), pad_rows(ROWS, 0)
    network.count([[5, 5, 6, 2]])
    total = 4 + 20 / 2  # half a count for each of twenty tokens
    expected = torch.full((20,), 0.5)
    expected[5], expected[6], expected[2] = 2.5, 1.5, 1.5
    assert torch.allclose(network.log_frequencies, (expected / total).log())
    gain = network.log_probabilities(batch) - network.log_frequencies[batch.ids]
    assert torch.allclose(network.fluency(batch)[0], gain[0].clamp(-5, 5))
    assert (network.fluency(batch)[1, 3:] == 0).all()
    network.log_frequencies[7] = -100.0
    network.before_first += 100.0
    assert network.fluency(batch).abs().max() <= 5.0


@torch.no_grad()
def test_without_a_language_model_nothing_is_fluent():
    network, batch = make("gru"), pad_rows(ROWS, 0)
    assert not network.fluency(batch).any()
    with pytest.raises(RuntimeError, match=r"discriminator\.language_model is off"):
        network.log_probabilities(batch)
    assert "log_frequencies" not in network.state_dict()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_it_learns_what_follows_what(architecture):
    network, batch = predicting(architecture), pad_rows([[5, 6, 2], [7, 8, 2]], 0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(80):
        loss = -network.log_probabilities(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # The first token is 5 or 7, what follows is known.
    assert loss.item() == pytest.approx(torch.tensor(2.0).log().item() / 3, abs=0.05)
    with torch.no_grad():
        fluent, mixed = network.fluency(pad_rows([[5, 6, 2], [5, 8, 2]], 0))[:, 1].tolist()
    assert fluent > 0 > mixed
