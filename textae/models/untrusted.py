"""What is looked at in a model's folder before anything is built of it: anybody may have written it.

Weights are safetensors and settings are JSON, neither of which can run anything. What is left to refuse is
pickles, references to code, and sizes that would fill the memory before the weights turn out not to fit.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from torch import nn

from textae.data.json_text import is_too_deep
from textae.errors import InputError
from textae.values import convert

T = TypeVar("T")
# What torch.save and pickle write, as files are commonly called; reading one can run any code.
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_LARGEST = 2**22
_CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipelines")
# An attention of another name may be a kernel, which is compiled code, to be downloaded.
_ATTENTIONS = (None, "eager", "sdpa")
# The largest whole number under a name that has this part, the first that fits: each layer takes time even
# without memory, and tables of positions are computed by some families.
_MOST = {
    "beams": 256,
    "candidates": 256,
    "slack": 64,
    "layer": 1_000,
    "num_": 10_000,
    "position": 2**17,
    "tokens": 2**17,
    "words": 2**17,
    "": 2**24,
}
# Numbers that are not in the file, such as tables of positions.
_SPARE = 2**24


def read_json(file: Path) -> Any:
    """A JSON file of settings.

    Raises:
        ValueError: if it is no JSON, too large, or too deeply nested.
        OSError: if it cannot be read.
    """
    with file.open("rb") as stream:
        content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST:,} bytes")
    try:
        value = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is too deeply nested") from error
    if is_too_deep(value):
        raise ValueError("it is too deeply nested")
    return value


def find_pickles(folder: Path) -> list[str]:
    """Names of the files in a folder that look like pickles."""
    return sorted(file.name for file in folder.iterdir() if file.suffix.lower() in PICKLES)


def refuse_code(folder: Path) -> None:
    """Refuse a folder whose JSON files ask for code to be run.

    Raises:
        InputError: naming the file and what it asks for.
    """
    for file in sorted(folder.glob("*.json")):
        if file.name == "tokenizer.json":  # of the tokenizers library, which knows nothing of code
            continue
        try:
            named = dict(_named(read_json(file)))
        except (OSError, ValueError):  # whoever needs the file says so
            continue
        for key in _CODE_KEYS:
            if named.get(key):
                raise InputError(
                    f'{file}: "{key}" asks for code to be run that is no part of textae; take another model.'
                )


def check_network(values: Any) -> None:
    """Refuse settings of a network that name code, or sizes that no network has.

    Raises:
        ValueError: naming the setting.
    """
    for key, value in _named(values):
        if key.endswith("implementation") and value not in _ATTENTIONS:
            raise ValueError(f'"{key}" is {value!r}')
        if type(value) is int:
            most = next(most for part, most in _MOST.items() if part in key)
            if abs(value) > most:
                raise ValueError(f'"{key}" is {value:,}, and at most {most:,} can be true')


def typed(kind: type[T], values: Any, where: str) -> T:
    """A dataclass of settings from JSON, every value of the type that its field has.

    Raises:
        InputError: if one is not, or there is no such field.
    """
    hints = get_type_hints(kind)
    if not isinstance(values, Mapping) or not values.keys() <= hints.keys():
        unknown = sorted(values.keys() - hints.keys()) if isinstance(values, Mapping) else []
        raise InputError(f"{where}: {unknown[0]} is unknown" if unknown else f"{where} is no section")
    found = {
        name: typed(hints[name], value, f"{where}.{name}")
        if dataclasses.is_dataclass(hints[name])
        else convert(value, hints[name], f"{where}.{name}")
        for name, value in values.items()
    }
    return kind(**found)


def check_fits(model: nn.Module, weights: Path) -> None:
    """Refuse a model, on the meta device, that has more numbers than its file of weights can give it.

    Raises:
        ValueError: if it has.
    """
    from safetensors import safe_open

    with safe_open(str(weights), framework="pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    held = sum(_product(shape) for shape in shapes)
    wanted = sum(tensor.numel() for tensors in (model.parameters(), model.buffers()) for tensor in tensors)
    if wanted > 2 * held + _SPARE:
        raise ValueError(f"the settings want {wanted:,} numbers and the file has {held:,}")


def _product(shape: list[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of every object inside of ``value`` with what it holds; of a list, each under its key."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from ((key, part) for part in (item if isinstance(item, list) else [item]))
            yield from _named(item)
    elif isinstance(value, list):
        for item in value:
            yield from _named(item)
