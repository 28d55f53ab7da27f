"""SIGTERM and Ctrl-C: everything is saved, and the command that goes on is told."""

import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import yaml

from textae.cli import main
from textae.errors import Interrupted
from textae.evaluation.scoring import rouge_on_valid
from textae.models.autoencoder import TextAutoencoder
from textae.training.interruption import Interruption, resume_command
from textae.training.run import train

# Trains like `textae train`, but gets a signal in the middle of a step, twice if `times` says so.
SIGNALLED = """
import os, signal, sys
from textae.cli import main
from textae.training import loop

number, times, at = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
original = loop.Training.train_step

def train_step(self):
    if self.step + 1 == at:
        for _ in range(times):
            os.kill(os.getpid(), number)
    return original(self)

loop.Training.train_step = train_step
sys.exit(main(["train", *sys.argv[4:]]))
"""
RUN = {"sample_every": 100, "save_every": 100}


def signalled(file, number, times, at):
    words = [sys.executable, "-c", SIGNALLED, str(int(number)), str(times), str(at), "--config", str(file)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def recipe_file(tmp_path, make_recipe):
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(make_recipe(tmp_path / "my run", run=RUN)), encoding="utf-8")
    return file


@pytest.mark.parametrize(("number", "at"), [(signal.SIGTERM, 4), (signal.SIGINT, 9)])
def test_a_signalled_run_saves_and_resumes_exactly(tmp_path, recipe_file, make_config, number, at):
    output = tmp_path / "my run"
    stopped = signalled(recipe_file, number, 1, at)
    assert stopped.returncode == 128 + number, stopped.stderr
    last = stopped.stderr.strip().splitlines()[-1]
    command = f"textae train --config '{output}/config.yaml' --resume latest"
    assert last == f"textae: interrupted at step {at}, which is saved; go on with {command}"
    assert [path.name for path in (output / "checkpoints").iterdir()] == [f"step-{at:06d}"]

    assert main(shlex.split(command)[1:]) == 0
    train(make_config(tmp_path / "unbroken", run=RUN), evaluate=rouge_on_valid)
    files = [folder / "metrics.jsonl" for folder in (output, tmp_path / "unbroken")]
    assert files[0].read_text(encoding="utf-8") == files[1].read_text(encoding="utf-8")
    first, second = (TextAutoencoder.from_pretrained(file.parent).state_dict() for file in files)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_second_interrupt_leaves_at_once(tmp_path, recipe_file):
    stopped = signalled(recipe_file, signal.SIGINT, 2, 4)
    assert stopped.returncode == 130
    assert stopped.stderr.strip().splitlines()[-1] == "textae: interrupted"
    assert not (tmp_path / "my run" / "checkpoints").exists()


def test_handlers_are_given_back_and_other_threads_have_none():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # no haste
        assert interruption.requested == signal.SIGTERM
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    raised = interruption.leave(3, Path("runs/x"))
    assert isinstance(raised, Interrupted) and raised.number == signal.SIGTERM
    assert "runs/x/config.yaml" in str(raised)

    found = []

    def elsewhere():
        with Interruption() as other:
            found.append((other.requested, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [(None, before[1])]


def test_the_command_of_several_processes_is_that_of_the_launcher(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "argv", ["scripts/train.py", "--config", "a.yaml"])
    wanted = f"accelerate launch ... scripts/train.py --config {tmp_path}/config.yaml --resume latest"
    assert resume_command(tmp_path) == wanted
