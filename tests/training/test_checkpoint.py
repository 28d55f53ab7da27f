"""Checkpoints: whole or not there, exact, and refused when they are damaged."""

import json
import os
import random
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from textae.errors import InputError
from textae.manifest import write_manifest
from textae.training import checkpoint
from textae.training.checkpoint import (
    checkpoints,
    find_checkpoint,
    load_checkpoint,
    load_random_state,
    put_moments,
    remove_later_checkpoints,
    remove_old_checkpoints,
    save_checkpoint,
    save_random_state,
)
from textae.training.tensor_file import write_tensors


def trained(seed, steps=2):
    torch.manual_seed(seed)
    network = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, fused=True)
    for _ in range(steps):
        learn(network, optimizer)
    return network, optimizer


def moments(optimizer):
    return optimizer.state_dict()["state"]


def restored(folder, network, optimizer):
    return load_checkpoint(folder, network, partial(put_moments, optimizer))


def learn(network, optimizer):
    optimizer.zero_grad()
    network(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()


def test_a_restored_run_goes_on_exactly(tmp_path):
    network, optimizer = trained(0)
    state = {"step": 2, "best": -float("inf"), "documents": {"taken": 3}, "metrics": {"loss": [0.1, 1 / 3]}}
    save_checkpoint(tmp_path / "step-000002", network, moments(optimizer), state)
    learn(network, optimizer)

    other, other_optimizer = trained(1, steps=3)
    assert restored(tmp_path / "step-000002", other, other_optimizer) == state
    learn(other, other_optimizer)
    for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    kept, again = optimizer.state_dict()["state"], other_optimizer.state_dict()["state"]
    assert all(torch.equal(kept[i][name], again[i][name]) for i in kept for name in kept[i])


def test_values_of_the_optimizer_that_are_no_tensors_are_kept(tmp_path):
    network, optimizer = trained(0)
    first = next(iter(optimizer.state.values()))
    first["note"] = 1.5
    save_checkpoint(tmp_path / "step-000002", network, moments(optimizer), {})
    other, other_optimizer = trained(1)
    restored(tmp_path / "step-000002", other, other_optimizer)
    assert other_optimizer.state_dict()["state"][0]["note"] == 1.5


def test_an_interrupted_save_leaves_the_old_checkpoint_and_no_half_one(tmp_path, monkeypatch):
    network, optimizer = trained(0)
    old, new = tmp_path / "step-000002", tmp_path / "step-000004"
    save_checkpoint(old, network, moments(optimizer), {"step": 2})
    before = [p.clone() for p in network.parameters()]
    learn(network, optimizer)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_tensors", interrupted)
        for folder in (new, old):
            with pytest.raises(KeyboardInterrupt):
                save_checkpoint(folder, network, moments(optimizer), {"step": 4})
    assert checkpoints(tmp_path) == [old]
    assert find_checkpoint(tmp_path, "latest") == old
    other, other_optimizer = trained(1)
    assert restored(old, other, other_optimizer) == {"step": 2}
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))
    # The next save is not in the way of what was left, and removes it.
    save_checkpoint(new, network, moments(optimizer), {"step": 4})
    remove_old_checkpoints(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000004"]


def test_random_states_of_all_processes_come_along(tmp_path):
    network, optimizer = trained(0)
    folder = tmp_path / "step-000002"
    for index in range(2):
        save_random_state(folder / f"random-{index}.safetensors")
    assert checkpoints(tmp_path) == []  # not complete yet
    save_checkpoint(folder, network, moments(optimizer), {"step": 2})
    assert sorted(path.name for path in folder.glob("random-*")) == [
        "random-0.safetensors",
        "random-1.safetensors",
    ]


def draw():
    return (
        torch.rand(3).tolist(),
        random.random(),
        random.gauss(0, 1),
        np.random.rand(2).tolist(),
        np.random.randn(),
    )


@pytest.mark.parametrize("in_the_middle_of_a_pair", [False, True])
def test_random_states_of_torch_python_and_numpy_go_on_exactly(tmp_path, in_the_middle_of_a_pair):
    file = tmp_path / "deeper" / "random.safetensors"
    if in_the_middle_of_a_pair:  # normal deviates are drawn in pairs: the second one waits
        random.gauss(0, 1), np.random.randn()
    save_random_state(file)
    expected = draw()
    draw()
    load_random_state(file)
    assert draw() == expected


def test_a_process_without_a_random_state_keeps_its_own(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load_random_state(tmp_path / "none.safetensors")
    assert torch.equal(torch.rand(2), expected)


def test_another_generator_of_numpy_is_refused(tmp_path, monkeypatch):
    state = ("PCG64", np.zeros(1), 0, 0, 0.0)
    monkeypatch.setattr(checkpoint.np.random, "get_state", lambda legacy: state)
    with pytest.raises(RuntimeError, match="PCG64"):
        save_random_state(tmp_path / "random.safetensors")


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "step-000002"
    network, optimizer = trained(0)
    save_checkpoint(folder, network, moments(optimizer), {"step": 2})
    return folder


def cut(file):
    file.write_bytes(file.read_bytes()[:-20])


def rewrite(file):
    file.write_text(json.dumps({"step": 2}), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", cut),
        ("optimizer.safetensors", cut),
        ("state.json", cut),
        ("state.json", rewrite),
        ("model.safetensors", lambda file: file.unlink()),
        ("optimizer.safetensors", lambda file: file.unlink()),
        ("state.json", lambda file: file.unlink()),
    ],
)
def test_a_damaged_checkpoint_is_refused(saved, name, damage):
    damage(saved / name)
    with pytest.raises(InputError) as error:
        restored(saved, *trained(1))
    message = str(error.value)
    assert str(saved) in message and "without --resume" in message
    assert "\n" not in message


def test_a_checkpoint_of_another_model_is_refused(saved):
    network = nn.Linear(4, 2)
    with pytest.raises(InputError, match="another recipe"):
        restored(saved, network, torch.optim.AdamW(network.parameters()))


def make(folder, *steps):
    for step in steps:
        (folder / f"step-{step:06d}").mkdir(parents=True)
        (folder / f"step-{step:06d}" / "state.json").touch()
        write_manifest(folder / f"step-{step:06d}")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_latest_or_a_named_checkpoint_is_found(tmp_path):
    make(tmp_path, 200, 1000, 400)
    (tmp_path / "step-002000").mkdir()  # killed before it was whole
    assert find_checkpoint(tmp_path, "latest").name == "step-001000"
    named = tmp_path / "step-000200"
    assert find_checkpoint(tmp_path / "elsewhere", str(named)) == named


def test_a_damaged_checkpoint_is_left_out_and_said_aloud(tmp_path, caplog):
    network, optimizer = trained(0)
    for step in (2, 4, 6):
        save_checkpoint(tmp_path / f"step-{step:06d}", network, moments(optimizer), {"step": step})
    weights = tmp_path / "step-000006" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1  # a bit of a weight: safetensors itself would not notice
    weights.write_bytes(data)
    cut(tmp_path / "step-000004" / "optimizer.safetensors")
    assert find_checkpoint(tmp_path, "latest").name == "step-000002"
    told = caplog.messages
    assert f"{weights} was altered" in told[0] and "step-000006 is left out for the one before it" in told[0]
    assert "optimizer.safetensors has " in told[1]
    with pytest.raises(InputError, match=r"was altered .*; resume from another checkpoint"):
        find_checkpoint(tmp_path, str(tmp_path / "step-000006"))
    (tmp_path / "step-000002" / "state.json").unlink()
    with pytest.raises(InputError, match="all 3 checkpoints there are damaged; start without --resume"):
        find_checkpoint(tmp_path, "latest")
    remove_later_checkpoints(tmp_path, 3)  # the damaged ones go, before a run writes them anew
    assert names(tmp_path) == ["step-000002"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path, monkeypatch):
    network, optimizer = trained(0)
    save_checkpoint(tmp_path / "step-000002", network, moments(optimizer), {"step": 2})
    before = {path.name: path.read_bytes() for path in (tmp_path / "step-000002").iterdir()}

    def full(tensors, path):
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.raises(
        InputError, match=r"cannot be written \(no space left on device\); make room there and"
    ):
        save_checkpoint(tmp_path / "step-000004", network, moments(optimizer), {"step": 4})
    assert names(tmp_path) == ["step-000002"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "step-000002").iterdir()} == before


def test_no_checkpoint_is_told(tmp_path):
    with pytest.raises(InputError, match=r"no checkpoint to resume from; start without --resume"):
        find_checkpoint(tmp_path / "nowhere", "latest")
    with pytest.raises(InputError, match=r"wrong: this is no checkpoint; name a folder like .*step-000200"):
        find_checkpoint(tmp_path, "wrong")


def test_the_last_checkpoints_are_kept(tmp_path):
    make(tmp_path, 1, 2, 3)
    (tmp_path / ".step-000004.tmp").mkdir()
    (tmp_path / "notes").mkdir()
    remove_old_checkpoints(tmp_path, 2)
    assert names(tmp_path) == ["notes", "step-000002", "step-000003"]
    remove_old_checkpoints(tmp_path, 5)
    assert names(tmp_path) == ["notes", "step-000002", "step-000003"]


def test_later_checkpoints_are_dropped(tmp_path):
    make(tmp_path, 1, 2, 3)
    remove_later_checkpoints(tmp_path, 2)
    assert names(tmp_path) == ["step-000001", "step-000002"]


def test_tensors_are_written_one_by_one_as_safetensors_itself_writes_them(tmp_path):
    tensors = {
        "10.step": torch.tensor(3.0),
        "2.exp_avg": torch.randn(3, 5).T,
        "2.half": torch.randn(3).bfloat16(),
        "9.count": torch.arange(4),
        "a": torch.zeros(0, 2),
    }
    write_tensors(tensors, tmp_path / "ours")
    save_file({name: value.contiguous() for name, value in tensors.items()}, str(tmp_path / "theirs"))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
