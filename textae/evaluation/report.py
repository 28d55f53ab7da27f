"""Score a file of predictions, or a model beside the baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from textae.config import DataConfig
from textae.data.corpus import read_pairs
from textae.errors import InputError
from textae.evaluation.baselines import baselines
from textae.evaluation.files import check_writable, write_json, write_predictions
from textae.evaluation.joining import PREDICTION_COLUMNS, REFERENCE_COLUMNS, read_joined
from textae.evaluation.measures import SummaryModel, length_error, model_measures, wanted_lengths
from textae.evaluation.scoring import Measure, Multiple, RougeProtocol, rouge
from textae.evaluation.systems import compare_scores, score_system
from textae.evaluation.tables import example_text, markdown_table
from textae.evaluation.tokens import TokenChoice

T = TypeVar("T")

__all__ = ["evaluate_model", "evaluate_predictions", "example_text", "markdown_table", "write_json"]


def evaluate_predictions(
    predictions: str,
    references: str,
    *,
    prediction_columns: Sequence[str] = PREDICTION_COLUMNS,
    reference_columns: Sequence[str] = REFERENCE_COLUMNS,
    multiple: Multiple = "average",
    measure: Measure | None = None,
    byte_limit: int | None = None,
    tokens: TokenChoice = "auto",
    stemmer: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """Score the summaries of one file against those of another, as they stand.

    Joined on ``id`` where both have one, else by order (:func:`~textae.evaluation.joining.read_joined`).

    Returns:
        The dictionary of :func:`~textae.evaluation.scoring.rouge` (``rouge1``, ``rouge2``,
        ``rougeL`` in percent, ``mean_words``, ``count``, ``intervals``, the protocol) with
        ``seed``, ``joined_by`` and the numbers of rows that were left out.

    Raises:
        InputError: for anything wrong with a source, a column, the join or the protocol.
    """
    protocol = RougeProtocol(multiple, measure, byte_limit, tokens, stemmer, seed=seed)
    joined = read_joined(predictions, references, prediction_columns, reference_columns)
    return {
        **rouge(joined.predictions, joined.references, protocol),
        "seed": seed,
        "predictions": predictions,
        "references": references,
        "joined_by": joined.joined_by,
        "references_without_prediction": joined.references_without_prediction,
        "predictions_without_reference": joined.predictions_without_reference,
        "references_empty": joined.references_empty,
    }


def evaluate_model(
    model: SummaryModel,
    data: list[str],
    *,
    words: int | None = None,
    ratio: float | None = None,
    max_words: int | None = None,
    num_beams: int | None = None,
    batch_size: int = 64,
    limit: int | None = None,
    document_columns: Sequence[str] | None = None,
    summary_columns: Sequence[str] | None = None,
    multiple: Multiple = "average",
    measure: Measure | None = None,
    byte_limit: int | None = None,
    tokens: TokenChoice = "auto",
    stemmer: bool = True,
    seed: int = 0,
    save_predictions: str | None = None,
    examples: int = 0,
    judge_baselines: bool = True,
) -> dict[str, Any]:
    """Summarise the documents of pairs with a model and score it beside lead-8, lead-10 and lead-half.

    Documents and references are cleaned with the model's own normalisation, and the baselines read
    the same documents. ``num_beams`` that are not given are the model's own, and so is the length if
    neither ``words`` nor ``ratio``, a share of each document's words, is given.
    ``limit`` takes that many pairs spread evenly over the data, because the beginning of a file is
    seldom like the rest. ``save_predictions`` writes ``id`` and ``output`` as JSON lines.
    ``examples`` shows that many documents, spread evenly, with what became of them. Without
    ``judge_baselines`` the model gives the baselines no reconstruction loss and readability (None).

    Returns:
        ``protocol``: what the figures depend on. ``systems``: for ``model`` and each baseline the
        ROUGE of :func:`~textae.evaluation.scoring.rouge`, ``novelty``, ``copy_rate``,
        ``compression``, ``distinct`` (shares), ``reconstruction_loss`` (nats per document token) and
        ``readability``; for ``model`` and a length that was asked for ``length_error``, the mean
        distance from it in words. ``comparisons``: for each baseline and ROUGE type the paired bootstrap of
        the model against it (percent). ``examples``: ``document``, ``reference``, ``summary`` and
        ``reconstruction`` of some.

    Raises:
        InputError: for anything wrong with the data, a setting or ``save_predictions``.
    """
    for name, value in (("limit", limit), ("batch_size", batch_size), ("num_beams", num_beams)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; set it to at least 1.")
    protocol = RougeProtocol(multiple, measure, byte_limit, tokens, stemmer, seed=seed)
    if save_predictions is not None:
        check_writable(save_predictions)
    defaults, normalization = DataConfig(), model.config.normalization
    pairs = spread(
        read_pairs(
            data,
            list(document_columns or defaults.document_columns),
            list(summary_columns or defaults.summary_columns),
            normalization,
        ),
        limit,
    )
    documents, references = [pair.document for pair in pairs], [pair.references for pair in pairs]
    summaries = model.summarize(
        documents,
        batch_size=batch_size,
        words=words,
        ratio=ratio,
        max_words=max_words,
        num_beams=num_beams,
    )
    if save_predictions is not None:
        write_predictions(save_predictions, [pair.id for pair in pairs], summaries)
    protocol = protocol.resolve(references)
    systems, comparisons = _score_systems(
        {"model": summaries, **baselines(documents)},
        documents,
        references,
        protocol,
        model,
        batch_size,
        judge_baselines,
    )
    wanted = wanted_lengths(documents, words, ratio, max_words)
    if wanted:
        systems["model"]["length_error"] = length_error(summaries, wanted)
    shown = spread(list(range(len(pairs))), examples)
    restored = model.reconstruct([summaries[index] for index in shown])
    return {
        "protocol": {
            **protocol.stated(),
            "seed": seed,
            "resamples": protocol.resamples,
            "data": list(data),
            "count": len(pairs),
            "limit": limit,
            "words": words,
            "ratio": ratio,
            "max_words": max_words,
            "num_beams": num_beams,
            "decoding": asdict(model.config.decoding),
            "normalization": asdict(normalization),
        },
        "systems": systems,
        "comparisons": comparisons,
        "examples": [
            {
                "document": documents[index],
                "reference": references[index][0],
                "summary": summaries[index],
                "reconstruction": text,
            }
            for index, text in zip(shown, restored, strict=True)
        ],
    }


def merge_reports(reports: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Put the reports of several models on the same data into one.

    Args:
        reports: what ``evaluate_model`` returned, by the name that the model's row shall have.

    Returns:
        A report whose ``systems`` are the models by name and then the baselines. The baselines'
        reconstruction loss and readability, and the examples, are those of the last model.
        ``comparisons`` holds each model's under its name, and so does the protocol's ``lengths`` what
        was asked of it.
    """
    *_, last = reports.values()
    systems = {name: report["systems"]["model"] for name, report in reports.items()}
    for name, row in last["systems"].items():
        if name != "model":
            systems.setdefault(name, row)
    comparisons = {name: report["comparisons"] for name, report in reports.items()}
    lengths = {
        name: {kind: report["protocol"].get(kind) for kind in ("words", "ratio")}
        for name, report in reports.items()
    }
    return {
        "protocol": {**last["protocol"], "lengths": lengths},
        "systems": systems,
        "comparisons": comparisons,
        "examples": last.get("examples", []),
    }


def spread(items: list[T], limit: int | None) -> list[T]:
    """``limit`` items at even distances, in their order; all of them if there are no more."""
    if limit is None or limit >= len(items):
        return items
    return [items[index * len(items) // limit] for index in range(limit)]


def _score_systems(
    outputs: dict[str, list[str]],
    documents: list[str],
    references: list[list[str]],
    protocol: RougeProtocol,
    model: SummaryModel,
    batch_size: int,
    judge_baselines: bool,
) -> tuple[dict[str, Any], dict[str, Any]]:
    systems: dict[str, Any] = {}
    scores = {}
    for name, summaries in outputs.items():
        scores[name], systems[name] = score_system(summaries, documents, references, protocol)
        systems[name] |= (
            model_measures(model, documents, summaries, batch_size)
            if judge_baselines or name == "model"
            else {"reconstruction_loss": None, "readability": None}
        )
    comparisons = {
        name: compare_scores(scores["model"], scores[name], protocol) for name in outputs if name != "model"
    }
    return systems, comparisons
