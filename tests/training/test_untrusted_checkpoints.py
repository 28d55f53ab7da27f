"""Checkpoints and logs that are damaged or made by anybody: one sentence, before a step is taken."""

import json
from functools import partial

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn

from textae.errors import InputError
from textae.evaluation.curves import read_curves
from textae.manifest import MANIFEST
from textae.training.checkpoint import (
    STATE,
    checkpoints,
    load_checkpoint,
    load_random_state,
    put_moments,
    remove_later_checkpoints,
    restoring,
    save_checkpoint,
    save_random_state,
)
from textae.training.metrics import MetricsLog
from textae.training.record import RECORD, RunRecord


def new():
    network = nn.Linear(3, 2)
    return network, torch.optim.AdamW(network.parameters(), lr=0.1)


def restored(folder, network, optimizer):
    return load_checkpoint(folder, network, partial(put_moments, optimizer))


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of a tiny network after one step."""
    network, optimizer = new()
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    moments = optimizer.state_dict()["state"]
    save_checkpoint(tmp_path / "step-000001", network, moments, {"step": 1, "best": 0.5})
    return tmp_path / "step-000001"


def refusal(call):
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "[]", "{}", "null", '{"optimizer": []}', '{"optimizer": {"x": 1}}']
)
def test_a_broken_state(folder, content):
    (folder / STATE).write_text(content, encoding="utf-8")
    sentence = f"{folder}: the checkpoint is incomplete or of another recipe ("
    assert refusal(lambda: restored(folder, *new())).startswith(sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tensors: tensors.pop("0.exp_avg"), "the optimizer's state has gaps"),
        (lambda tensors: tensors.update({"0.exp_avg": torch.ones(6)}), "does not fit the weights"),
        (lambda tensors: tensors.update({"9.exp_avg": torch.ones(6)}), "of more weights than there are"),
        (lambda tensors: tensors.update({"nine": torch.ones(6)}), "not enough values to unpack"),
    ],
)
def test_moments_that_do_not_fit(folder, change, sentence):
    file = folder / "optimizer.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    change(tensors)
    save_file(tensors, file)
    assert sentence in refusal(lambda: restored(folder, *new()))


def test_a_state_that_the_run_stumbles_over(folder):
    def restore(state):
        with restoring(folder):
            int(state["step"])

    for state in ({}, {"step": "x"}, {"step": None}, [], {"step": float("inf")}):
        assert refusal(lambda: restore(state)).startswith(f"{folder}: the checkpoint is incomplete")  # noqa: B023
    with pytest.raises(InputError, match=r"^this one$"), restoring(folder):
        raise InputError("this one")


@pytest.mark.parametrize("name", ["torch", "python", "numpy", "numpy_rest", "python_gauss"])
def test_a_broken_state_of_random_generators(folder, name):
    file = folder / "random-0.safetensors"
    before = torch.get_rng_state()
    save_random_state(file)
    tensors = {key: tensor.clone() for key, tensor in load_file(file).items()}
    save_file({**tensors, name: torch.ones(2)}, file)
    assert refusal(lambda: load_random_state(file)).startswith(f"{file}: the checkpoint is incomplete")
    file.write_bytes(b"\xff" * 99)
    assert refusal(lambda: load_random_state(file)).startswith(f"{file}: the checkpoint is incomplete")
    torch.set_rng_state(before)


def test_a_folder_that_is_called_like_a_checkpoint_is_none(folder):
    other = folder.parent / "step-two"
    other.mkdir()
    for name in (STATE, MANIFEST):
        (other / name).write_text("{}", encoding="utf-8")
    assert checkpoints(folder.parent) == [folder]
    remove_later_checkpoints(folder.parent, 0)
    assert [path.name for path in folder.parent.iterdir()] == ["step-two"]


@pytest.mark.parametrize("line", ['{"a": 1}', "{}", "[1]}", '{"step": "x"}', '{"step": 1' + "[" * 9999 + "}"])
def test_broken_metrics_are_named_when_a_run_goes_on(tmp_path, line):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1}\n' + line + '\n{"step": 2}\n', encoding="utf-8")
    sentence = refusal(lambda: MetricsLog(Accelerator(), file, 1, 10, 5))
    assert sentence == f"{file}, line 2: this is no line of metrics; remove it."


@pytest.mark.parametrize(
    "line",
    ['{"step": Infinity}', '{"step": 1, "loss": 1' + "0" * 400 + "}", "[" * 9999, '{"step": 1' + "0" * 5000],
)
def test_broken_metrics_are_named_when_they_are_drawn(tmp_path, line):
    (tmp_path / "config.yaml").write_text("warmup: {steps: 2}\n", encoding="utf-8")
    file = tmp_path / "metrics.jsonl"
    file.write_text(line + '\n{"step": 2, "loss": 1}\n', encoding="utf-8")
    assert refusal(lambda: read_curves(tmp_path)) == f"{file}, line 1: this is no line of metrics; remove it."
    file.write_bytes(b"\xff\n")
    assert refusal(lambda: read_curves(tmp_path)) == f"{file}: this is no file of metrics, it is not UTF-8."


@pytest.mark.parametrize(
    "content", ["[" * 9999, '{"parts": [1]}', '{"parts": 3}', '{"parts": [{"from_step": "x"}]}']
)
def test_a_broken_record_is_begun_anew(tmp_path, content):
    (tmp_path / RECORD).write_text(content, encoding="utf-8")
    record = RunRecord(tmp_path, 5, 1)
    assert record.parts == []
    record.write(6)
    assert json.loads((tmp_path / RECORD).read_text(encoding="utf-8"))["parts"][0]["from_step"] == 5
