"""The arguments of each command that works with text codes, and the kinds of values they take."""

import argparse
import re
from collections.abc import Callable
from typing import Any

from textae.data.formats import WRITTEN_FORMATS
from textae.settings import describe_settings


def train_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of ``textae train``."""
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


def summarize_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of ``textae summarize``."""
    corpus_arguments(parser, "documents")
    add = parser.add_argument_group("lengths and search").add_argument
    add("--words", type=whole(1), metavar="N", help="length to ask for, in words, kept to within one word")
    add("--ratio", type=share, metavar="R", help="the same, as a share of each document's own words")
    add("--min-words", type=whole(0), metavar="N", help="never end before this many words")
    search_arguments(add)
    add = parser.add_argument
    add(
        "--candidates",
        type=whole(1),
        metavar="N",
        help="let all three networks choose among N texts of the beam search (default: the model's)",
    )
    add(
        "--no-repeat-ngram",
        dest="no_repeat_ngram_size",
        type=whole(0),
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
        type=above_zero,
        metavar="T",
        help="of --sample; below 1 is more careful (default: 1)",
    )
    add("--seed", type=whole(0), metavar="N", help="seed of --sample (default: 0)")
    add(
        "--engine",
        choices=("auto", "torch", "onnx", "ctranslate2"),
        default="auto",
        help="what writes the summaries (default: auto, the fastest that was exported with textae export "
        "--engine and heeds the settings; torch needs no export)",
    )


def reconstruct_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of ``textae reconstruct``."""
    corpus_arguments(parser, "summaries")


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of ``textae evaluate``."""
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
    model("--limit", type=whole(1), metavar="N", help="score only so many documents, spread evenly")
    model("--document-column", nargs="+", metavar="NAME", help="columns that may hold the document")
    model("--save-predictions", metavar="F", help="write the model's summaries here, as JSON lines")
    model("--examples", type=whole(1), metavar="N", help="show N documents with summary and reconstruction")
    model("--batch-size", type=whole(1), metavar="N", help="texts at a time (default: 64)")
    add = parser.add_argument_group("lengths and search").add_argument
    add("--words", nargs="+", type=whole(1), metavar="N", help="lengths to ask for, a row of the table each")
    add("--ratio", nargs="+", type=share, metavar="R", help="the same, as shares of each document's words")
    search_arguments(add)
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
    add("--bytes", type=whole(1), metavar="N", help="recall at a byte limit (75 in DUC) instead of F1")
    add(
        "--tokens",
        choices=("auto", "words", "characters", "unicode"),
        default="auto",
        help="what ROUGE counts; auto takes characters for Chinese and Japanese (default: auto)",
    )
    add("--json", metavar="F|-", help="write the figures here; with - they alone go to standard output")
    add("--seed", type=whole(0), default=0, metavar="N", help="seed of the bootstrap (default: 0)")


def audit_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of ``textae audit``."""
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
    model("--steps", type=whole(1), metavar="N", help="steps of each fresh reader (default: 400)")
    model(
        "--learning-rate",
        type=above_zero,
        metavar="X",
        help="of fresh readers, at its highest (default: 0.001)",
    )
    model("--limit", type=whole(1), metavar="N", help="audit only so many documents, spread evenly")
    model("--batch-size", type=whole(1), metavar="N", help="texts at a time (default: 64)")
    model("--seed", type=whole(0), metavar="N", help="seed of split, readers and shuffling (default: 0)")
    add = parser.add_argument_group("lengths and search").add_argument
    add("--words", type=whole(1), metavar="N", help="length to ask for, in words, kept to within one word")
    search_arguments(add)
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


def ablate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of ``textae ablate``."""
    add = parser.add_argument
    add("--config", required=True, metavar="F", help="the ablation: a recipe, rows of settings, seeds (YAML)")
    add("--output", metavar="DIR", help="folder for runs and table (default: runs/ablation-NAME)")
    add("--only", nargs="+", metavar="ROW", help="run these rows alone")
    add(
        "--seeds-of-first",
        type=whole(1),
        metavar="N",
        help="run only so many seeds of the first rows, which have several (default: all of the file)",
    )


def results_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of ``textae results``."""
    add = parser.add_argument
    add("--config", required=True, metavar="FILE", help="the recipe of the runs")
    add("--runs", required=True, nargs="+", metavar="DIR", help="folders of its runs, a seed each")
    add("--data", required=True, nargs="+", metavar="F", help="documents with their reference summaries")
    add("--output", required=True, metavar="NAME", help="write NAME.table.md, NAME.png and NAME.json")
    add("--published", nargs="+", metavar="NAME=F", help="what other systems wrote for the same data")
    add("--published-all", metavar="DIR", help="every NAME_outputs.jsonl or .jsonl.gz of a folder")
    add("--limit", type=whole(1), metavar="N", help="score only so many documents, spread evenly")
    add("--batch-size", type=whole(1), metavar="N", help="texts at a time (default: 64)")
    add("--seed", type=whole(0), metavar="N", help="seed of the bootstrap (default: 0)")
    add = parser.add_argument_group("what the first run is asked for").add_argument
    add("--words", nargs="*", type=whole(1), default=[8, 10], metavar="N", help="rows (default: 8 10)")
    add("--ratio", nargs="*", type=share, default=[0.5], metavar="R", help="the same (default: 0.5)")
    add(
        "--lengths",
        nargs="*",
        type=whole(1),
        default=[5, 15],
        metavar="N",
        help="shortest and longest of the table of lengths (default: 5 15; nothing: no table)",
    )
    add("--samples", type=whole(0), metavar="N", help="show N of rows 0, 100, 200 ... (default: 10)")
    add("--with-reconstructions", action="store_true", help="show what is made of them")
    add("--with-documents", action="store_true", help="show documents and references, if they are free")


def plot_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of ``textae plot``."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="[NAME=]RUN", help="folders of runs")
    add("-o", "--output", required=True, metavar="F", help="the picture: F.png, F.svg or F.pdf")
    add("--title", metavar="TEXT", help="stands above it")


def export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of ``textae export``."""
    add = parser.add_argument
    add("--model", required=True, metavar="M", help="folder or Hub name of a trained model")
    add("--output", required=True, metavar="F", help="folder for the new one; it may be the same")
    add(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        help="what weights are rounded to in the file (default: float16; with --engine: as they are)",
    )
    add(
        "--engine",
        choices=("onnx", "ctranslate2"),
        nargs="+",
        default=[],
        help="write what these need too, to summarise faster on a processor; onnx runs any model, "
        "ctranslate2 those without a copy head (textae summarize --engine)",
    )
    add(
        "--quantization",
        choices=("float32", "int8"),
        help="of the weights that ctranslate2 gets: int8 is faster, and some summaries differ "
        "(default: float32)",
    )


def corpus_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """Add those of a command that makes a line of output of every record of a corpus."""
    add = parser.add_argument
    add(
        "--model",
        metavar="M",
        help="folder or Hub name of a trained model (default: textae-english, which is shipped)",
    )
    add("--input", metavar="F|-", help=f"{what}: a file, or - for standard input (default: -)")
    add(
        "--output",
        default="-",
        metavar="F|DIR/|-",
        help="a file, a folder for one part of each process, or - for standard output (default: -); the same "
        "command goes on where it was interrupted",
    )
    add(
        "--format",
        dest="part_format",
        choices=WRITTEN_FORMATS,
        help="of the files in a folder (default: jsonl)",
    )
    add(
        "--rejects",
        metavar="F",
        help="write records that cannot be used here, and go on (default: stop; a folder has files of them)",
    )
    add("--column", nargs="+", metavar="NAME", help="columns to look in; the first that is found is taken")
    add("--batch-size", type=whole(1), metavar="N", help="texts at a time (default: 64)")


def search_arguments(add: Callable[..., Any]) -> None:
    """Add those of a search for summaries."""
    add("--max-words", type=whole(1), metavar="N", help="never write more words than this")
    add(
        "--beams",
        dest="num_beams",
        type=whole(1),
        metavar="N",
        help="beam search over N; 1 is greedy (default: the model's)",
    )


def whole(least: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number of at least ``least``."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f'wants a whole number of at least {least}, not "{text}"')
        return int(text)

    return parse


def above_zero(text: str) -> float:
    """An argparse type: a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f'wants a number above 0, not "{text}"')
    return number


def share(text: str) -> float:
    """An argparse type: a number above 0 and at most 1."""
    number = above_zero(text)
    if number > 1:
        raise argparse.ArgumentTypeError(f'wants a share above 0 and at most 1, not "{text}"')
    return number
