"""Two processes of the real launcher learn what one process learns from the same batches."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from textae.evaluation.scoring import rouge_on_valid
from textae.training.run import train

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
# Any fall of the reward takes both processes back.
ROLLBACK = {"rollback_signal": "reward", "rollback_window": 1, "rollback_drop": 0.0, "rollback_limit": 1}


def launch(words, **options):
    """Run to the end, or end the launcher together with the processes that it started."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, start_new_session=True, **streams, **options) as launcher:
        try:
            output, errors = launcher.communicate(timeout=1200)
        except BaseException:
            os.killpg(launcher.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(words, launcher.returncode, output, errors)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def launch_two(folder, recipe):
    """Train from a recipe in two processes of the real launcher."""
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if torch.accelerator.is_available():
        environment["ACCELERATE_USE_CPU"] = "true"
    configuration = ROOT / "configs" / "accelerate" / "two_cpu_processes.yaml"
    words = [
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        str(configuration),
        "--main_process_port",
        "0",
    ]
    words += [str(ROOT / "scripts" / "train.py"), "--config", str(file)]
    return launch([sys.executable, *words], env=environment, cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "moving"),
    [
        ({"baseline": "leave_one_out"}, "loss/policy"),
        ({"baseline": "self_critical"}, "loss/policy"),
        ({"length_sampling": "uniform"}, "loss/policy"),
        (
            {"replay_size": 4, "discriminator_hold_accuracy": 0.501, "pair_share": 0.3, **ROLLBACK},
            "loss/policy",
        ),
        (
            {
                "relative_reconstruction": True,
                "denoising_weight": 0.5,
                "rewards": {"fluency": {"weight": 0.5}, "topic": {"weight": 0.5}},
            },
            "loss/policy",
        ),
        ({"estimator": "gumbel", "samples": 1, "rewards": {}}, "loss/reader"),
        ({"estimator": "wgan", "samples": 1, "rewards": {}}, "loss/reader"),
    ],
    ids=[
        "leave-one-out",
        "self-critical",
        "uniform lengths",
        "pairs, replay, hold and rollback",
        "more rewards, denoising",
        "gumbel",
        "wgan",
    ],
)
def test_two_processes_log_what_one_logs(tmp_path, make_recipe, make_config, settings, moving):
    # Documents per batch count over all processes: 5 are 2 and 3. Only dropout differs from process to
    # process; masked words, samples and noise belong to the row of the global batch.
    dry = {"dropout": 0.0, "width": 16}
    small = {**dry, "layers": 1, "heads": 2, "feed_forward": 16}
    sections = {
        "encoder": small,
        "reconstructor": small,
        "discriminator": dry,
        "warmup": {"steps": 4, "documents_per_batch": 5, "warmup_steps": 2},
        "adversarial": {"steps": 4, "documents_per_batch": 5, **settings},
        "data": {"pairs": ["newswire:train:40"] if "pair_share" in settings else []},
        "run": {"sample_every": 8, "save_every": 4},
    }
    one, two = tmp_path / "one", tmp_path / "two"
    # As many threads as the launched processes have: among equal singular values rounding decides which
    # the topic's embeddings keep.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(make_config(one, **sections), evaluate=rouge_on_valid)
    finally:
        torch.set_num_threads(threads)

    # In one case the two processes save memory as well, which changes nothing either.
    chunks = {"optimizer": {"rows_at_once": 2}} if "relative_reconstruction" in settings else {}
    launched = launch_two(tmp_path, make_recipe(two, **sections, **chunks))
    assert launched.returncode == 0, launched.stderr
    assert "FutureWarning" not in launched.stderr
    assert launched.stdout.count("trained model:") == 1
    assert "processes: 2, device: cpu" in (two / "train.log").read_text(encoding="utf-8")
    files = {path.name for path in (two / "checkpoints" / "step-000008").iterdir()}
    assert {"random-0.safetensors", "random-1.safetensors"} <= files

    alone, together = lines(one), lines(two)
    went_back = "rollback" in (one / "train.log").read_text(encoding="utf-8")
    assert len(alone) == len(together) == 8 + 2 + went_back
    assert went_back == ("rollback_drop" in settings)
    for first, second in zip(alone, together, strict=True):
        assert first.pop("phase", None) == second.pop("phase", None)
        assert second == pytest.approx(first, abs=TOLERANCE)
    losses = [line[moving] for line in alone if moving in line]
    assert max(losses) - min(losses) > 100 * TOLERANCE  # so that the tolerance means something


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gaussian", "vq"])
def test_two_processes_learn_a_code_of_numbers_as_one_does(tmp_path, make_recipe, make_config, kind):
    sections = {
        "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "dropout": 0.0},
        "code": {"kind": kind, "vectors": 2, "width": 8, "codebook_size": 8, "continuous_steps": 2},
        "noise": {"document_mask": 0.2},
        "warmup": {"steps": 6, "documents_per_batch": 5, "warmup_steps": 2},
        "run": {"sample_every": 6, "save_every": 6},
    }
    one, two = tmp_path / "one", tmp_path / "two"
    train(make_config(one, **sections))
    launched = launch_two(tmp_path, make_recipe(two, **sections))
    assert launched.returncode == 0, launched.stderr
    alone, together = lines(one), lines(two)
    assert len(alone) == len(together) == 6 + 2
    for first, second in zip(alone, together, strict=True):
        assert first.pop("phase", None) == second.pop("phase", None)
        assert second == pytest.approx(first, abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
def test_a_run_goes_on_with_another_number_of_processes(tmp_path, make_recipe, make_config, streaming):
    """In the middle of an epoch, in both phases, from two to one: as the unbroken run of one process."""
    dry = {"dropout": 0.0, "width": 16}
    small = {**dry, "layers": 1, "heads": 2, "feed_forward": 16}
    sections = {
        "encoder": small,
        "reconstructor": small,
        "discriminator": dry,
        "data": {"documents": ["newswire:30"], "human": ["newswire:30"], "streaming": streaming},
        "warmup": {"steps": 8, "documents_per_batch": 5, "warmup_steps": 2},
        "adversarial": {"steps": 8, "documents_per_batch": 5},
        "run": {"sample_every": 100, "save_every": 5},
    }
    one, two = tmp_path / "one", tmp_path / "two"
    train(make_config(one, **sections), evaluate=rouge_on_valid)
    launched = launch_two(tmp_path, make_recipe(two, **sections))
    assert launched.returncode == 0, launched.stderr
    # As if both had been killed between their first checkpoint and their second.
    for later in (two / "checkpoints").iterdir():
        if later.name > "step-000005":
            shutil.rmtree(later)
    train(make_config(two, **sections), "latest", rouge_on_valid)
    alone, resumed = lines(one), lines(two)
    assert len(alone) == len(resumed)
    for first, second in zip(alone, resumed, strict=True):
        assert first.pop("phase", None) == second.pop("phase", None)
        assert second == pytest.approx(first, abs=TOLERANCE)
    parts = json.loads((two / "run.json").read_text(encoding="utf-8"))["parts"]
    assert [part["processes"] for part in parts] == [2, 1]
