"""The folders of finished runs of one recipe: their seeds, and how they were made."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textae.config import TrainingConfig
from textae.errors import InputError
from textae.models.saving import model_folder
from textae.settings import config_to_dict, load_config, settings
from textae.training.record import RECORD


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run whose model is there."""

    folder: Path
    config: TrainingConfig
    command: str
    """That trains it, with what it changes in the recipe."""
    parts: list[dict[str, Any]]
    """Of ``run.json``: each time that the run was started, with code, machine and seconds; may be empty."""

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"seed {self.config.run.seed}"

    @property
    def warm(self) -> Path | None:
        """Folder of the model after warm-up, if the run had one."""
        folder = self.folder / "warm"
        return folder if folder.is_dir() else None


def read_runs(recipe: str | Path, folders: Sequence[str | Path]) -> list[FinishedRun]:
    """Read runs of one recipe with different seeds.

    Raises:
        InputError: if the recipe's or a run's code is no text, a folder holds no finished run, a seed comes
            twice, or settings other than those of the section ``run`` differ, so that means over the runs
            would mean nothing.
    """
    if not folders:
        raise InputError("there is no run; name at least one folder of a run")
    base = load_config(recipe)
    _require_text(recipe, base)
    runs: list[FinishedRun] = []
    for given in folders:
        folder = model_folder(given)
        config = load_config(folder / "config.yaml")
        _require_text(folder, config)
        runs.append(FinishedRun(folder, config, command(recipe, base, config), _parts(folder)))
    seeds: dict[int, Path] = {}
    for run in runs:
        seed = run.config.run.seed
        if seed in seeds:
            raise InputError(
                f"{seeds[seed]} and {run.folder} both have seed {seed}; give runs whose run.seed differs"
            )
        seeds[seed] = run.folder
        for name in differences(runs[0].config, run.config):
            if not name.startswith("run."):
                raise InputError(
                    f"{run.folder}: {name} is not that of {runs[0].folder}; "
                    "give runs that differ in their seed alone"
                )
    return runs


def _require_text(name: str | Path, config: TrainingConfig) -> None:
    if not config.code.is_text:
        raise InputError(
            f"{name}: its code is numbers (code.kind is {config.code.kind}), and results are of summaries; "
            "measure the trained model with python scripts/measure_codes.py, whose --help tells what of it"
        )


def differences(first: TrainingConfig, second: TrainingConfig) -> dict[str, Any]:
    """The settings in which the second recipe is not the first: its values by dotted names."""
    before, after = _leaves(first), _leaves(second)
    return {name: value for name, value in after.items() if value != before[name]}


def command(recipe: str | Path, base: TrainingConfig, config: TrainingConfig) -> str:
    """The command that trains ``config`` from the file ``recipe``, which says ``base`` today."""
    words = ["textae", "train", "--config", str(recipe)]
    for name, value in differences(base, config).items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        words.append(f"--{name}={text}")
    return shlex.join(words)


def _leaves(config: TrainingConfig) -> dict[str, Any]:
    nested, found = config_to_dict(config), {}
    for name in settings():
        value: Any = nested
        for part in name.split("."):
            value = value[part]
        found[name] = value
    return found


def _parts(folder: Path) -> list[dict[str, Any]]:
    file = folder / RECORD
    try:
        return list(json.loads(file.read_text(encoding="utf-8"))["parts"])
    except FileNotFoundError:  # a run from before there were records
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: this is damaged; remove it, and the results do without it") from error
