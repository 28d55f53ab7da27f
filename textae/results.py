"""The result files of a recipe: all figures of its runs on one set of pairs.

What a model wrote is kept in its run's folder under ``results``, so that the same command goes on where it
was stopped, and a second one with another question asks the models only what is new.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textae.data.corpus import Pair, read_pairs
from textae.data.normalization import normalize
from textae.errors import InputError
from textae.evaluation.baselines import baselines, equal_length, lead_words
from textae.evaluation.cache import CachedModel
from textae.evaluation.curves import draw_curves, read_curves, require_matplotlib
from textae.evaluation.files import check_writable, write_json, write_text
from textae.evaluation.joining import predictions_for
from textae.evaluation.measures import SummaryModel, length_error, wanted_lengths
from textae.evaluation.report import spread
from textae.evaluation.scoring import RougeProtocol, example_scores
from textae.evaluation.systems import (
    Scores,
    compare_scores,
    length_row,
    pool_seeds,
    sample_rows,
    score_system,
)
from textae.provenance import provenance
from textae.results_runs import FinishedRun, read_runs
from textae.results_text import results_text

CACHE = "results"


@dataclass(frozen=True)
class Questions:
    """What the models are asked beside their own lengths, and how."""

    words: Sequence[int] = (8, 10)
    """Lengths in words that the first run's models are asked for, a row of the table each."""
    ratios: Sequence[float] = (0.5,)
    """The same, as shares of each document's words."""
    lengths: Sequence[int] = tuple(range(5, 16))
    """Lengths in words of the table that tells how well they are kept; none leaves it out."""
    samples: int = 10
    """Show at most so many of the rows 0, 100, 200 and so on."""
    limit: int | None = None
    """Score only so many pairs, spread evenly."""
    batch_size: int = 64
    seed: int = 0
    """Of the bootstrap."""
    with_documents: bool = False
    """Samples tell the document and the references, which may not be free to print."""
    with_reconstructions: bool = False
    """Samples tell what the reconstructor makes of the summary."""


class Results:
    """The figures of runs, gathered system by system."""

    def __init__(
        self,
        runs: Sequence[FinishedRun],
        data: Sequence[str],
        questions: Questions,
        load: Callable[[str], SummaryModel],
    ):
        self.runs, self.data, self.questions = list(runs), list(data), questions
        first = self.runs[0].config.data
        self.normalization = first.normalization
        self.every_pair = read_pairs(
            self.data, first.document_columns, first.summary_columns, first.normalization
        )
        self.chosen = spread(list(range(len(self.every_pair))), questions.limit)
        self.pairs: list[Pair] = [self.every_pair[row] for row in self.chosen]
        self.documents = [pair.document for pair in self.pairs]
        self.references = [pair.references for pair in self.pairs]
        self.protocol = RougeProtocol(seed=questions.seed).resolve(self.references)
        self.trained = {run: self._model(run, run.folder, "trained", load) for run in self.runs}
        self.warm = {
            run: self._model(run, run.warm, "warm", load) for run in self.runs if run.warm is not None
        }
        self.summaries: dict[str, list[str]] = {}
        self.scores: dict[str, Scores] = {}
        self.systems: dict[str, dict[str, Any]] = {}
        self.ranges: dict[str, dict[str, Any]] = {}
        self.covered: dict[str, list[int]] = {}

    @staticmethod
    def _model(run: FinishedRun, folder: Path, name: str, load: Callable[[str], SummaryModel]) -> CachedModel:
        return CachedModel(folder, load, run.folder / CACHE, name)

    def gather(self, published: Mapping[str, str]) -> dict[str, Any]:
        """Everything that the files tell, as plain values.

        Args:
            published: files of predictions by the names of their systems.
        """
        for name in published:
            if re.match("lead-|(warm-up|trained),", name):
                raise InputError(f'"{name}" is the name of a row of the table; give the outputs another name')
        outputs = {name: self._published(name, source) for name, source in published.items()}
        self._score_own_lengths()
        asked = self._score_asked_lengths()
        leads = self._score_leads()
        for name, texts in outputs.items():
            self._add_published(name, texts)
        lengths = self._length_table()
        samples = self._samples()
        return {
            "how": self._how(),
            "protocol": {
                **self.protocol.stated(),
                "seed": self.questions.seed,
                "resamples": self.protocol.resamples,
                "data": self.data,
                "count": len(self.pairs),
                "limit": self.questions.limit,
                "normalization": asdict(self.normalization),
                "decoding": asdict(self.runs[0].config.decoding),
                "published": dict(published),
            },
            "systems": self.systems,
            "ranges": self.ranges,
            "comparisons": self._comparisons([*leads, *outputs], asked),
            "lengths": lengths,
            "samples": samples,
        }

    def _published(self, name: str, source: str) -> list[str | None]:
        """What a system wrote for each chosen row; cleaned as documents and references are."""
        texts = predictions_for(source, [pair.id for pair in self.every_pair])
        cleaned = [None if text is None else normalize(text, self.normalization) for text in texts]
        chosen = [cleaned[row] for row in self.chosen]
        if all(text is None for text in chosen):
            raise InputError(f"{source}: {name} has nothing for the rows that are scored; raise the limit")
        return chosen

    def _write(self, model: CachedModel, **wish: Any) -> list[str]:
        """Summaries of all documents, of the model's own length or of the one that is wished for."""
        what = " ".join(f"{kind} {value:g}" for kind, value in wish.items()) or "own length"
        ids = [pair.id for pair in self.pairs]
        return model.summarize(self.documents, ids, what, batch_size=self.questions.batch_size, **wish)

    def _add(self, name: str, summaries: list[str], judge: CachedModel, **wish: Any) -> None:
        """A row for a system that has written something for every document."""
        scores, row = score_system(summaries, self.documents, self.references, self.protocol)
        if wish:
            row["length_error"] = length_error(summaries, wanted_lengths(self.documents, **wish))
        self.summaries[name], self.scores[name] = summaries, scores
        self.systems[name] = {**row, **judge.judge(self.documents, summaries, self.questions.batch_size)}

    def _add_published(self, name: str, texts: list[str | None]) -> None:
        """A row for a system that may have left out some documents."""
        rows = [row for row, text in enumerate(texts) if text is not None]
        summaries = [text for text in texts if text is not None]
        documents = [self.documents[row] for row in rows]
        references = [self.references[row] for row in rows]
        scores, figures = score_system(summaries, documents, references, self.protocol)
        measures = self.trained[self.runs[0]].judge(documents, summaries, self.questions.batch_size)
        self.scores[name], self.covered[name] = scores, rows
        self.systems[name] = {**figures, **measures}

    def _score_own_lengths(self) -> None:
        """Rows of warm-up and trained models, and of their means where there are several seeds."""
        for run in self.runs:
            for phase, models in (("warm-up", self.warm), ("trained", self.trained)):
                if run in models:
                    self._add(f"{phase}, {run.name}", self._write(models[run]), models[run])
                    models[run].release()
        if len(self.runs) == 1:
            return
        for phase, models in (("warm-up", self.warm), ("trained", self.trained)):
            names = [f"{phase}, {run.name}" for run in models]
            if len(names) == len(self.runs):
                mean = self._mean_name(phase)
                self.scores[mean], self.systems[mean], self.ranges[mean] = pool_seeds(
                    [self.scores[name] for name in names],
                    [self.systems[name] for name in names],
                    self.protocol,
                )

    def _mean_name(self, phase: str) -> str:
        return f"{phase}, mean of {len(self.runs)} seeds"

    def _score_asked_lengths(self) -> dict[str, str]:
        """Rows of the first run's models for the lengths asked for; returns each one's lead by its name."""
        first, leads = self.runs[0], {}
        wishes: list[dict[str, Any]] = [{"words": count} for count in self.questions.words]
        wishes += [{"ratio": ratio} for ratio in self.questions.ratios]
        for phase, models in (("warm-up", self.warm), ("trained", self.trained)):
            if first not in models:
                continue
            for wish in wishes:
                told = f"{wish['words']} words" if "words" in wish else f"ratio {wish['ratio']:g}"
                name = f"{phase}, {first.name}, {told}"
                self._add(name, self._write(models[first], **wish), models[first], **wish)
                if "words" in wish:
                    leads[name] = f"lead-{wish['words']}"
                elif wish["ratio"] == 0.5:
                    leads[name] = "lead-half"
            models[first].release()
        return leads

    def _score_leads(self) -> list[str]:
        """Rows of leads, one as long as each trained model's summaries among them; returns their names."""
        counts = [equal_length(self.systems[f"trained, {run.name}"]["mean_words"]) for run in self.runs]
        leads = baselines(self.documents, [*counts, *self.questions.words])
        for name, summaries in leads.items():
            self._add(name, summaries, self.trained[self.runs[0]])
        return list(leads)

    def _comparisons(self, others: Sequence[str], asked: Mapping[str, str]) -> list[dict[str, Any]]:
        """Paired bootstraps of trained models against warm-up, leads and published systems."""
        names = [run.name for run in self.runs]
        if len(self.runs) > 1:
            names.append(f"mean of {len(self.runs)} seeds")
        pairs = [(f"trained, {name}", other) for name in names for other in (f"warm-up, {name}", *others)]
        pairs += asked.items()
        return [
            self._compare(system, other)
            for system, other in pairs
            if system in self.scores and other in self.scores
        ]

    def _compare(self, system: str, other: str) -> dict[str, Any]:
        """One system against another on the rows that the other has."""
        rows = self.covered.get(other)
        scores = self.scores[system] if rows is None else self.scores[system][rows]
        compared = compare_scores(scores, self.scores[other], self.protocol)
        return {"system": system, "against": other, "count": len(scores), **compared}

    def _length_table(self) -> list[dict[str, Any]]:
        """How well the first run's trained model keeps to lengths, beside the lead of the same length."""
        model, rows = self.trained[self.runs[0]], []
        for count in self.questions.lengths:
            summaries = self._write(model, words=count)
            scores = example_scores(summaries, self.references, self.protocol)
            lead = example_scores(lead_words(self.documents, count), self.references, self.protocol)
            row = length_row(count, summaries, scores, self.protocol)
            rows.append({**row, "lead_rouge1": 100.0 * float(lead[:, 0].mean())})
        return rows

    def _samples(self) -> list[dict[str, Any]]:
        first = self.runs[0]
        summaries = self.summaries[f"trained, {first.name}"]
        shown = sample_rows(len(self.pairs), self.questions.samples)
        samples: list[dict[str, Any]] = [
            {"row": self.chosen[at], "id": self.pairs[at].id, "summary": summaries[at]} for at in shown
        ]
        if self.questions.with_reconstructions:
            restored = self.trained[first].reconstruct([summaries[at] for at in shown])
            for sample, text in zip(samples, restored, strict=True):
                sample["reconstruction"] = text
        if self.questions.with_documents:
            for sample, at in zip(samples, shown, strict=True):
                sample |= {"document": self.documents[at], "references": self.references[at]}
        return samples

    def _how(self) -> dict[str, Any]:
        """How each run was made, and where the figures were."""
        runs = [
            {
                "name": run.name,
                "seed": run.config.run.seed,
                "command": run.command,
                "warmup_steps": run.config.warmup.steps,
                "adversarial_steps": run.config.adversarial.steps,
                "best_step": read_curves(run.folder).best_step(),
                "seconds": sum(part["seconds"] for part in run.parts) if run.parts else None,
                "parts": run.parts,
            }
            for run in self.runs
        ]
        return {"runs": runs, "evaluated": provenance()}


def write_results(
    recipe: str | Path,
    folders: Sequence[str | Path],
    data: Sequence[str],
    output: str | Path,
    load: Callable[[str], SummaryModel],
    published: Mapping[str, str] | None = None,
    questions: Questions | None = None,
) -> list[Path]:
    """Write all figures (``OUTPUT.json``), tables (``OUTPUT.table.md``) and curves (``OUTPUT.png``) of runs.

    Args:
        recipe: the file that the runs were trained from, each with a seed of its own.
        folders: of the runs; lengths are asked of, and samples shown from, the first.
        data: pairs of documents and reference summaries.
        output: where the files go, without their ending.
        load: loads a saved model from its folder.
        published: what other systems wrote for the data, files by names.
        questions: what is asked; the defaults when not given.

    Raises:
        InputError: if a run, the data, a published file or the place to write cannot be used.
    """
    asked, others = questions or Questions(), dict(published or {})
    table, picture, figures = (Path(f"{output}{ending}") for ending in (".table.md", ".png", ".json"))
    for file in (table, picture, figures):
        check_writable(file)
    require_matplotlib()
    runs = read_runs(recipe, folders)
    for run in runs:
        read_curves(run.folder)
    content = {"recipe": str(recipe), **Results(runs, data, asked, load).gather(others)}
    unit = "characters" if content["protocol"]["tokens"] == "characters" else "words"
    draw_curves(
        {run.name: run.folder for run in runs},
        picture,
        lengths=content["lengths"],
        unit=unit,
        title=Path(recipe).stem,
    )
    write_text(table, results_text(content, picture.name))
    write_json(content, figures)
    return [table, picture, figures]
