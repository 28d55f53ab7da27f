"""The ``textae`` command: parse, call, print. Nothing heavy is imported before the arguments are right."""

import argparse
import errno
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from textae import __version__, arguments, code_commands, commands, evaluation_commands
from textae.errors import InputError, Interrupted, nearest
from textae.loading import is_main_process
from textae.settings import settings

# A disk that is full or broken is no mistake of the program, wherever it is met.
_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


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

    0: done; 2: the input is wrong, one sentence on standard error; 130: interrupted, 143: by SIGTERM; 141:
    whoever read the output has gone.
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
            if error.filename is None and error.errno not in _STORAGE:
                raise
            print(f"textae: error: {error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
            return 2
        except Interrupted as stop:
            if is_main_process():
                print(f"textae: {stop}", file=sys.stderr)
            return 128 + stop.number
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
    given, unexpected = parser.parse_known_args(words)
    if unexpected:
        raise InputError(f'unexpected argument "{unexpected[0]}"; see textae --help')
    if given.command is None:
        parser.print_help()
        return 0
    given.overrides = overrides
    given.run(given)
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
        (commands.train, arguments.train_arguments),
        (commands.summarize, arguments.summarize_arguments),
        (commands.reconstruct, arguments.reconstruct_arguments),
        (evaluation_commands.evaluate, arguments.evaluate_arguments),
        (evaluation_commands.audit, arguments.audit_arguments),
        (commands.ablate, arguments.ablate_arguments),
        (commands.export, arguments.export_arguments),
        (commands.results, arguments.results_arguments),
        (commands.plot, arguments.plot_arguments),
        *code_commands.COMMANDS,
    ):
        # A command may be called as a Python built-in is, a function had better not.
        name, sentence = run.__name__.rstrip("_"), str(run.__doc__).partition("\n")[0]
        by_name[name] = group.add_parser(
            name, help=sentence, description=sentence, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        by_name[name].set_defaults(run=run)
        add_arguments(by_name[name])
    return parser, by_name


@contextmanager
def _messages() -> Iterator[None]:
    """Show the package's log on standard error, from the main process in full."""
    logger = logging.getLogger("textae")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    # Training brings a handler of its own that knows about the progress bar; nothing is said twice.
    handler.addFilter(lambda record: logger.handlers == [handler])
    level = logger.level
    logger.setLevel(logging.INFO if is_main_process() else logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
