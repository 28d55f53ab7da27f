"""What several commands do with their parsed options."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from textae.errors import InputError


def given_options(arguments: Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the options that a person gave; the others keep the called function's own default."""
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def refuse_model_options(arguments: Namespace, names: tuple[str, ...], instead: str) -> None:
    """Refuse options for a model where ``instead``, such as ``--predictions``, is given.

    Raises:
        InputError: if a person gave one of ``names``.
    """
    for name in given_options(arguments, names):
        option = {"num_beams": "beams"}.get(name, name).replace("_", "-")
        raise InputError(f"--{option} is for --model and means nothing with {instead}; leave it out")


def named_paths(given: list[str], option: str) -> dict[str, str]:
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
