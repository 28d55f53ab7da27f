"""Two processes of the real launcher learn what one process learns from the same batches."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from textae.commands import rouge_on_valid
from textae.training.loop import train

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4


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


@pytest.mark.slow
@pytest.mark.parametrize(("baseline", "lengths"), [("leave_one_out", "human"), ("self_critical", "uniform")])
def test_two_processes_log_what_one_logs(tmp_path, make_recipe, make_config, baseline, lengths):
    # Documents per batch count over all processes: 5 are 2 and 3. Only dropout differs from process to
    # process; masked words, samples and noise belong to the row of the global batch.
    dry = {"dropout": 0.0, "width": 16}
    small = {**dry, "layers": 1, "heads": 2, "feed_forward": 16}
    sections = {
        "encoder": small,
        "reconstructor": small,
        "discriminator": dry,
        "warmup": {"steps": 4, "documents_per_batch": 5, "warmup_steps": 2},
        "adversarial": {
            "steps": 4,
            "documents_per_batch": 5,
            "baseline": baseline,
            "length_sampling": lengths,
        },
        "run": {"sample_every": 8, "save_every": 4},
    }
    one, two = tmp_path / "one", tmp_path / "two"
    train(make_config(one, **sections), evaluate=rouge_on_valid)

    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(make_recipe(two, **sections)), encoding="utf-8")
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
    launched = launch([sys.executable, *words], env=environment, cwd=tmp_path)
    assert launched.returncode == 0, launched.stderr
    assert "FutureWarning" not in launched.stderr
    assert launched.stdout.count("trained model:") == 1
    assert "processes: 2, device: cpu" in (two / "train.log").read_text(encoding="utf-8")
    files = {path.name for path in (two / "checkpoints" / "step-000008").iterdir()}
    assert {"random-0.safetensors", "random-1.safetensors"} <= files

    alone, together = lines(one), lines(two)
    assert len(alone) == len(together) == 8 + 2
    for first, second in zip(alone, together, strict=True):
        assert first.pop("phase", None) == second.pop("phase", None)
        assert second == pytest.approx(first, abs=TOLERANCE)
    losses = [line["loss/policy"] for line in alone if "loss/policy" in line]
    assert max(losses) - min(losses) > 100 * TOLERANCE  # so that the tolerance means something
