"""What the commands do: each takes the parsed arguments, loads what it needs and calls it.

The first line of each docstring is the command's help. Heavy modules are imported when a command
runs, so that ``textae --help`` and a mistyped option are answered at once.
"""

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textae.errors import InputError
from textae.settings import load_config

if TYPE_CHECKING:
    from textae.data.corpus import Pair

logger = logging.getLogger(__name__)

_DECODING = (
    "words",
    "ratio",
    "min_words",
    "max_words",
    "num_beams",
    "candidates",
    "no_repeat_ngram_size",
    "whole_words",
    "distinct_words",
    "temperature",
    "seed",
)
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


def train(arguments: Namespace) -> None:
    """Train on unpaired text."""
    config = load_config(arguments.config, arguments.overrides)
    from textae.training import loop

    folder = loop.train(config, arguments.resume, evaluate=rouge_on_valid)
    if is_main_process():
        print(f"trained model: {folder}")


def summarize(arguments: Namespace) -> None:
    """Summarise documents: one summary for each, in order."""
    decoding = _given(arguments, _DECODING)
    if "words" in decoding and "ratio" in decoding:
        raise InputError("--words and --ratio exclude each other; take one of them")
    if arguments.do_sample:
        decoding["do_sample"] = True
    elif not decoding.keys().isdisjoint(("temperature", "seed")):
        raise InputError("--temperature and --seed are for --sample; add it or leave them out")
    source, options = _input(arguments), _corpus_options(arguments)
    model = load_model(arguments.model)
    model.use_engine(arguments.engine)
    from textae.inference.corpus import summarize_corpus

    summarize_corpus(model, source, arguments.output, **options, **decoding)


def reconstruct(arguments: Namespace) -> None:
    """Restore documents from their summaries, or pass them through a code of numbers: one for each."""
    source, options = _input(arguments), _corpus_options(arguments)
    model = load_model(arguments.model, any_code=True)
    from textae.inference.corpus import reconstruct_corpus

    reconstruct_corpus(model, source, arguments.output, **options)


def export(arguments: Namespace) -> None:
    """Write a trained model anew, with smaller weights, to pass it on; its model card is kept."""
    if not is_main_process():
        return
    from textae.models.base import Autoencoder
    from textae.models.engines import export_engine
    from textae.models.saving import CARD, DTYPES, model_folder, stored_dtype

    folder = model_folder(arguments.model)
    card = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).is_file() else None
    model = Autoencoder.from_pretrained(folder)
    if arguments.engine and not model.config.code.is_text:
        raise InputError(f"{arguments.model}: engines write summaries, and this model's code is no text.")
    if arguments.quantization and "ctranslate2" not in arguments.engine:
        raise InputError("--quantization is for --engine ctranslate2; add it or leave it out")
    # What is written for an engine shall not round the weights in passing.
    dtype = arguments.dtype or (stored_dtype(folder) if arguments.engine else "float16")
    if not arguments.engine or arguments.dtype or Path(arguments.output).resolve() != folder.resolve():
        model.save_pretrained(arguments.output, dtype=DTYPES[dtype], card=card)
    for engine in arguments.engine:
        # Of the weights as they were rounded: what all engines write has to be the same.
        export_engine(arguments.output, engine, arguments.quantization or "float32")


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


def ablate(arguments: Namespace) -> None:
    """Train many variants from one warm-up and compare them; the same command again goes on."""
    from textae.ablation import Ablation
    from textae.ablation_plan import read_plan

    plan = read_plan(arguments.config)
    output = arguments.output or f"runs/ablation-{Path(arguments.config).stem}"
    table = Ablation(plan, output).run(arguments.only, arguments.seeds_of_first)
    print(table.read_text(encoding="utf-8"), end="")


def results(arguments: Namespace) -> None:
    """Write figures, tables and curves of a recipe's runs; the same command again goes on."""
    lengths = arguments.lengths
    if len(lengths) not in (0, 2) or lengths != sorted(lengths):
        raise InputError("--lengths wants the shortest and the longest, such as 5 15, or nothing")
    published = _named(arguments.published or [], "--published")
    if arguments.published_all is not None:
        for file in _outputs_in(arguments.published_all):
            published.setdefault(file.name.partition("_outputs.")[0], str(file))
    if not is_main_process():
        return
    from textae.results import Questions, write_results

    questions = Questions(
        words=arguments.words,
        ratios=arguments.ratio,
        lengths=range(lengths[0], lengths[1] + 1) if lengths else (),
        with_documents=arguments.with_documents,
        with_reconstructions=arguments.with_reconstructions,
        **_given(arguments, ("samples", "limit", "batch_size", "seed")),
    )
    files = write_results(
        arguments.config,
        arguments.runs,
        arguments.data,
        arguments.output,
        load_model,
        published,
        questions,
    )
    print(files[0].read_text(encoding="utf-8"), end="")


def plot(arguments: Namespace) -> None:
    """Draw the learning curves of runs, while they train or after."""
    runs = _named(arguments.runs, "RUN")
    if is_main_process():
        from textae.evaluation.code_curves import draw_code_curves, is_code_run
        from textae.evaluation.curves import draw_curves, read_curves

        for folder in runs.values():
            read_curves(folder)  # says in its own words what is no run
        kinds = {is_code_run(folder) for folder in runs.values()}
        if len(kinds) > 1:
            raise InputError(
                "Runs of text codes and of codes of numbers have no curves in common; plot each alone"
            )
        draw = draw_code_curves if kinds == {True} else draw_curves
        draw(runs, arguments.output, title=arguments.title)
        print(f"curves: {arguments.output}")


def rouge_on_valid(model: Any, pairs: "Sequence[Pair]") -> dict[str, float]:
    """Score a model while it trains.

    Args:
        model: a ``TextAutoencoder``.
        pairs: valid pairs of document and references.

    Returns:
        ``rouge1``, ``rouge2``, ``rougeL`` (stemmed F1, percent), ``mean_words``, and ``score``, the mean
        of the three, which chooses the best checkpoint.
    """
    from textae.evaluation.scoring import ROUGE_TYPES, RougeProtocol, rouge

    summaries = model.summarize([pair.document for pair in pairs])
    figures = rouge(summaries, [pair.references for pair in pairs], RougeProtocol(resamples=1))
    scores = {name: figures[name] for name in (*ROUGE_TYPES, "mean_words")}
    return {**scores, "score": sum(figures[name] for name in ROUGE_TYPES) / len(ROUGE_TYPES)}


def is_main_process() -> bool:
    """Tell whether this is the process of a launch that writes and prints."""
    return os.environ.get("RANK", "0") == "0"


def _score_predictions(arguments: Namespace, protocol: dict[str, Any]) -> dict[str, Any]:
    if arguments.model is not None:
        raise InputError("--model and --predictions exclude each other; take one of them")
    if arguments.predictions is None or arguments.references is None:
        raise InputError("--predictions F and --references F belong together; give both")
    for name in _given(arguments, _MODEL_ONLY):
        option = {"num_beams": "beams"}.get(name, name).replace("_", "-")
        raise InputError(f"--{option} is for --model and means nothing with --predictions; leave it out")
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
    options = _given(
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
    for name in _given(arguments, ("function_words", "summary_column")):
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
    options = _given(arguments, names)
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
    for name in _given(arguments, _AUDIT_MODEL_ONLY):
        option = {"num_beams": "beams"}.get(name, name).replace("_", "-")
        raise InputError(f"--{option} is for --model and means nothing with --summaries; leave it out")
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


def _outputs_in(folder: str) -> list[Path]:
    files = sorted(Path(folder).glob("*_outputs.*"))
    if not files:
        raise InputError(
            f"--published-all {folder}: there is no NAME_outputs.jsonl or .jsonl.gz; use --published"
        )
    return files


def _named_models(given: list[str]) -> dict[str, str]:
    """As :func:`_named`; one path alone is called ``model``."""
    models = _named(given, "--model")
    return {"model": given[0]} if list(models.items()) == [(given[0], given[0])] else models


def _named(given: list[str], option: str) -> dict[str, str]:
    """Read ``NAME=PATH``, or ``PATH``, which is called by itself."""
    paths: dict[str, str] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            name, path = text, text
        if not name or not path:
            raise InputError(f'{option} {text}: wants NAME=PATH, such as "warm-up=runs/newswire/warm"')
        if name in paths:
            raise InputError(f'{option}: "{name}" is given twice; give each a name of its own, NAME=PATH')
        paths[name] = path
    return paths


def _input(arguments: Namespace) -> str:
    """The source to read: what is piped in if none is named."""
    if arguments.input is None and sys.stdin.isatty():
        raise InputError("there is no text; pipe it in, or give --input F (--input - reads what you type)")
    return "-" if arguments.input is None else arguments.input


def _corpus_options(arguments: Namespace) -> dict[str, Any]:
    options = _given(arguments, ("batch_size", "rejects", "part_format"))
    from textae.inference.results import is_folder

    if "part_format" in options and not is_folder(arguments.output):
        raise InputError("--format is for parts in a folder; a file's own extension tells its format")
    if "rejects" in options and is_folder(arguments.output):
        raise InputError("--rejects is for a file as output; a folder has files for them of its own")
    if arguments.column is not None:
        options["columns"] = arguments.column
    return options


def _given(arguments: Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the options that a person gave; the others keep the called function's own default."""
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def load_model(path: str | None, *, any_code: bool = False, of_numbers: bool = False) -> Any:
    """Load a model, the shipped one if none is named, onto the accelerator if there is one.

    Its code is text, or anything with ``any_code``, or anything but text with ``of_numbers``.

    Raises:
        InputError: if there is no such model.
    """
    import torch

    from textae.models.autoencoder import TextAutoencoder
    from textae.models.base import Autoencoder
    from textae.models.code_autoencoder import CodeAutoencoder
    from textae.models.saving import SHIPPED

    if path is None:
        path = SHIPPED
        logger.info(
            "model: %s, shipped with textae for short English news and scientific abstracts, a small one to "
            "start with; --model M takes another",
            path,
        )

    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if device is not None and torch.accelerator.device_count() > 1:  # each process of a launch has its own
        device = torch.device(device.type, int(os.environ.get("LOCAL_RANK", "0")))
    wanted = Autoencoder if any_code else CodeAutoencoder if of_numbers else TextAutoencoder
    return wanted.from_pretrained(path, device=device)
