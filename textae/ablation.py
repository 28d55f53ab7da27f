"""Ablations: many runs from one warm-up, judged alike, in one table.

Whatever stops the command, the same command goes on where it was: a row that is done is not run again,
one that was cut resumes from its last checkpoint. Started twice, the two share the rows. A row whose
training breaks down is a finding: it stands in the table without figures, and the others are run.
"""

import dataclasses
import fcntl
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from textae.ablation_plan import Plan, Row, settings_that_count, warmup_key
from textae.ablation_table import table_text
from textae.config import TrainingConfig
from textae.data.corpus import read_pairs
from textae.errors import DivergenceError, InputError, Interrupted
from textae.evaluation.audit import audit_model
from textae.evaluation.cache import fingerprint
from textae.evaluation.files import write_json, write_text
from textae.evaluation.measures import model_measures
from textae.evaluation.report import evaluate_model, spread
from textae.models.autoencoder import TextAutoencoder
from textae.models.saving import WEIGHTS
from textae.provenance import provenance
from textae.settings import config_to_dict, load_config
from textae.training.checkpoint import checkpoints
from textae.training.record import RECORD
from textae.training.run import train

FIGURES, STARTED, JUDGED = "figures.json", "started.json", "judged.json"
SUMMARIES = "valid.jsonl"
# Seconds between looks at rows that another process is at work on.
PATIENCE = 2.0

logger = logging.getLogger(__name__)


class Ablation:
    """A plan and the folder in which it is carried out."""

    def __init__(self, plan: Plan, output: str | Path):
        self.plan, self.output = plan, Path(output)
        self.recipe = load_config(plan.base, changes=plan.settings)
        if not self.recipe.data.valid:
            raise InputError(f"{plan.base}: data.valid is empty; every row is judged on its pairs")

    def run(self, names: list[str] | None = None, seeds_of_first: int | None = None) -> Path:
        """Run what is not done yet of all rows, or of those of ``names``; returns the table's file.

        ``seeds_of_first`` takes only so many seeds of the rows that have several.

        Raises:
            InputError: if the plan, its recipe, its text or the folder cannot be used.
        """
        tasks = self.plan.tasks(names, seeds_of_first)
        self.plan.check()
        waiting = list(tasks)
        while waiting:
            left = []
            for row, seed in waiting:
                with self._lock(f"{row.slug}-seed-{seed}", wait=False) as is_ours:
                    if not is_ours:
                        left.append((row, seed))
                    elif self.figures(row, seed) is None:
                        self._run_row(row, seed, f"{tasks.index((row, seed)) + 1} of {len(tasks)}")
                        self.write_table()
            if len(left) == len(waiting):
                time.sleep(PATIENCE)
            waiting = left
        return self.write_table()

    def folder(self, row: Row, seed: int) -> Path:
        """The folder of a row's run."""
        return self.output / "rows" / f"{row.slug}-seed-{seed}"

    def figures(self, row: Row, seed: int) -> dict[str, Any] | None:
        """What was measured of a row, or None if it is not done with the settings that the plan has now."""
        found = _read(self.folder(row, seed) / FIGURES)
        return found if found is not None and found["fingerprint"] == self._fingerprint(row, seed) else None

    def _fingerprint(self, row: Row, seed: int) -> str:
        """Changes with whatever the figures of a row depend on; its place on the disk is no such thing."""
        return fingerprint([self._trained_with(row, seed), self._judging()])

    def _trained_with(self, row: Row, seed: int) -> dict[str, Any]:
        """What the model of a row depends on."""
        return settings_that_count(self.plan.config(row, seed, Path("run")))

    def _judging(self) -> list[Any]:
        """What figures depend on besides the model."""
        return [self.recipe.data.valid, self.plan.evaluate_documents, self.plan.audit]

    @contextmanager
    def _lock(self, name: str, *, wait: bool) -> Iterator[bool]:
        """Hold a lock that ends with the process, however it ends; False if another process has it."""
        file = self.output / "locks" / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = file.open("w")
        except OSError as error:
            raise InputError(
                f"{self.output}: this folder cannot be written ({error.strerror}); take another --output"
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def _run_row(self, row: Row, seed: int, place: str) -> None:
        folder, named = self.folder(row, seed), f"{row.name}, seed {seed} ({place})"
        config = self.plan.config(row, seed, folder)
        # Without what figures depend on besides: another audit judges the model that there is.
        mark = fingerprint(self._trained_with(row, seed))
        started = _read(folder / STARTED)
        if started is None or started["fingerprint"] != mark:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            started = {"fingerprint": mark, "row": row.name, "seed": seed, "code": provenance()}
            write_json(started, folder / STARTED)
        done = {**started, "fingerprint": self._fingerprint(row, seed)}
        # The model of a run is written when it ends.
        if not (folder / WEIGHTS).exists():
            resume = "latest"
            if not checkpoints(folder / "checkpoints"):
                resume = str(self._warm(config)) if config.warmup.steps else ""
            _tell(named, "training" if resume != "latest" else "training, from its last checkpoint")
            try:
                _train(config, resume or None)
            except DivergenceError as error:
                write_json({**done, "diverged": str(error)}, folder / FIGURES)
                _tell(named, str(error))
                return
        _tell(named, "judging")
        figures = self._judge(folder, config, judge_baselines=row == self.plan.rows[0])
        time_taken = _time_taken(folder)
        write_json({**done, **figures, **time_taken}, folder / FIGURES)
        minutes = time_taken["seconds"] / 60
        _tell(named, f"done, {minutes:.1f} minutes of training, R-1 {figures['rouge1']:.2f}")

    def _warm(self, config: TrainingConfig) -> Path:
        """The checkpoint at the end of the warm-up that ``config`` asks for, run if it was not yet."""
        folder = self.output / "warm-up" / warmup_key(config)
        last = folder / "checkpoints" / f"step-{config.warmup.steps:06d}"
        with self._lock(f"warm-up-{folder.name}", wait=True):
            if not (folder / WEIGHTS).exists():
                _tell(f"warm-up {folder.name}, seed {config.run.seed}", "training")
                resume = "latest" if checkpoints(folder / "checkpoints") else None
                _train(_warmup_only(config, folder), resume)
        return last

    def _judge(
        self, folder: Path, config: TrainingConfig, *, judge_baselines: bool = False
    ) -> dict[str, Any]:
        """Figures of the model in ``folder`` on the pairs that judge all rows."""
        model: Any = TextAutoencoder.from_pretrained(folder)
        model.config.decoding = config.decoding  # a warm-up may have been run when the plan had another
        data, plan = self.recipe.data, self.plan
        report = evaluate_model(
            model,
            data.valid,
            limit=plan.evaluate_documents,
            document_columns=data.document_columns,
            summary_columns=data.summary_columns,
            save_predictions=str(folder / SUMMARIES),
            judge_baselines=judge_baselines,
        )
        found = {**report["systems"]["model"], "leads": report["systems"]}
        del found["leads"]["model"]
        if plan.audit:
            options = {key: value for key, value in plan.audit.items() if value is not None}
            found["audit"] = audit_model(
                model,
                data.valid,
                options.pop("train", None),
                document_columns=data.document_columns,
                limit=options.pop("held_out", None),
                **options,
            )
        return found

    @cached_property
    def documents(self) -> list[str]:
        """The documents of the pairs that judge all rows."""
        data = self.recipe.data
        pairs = read_pairs(data.valid, data.document_columns, data.summary_columns, data.normalization)
        return [pair.document for pair in spread(pairs, self.plan.evaluate_documents)]

    def _judged_by_first(self, folder: Path, mark: str, seed: int) -> dict[str, float | None] | None:
        """What the first row's networks of the same seed say of the summaries in ``folder``.

        Rows have reconstructors and discriminators of their own, which have seen other samples: what they
        say of their own summaries is not comparable. ``mark`` changes with the summaries.

        Returns:
            ``reconstruction_loss`` and ``readability``; None if there is no such judge yet.
        """
        done = self.figures(self.plan.rows[0], seed)
        if done is None or "diverged" in done:
            return None
        marks = [done["fingerprint"], mark]
        known = _read(folder / JUDGED)
        if known is None or known["fingerprints"] != marks:
            lines = (folder / SUMMARIES).read_text(encoding="utf-8").splitlines()
            texts = [json.loads(line)["output"] for line in lines]
            judge: Any = TextAutoencoder.from_pretrained(self.folder(self.plan.rows[0], seed))
            found = model_measures(judge, self.documents, texts)
            known = {"fingerprints": marks, "figures": found}
            write_json(known, folder / JUDGED)
        return dict(known["figures"])

    def _warm_figures(self, seed: int) -> dict[str, Any] | None:
        """Figures of the model after the warm-up that the first row started from."""
        config = self.plan.config(self.plan.rows[0], seed, self.folder(self.plan.rows[0], seed))
        folder = self.output / "warm-up" / warmup_key(config)
        if not (folder / WEIGHTS).exists():
            return None
        # How candidates are chosen is no part of a warm-up, but of what is measured after it.
        mark = fingerprint([config_to_dict(config)["decoding"], self._judging()])
        known = _read(folder / FIGURES)
        if known is None or known["fingerprint"] != mark:
            _tell(f"warm-up {folder.name}, seed {seed}", "judging")
            known = {"fingerprint": mark, **self._judge(folder, config)}
            write_json(known, folder / FIGURES)
        return {**known, **_time_taken(folder), "judge": self._judged_by_first(folder, mark, seed)}

    def write_table(self) -> Path:
        """Write ``table.json`` and ``table.md`` of what is done so far; returns the latter."""
        with self._lock("table", wait=True):
            rows: dict[str, dict[int, dict[str, Any]]] = {}
            for row, seed in self.plan.tasks():
                found = self.figures(row, seed)
                if found is not None and "diverged" not in found:
                    folder, mark = self.folder(row, seed), found["fingerprint"]
                    found = {**found, "judge": self._judged_by_first(folder, mark, seed)}
                if found is not None:
                    rows.setdefault(row.name, {})[seed] = found
            done = sorted({seed for found in rows.values() for seed in found})
            warm = {seed: found for seed in done if (found := self._warm_figures(seed)) is not None}
            content = {
                "base": str(self.plan.base),
                "settings": self.plan.settings,
                "evaluate_documents": self.plan.evaluate_documents,
                "valid": self.recipe.data.valid,
                "audit": self.plan.audit,
                "what": {row.name: row.what for row in self.plan.rows},
                "changes": {row.name: row.settings for row in self.plan.rows},
                "warm_up": warm,
                "rows": rows,
            }
            write_json(content, self.output / "table.json")
            write_text(self.output / "table.md", table_text(content))
        return self.output / "table.md"


def _warmup_only(config: TrainingConfig, output: Path) -> TrainingConfig:
    """``config`` without its adversarial phase, into ``output``."""
    phase = dataclasses.replace(config.adversarial, steps=0)
    run = dataclasses.replace(config.run, output=str(output))
    return dataclasses.replace(config, adversarial=phase, run=run)


def _time_taken(folder: Path) -> dict[str, Any]:
    """Seconds that a run took, and its parts: several if it was cut; what a cut cost it is in none."""
    parts = (_read(folder / RECORD) or {"parts": []})["parts"]
    return {"seconds": sum(part["seconds"] for part in parts), "training": parts}


def _train(config: TrainingConfig, resume: str | None) -> None:
    try:
        train(config, resume)
    except Interrupted as stop:
        # Not the command of the one run: that of all of them knows where each stands.
        raise Interrupted("interrupted; the same command goes on where it was", stop.number) from stop


def _tell(what: str, happens: str) -> None:
    logger.info("%s %s: %s", time.strftime("%H:%M:%S"), what, happens)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise InputError(f"{file}: this is damaged; remove it, and it is made anew") from error
