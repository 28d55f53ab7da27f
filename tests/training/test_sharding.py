"""Data-parallel and sharded training: what one process learns, with less in each."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from accelerate.utils import DistributedType
from safetensors.torch import load_file

from textae.data.corpus import read_texts
from textae.errors import InputError
from textae.evaluation.scoring import rouge_on_valid
from textae.models.code_autoencoder import CodeAutoencoder
from textae.training.run import train
from textae.training.sharding import check_supported

LAUNCHED = Path(__file__).with_name("sharded.py")
TOLERANCE = 1e-4
STEPS = {"warmup": {"steps": 20, "documents_per_batch": 6, "warmup_steps": 2}}
STEPS["adversarial"] = {"steps": 30, "documents_per_batch": 6}


def sections(width=16, layers=2):
    dry = {"dropout": 0.0, "width": width}
    small = {**dry, "layers": layers, "heads": 2, "feed_forward": 2 * width}
    return {
        "encoder": small,
        "reconstructor": small,
        "discriminator": {"dropout": 0.0, "width": 16},
        "run": {"sample_every": 25, "save_every": 25, "evaluate_every": 25},
        **{name: dict(values) for name, values in STEPS.items()},
    }


def launch(folder, recipe, sharded, *words):
    """Train in two processes; what each of them holds at the end."""
    file = folder / f"recipe-{sharded}.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    memory = folder / f"memory-{sharded}"
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
        "SHARDED": str(int(sharded)),
        "MEMORY": str(memory),
    }
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "0", "--standalone"]
    command = [sys.executable, *launcher, str(LAUNCHED), "--config", str(file), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(Path(f"{memory}-{index}.json").read_text(encoding="utf-8")) for index in range(2)]


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def same(first, second, least=51):
    assert len(first) == len(second) >= least
    for one, other in zip(first, second, strict=True):
        assert one.pop("phase", None) == other.pop("phase", None)
        assert other == pytest.approx(one, abs=TOLERANCE, rel=TOLERANCE)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, make_config):
    """Fifty steps of one process, of both phases."""
    folder = tmp_path_factory.mktemp("alone")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(make_config(folder, **sections()), evaluate=rouge_on_valid)
    finally:
        torch.set_num_threads(threads)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True], ids=["data-parallel", "sharded"])
def test_fifty_steps_of_two_processes_are_those_of_one(tmp_path, make_recipe, alone, sharded):
    held = launch(tmp_path, make_recipe(tmp_path / "two", **sections()), sharded)
    assert [process["processes"] for process in held] == [2, 2]
    same(lines(alone), lines(tmp_path / "two"))
    first, second = (load_file(folder / "model.safetensors") for folder in (alone, tmp_path / "two"))
    assert first.keys() == second.keys()
    assert all(torch.allclose(value, second[name], atol=1e-3) for name, value in first.items())
    whole = sum(value.numel() * value.element_size() for value in first.values())
    for process in held:
        # Weights that encoder and decoder share are held once, and saved once.
        part = whole / 2 if sharded else whole
        assert process["parameters"] == pytest.approx(part, rel=0.1)
        assert process["gradients"] == pytest.approx(part, rel=0.1)
        assert process["moments"] == pytest.approx(2 * part, rel=0.1)


@pytest.mark.slow
def test_a_sharded_run_is_resumed_by_one_process_and_the_other_way_round(
    tmp_path, make_recipe, make_config, alone
):
    """Checkpoints are the same whatever the mode: whole, in safetensors."""
    output = tmp_path / "run"
    recipe = make_recipe(output, **sections())
    shutil.copytree(alone, output)
    shutil.rmtree(output / "checkpoints" / "step-000050")
    # In the middle of the adversarial phase, from one process to two that are sharded.
    launch(tmp_path, recipe, True, "--resume")
    same(lines(alone), lines(output))
    shutil.rmtree(output / "checkpoints" / "step-000050")
    train(make_config(output, **sections()), "latest", rouge_on_valid)
    same(lines(alone), lines(output))
    launch(tmp_path, recipe, True)
    shutil.rmtree(output / "checkpoints" / "step-000050")
    train(make_config(output, **sections()), "latest", rouge_on_valid)
    same(lines(alone), lines(output))


@pytest.mark.slow
def test_a_code_of_numbers_is_learned_by_sharded_networks_too(tmp_path, make_recipe, make_config):
    settings = {
        "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "dropout": 0.0},
        "code": {"kind": "vq", "vectors": 2, "width": 8, "codebook_size": 8, "continuous_steps": 2},
        "warmup": {"steps": 12, "documents_per_batch": 5, "warmup_steps": 2},
        "run": {"sample_every": 6, "save_every": 6},
    }
    train(make_config(tmp_path / "one", **settings))
    launch(tmp_path, make_recipe(tmp_path / "two", **settings), True)
    alone, together = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert len(alone) == len(together) == 12 + 3
    for one, other in zip(alone, together, strict=True):
        assert one.pop("phase", None) == other.pop("phase", None)
        assert other == pytest.approx(one, abs=TOLERANCE)


@pytest.mark.slow
def test_a_code_is_fitted_where_the_weights_are(tmp_path, make_recipe):
    settings = {
        "data": {"documents": ["newswire:100", "newswire:valid:100"], "max_document_tokens": 40},
        "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "dropout": 0.0},
        "code": {"kind": "split", "vectors": 2, "width": 8, "style_width": 2},
        "warmup": {"steps": 4, "documents_per_batch": 8, "warmup_steps": 2},
        "run": {"sample_every": 4, "save_every": 4},
    }
    launch(tmp_path, make_recipe(tmp_path / "two", **settings), True)
    model = CodeAutoencoder.from_pretrained(tmp_path / "two")
    means = model.code.means.clone()
    texts = read_texts(
        settings["data"]["documents"],
        ["document"],
        kind="documents",
        streaming=False,
        normalization=model.config.normalization,
    )
    model.fit_code(texts["text"], texts["source"])
    torch.testing.assert_close(model.code.means, means, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_what_each_process_holds_byte_by_byte(tmp_path):
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "0", "--standalone"]
    command = [
        sys.executable,
        *launcher,
        str(LAUNCHED.with_name("pieces.py")),
        str(tmp_path / "held"),
        str(tmp_path),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    for index in range(2):
        told = json.loads((tmp_path / f"held-{index}.json").read_text(encoding="utf-8"))
        encoder, whole = told["whole"]["encoder"], sum(told["whole"].values())
        assert encoder == 4 * (64 * 32 + 2 * 64)
        # The skeleton adds nothing to the model, and of the model a half is left.
        assert told["built"] == told["with skeleton"] == whole
        assert told["sharded"] == whole / 2
        assert told["before"] == told["after rollout"] == told["after"] == 0
        assert told["rollout"] == told["reference whole"] == encoder
        assert told["reference"] == told["reference from a file"] == encoder / 2
        assert told["reference unchanged"]
        # The process that neither scores nor saves only helps.
        assert told["scoring"] == (whole if index == 0 else 0)
        assert told["moments"] == 2 * whole / 2


@pytest.mark.parametrize("kind", ["MEGATRON_LM", "FSDP"])
def test_what_is_not_supported_is_told(kind):
    accelerator = SimpleNamespace(distributed_type=getattr(DistributedType, kind), is_fsdp2=False)
    with pytest.raises(InputError, match=f"does not train with {kind}.*shard with FSDP2"):
        check_supported(accelerator)
