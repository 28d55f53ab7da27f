"""DeepSpeed's ZeRO-2 and ZeRO-3: what one process learns, with less in each."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from accelerate.utils import DistributedType
from deepspeed_on_cpu import FAULTY, finding_fault
from safetensors.torch import load_file
from test_sharding import lines, same, sections

from textae.errors import InputError
from textae.evaluation.scoring import rouge_on_valid
from textae.training.run import train
from textae.training.skipping import SkippedSteps
from textae.training.zero import set_up_zero

LAUNCHED = Path(__file__).with_name("deepspeed_on_cpu.py")
CONFIGURATIONS = Path(__file__).resolve().parents[2] / "configs" / "accelerate"

needs_deepspeed = pytest.mark.skipif(find_spec("deepspeed") is None, reason='pip install "textae[deepspeed]"')


def launch(folder, recipe, stage, *words):
    """Train in two processes; what each of them holds at the end."""
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    memory = folder / "memory"
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "false",
        "DS_ACCELERATOR": "cpu",
        "MEMORY": str(memory),
        "FAULTY": "1",
    }
    configuration = CONFIGURATIONS / f"several_gpus_deepspeed_zero{stage}.yaml"
    launcher = ["-m", "accelerate.commands.launch", "--config_file", str(configuration)]
    launcher += ["--mixed_precision", "no", "--main_process_port", "0"]
    command = [sys.executable, *launcher, str(LAUNCHED), "--config", str(file), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(Path(f"{memory}-{index}.json").read_text(encoding="utf-8")) for index in range(2)]


def eventful():
    """Settings of a run that goes back to its best weights, too."""
    settings = sections()
    settings["discriminator"] |= {"architecture": "transformer", "heads": 2}
    settings["adversarial"] |= {"rollback_drop": 0.0, "rollback_signal": "reward", "rollback_window": 4}
    settings["run"]["save_every"] = 10
    return settings


@pytest.fixture
def alone(monkeypatch):
    """The function that trains in this process as the launched ones do."""
    monkeypatch.setattr(SkippedSteps, "add", finding_fault(SkippedSteps.add))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield lambda config, resume=None: train(config, resume, rouge_on_valid)
    torch.set_num_threads(threads)


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_fifty_steps_are_those_of_one_process_in_whatever_mode_they_are_resumed(
    tmp_path, make_recipe, make_config, alone, stage
):
    """Two steps are skipped and the best weights come back, on both sides."""
    output, settings = tmp_path / "two", eventful()
    alone(make_config(tmp_path / "one", **settings))
    told = lines(tmp_path / "one")
    assert sum("optimizer/skipped" in line for line in told) == len(FAULTY)
    assert any("rollback/count" in line for line in told)
    held = launch(tmp_path, make_recipe(output, **settings), stage)
    same(lines(tmp_path / "one"), lines(output))
    first, second = (load_file(folder / "model.safetensors") for folder in (tmp_path / "one", output))
    assert first.keys() == second.keys()
    assert all(torch.allclose(value, second[name], atol=1e-3) for name, value in first.items())
    whole = sum(value.numel() * value.element_size() for value in first.values())
    for process in held:
        assert process["processes"] == 2
        assert process["parameters"] == pytest.approx(whole / (1 if stage == 2 else 2), rel=0.1)
        assert process["moments"] == pytest.approx(whole, rel=0.1)
    for step in (40, 50):  # on with one process, in the middle of the adversarial phase
        shutil.rmtree(output / "checkpoints" / f"step-{step:06d}")
    alone(make_config(output, **settings), "latest")
    same(lines(tmp_path / "one"), lines(output))
    for step in (20, 30, 40, 50):  # and the other way round, in the middle of the warm-up
        shutil.rmtree(output / "checkpoints" / f"step-{step:06d}")
    launch(tmp_path, make_recipe(output, **settings), stage, "--resume")
    same(lines(tmp_path / "one"), lines(output))


NUMBERS = {
    "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "dropout": 0.0},
    "code": {"kind": "vq", "vectors": 2, "width": 8, "codebook_size": 8, "continuous_steps": 2},
    "warmup": {"steps": 9, "documents_per_batch": 5, "warmup_steps": 2},
}


@needs_deepspeed
@pytest.mark.slow
@pytest.mark.parametrize("what", ["numbers", "gumbel", "rows_at_once"])
def test_what_else_is_learned_with_weights_in_pieces(tmp_path, make_recipe, make_config, alone, what):
    settings = NUMBERS if what == "numbers" else sections()
    if what != "numbers":
        settings["warmup"]["steps"], settings["adversarial"]["steps"] = 4, 5
    if what == "gumbel":
        settings["adversarial"] |= {"estimator": "gumbel", "samples": 1, "rewards": {}}
    if what == "rows_at_once":
        settings["optimizer"] = {"rows_at_once": 2}
    alone(make_config(tmp_path / "one", **settings))
    launch(tmp_path, make_recipe(tmp_path / "two", **settings), 3)
    same(lines(tmp_path / "one"), lines(tmp_path / "two"), least=9)


def accelerator(**changed):
    values = {"zero_stage": 3, "offload_optimizer_device": "none", "offload_param_device": None}
    plugin = SimpleNamespace(**(values | {"deepspeed_config": {}} | changed))
    state = SimpleNamespace(deepspeed_plugin=plugin)
    return SimpleNamespace(distributed_type=DistributedType.DEEPSPEED, state=state)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"zero_stage": 1}, "zero_stage: 2 or 3"),
        ({"offload_optimizer_device": "cpu"}, "offload_param_device: none"),
        ({"deepspeed_config": {"fp16": {"enabled": True}}}, "mixed_precision: bf16 or no"),
        ({"deepspeed_config": {"optimizer": {}}}, "no optimizer and no scheduler"),
    ],
)
def test_what_does_not_go_with_the_loop_is_refused(changed, said):
    with pytest.raises(InputError, match=said) as told:
        set_up_zero(accelerator(**changed))
    (name,) = re.findall(r"configs/accelerate/(\S+\.yaml)", str(told.value))
    assert (CONFIGURATIONS / name).is_file()


def test_weights_stay_in_float32_where_products_are_in_bfloat16():
    given = accelerator(deepspeed_config={"bf16": {"enabled": True}})
    set_up_zero(given)
    config = given.state.deepspeed_plugin.deepspeed_config
    assert not config["bf16"]["enabled"] and config["torch_autocast"]["dtype"] == "bfloat16"
    assert config["gradient_clipping"] == 0.0  # networks are clipped one by one
