"""What a clone needs: dependencies declared and pinned, scripts that run, a light import."""

import ast
import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import textae

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
SCRIPTS = ("scripts/setup.sh", "scripts/demo.sh", "scripts/test.sh", ".ci/run")


def normalized(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def required_names():
    every = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    return {normalized(re.match(r"[\w.-]+", requirement)[0]) for requirement in every}


def pins():
    lines = (ROOT / "configs" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normalized(name): version for name, version in pairs}


def test_every_dependency_is_pinned():
    assert required_names() - pins().keys() == set()
    assert pins()["torch"] == "2.13.0"


def test_what_dependencies_need_is_pinned_too():
    needed = set()
    for name in pins():
        for requirement in importlib.metadata.requires(name) or []:
            if ";" not in requirement:
                needed.add(normalized(re.match(r"[\w.-]+", requirement)[0]))
    assert needed - pins().keys() == set()


def files_of_the_package():
    found = (ROOT / "textae").rglob("*")
    return {path for path in found if path.is_file() and "__pycache__" not in path.parts}


def test_files_beside_the_code_are_packaged():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["textae"]
    package = ROOT / "textae"
    packaged = {path for pattern in patterns for path in package.glob(pattern)}
    beside = files_of_the_package()
    assert {path for path in beside - packaged if path.suffix != ".py"} == set()


def test_the_wheel_holds_the_model_and_the_tables(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "textae", source / "textae", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", *options, str(source)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("textae/")}
    beside = {f"textae/{path.relative_to(ROOT / 'textae').as_posix()}" for path in files_of_the_package()}
    assert packed == beside
    assert "textae/pretrained/english/model.safetensors" in packed


def test_no_registry_is_named():
    for path in ("pyproject.toml", "configs/constraints.txt", "scripts/setup.sh"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(r"https?://|--index-url|--extra-index-url|--find-links|file:", text) is None


def test_every_import_is_declared():
    distributions = importlib.metadata.packages_distributions()
    imported = set()
    for path in (ROOT / "textae").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    foreign = imported - sys.stdlib_module_names - {"textae"}
    extras = [
        text for name, texts in PROJECT["optional-dependencies"].items() if name != "dev" for text in texts
    ]
    declared = {normalized(re.match(r"[\w.-]+", text)[0]) for text in [*PROJECT["dependencies"], *extras]}
    # What only an extra brings need not be installed.
    named = {normalized(distributions.get(name, [name])[0]) for name in foreign}
    assert named - declared == set()


@pytest.mark.parametrize("name", SCRIPTS)
def test_shell_scripts_are_executable_and_stop_at_errors(name):
    path = ROOT / name
    assert path.stat().st_mode & stat.S_IXUSR
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.parametrize("name", ["train", "summarize", "evaluate_rouge", "results"])
def test_python_scripts_are_the_command_line(name, tmp_path):
    ran = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / f"{name}.py"), "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    command = "evaluate" if name == "evaluate_rouge" else name
    assert ran.stdout.startswith(f"usage: textae {command} ")


def test_a_second_setup_has_nothing_to_do(tmp_path):
    for name in ("pyproject.toml", "configs/constraints.txt", "scripts/setup.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >> "$(dirname "$0")/calls"\nexit "${FAKE_PIP_CODE:-0}"\n')
    python.chmod(0o755)

    def setup(**variables):
        return subprocess.run(
            ["bash", str(tmp_path / "scripts" / "setup.sh")],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
        )

    failed = setup(FAKE_PIP_CODE="1")
    assert failed.returncode == 1
    assert "setup: installing failed; the whole log is in .venv/install.log" in failed.stderr
    first = setup()
    assert (first.returncode, first.stdout.count("installing into .venv")) == (0, 1)
    second = setup()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    (tmp_path / "configs" / "constraints.txt").write_text("numpy==2.0.0\n")
    assert "installing into .venv" in setup().stdout
    calls = (python.parent / "calls").read_text().splitlines()
    assert calls == ["-m pip install --disable-pip-version-check -c configs/constraints.txt -e .[dev]"] * 3


def test_launch_configurations():
    folder = ROOT / "configs" / "accelerate"
    found = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yaml")}
    assert {name: values["num_processes"] for name, values in found.items()} == {
        "one_process": 1,
        "two_cpu_processes": 2,
        "one_gpu_bf16": 1,
        "several_gpus_ddp": 2,
        "several_gpus_deepspeed_zero2": 2,
        "several_gpus_deepspeed_zero3": 2,
        "several_gpus_fsdp2": 2,
        "several_gpus_fsdp2_zero2": 2,
        "several_machines": 16,
    }
    assert found["two_cpu_processes"]["use_cpu"] is True
    # YAML reads a bare NO or no as false, which Accelerate does not know.
    assert all(isinstance(values["distributed_type"], str) for values in found.values())
    assert all(isinstance(values["mixed_precision"], str) for values in found.values())


def test_licence_and_version():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "Copyright 2026 The textae authors" in licence
    assert PROJECT["license"] == "Apache-2.0"
    assert importlib.metadata.version("textae") == textae.__version__


def test_importing_textae_loads_nothing_heavy():
    code = (
        "import sys, textae, textae.cli\n"
        "heavy = {'torch', 'transformers', 'datasets', 'evaluate', 'accelerate', 'numpy', 'pyarrow'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_public_names_are_what_they_say():
    from textae.config import TrainingConfig
    from textae.errors import InputError
    from textae.settings import load_config

    assert textae.TrainingConfig is TrainingConfig
    assert textae.InputError is InputError
    assert textae.load_config is load_config
    assert set(textae.__all__) <= set(dir(textae))
    assert textae.TextAutoencoder.__name__ == "TextAutoencoder"
    assert textae.Rouge.__name__ == "Rouge"
    with pytest.raises(AttributeError, match="module 'textae' has no attribute 'Autoencode'"):
        _ = textae.Autoencode
