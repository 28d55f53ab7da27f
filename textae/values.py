"""Values of settings: from YAML or a word of a command line to the type that a field asks for."""

import dataclasses
import math
import textwrap
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from textae.errors import InputError, nearest
from textae.yaml_text import StrictLoader

# Whole numbers have fewer bits: what counts steps, words or bytes cannot be larger.
_BITS = 63


def from_word(word: str, annotation: Any, where: str) -> Any:
    """Read one word of the command line; text stays as it is, anything else is YAML.

    Raises:
        InputError: The word is no YAML; ``where`` and what is wanted are named.
    """
    if annotation is str or get_origin(annotation) is Literal:
        return word
    if _is_optional(annotation) and str in get_args(annotation):
        return None if word.lower() in ("null", "none", "~", "") else word
    try:
        return yaml.load(word, Loader=StrictLoader)
    except yaml.YAMLError:
        raise InputError(f"{where}: wants {wanted(annotation)}, not {show(word)}") from None


def convert(value: Any, annotation: Any, where: str) -> Any:
    """Return ``value`` as the annotated type.

    Text that reads as a number becomes one, a lone value becomes a list of one, and 1e3 is a whole
    number; nothing else is bent.

    Raises:
        InputError: It cannot be; ``where``, the value and what is wanted are named.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if _is_optional(annotation):
        if value is None:
            return None
        return convert(value, next(kind for kind in arguments if kind is not type(None)), where)
    if origin is list:
        values = value if isinstance(value, list | tuple) else [value]
        if value is not None and not isinstance(value, Mapping):
            return [convert(element, arguments[0], where) for element in values]
    elif origin is dict:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            if dataclasses.is_dataclass(arguments[1]):
                return {key: _fill(entry, arguments[1], f"{where}.{key}") for key, entry in value.items()}
            return dict(value)
    elif origin is Literal:
        if value in arguments:
            return value
        guess = nearest(str(value), [str(choice) for choice in arguments])
        raise InputError(f"{where}: wants {wanted(annotation)}, not {show(value)}{guess}")
    elif annotation is float:
        number = _number(value)
        if number is not None and math.isfinite(number):
            return float(number)
    elif annotation is int:
        number = _number(value)
        if number is not None and math.isfinite(number) and number == int(number) and abs(number) < 2**_BITS:
            return int(number)
    elif isinstance(value, annotation):
        return value
    raise InputError(f"{where}: wants {wanted(annotation)}, not {show(value)}")


def _fill(values: Any, kind: Any, where: str) -> Any:
    """An entry of a mapping whose values are a dataclass."""
    hints = get_type_hints(kind)
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: wants a mapping with {', '.join(hints)}, not {show(values)}")
    for name in values:
        if name not in hints:
            raise InputError(f'{where}: unknown field "{name}"{nearest(str(name), hints)}')
    return kind(**{name: convert(value, hints[name], f"{where}.{name}") for name, value in values.items()})


def _number(value: Any) -> int | float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, float) or value.bit_length() <= _BITS else None


def _is_optional(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)


_WORDS: dict[Any, tuple[str, str]] = {
    bool: ("true or false", "true|false"),
    int: ("a whole number", "INT"),
    float: ("a number", "NUMBER"),
    str: ("text", "TEXT"),
}


def wanted(annotation: Any) -> str:
    """Say in words what a type wants: ``a whole number``, ``one of gru, transformer``."""
    if _is_optional(annotation):
        inner = next(kind for kind in get_args(annotation) if kind is not type(None))
        return f"{wanted(inner)} or null"
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(map(str, get_args(annotation)))}"
    if get_origin(annotation) is list:
        return {str: "a list of texts", int: "a list of whole numbers"}[get_args(annotation)[0]]
    if get_origin(annotation) is dict:
        return "a mapping such as {key: value}"
    return _WORDS[annotation][0]


def metavar(annotation: Any) -> str:
    """Write a type as the help shows it: ``INT``, ``gru|transformer``, ``[TEXT, ...]``."""
    if _is_optional(annotation):
        inner = next(kind for kind in get_args(annotation) if kind is not type(None))
        return f"{metavar(inner)}|null"
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    if get_origin(annotation) is list:
        return f"[{metavar(get_args(annotation)[0])}, ...]"
    if get_origin(annotation) is dict:
        return "{KEY: VALUE, ...}"
    return _WORDS[annotation][1]


def show(value: Any) -> str:
    """Write a value as YAML would, on one short line."""
    try:
        text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)
    except yaml.YAMLError:  # an object that YAML does not know
        text = repr(value)
    return textwrap.shorten(text.removesuffix("\n...\n").strip(), 80, placeholder=" ...")
