"""What ``textae evaluate`` and ``textae audit`` do: which options belong together, and what they score.

As in :mod:`textae.commands`, the first line of each docstring is the command's help, and heavy modules are
imported when a command runs.
"""

import sys
from argparse import Namespace
from typing import Any

from textae.command_options import given_options, named_paths, refuse_model_options
from textae.errors import InputError
from textae.loading import is_main_process, load_model

_MODEL_ONLY = (
    "data",
    "words",
    "ratio",
    "max_words",
    "num_beams",
    "limit",
    "batch_size",
    "document_column",
    "save_predictions",
    "examples",
)
_AUDIT_MODEL_ONLY = (
    "data",
    "train",
    "steps",
    "learning_rate",
    "limit",
    "batch_size",
    "seed",
    "words",
    "num_beams",
)


def evaluate(arguments: Namespace) -> None:
    """Score models beside baselines, or the outputs of any system, with ROUGE and more."""
    if arguments.predictions is None and arguments.references is None:
        score = _score_models
    else:
        score = _score_predictions
    if not is_main_process():
        return
    from textae.evaluation.files import check_writable
    from textae.evaluation.report import example_text, markdown_table, write_json

    if arguments.json not in (None, "-"):
        check_writable(arguments.json)
    protocol = {
        "multiple": arguments.multiple,
        "byte_limit": arguments.bytes,
        "tokens": arguments.tokens,
        "seed": arguments.seed,
    }
    report = score(arguments, protocol)
    screen = sys.stderr if arguments.json == "-" else sys.stdout
    print(markdown_table(report), file=screen)
    if report.get("examples"):
        print(f"\n{example_text(report)}", file=screen)
    if arguments.json is not None:
        write_json(report, arguments.json)


def audit(arguments: Namespace) -> None:
    """Tell whether summaries are a private code, and whether they have collapsed."""
    find = _audit_model if arguments.summaries is None and arguments.documents is None else _audit_summaries
    if not is_main_process():
        return
    from textae.evaluation.audit_tables import audit_text, collapse_text
    from textae.evaluation.files import check_writable, write_json

    if arguments.json not in (None, "-"):
        check_writable(arguments.json)
    report = find(arguments)
    screen = sys.stderr if arguments.json == "-" else sys.stdout
    print(audit_text(report) if "verdict" in report else collapse_text(report), file=screen)
    if arguments.json is not None:
        write_json(report, arguments.json)


def _score_predictions(arguments: Namespace, protocol: dict[str, Any]) -> dict[str, Any]:
    if arguments.model is not None:
        raise InputError("--model and --predictions exclude each other; take one of them")
    if arguments.predictions is None or arguments.references is None:
        raise InputError("--predictions F and --references F belong together; give both")
    refuse_model_options(arguments, _MODEL_ONLY, "--predictions")
    from textae.evaluation.report import evaluate_predictions

    columns = {
        "prediction_columns": arguments.prediction_column,
        "reference_columns": arguments.summary_column,
    }
    given = {name: value for name, value in columns.items() if value is not None}
    return evaluate_predictions(arguments.predictions, arguments.references, **given, **protocol)


def _score_models(arguments: Namespace, protocol: dict[str, Any]) -> dict[str, Any]:
    if arguments.model is None:
        raise InputError("nothing to score; give --model M --data F, or --predictions F --references F")
    if arguments.data is None:
        raise InputError("--model wants --data F, documents with their reference summaries")
    if arguments.prediction_column is not None:
        raise InputError(
            "--prediction-column is for --predictions and means nothing with --model; leave it out"
        )
    models = _named_models(arguments.model)
    if len(models) > 1 and arguments.save_predictions is not None:
        raise InputError("--save-predictions is for one --model; score the models one after the other")
    wishes = _wishes(arguments)
    if len(wishes) > 1 and arguments.save_predictions is not None:
        raise InputError("--save-predictions is for one length; score the lengths one after the other")
    if len(models) * len(wishes) > 1 and "-" in arguments.data:
        raise InputError(
            "--data - can be read only once; write standard input to a file to score more than one row"
        )
    options = given_options(
        arguments,
        ("max_words", "num_beams", "limit", "batch_size", "save_predictions", "examples"),
    )
    for name, value in (
        ("document_columns", arguments.document_column),
        ("summary_columns", arguments.summary_column),
    ):
        if value is not None:
            options[name] = value
    from textae.evaluation.report import evaluate_model, merge_reports

    *_, last = models
    *_, longest = wishes
    reports = {}
    for name, path in models.items():
        model = load_model(path)
        for length, wish in wishes.items():
            # The table takes from the last report alone what a model says of the baselines, and the examples.
            is_last = (name, length) == (last, longest)
            chosen = options if is_last else {**options, "judge_baselines": False, "examples": 0}
            row = name if len(wishes) == 1 else f"{name}, {length}"
            reports[row] = evaluate_model(model, arguments.data, **wish, **chosen, **protocol)
    return next(iter(reports.values())) if list(reports) == ["model"] else merge_reports(reports)


def _audit_model(arguments: Namespace) -> dict[str, Any]:
    if arguments.model is None:
        raise InputError("nothing to audit; give --model M --data F, or --summaries F")
    if arguments.data is None:
        raise InputError("--model wants --data F, documents that it has not seen in training")
    for name in given_options(arguments, ("function_words", "summary_column")):
        raise InputError(
            f"--{name.replace('_', '-')} is for --summaries and means nothing with --model; leave it out"
        )
    names = (
        "train",
        "limit",
        "steps",
        "learning_rate",
        "batch_size",
        "seed",
        "words",
        "max_words",
        "num_beams",
    )
    options = given_options(arguments, names)
    if arguments.document_column is not None:
        options["document_columns"] = arguments.document_column
    model = load_model(arguments.model)
    from textae.evaluation.audit import audit_model

    return audit_model(model, arguments.data, **options)


def _audit_summaries(arguments: Namespace) -> dict[str, Any]:
    if arguments.model is not None:
        raise InputError("--model and --summaries exclude each other; take one of them")
    if arguments.summaries is None:
        raise InputError("--documents G wants --summaries F, what was written of them")
    refuse_model_options(arguments, _AUDIT_MODEL_ONLY, "--summaries")
    from textae.evaluation.collapse import collapse_of_files

    columns = {
        "summary_columns": arguments.summary_column,
        "document_columns": arguments.document_column,
        "maximum_words": arguments.max_words,
        "function_words": arguments.function_words,
    }
    given = {name: value for name, value in columns.items() if value is not None}
    return collapse_of_files(arguments.summaries, arguments.documents, **given)


def _wishes(arguments: Namespace) -> dict[str, dict[str, Any]]:
    """The lengths to score, by the name that a row has for each; one without a wish if none is given."""
    named = {f"{words} words": {"words": words} for words in arguments.words or []}
    named |= {f"ratio {ratio:g}": {"ratio": ratio} for ratio in arguments.ratio or []}
    return named or {"": {}}


def _named_models(given: list[str]) -> dict[str, str]:
    """As :func:`named_paths`; one path alone is called ``model``."""
    models = named_paths(given, "--model")
    return {"model": given[0]} if list(models.items()) == [(given[0], given[0])] else models
