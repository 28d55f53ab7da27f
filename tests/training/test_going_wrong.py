"""Numbers that go wrong, memory that runs out, a folder that is in use."""

import json
import os
import subprocess
import sys

import pytest
import torch
import yaml

from textae.errors import DivergenceError, InputError
from textae.training import loop
from textae.training.lock import in_use
from textae.training.memory import RowsAtOnce, ran_out_of_memory
from textae.training.run import train
from textae.training.skipping import SkippedSteps, split_finite
from textae.training.text_code import TextTraining


def spoil(monkeypatch, steps, what):
    """Let loss or gradients of some steps be no numbers."""
    original = TextTraining.losses

    def spoiled(self, batch, rows_at_once):
        phase, loss, metrics, texts = original(self, batch, rows_at_once)
        if self.step + 1 in steps:
            if what == "loss":
                metrics["loss/encoder"] = float("nan")
                loss = loss * float("nan")
            else:  # finite, but its gradient is not: the square root of a zero
                zero = sum(parameter.sum() for parameter in self.model.encoder.parameters()) * 0.0
                loss = loss + zero.clamp_min(0.0).sqrt()
        return phase, loss, metrics, texts

    monkeypatch.setattr(TextTraining, "losses", spoiled)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing_and_the_run_goes_on(
    tmp_path, make_config, monkeypatch, what
):
    weights = {}
    original = loop.Training.train_step

    def train_step(self):
        weights[self.step] = [parameter.detach().clone() for parameter in self.model.parameters()]
        return original(self)

    monkeypatch.setattr(loop.Training, "train_step", train_step)
    spoil(monkeypatch, {3, 4, 8}, what)
    run = {"sample_every": 100, "evaluate_every": 100}
    train(make_config(tmp_path, run=run, optimizer={"most_skipped_steps": 3}))
    skipped = [line["step"] for line in lines(tmp_path) if "optimizer/skipped" in line]
    assert skipped == [3, 4, 8]
    for step in range(11):
        same = all(torch.equal(*pair) for pair in zip(weights[step], weights[step + 1], strict=True))
        assert same == (step + 1 in skipped)
    assert all(bool(tensor.isfinite().all()) for tensor in weights[11])
    assert "step 4 is skipped: " in (tmp_path / "train.log").read_text(encoding="utf-8")


def test_too_many_in_a_row_end_the_run_with_advice(tmp_path, make_config, monkeypatch):
    spoil(monkeypatch, {3, 4, 5}, "loss")
    config = make_config(tmp_path, optimizer={"most_skipped_steps": 3})
    with pytest.raises(DivergenceError, match=r"at step 5 \(.*loss/encoder.* 3 steps in a row\); lower the"):
        train(config)
    # The count survives a resume: the checkpoint of step 4 knows of two.
    with pytest.raises(DivergenceError, match="at step 5 "):
        train(config, "latest")


def test_what_is_not_finite_is_told_from_what_is():
    values = {"a": 1.0, "b": float("nan"), "c": float("-inf"), "d": -2e6, "e": -999999.0}
    assert split_finite(values) == ({"a": 1.0, "e": -999999.0}, ["b", "c", "d"])
    skipped = SkippedSteps(2)
    skipped.add(1, ["b"])
    skipped.add(2, [])
    skipped.add(3, ["b"])
    with pytest.raises(DivergenceError, match=r"step 4 \(b, c are not finite, 2 steps"):
        skipped.add(4, ["b", "c"])


# A limit on the address space, set once everything is built: a whole batch does not fit, parts of it do.
LIMITED = """
import resource, sys
from textae.cli import main
from textae.training import loop

original = loop.Training.train_step

def train_step(self):
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + int(sys.argv[1]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        return original(self)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

loop.Training.train_step = train_step
sys.exit(main(["train", *sys.argv[2:]]))
"""


def train_within(mebibytes, file):
    words = [sys.executable, "-c", LIMITED, str(mebibytes), "--config", str(file)]
    # One thread: others would have address space of their own.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def large_batch(tmp_path, make_recipe):
    recipe = make_recipe(
        tmp_path / "run",
        data={"max_document_tokens": 60},
        tokenizer={"vocabulary_size": 4000},
        discriminator={"width": 8, "language_model": False},
        warmup={"steps": 1, "documents_per_batch": 256, "reconstructor_every": 1},
        adversarial={"steps": 0, "rewards": {}},
        run={"trackers": [], "sample_every": 100, "evaluate_every": 100},
    )
    recipe["data"] |= {"documents": ["newswire:2000"], "human": ["newswire:2000"]}
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return file


def test_a_batch_too_large_for_the_memory_is_taken_in_parts(large_batch):
    trained = train_within(600, large_batch)
    assert trained.returncode == 0, trained.stderr
    assert "step 1: memory ran out and the batch is taken 128 rows at a time" in trained.stdout


def test_memory_that_holds_no_row_is_told(large_batch):
    trained = train_within(1, large_batch)
    assert trained.returncode == 2, trained.stderr
    last = trained.stderr.strip().splitlines()[-1]
    assert "textae: error: step 1: memory ran out with " in last and "rows_at_once" in last


def test_rows_are_halved_down_to_one():
    at_once = RowsAtOnce(None, 5, True)
    seen = []
    for _ in range(3):
        at_once.reduce(1)
        seen.append(at_once.now)
    assert seen == [3, 2, 1]
    with pytest.raises(InputError, match="memory ran out with 1 rows at once"):
        at_once.reduce(1)
    with pytest.raises(InputError, match="memory ran out with 4 rows at once"):
        RowsAtOnce(8, 4, False).reduce(1)  # such as processes, who would wait for each other
    assert ran_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried")) and ran_out_of_memory(
        MemoryError()
    )
    assert not ran_out_of_memory(RuntimeError("shapes differ"))


def test_a_folder_in_use_by_another_process_is_refused(tmp_path, make_config):
    holding = (
        "import sys, time\nfrom pathlib import Path\nfrom textae.training.lock import in_use\n"
        "with in_use(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", holding, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="another process is training in this folder; wait for it, or"):
            train(make_config(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    finally:
        other.kill()
        other.wait()
    with in_use(tmp_path):  # which the end of a process gives back, however it ends
        pass


def test_what_a_killed_run_left_half_written_is_removed(tmp_path):
    output = tmp_path / "my [run]"
    for path in (output / ".best.123.tmp", tmp_path / ".my [run].123.tmp"):
        path.mkdir(parents=True)
        (path / "weights").touch()
    (output / ".run.json.tmp").touch()
    kept = [output / "notes.tmp", tmp_path / ".other.123.tmp"]
    for path in kept:
        path.touch()
    with in_use(output):
        assert sorted(path.name for path in output.iterdir()) == [".lock", "notes.tmp"]
    assert all(path.exists() for path in kept) and len(list(tmp_path.iterdir())) == 2
