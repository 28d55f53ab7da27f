"""What the commands do: each takes the parsed arguments, loads what it needs and calls it.

The first line of each docstring is the command's help. Heavy modules are imported when a command
runs, so that ``textae --help`` and a mistyped option are answered at once.
"""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from textae.command_options import given_options, named_paths
from textae.errors import InputError
from textae.loading import is_main_process, load_model
from textae.settings import load_config

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


def train(arguments: Namespace) -> None:
    """Train on unpaired text."""
    config = load_config(arguments.config, arguments.overrides)
    from textae.evaluation.scoring import rouge_on_valid
    from textae.training.run import train

    folder = train(config, arguments.resume, evaluate=rouge_on_valid)
    if is_main_process():
        print(f"trained model: {folder}")


def summarize(arguments: Namespace) -> None:
    """Summarise documents: one summary for each, in order."""
    decoding = given_options(arguments, _DECODING)
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
    published = named_paths(arguments.published or [], "--published")
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
        **given_options(arguments, ("samples", "limit", "batch_size", "seed")),
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
    runs = named_paths(arguments.runs, "RUN")
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


def _outputs_in(folder: str) -> list[Path]:
    files = sorted(Path(folder).glob("*_outputs.*"))
    if not files:
        raise InputError(
            f"--published-all {folder}: there is no NAME_outputs.jsonl or .jsonl.gz; use --published"
        )
    return files


def _input(arguments: Namespace) -> str:
    """The source to read: what is piped in if none is named."""
    if arguments.input is None and sys.stdin.isatty():
        raise InputError("there is no text; pipe it in, or give --input F (--input - reads what you type)")
    return "-" if arguments.input is None else arguments.input


def _corpus_options(arguments: Namespace) -> dict[str, Any]:
    options = given_options(arguments, ("batch_size", "rejects", "part_format"))
    from textae.inference.results import is_folder

    if "part_format" in options and not is_folder(arguments.output):
        raise InputError("--format is for parts in a folder; a file's own extension tells its format")
    if "rejects" in options and is_folder(arguments.output):
        raise InputError("--rejects is for a file as output; a folder has files for them of its own")
    if arguments.column is not None:
        options["columns"] = arguments.column
    return options
