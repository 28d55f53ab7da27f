"""What an ablation is to run: a YAML file with a recipe, rows of changed settings, and seeds."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textae.config import TrainingConfig
from textae.errors import InputError, nearest
from textae.evaluation.cache import fingerprint
from textae.settings import config_to_dict, load_config, read_yaml


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table: its name, what it takes away, and the settings that do so."""

    name: str
    what: str
    settings: dict[str, Any]

    @property
    def slug(self) -> str:
        """The name as part of a file's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A whole ablation."""

    base: Path
    """The recipe that all rows start from."""
    settings: dict[str, Any]
    """Changes to it for every row, such as a short budget, by dotted names."""
    rows: list[Row]
    """The first one is the reference."""
    seeds: list[int]
    """Seeds of the first rows; the others are run with the first seed."""
    rows_with_all_seeds: int
    evaluate_documents: int
    """So many pairs of ``data.valid``, spread evenly, judge every row."""
    audit: dict[str, Any]
    """``train`` (sources), ``held_out`` (documents), ``steps``, ``batch_size``, ``learning_rate`` and
    ``num_beams`` of :func:`~textae.evaluation.audit.audit_model`; empty for no audit."""

    def tasks(
        self, names: list[str] | None = None, seeds_of_first: int | None = None
    ) -> list[tuple[Row, int]]:
        """Rows, or those of ``names``, with their seeds; the first row of every seed comes first.

        ``seeds_of_first`` takes only so many of the seeds.

        Raises:
            InputError: if there is no row of such a name.
        """
        known = [row.name for row in self.rows]
        for name in names or []:
            if name not in known:
                raise InputError(f'there is no row "{name}" in the ablation{nearest(name, known)}')
        return [
            (row, seed)
            for place, seed in enumerate(self.seeds[:seeds_of_first])
            for number, row in enumerate(self.rows)
            if (place == 0 or number < self.rows_with_all_seeds) and (not names or row.name in names)
        ]

    def config(self, row: Row, seed: int, output: Path) -> TrainingConfig:
        """The recipe of a row's run into ``output``; it evaluates nothing, so its last weights count.

        Raises:
            InputError: if a setting is unknown, impossible, or not the row's to choose.
        """
        own = {"run.seed": seed, "run.output": str(output), "data.valid": []}
        for name in own:
            if name in row.settings:
                raise InputError(f'row "{row.name}": {name} is the same for all rows; leave it out')
        try:
            return load_config(self.base, changes=self.settings | row.settings | own)
        except InputError as error:
            raise InputError(f'row "{row.name}": {error}') from error

    def check(self) -> None:
        """Find before the first row is run what would be wrong with the last.

        Raises:
            InputError: if a setting of any row is unknown or impossible, or two rows are the same.
        """
        rows: dict[str, str] = {}
        for row in self.rows:
            mark = fingerprint(settings_that_count(self.config(row, 0, Path("run"))))
            same = rows.setdefault(mark, row.name)
            if same != row.name:
                raise InputError(
                    f'row "{row.name}" has the same settings as row "{same}"; change it or leave it out'
                )


def settings_that_count(config: TrainingConfig) -> dict[str, Any]:
    """The settings that what is learned depends on; of the run (places, logs, checkpoints) only the seed."""
    return {**config_to_dict(config), "run": {"seed": config.run.seed}}


def warmup_key(config: TrainingConfig) -> str:
    """A name for all that a warm-up depends on: recipes with the same one can share it."""
    settings = settings_that_count(config)
    for section in ("adversarial", "decoding"):
        del settings[section]
    return fingerprint(settings)[:12]


_KEYS = {
    "base": str,
    "settings": dict,
    "rows": dict,
    "seeds": list,
    "rows_with_all_seeds": int,
    "evaluate_documents": int,
    "audit": dict,
}
_AUDIT_KEYS = {
    "train": list,
    "held_out": int,
    "steps": int,
    "batch_size": int,
    "learning_rate": float,
    "num_beams": int,
}
_KINDS = {
    str: "a text",
    dict: "a mapping",
    list: "a list",
    int: "a whole number",
    float: "a number above 0 with a point",
}


def read_plan(path: str | Path) -> Plan:
    """Read an ablation's YAML file; ``base`` is looked for beside it.

    Raises:
        InputError: if the file or something in it is missing, unknown or of the wrong kind.
    """
    path = Path(path)
    content = read_yaml(path)
    _check(content, _KEYS, str(path))
    for name in ("base", "rows"):
        if not content.get(name):
            raise InputError(f'{path}: "{name}" is missing; an ablation has a recipe and rows')
    audit = content.get("audit") or {}
    _check(audit, _AUDIT_KEYS, f"{path}, audit")
    rows = []
    for name, described in content["rows"].items():
        described = described or {}
        where = f'{path}, row "{name}"'
        if not isinstance(described, Mapping):
            raise InputError(f"{where}: wants what and settings")
        _check(described, {"what": str, "settings": dict}, where)
        rows.append(Row(str(name), described.get("what", ""), dict(described.get("settings") or {})))
    for number, row in enumerate(rows):
        if not row.slug or row.slug in [other.slug for other in rows[:number]]:
            raise InputError(
                f'{path}: "{row.name}" gives no file name of its own; use other letters and digits'
            )
    seeds = content.get("seeds") or [0]
    if not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds):
        raise InputError(f"{path}: seeds are whole numbers, not {seeds}")
    return Plan(
        base=path.parent / content["base"],
        settings=dict(content.get("settings") or {}),
        rows=rows,
        seeds=list(dict.fromkeys(seeds)),
        rows_with_all_seeds=content.get("rows_with_all_seeds", len(rows)),
        evaluate_documents=content.get("evaluate_documents", 500),
        audit=dict(audit),
    )


def _check(content: Mapping[Any, Any], kinds: Mapping[str, type], where: str) -> None:
    for key, value in content.items():
        if key not in kinds:
            raise InputError(f'{where}: unknown entry "{key}"{nearest(str(key), kinds)}')
        if value is not None and (not isinstance(value, kinds[key]) or isinstance(value, bool)):
            raise InputError(f"{where}: {key} wants {_KINDS[kinds[key]]}, not {value!r}")
        if isinstance(value, int) and value < 1:
            raise InputError(f"{where}: {key} is {value}; set it to at least 1")
        if isinstance(value, float) and not 0 < value < float("inf"):
            raise InputError(f"{where}: {key} wants {_KINDS[float]}, not {value!r}")
