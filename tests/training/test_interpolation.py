"""Weights on the line between two networks, by hand, and in a run."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from textae.models.autoencoder import TextAutoencoder
from textae.training.interpolation import interpolated
from textae.training.run import train


def network(*weights):
    made = nn.Linear(len(weights), 1, bias=False)
    made.weight.data = torch.tensor([weights])
    return made


def test_weights_lie_on_the_line_within_and_are_their_own_again_after():
    trained, warm = network(1.0, -3.0), network(5.0, 0.1)
    with interpolated(trained, warm, 0.25):
        torch.testing.assert_close(trained.weight.detach(), torch.tensor([[2.0, -2.225]]))
    assert trained.weight.tolist() == [[1.0, -3.0]]
    torch.testing.assert_close(warm.weight.detach(), torch.tensor([[5.0, 0.1]]))


def test_weights_come_back_after_an_error():
    trained = network(0.1)
    before = trained.weight.detach().clone()
    with pytest.raises(ValueError, match="score"), interpolated(trained, network(7.0), 0.5):
        raise ValueError("score")
    assert torch.equal(trained.weight, before)


@pytest.mark.parametrize(("other", "share"), [(None, 0.5), (network(5.0), 0.0)])
def test_nothing_changes_without_another_network_or_a_share(other, share):
    trained = network(0.1)
    with interpolated(trained, other, share):
        assert trained.weight.item() == pytest.approx(0.1)


@pytest.mark.parametrize("best", [True, False])
def test_a_run_evaluates_and_gives_the_mixture_and_trains_the_rest(tmp_path, make_config, best):
    seen = []

    def evaluate(model, pairs):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"score": float(len(seen))}  # the last one is the best

    adversarial = {"warm_share": 0.25, "learning_rate": 1e-2}
    config = make_config(tmp_path / "run", adversarial=adversarial, run={"evaluate_every": 100})
    folder = train(config, evaluate=evaluate if best else None)
    saved = TextAutoencoder.from_pretrained(folder).state_dict()
    warm = TextAutoencoder.from_pretrained(folder / "warm").state_dict()
    trained = load_file(str(folder / "checkpoints" / "step-000012" / "model.safetensors"))
    moved = []
    for name, value in trained.items():  # of tied weights it has one
        if name.startswith("encoder."):
            torch.testing.assert_close(saved[name], 0.25 * warm[name] + 0.75 * value)
            moved += [] if torch.equal(saved[name], value) else [name]
        else:
            assert torch.equal(saved[name], value)
    assert moved
    if best:
        assert len(seen) == 2  # at the end of the warm-up nothing is mixed yet
        assert all(torch.equal(value, warm[name]) for name, value in seen[0].items())
        assert all(torch.equal(value, saved[name]) for name, value in seen[1].items())
