"""Checkpoints and logs: whatever they hold, a run goes on, or there is one sentence that names them."""

import json
import random
from functools import partial

import numpy as np
import pytest
import torch
from fuzzing import damaged, explore, json_values, refused
from hypothesis import strategies as st
from torch import nn

from textae.evaluation.curves import read_curves
from textae.training.checkpoint import (
    KEPT,
    STATE,
    load_checkpoint,
    load_kept,
    load_random_state,
    put_moments,
    restoring,
    save_checkpoint,
    save_random_state,
)

RANDOM = "random-0.safetensors"
LINES = [
    {"step": 1, "phase": "warm-up", "loss": 2.5},
    {"step": 2, "valid/score": float("nan")},
    {"step": 3, "loss": 1e300, "more": None},
]


def step(network, optimizer):
    optimizer.zero_grad()
    network(torch.ones(1, 3)).square().sum().backward()
    optimizer.step()


def new():
    network = nn.Linear(3, 2)
    return network, torch.optim.AdamW(network.parameters(), lr=0.1)


def restored(folder, network, optimizer):
    return load_checkpoint(folder, network, partial(put_moments, optimizer))


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of a tiny network; the generators are as they were afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    network, optimizer = new()
    step(network, optimizer)
    folder = tmp_path / "step-000001"
    state = {"step": 1, "best": -float("inf"), "documents": {"taken": 3}}
    save_checkpoint(folder, network, optimizer.state_dict()["state"], state, {"weight": torch.ones(2)})
    save_random_state(folder / RANDOM)
    yield folder
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def resume(folder):
    """Load everything, as a resumed run does, and take a step."""
    network, optimizer = new()
    state = restored(folder, network, optimizer)
    load_kept(folder)
    load_random_state(folder / RANDOM)
    with restoring(folder):
        int(state["step"]), float(state["best"])
    step(network, optimizer)


def test_damaged_checkpoints(folder):
    names = [STATE, KEPT, RANDOM, "model.safetensors", "optimizer.safetensors"]
    valid = {name: (folder / name).read_bytes() for name in names}
    inputs = st.one_of(*(st.tuples(st.just(name), damaged([data])) for name, data in valid.items()))

    def check(pair):
        for name, data in valid.items():
            (folder / name).unlink()
            (folder / name).write_bytes(pair[1] if name == pair[0] else data)
        return refused(lambda: resume(folder))

    explore("damaged checkpoints", check, pair=inputs)


def test_states(folder):
    saved = json.loads((folder / STATE).read_text(encoding="utf-8"))
    names = st.sampled_from(["step", "best", "documents", "optimizer", "more"])

    def check(state):
        (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
        return refused(lambda: resume(folder))

    changes = st.dictionaries(names, json_values(4), max_size=2).map(lambda changes: {**saved, **changes})
    explore("states of checkpoints", check, state=changes | json_values())


def test_metrics(tmp_path):
    (tmp_path / "config.yaml").write_text("warmup: {steps: 2}\n", encoding="utf-8")
    valid = "".join(json.dumps(line) + "\n" for line in LINES).encode()
    objects = st.dictionaries(st.sampled_from(["step", "loss", "x"]), json_values(3), min_size=1)
    built = st.lists(objects, max_size=3).map(lambda lines: "\n".join(map(json.dumps, lines)).encode())

    def check(data):
        (tmp_path / "metrics.jsonl").write_bytes(data)
        return refused(lambda: read_curves(tmp_path))

    explore("damaged metrics", check, data=damaged([valid]) | built)
