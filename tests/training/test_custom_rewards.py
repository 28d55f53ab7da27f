"""Users' own rewards: from real modules on disk, and everything that can be wrong with them."""

import sys
from dataclasses import replace

import pytest
import torch

from textae.config import CustomRewardConfig
from textae.data.batches import TokenBatch
from textae.errors import InputError
from textae.training.custom_rewards import load_custom_rewards
from textae.training.rewards import Rollout

MODULE = """
import torch

LIMIT = 3


def brevity(rollout):
    return -rollout.words


def shared(rollout):
    pairs = zip(rollout.texts, rollout.documents, strict=True)
    return torch.tensor([len(set(a.split()) & set(b.split())) for a, b in pairs], dtype=torch.float64)


def per_token(rollout):
    return rollout.log_probabilities.masked_fill(~rollout.summaries.mask, float("nan"))


def learned(rollout):
    return torch.ones(len(rollout.texts), requires_grad=True) * 2


class Group:
    @staticmethod
    def one(rollout):
        return torch.ones(len(rollout.texts))


def column(rollout):
    return rollout.words[:, None].float()


def scalar(rollout):
    return torch.tensor(1.0)


def listed(rollout):
    return [1.0] * len(rollout.texts)


def nothing(rollout):
    pass


def infinite(rollout):
    return torch.log(rollout.words - 1.0)


def broken(rollout):
    raise KeyError("my own mistake")
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package ``mine`` that can be imported, with a module ``rewards``."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "rewards.py").write_text(MODULE)
    (folder / "failing.py").write_text("import torch\n\ntorch.nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]


@pytest.fixture
def rollout():
    ids = torch.tensor([[5, 6, 2], [7, 2, 0]])
    zeros = torch.zeros(2, 3)
    return Rollout(
        summaries=TokenBatch(ids, ids != 0),
        texts=["rain in town", "sun"],
        documents=["it rained in the town", "no light at all"],
        words=torch.tensor([3, 1]),
        wanted_words=torch.tensor([5, 1]),
        finished=torch.tensor([True, True]),
        document_log_probabilities=zeros,
        empty_log_probabilities=zeros,
        document_weights=zeros,
        scores=zeros,
        log_probabilities=torch.tensor([[-1.0, -2.0, -0.5], [-3.0, -1.0, 0.0]]),
        reference_log_probabilities=zeros,
        fluency=zeros,
        topic_similarity=torch.zeros(2),
        encoder_similarity=torch.zeros(2),
    )


def load(function):
    (reward,) = load_custom_rewards({"own": CustomRewardConfig(function=function)}).values()
    return reward


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("brevity", [-3.0, -1.0]),  # whole numbers become floats
        ("shared", [2.0, 0.0]),
        ("per_token", [[-1.0, -2.0, -0.5], [-3.0, -1.0, 0.0]]),  # padding does not matter
        ("learned", [2.0, 2.0]),
        ("Group.one", [1.0, 1.0]),
    ],
)
def test_results(package, rollout, function, expected):
    result = load(f"mine.rewards:{function}")(rollout)
    assert result.tolist() == expected
    assert result.dtype == torch.float32 and not result.requires_grad


def test_as_many_summaries_as_tokens_are_no_riddle(package, rollout):
    square = replace(rollout, summaries=TokenBatch(torch.ones(2, 2).long(), torch.ones(2, 2).bool()))
    assert load("mine.rewards:brevity")(square).shape == (2,)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (
            "mine.gone:brevity",
            "the module cannot be imported (ModuleNotFoundError: No module named 'mine.gone'); "
            "install it, or name its folder in PYTHONPATH",
        ),
        (
            "mine.failing:brevity",
            "the module cannot be imported (AttributeError: module 'torch' has no attribute 'nothing'); "
            "install it, or name its folder in PYTHONPATH",
        ),
        ("mine.rewards:brevty", 'mine.rewards has no "brevty"; check the name'),
        ("mine.rewards:Group.two", 'mine.rewards has no "Group.two"; check the name'),
        ("mine.rewards:LIMIT", "this is no function but an int; name a callable"),
    ],
)
def test_what_cannot_be_loaded_is_refused(package, function, sentence):
    with pytest.raises(InputError) as caught:
        load(function)
    assert str(caught.value) == f"adversarial.custom_rewards.own.function = {function}: {sentence}"


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (
            "column",
            "returned a tensor of shape (2, 1); it must be (2,), one number for each summary, "
            "or (2, 3), one for each token",
        ),
        (
            "scalar",
            "returned a tensor of shape (); it must be (2,), one number for each summary, "
            "or (2, 3), one for each token",
        ),
        ("listed", "returned a list; it must return a tensor"),
        ("nothing", "returned a NoneType; it must return a tensor"),
        ("infinite", "returned numbers that are not finite; mend the function"),
    ],
)
def test_wrong_results_are_refused(package, rollout, function, sentence):
    with pytest.raises(InputError) as caught:
        load(f"mine.rewards:{function}")(rollout)
    assert str(caught.value) == f"adversarial.custom_rewards.own {sentence}"


def test_a_mistake_inside_the_function_is_shown_as_it_is(package, rollout):
    with pytest.raises(KeyError, match="my own mistake"):
        load("mine.rewards:broken")(rollout)
