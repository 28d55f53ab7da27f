"""The ``textae`` command: parse, call, print. Nothing heavy is imported before the arguments are right."""

import argparse
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from textae import __version__, commands
from textae.errors import InputError, nearest
from textae.settings import describe_settings, settings


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ``InputError`` and name the nearest right option."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Raise for the first option among ``words`` that this parser does not have."""
        known = list(self._option_string_actions)
        for word in words:
            option = word.partition("=")[0]
            if option.startswith("--") and option not in known:
                if self.prog.endswith(" train"):
                    known += [f"--{name}" for name in settings()]
                raise InputError(f'{self.prog}: unknown option "{option}"{nearest(option, known)}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0: done; 2: the input is wrong, one sentence on standard error; 130: interrupted; 141: whoever read
    the output has gone.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    with _messages():
        try:
            try:
                code = _run(words)
            except SystemExit as stop:  # --help and --version
                code = int(stop.code or 0)
            sys.stdout.flush()
            return code
        except InputError as error:
            print(f"textae: error: {error}", file=sys.stderr)
            return 2
        except BrokenPipeError:
            # Python flushes standard output once more on its way out; give it somewhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except OSError as error:
            if error.filename is None:
                raise
            print(f"textae: error: {error.filename}: {error.strerror}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("textae: interrupted", file=sys.stderr)
            return 130


def _run(words: list[str]) -> int:
    parser, by_name = build_parser()
    if words and not words[0].startswith("-") and words[0] not in by_name:
        known = ", ".join(by_name)
        raise InputError(f'unknown command "{words[0]}"{nearest(words[0], by_name)} (commands: {known})')
    overrides: list[str] = []
    if words[:1] == ["train"]:
        overrides, rest = _take_overrides(words[1:])
        words = ["train", *rest]
    if words and words[0] in by_name:
        # Before argparse finds that something required is missing: --modle is why --model is.
        by_name[words[0]].refuse_unknown(words[1:])
    arguments, unexpected = parser.parse_known_args(words)
    if unexpected:
        raise InputError(f'unexpected argument "{unexpected[0]}"; see textae --help')
    if arguments.command is None:
        parser.print_help()
        return 0
    arguments.overrides = overrides
    arguments.run(arguments)
    return 0


def _take_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the words of ``train`` into settings (``--section.field`` and its values) and the rest."""
    overrides: list[str] = []
    rest: list[str] = []
    target = rest
    for word in words:
        if re.match(r"--?[A-Za-z]", word):
            target = overrides if "." in word.partition("=")[0] else rest
        target.append(word)
    return overrides, rest


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, _Parser]]:
    """Return the parser of the whole command line, and that of each command by its name."""
    parser = _Parser(
        prog="textae",
        description="Summarise text with an autoencoder whose code is text.",
        epilog="textae COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"textae {__version__}")
    group = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    by_name: dict[str, _Parser] = {}
    for run, add_arguments in (
        (commands.train, _train_arguments),
        (commands.summarize, _summarize_arguments),
        (commands.reconstruct, _reconstruct_arguments),
        (commands.evaluate, _evaluate_arguments),
        (commands.audit, _audit_arguments),
        (commands.ablate, _ablate_arguments),
        (commands.export, _export_arguments),
        (commands.results, _results_arguments),
        (commands.plot, _plot_arguments),
    ):
        name, sentence = run.__name__, str(run.__doc__).partition("\n")[0]
        by_name[name] = group.add_parser(
            name, help=sentence, description=sentence, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        by_name[name].set_defaults(run=run)
        add_arguments(by_name[name])
    return parser, by_name


def _train_arguments(parser: _Parser) -> None:
    parser.usage = "textae train --config FILE [--resume [latest|FOLDER]] [--section.field value ...]"
    add = parser.add_argument
    add("--config", required=True, metavar="FILE", help="the recipe, such as configs/newswire.yaml")
    add(
        "--resume",
        nargs="?",
        const="latest",
        metavar="latest|FOLDER",
        help="continue from the last checkpoint of the run, or from this one",
    )
    parser.epilog = (
        "settings, in the recipe or on the command line (--name value or --name=value; a list as several\n"
        'values, as a,b or as "[a, b]"):\n\n' + describe_settings()
    )


def _summarize_arguments(parser: _Parser) -> None:
    _corpus_arguments(parser, "documents")
    add = parser.add_argument_group("lengths and search").add_argument
    add("--words", type=_whole(1), metavar="N", help="length to ask for, in words, kept to within one word")
    add("--ratio", type=_share, metavar="R", help="the same, as a share of each document's own words")
    add("--min-words", type=_whole(0), metavar="N", help="never end before this many words")
    _search_arguments(add)
    add = parser.add_argument
    add(
        "--candidates",
        type=_whole(1),
        metavar="N",
        help="let all three networks choose among N texts of the beam search (default: the model's)",
    )
    add(
        "--no-repeat-ngram",
        dest="no_repeat_ngram_size",
        type=_whole(0),
        metavar="N",
        help="never write the same N tokens twice (0: allowed; default: the model's)",
    )
    add(
        "--whole-words",
        action=argparse.BooleanOptionalAction,
        help="spell no word of several pieces that the document has not (default: the model's)",
    )
    add(
        "--distinct-words",
        action=argparse.BooleanOptionalAction,
        help="write no word of more than three letters and no number twice (default: the model's)",
    )
    add(
        "--sample",
        dest="do_sample",
        action="store_true",
        help="draw summaries instead of taking the likeliest",
    )
    add(
        "--temperature",
        type=_above_zero,
        metavar="T",
        help="of --sample; below 1 is more careful (default: 1)",
    )
    add("--seed", type=_whole(0), metavar="N", help="seed of --sample (default: 0)")


def _reconstruct_arguments(parser: _Parser) -> None:
    _corpus_arguments(parser, "summaries")


def _evaluate_arguments(parser: _Parser) -> None:
    parser.usage = (
        "textae evaluate --model M --data F [F ...] [options]\n"
        "       textae evaluate --predictions F --references F [options]"
    )
    model = parser.add_argument_group("scoring a model").add_argument
    model(
        "--model", nargs="+", metavar="[NAME=]M", help="trained models (folders or Hub names), in one table"
    )
    model(
        "--data", nargs="+", metavar="F", help="documents with their reference summaries, newswire:test too"
    )
    model("--limit", type=_whole(1), metavar="N", help="score only so many documents, spread evenly")
    model("--document-column", nargs="+", metavar="NAME", help="columns that may hold the document")
    model("--save-predictions", metavar="F", help="write the model's summaries here, as JSON lines")
    model("--examples", type=_whole(1), metavar="N", help="show N documents with summary and reconstruction")
    model("--batch-size", type=_whole(1), metavar="N", help="texts at a time (default: 64)")
    add = parser.add_argument_group("lengths and search").add_argument
    add("--words", nargs="+", type=_whole(1), metavar="N", help="lengths to ask for, a row of the table each")
    add("--ratio", nargs="+", type=_share, metavar="R", help="the same, as shares of each document's words")
    _search_arguments(add)
    outputs = parser.add_argument_group("scoring a system's outputs").add_argument
    outputs("--predictions", metavar="F", help="summaries that some system wrote")
    outputs("--references", metavar="F", help="the reference summaries; joined by id where both have one")
    outputs("--prediction-column", nargs="+", metavar="NAME", help="columns that may hold the prediction")
    add = parser.add_argument_group("both").add_argument
    add("--summary-column", nargs="+", metavar="NAME", help="columns that may hold the references")
    add(
        "--multiple",
        choices=("average", "best"),
        default="average",
        help="of several references take the mean or the best score (default: average)",
    )
    add("--bytes", type=_whole(1), metavar="N", help="recall at a byte limit (75 in DUC) instead of F1")
    add(
        "--tokens",
        choices=("auto", "words", "characters", "unicode"),
        default="auto",
        help="what ROUGE counts; auto takes characters for Chinese and Japanese (default: auto)",
    )
    add("--json", metavar="F|-", help="write the figures here; with - they alone go to standard output")
    add("--seed", type=_whole(0), default=0, metavar="N", help="seed of the bootstrap (default: 0)")


def _audit_arguments(parser: _Parser) -> None:
    parser.usage = (
        "textae audit --model M --data F [F ...] [--train F [F ...]] [options]\n"
        "       textae audit --summaries F [--documents G] [options]"
    )
    model = parser.add_argument_group("are a model's summaries a private code?").add_argument
    model("--model", metavar="M", help="a trained model (folder or Hub name)")
    model("--data", nargs="+", metavar="F", help="documents that it has not seen in training")
    model(
        "--train",
        nargs="+",
        metavar="F",
        help="other documents for fresh readers to learn from (default: four fifths of --data)",
    )
    model("--steps", type=_whole(1), metavar="N", help="steps of each fresh reader (default: 400)")
    model(
        "--learning-rate",
        type=_above_zero,
        metavar="X",
        help="of fresh readers, at its highest (default: 0.001)",
    )
    model("--limit", type=_whole(1), metavar="N", help="audit only so many documents, spread evenly")
    model("--batch-size", type=_whole(1), metavar="N", help="texts at a time (default: 64)")
    model("--seed", type=_whole(0), metavar="N", help="seed of split, readers and shuffling (default: 0)")
    add = parser.add_argument_group("lengths and search").add_argument
    add("--words", type=_whole(1), metavar="N", help="length to ask for, in words, kept to within one word")
    _search_arguments(add)
    outputs = parser.add_argument_group("have a system's summaries collapsed?").add_argument
    outputs("--summaries", metavar="F", help="summaries that some system wrote")
    outputs("--documents", metavar="G", help="their documents; joined by id where both have one")
    outputs("--summary-column", nargs="+", metavar="NAME", help="columns that may hold the summary")
    outputs(
        "--function-words",
        metavar="F",
        help="words that hardly end a text, one a line (default: learned from frequent words)",
    )
    add = parser.add_argument_group("both").add_argument
    add("--document-column", nargs="+", metavar="NAME", help="columns that may hold the document")
    add("--json", metavar="F|-", help="write the figures here; with - they alone go to standard output")


def _ablate_arguments(parser: _Parser) -> None:
    add = parser.add_argument
    add("--config", required=True, metavar="F", help="the ablation: a recipe, rows of settings, seeds (YAML)")
    add("--output", metavar="DIR", help="folder for runs and table (default: runs/ablation-NAME)")
    add("--only", nargs="+", metavar="ROW", help="run these rows alone")
    add(
        "--seeds-of-first",
        type=_whole(1),
        metavar="N",
        help="run only so many seeds of the first rows, which have several (default: all of the file)",
    )


def _results_arguments(parser: _Parser) -> None:
    add = parser.add_argument
    add("--config", required=True, metavar="FILE", help="the recipe of the runs")
    add("--runs", required=True, nargs="+", metavar="DIR", help="folders of its runs, a seed each")
    add("--data", required=True, nargs="+", metavar="F", help="documents with their reference summaries")
    add("--output", required=True, metavar="NAME", help="write NAME.table.md, NAME.png and NAME.json")
    add("--published", nargs="+", metavar="NAME=F", help="what other systems wrote for the same data")
    add("--published-all", metavar="DIR", help="every NAME_outputs.jsonl or .jsonl.gz of a folder")
    add("--limit", type=_whole(1), metavar="N", help="score only so many documents, spread evenly")
    add("--batch-size", type=_whole(1), metavar="N", help="texts at a time (default: 64)")
    add("--seed", type=_whole(0), metavar="N", help="seed of the bootstrap (default: 0)")
    add = parser.add_argument_group("what the first run is asked for").add_argument
    add("--words", nargs="*", type=_whole(1), default=[8, 10], metavar="N", help="rows (default: 8 10)")
    add("--ratio", nargs="*", type=_share, default=[0.5], metavar="R", help="the same (default: 0.5)")
    add(
        "--lengths",
        nargs="*",
        type=_whole(1),
        default=[5, 15],
        metavar="N",
        help="shortest and longest of the table of lengths (default: 5 15; nothing: no table)",
    )
    add("--samples", type=_whole(0), metavar="N", help="show N of rows 0, 100, 200 ... (default: 10)")
    add("--with-reconstructions", action="store_true", help="show what is made of them")
    add("--with-documents", action="store_true", help="show documents and references, if they are free")


def _plot_arguments(parser: _Parser) -> None:
    add = parser.add_argument
    add("runs", nargs="+", metavar="[NAME=]RUN", help="folders of runs")
    add("-o", "--output", required=True, metavar="F", help="the picture: F.png, F.svg or F.pdf")
    add("--title", metavar="TEXT", help="stands above it")


def _export_arguments(parser: _Parser) -> None:
    add = parser.add_argument
    add("--model", required=True, metavar="M", help="folder or Hub name of a trained model")
    add("--output", required=True, metavar="F", help="folder for the new one; it may be the same")
    add(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        default="float16",
        help="what weights are rounded to in the file (default: float16, half of float32)",
    )


def _corpus_arguments(parser: _Parser, what: str) -> None:
    add = parser.add_argument
    add(
        "--model",
        metavar="M",
        help="folder or Hub name of a trained model (default: textae-english, which is shipped)",
    )
    add("--input", metavar="F|-", help=f"{what}: a file, or - for standard input (default: -)")
    add("--output", default="-", metavar="F|-", help="a file, or - for standard output (default: -)")
    add("--column", nargs="+", metavar="NAME", help="columns to look in; the first that is found is taken")
    add("--batch-size", type=_whole(1), metavar="N", help="texts at a time (default: 64)")


def _search_arguments(add: Callable[..., Any]) -> None:
    add("--max-words", type=_whole(1), metavar="N", help="never write more words than this")
    add(
        "--beams",
        dest="num_beams",
        type=_whole(1),
        metavar="N",
        help="beam search over N; 1 is greedy (default: the model's)",
    )


def _whole(least: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number of at least ``least``."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f'wants a whole number of at least {least}, not "{text}"')
        return int(text)

    return parse


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f'wants a number above 0, not "{text}"')
    return number


def _share(text: str) -> float:
    number = _above_zero(text)
    if number > 1:
        raise argparse.ArgumentTypeError(f'wants a share above 0 and at most 1, not "{text}"')
    return number


@contextmanager
def _messages() -> Iterator[None]:
    """Show the package's log on standard error, from the main process in full."""
    logger = logging.getLogger("textae")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    # Training brings a handler of its own that knows about the progress bar; nothing is said twice.
    handler.addFilter(lambda record: logger.handlers == [handler])
    level = logger.level
    logger.setLevel(logging.INFO if commands.is_main_process() else logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
