import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType

from textae.errors import InputError
from textae.training import launch
from textae.training.sharding import check_supported

CONFIGURATIONS = Path(__file__).resolve().parents[2] / "configs" / "accelerate"


@pytest.mark.parametrize(
    ("processes", "has_gpu", "variable", "cpu"),
    [
        ("1", False, None, None),
        ("2", False, None, True),
        ("2", True, None, False),
        ("2", True, "true", True),
    ],
)
def test_processes_without_a_gpu_are_told_so(monkeypatch, processes, has_gpu, variable, cpu):
    made = []
    monkeypatch.setattr(launch, "PartialState", lambda cpu=None: made.append(cpu))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: has_gpu)
    monkeypatch.setenv("WORLD_SIZE", processes)
    # Set first, so that it is as before when the test is over, whatever happens to it.
    monkeypatch.setenv("ACCELERATE_USE_CPU", variable or "")
    if variable is None:
        monkeypatch.delenv("ACCELERATE_USE_CPU")
    launch.join_processes()
    assert made == [cpu]
    assert (os.environ.get("ACCELERATE_USE_CPU") == "true") is (cpu is True)


def test_two_processes_of_the_real_launcher_find_each_other(tmp_path):
    script = tmp_path / "count.py"
    script.write_text(
        "from textae.training.launch import join_processes\n"
        "join_processes()\n"
        "from accelerate import Accelerator, PartialState\n"
        "state, accelerator = PartialState(), Accelerator()\n"
        "text = f'{accelerator.num_processes} {state.num_processes} {accelerator.device.type}'\n"
        f"open({str(tmp_path)!r} + f'/{{accelerator.process_index}}', 'w').write(text)\n"
    )
    configuration = Path(__file__).resolve().parents[2] / "configs" / "accelerate" / "two_cpu_processes.yaml"
    words = [
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        str(configuration),
        "--main_process_port",
        "0",
    ]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true"} if torch.accelerator.is_available() else None
    subprocess.run([sys.executable, *words, str(script)], check=True, env=environment, timeout=300)
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["2 2 cpu", "2 2 cpu"]


@pytest.mark.parametrize("path", sorted(CONFIGURATIONS.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_configuration(path):
    loaded = load_config_from_file(str(path))
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert str(loaded.distributed_type.value) == written["distributed_type"]
    assert loaded.num_processes == written["num_processes"]
    sharding = getattr(loaded, "fsdp_config", None) or {}
    assert ("fsdp2" in path.stem) == (sharding.get("fsdp_version") == 2)
    stage = (getattr(loaded, "deepspeed_config", None) or {}).get("zero_stage")
    assert path.stem.endswith(f"deepspeed_zero{stage}") if stage else "deepspeed" not in path.stem


def test_a_configuration_that_a_message_names_is_there():
    accelerator = SimpleNamespace(distributed_type=DistributedType.FSDP, is_fsdp2=False)
    with pytest.raises(InputError) as told:
        check_supported(accelerator)
    (name,) = re.findall(r"configs/accelerate/(\S+\.yaml)", str(told.value))
    assert (CONFIGURATIONS / name).is_file()
