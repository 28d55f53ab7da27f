"""A killed and resumed run logs, line by line, what the unbroken one logs."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
import yaml

from textae.cli import main
from textae.errors import InputError
from textae.evaluation.scoring import rouge_on_valid
from textae.models.autoencoder import TextAutoencoder
from textae.settings import config_from_dict
from textae.training import checkpoint, loop
from textae.training.run import train

# Trains like `textae train`, but SIGKILLs itself: in the middle of a step, or of writing a checkpoint.
KILLED = """
import os, signal, sys
from textae.cli import main
from textae.training import checkpoint, loop

place, at = sys.argv[1], int(sys.argv[2])
owner, name = (loop.Training, "train_step") if place == "step" else (checkpoint, "write_tensors")
original, calls = getattr(owner, name), 0

def counted(*arguments, **options):
    global calls
    result = original(*arguments, **options)
    calls += name == "train_step" or "optimizer" in str(arguments[1])
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, counted)
main(["train", *sys.argv[3:]])
"""

RUN = {"sample_every": 100}


def text(folder):
    return (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()


def weights(folder):
    return TextAutoencoder.from_pretrained(folder).state_dict()


class Stopped(Exception):
    pass


def stop_at(monkeypatch, step):
    """Let training fail in the middle of ``step``, after the weights have changed."""
    original = loop.Training.train_step

    def train_step(self):
        result = original(self)
        if self.step == step:
            raise Stopped
        return result

    monkeypatch.setattr(loop.Training, "train_step", train_step)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, make_config):
    """Six steps of warm-up, six adversarial ones, dropout on, a checkpoint every second step."""
    output = tmp_path_factory.mktemp("unbroken")
    train(make_config(output, run=RUN), evaluate=rouge_on_valid)
    assert len(text(output)) == 12 + 4
    return output


def checked(make_config, output, unbroken):
    config = make_config(output, run=RUN)
    assert min(config.encoder.dropout, config.reconstructor.dropout, config.discriminator.dropout) > 0
    assert text(output) == text(unbroken)
    first, second = weights(output), weights(unbroken)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("place", "at", "last_step", "last_checkpoint"),
    [("checkpoint", 2, 4, 2), ("step", 9, 8, 8)],
    ids=["warm-up, while a checkpoint is written", "adversarial phase"],
)
def test_a_run_killed_by_sigkill_resumes_exactly(
    tmp_path, make_recipe, make_config, unbroken, place, at, last_step, last_checkpoint
):
    output, file = tmp_path / "run", tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(make_recipe(output, run=RUN)), encoding="utf-8")
    words = ["-c", KILLED, place, str(at), "--config", str(file)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = subprocess.run([sys.executable, *words], env=environment, capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (output / "model.safetensors").exists()
    so_far = text(output)
    assert so_far == text(unbroken)[: len(so_far)] and f'"step": {last_step},' in so_far[-1]
    assert checkpoint.find_checkpoint(output / "checkpoints", "latest").name == f"step-{last_checkpoint:06d}"

    assert main(["train", "--config", str(file), "--resume"]) == 0
    checked(make_config, output, unbroken)
    assert not list((output / "checkpoints").glob(".*"))


@pytest.mark.parametrize("step", [7, 11], ids=["first step of the adversarial phase", "later"])
def test_a_run_that_fails_resumes_exactly(tmp_path, make_config, monkeypatch, unbroken, step):
    with monkeypatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(Stopped):
            train(make_config(tmp_path, run=RUN), evaluate=rouge_on_valid)
    train(make_config(tmp_path, run=RUN), "latest", rouge_on_valid)
    checked(make_config, tmp_path, unbroken)


@pytest.mark.parametrize(
    ("sections", "fails_at"),
    [
        ({"adversarial": {"steps": 3, "baseline": "self_critical"}}, 5),
        ({"data": {"streaming": True}, "run": {"save_every": 3, "log_every": 2}}, 4),
        ({"warmup": {"steps": 0}}, 3),
        (
            {
                "warmup": {"steps": 2, "tokens_per_batch": 100},
                "adversarial": {"steps": 3, "tokens_per_batch": 100},
            },
            5,
        ),
        ({"adversarial": {"steps": 3, "estimator": "gumbel", "rewards": {}}}, 5),
        ({"adversarial": {"steps": 3, "estimator": "wgan", "rewards": {}}}, 5),
    ],
    ids=[
        "self-critical",
        "streaming, lines over several steps",
        "no warm-up",
        "token budget",
        "gumbel",
        "wgan",
    ],
)
def test_other_recipes_resume_exactly(tmp_path, make_config, monkeypatch, sections, fails_at):
    """The last checkpoint before the failure is one of the adversarial phase."""
    short = {"warmup": {"steps": 2}, "adversarial": {"steps": 3}, **sections}
    short["data"] = {"valid": [], **sections.get("data", {})}
    short["run"] = {"sample_every": 100, **sections.get("run", {})}
    train(make_config(tmp_path / "whole", **short))
    broken = make_config(tmp_path / "broken", **short)
    with monkeypatch.context() as patch:
        stop_at(patch, fails_at)
        with pytest.raises(Stopped):
            train(broken)
    latest = checkpoint.find_checkpoint(tmp_path / "broken" / "checkpoints", "latest")
    assert broken.warmup.steps < int(latest.name.removeprefix("step-")) < fails_at
    train(broken, "latest")
    assert len(text(tmp_path / "whole")) >= 2
    assert text(tmp_path / "broken") == text(tmp_path / "whole")


STABILITY = {
    "replay_size": 5,
    "replay_share": 0.5,
    "discriminator_hold_accuracy": 0.521,
    "discriminator_first_steps": 0,
    "rollback_drop": 0.0,
    "rollback_signal": "reward",
    "rollback_window": 1,
    "rollback_limit": 2,
}


def test_replay_hold_rollback_and_pairs_resume_exactly(tmp_path, make_config, monkeypatch):
    sections = {
        "data": {"pairs": ["newswire:train:20"], "valid": [], "max_human_tokens": 40},
        "warmup": {"steps": 3, "pair_share": 0.5},
        "adversarial": {"steps": 7, "pair_share": 0.5, **STABILITY},
        "run": {"sample_every": 100},
    }
    train(make_config(tmp_path / "whole", **sections))
    # All of it happens: twice back, the discriminator held and not, pairs learned from.
    lines = [json.loads(line) for line in text(tmp_path / "whole")]
    back = [line["step"] for line in lines if "rollback/count" in line]
    assert len(back) == 2
    held = [line["discriminator/held"] for line in lines if "discriminator/held" in line]
    assert len(held) == 7 and 0 < sum(held) < 7
    assert sum("loss/pair_encoder" in line for line in lines) == 7
    state = tmp_path / "whole" / "checkpoints" / "step-000010" / "state.json"
    state = json.loads(state.read_text(encoding="utf-8"))
    assert len(state["adversarial"]["replay"]) == 5 and state["pairs"]["taken"] == 7 * 2

    fails = (5, 7, 9)
    # From a checkpoint before, and from one behind a rollback.
    assert any(step < at for at in back for step in fails) and any(step - 1 >= back[0] for step in fails)
    for step in fails:
        output = tmp_path / f"fails at {step}"
        with monkeypatch.context() as patch:
            stop_at(patch, step)
            with pytest.raises(Stopped):
                train(make_config(output, **sections))
        train(make_config(output, **sections), "latest")
        assert text(output) == text(tmp_path / "whole")
        first, second = weights(output), weights(tmp_path / "whole")
        assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_streams_resume_beyond_their_end(tmp_path, make_config, monkeypatch):
    """A pool of 80 documents takes several epochs of 20, four human sentences half of one of 9."""
    sections = {
        "data": {
            "streaming": True,
            "documents": ["newswire:20"],
            "human": ["newswire:9"],
            "valid": [],
            "max_human_tokens": 40,
        },
        "warmup": {"steps": 5},
        "adversarial": {"steps": 0},
        "run": {"save_every": 1, "sample_every": 100},
    }
    train(make_config(tmp_path / "whole", **sections))
    with monkeypatch.context() as patch:
        stop_at(patch, 4)
        with pytest.raises(Stopped):
            train(make_config(tmp_path / "broken", **sections))
    train(make_config(tmp_path / "broken", **sections), "latest")
    assert text(tmp_path / "broken") == text(tmp_path / "whole")


@pytest.fixture
def copied(tmp_path, unbroken):
    return shutil.copytree(unbroken, tmp_path / "copied")


def test_a_run_can_go_back_to_an_earlier_checkpoint(copied, make_config, unbroken):
    folder = copied / "checkpoints"
    config = make_config(copied, run={**RUN, "keep_checkpoints": 2})
    train(config, str(folder / "step-000008"), rouge_on_valid)
    checked(make_config, copied, unbroken)
    # The later ones of the first time were no longer counted among the last two.
    assert sorted(path.name for path in folder.iterdir()) == ["step-000010", "step-000012"]


def test_what_came_after_the_checkpoint_is_gone_when_the_run_goes_on(copied, make_config, monkeypatch):
    folder = copied / "checkpoints"
    stop_at(monkeypatch, 9)
    with pytest.raises(Stopped):
        train(make_config(copied, run=RUN), str(folder / "step-000008"), rouge_on_valid)
    assert checkpoint.find_checkpoint(folder, "latest").name == "step-000008"


def test_a_checkpoint_of_another_folder_brings_its_tokenizer_and_its_warm_encoder(
    tmp_path, make_config, unbroken
):
    output = tmp_path / "elsewhere"
    train(make_config(output, run=RUN), str(unbroken / "checkpoints" / "step-000008"), rouge_on_valid)
    assert text(output) == [line for line in text(unbroken) if int(line.split(":")[1].split(",")[0]) > 8]
    assert (output / "tokenizer" / "tokenizer.json").is_file()


def test_a_finished_run_stays_as_it_is(copied, make_config, unbroken):
    train(make_config(copied, run=RUN), "latest", rouge_on_valid)
    checked(make_config, copied, unbroken)


def test_the_warm_encoder_must_be_there(copied, make_config):
    shutil.rmtree(copied / "warm")
    with pytest.raises(InputError, match="warm"):
        train(make_config(copied, run=RUN), str(copied / "checkpoints" / "step-000008"))


def test_a_run_without_checkpoints_cannot_resume(tmp_path, make_recipe):
    config = config_from_dict(make_recipe(tmp_path / "new"))
    with pytest.raises(InputError, match="start without --resume"):
        train(config, "latest")
    assert not (tmp_path / "new").exists()
