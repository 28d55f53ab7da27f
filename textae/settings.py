"""Settings in and out: YAML, command line and dictionaries become a checked ``TrainingConfig``.

Everything is read from the dataclasses of ``textae.config`` and ``textae.model_config``: the names, the
types, and the sentence under each field, which is the setting's help. Nothing is listed twice.
"""

import ast
import dataclasses
import inspect
import os
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from textae import config as config_module
from textae import model_config as model_config_module
from textae.config import TrainingConfig
from textae.errors import InputError, nearest, reason
from textae.limits import validate
from textae.values import convert, from_word, metavar, show, wanted
from textae.yaml_text import StrictLoader

# No configuration is larger, and reading YAML takes long.
_LARGEST = 2**20


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting: its dotted name, its type annotation, its default and its sentence."""

    name: str
    annotation: Any
    default: Any
    sentence: str

    @property
    def wanted(self) -> str:
        """The type in words, as error messages and the help say it."""
        return wanted(self.annotation)


@cache
def _sentences() -> dict[tuple[str, str], str]:
    """Map (class name, field name) to the string literal under the field."""
    found: dict[tuple[str, str], str] = {}
    source = "\n".join(inspect.getsource(module) for module in (model_config_module, config_module))
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for statement, following in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                found[node.name, statement.target.id] = str(following.value.value)
    return found


def _walk(instance: Any, prefix: str) -> Iterator[tuple[Setting, bool]]:
    """Yield every field under ``instance``, depth first, with whether it is a section."""
    hints = get_type_hints(type(instance))
    for field in dataclasses.fields(instance):
        name, value = f"{prefix}{field.name}", getattr(instance, field.name)
        sentence = _sentences().get((type(instance).__name__, field.name), "")
        is_section = dataclasses.is_dataclass(value)
        yield Setting(name, hints[field.name], value, sentence), is_section
        if is_section:
            yield from _walk(value, f"{name}.")


@cache
def _table() -> tuple[dict[str, Setting], dict[str, Setting]]:
    every = list(_walk(TrainingConfig(), ""))
    return (
        {item.name: item for item, is_section in every if not is_section},
        {item.name: item for item, is_section in every if is_section},
    )


def settings() -> dict[str, Setting]:
    """Return every setting by its dotted name, in the order of the dataclasses."""
    return dict(_table()[0])


def describe_settings(width: int | None = None) -> str:
    """Return the help of every setting: name, type or choices, default, sentence.

    Args:
        width: Columns to fill; the terminal's, between 60 and 110, when not given.
    """
    width = width or min(110, max(60, shutil.get_terminal_size().columns))
    lines: list[str] = []
    for item, is_section in _walk(TrainingConfig(), ""):
        if is_section:
            lines += ["", *textwrap.wrap(f"{item.name}: {item.sentence}", width)]
        else:
            lines.append(f"  --{item.name} {metavar(item.annotation)}")
            text = f"{item.sentence} (default: {show(item.default)})"
            lines += textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines[1:])


def load_config(
    path: str | Path | None,
    overrides: Sequence[str] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> TrainingConfig:
    """Read a recipe, apply overrides and check the result.

    Args:
        path: A YAML file in the shape of ``TrainingConfig``, whose ``base`` may name another, beside it,
            with the settings that it leaves out; ``None`` starts from the defaults.
        overrides: Words of a command line: ``["--warmup.steps", "3", "--run.output=x"]``.
        changes: The same as values by dotted names: ``{"warmup.steps": 3}``.

    Raises:
        InputError: The file is missing or is no YAML, or a setting is unknown, of the wrong type
            or impossible.
    """
    values: dict[str, Any] = {}
    if path is not None:
        values = _read_recipe(Path(path))
    values.update(_parse_overrides(overrides or []))
    for name, value in (changes or {}).items():
        setting = _find(name, prefix="")
        values[name] = convert(value, setting.annotation, name)
    return _build(values)


def _read_recipe(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The settings of a recipe and, where it is silent, of its base; ``above`` are those that led to it."""
    content = dict(read_yaml(path))
    if path.resolve() in above:
        raise InputError(f"{path}: this recipe is its own base; name another, or leave base out")
    base = content.pop("base", None)
    own = _flatten(content, "", f"{path}: ")
    if base is None:
        return own
    if not isinstance(base, str):
        raise InputError(f"{path}: base is the file name of another recipe, not {show(base)}")
    try:
        return _read_recipe(path.parent / base, (*above, path.resolve())) | own
    except InputError as error:
        raise InputError(f"{path}, base: {error}") from error


def config_from_dict(mapping: Mapping[str, Any], source: str = "configuration") -> TrainingConfig:
    """Turn nested dictionaries into a checked ``TrainingConfig``; what is absent has its default.

    Args:
        mapping: What ``config_to_dict`` returns, or a part of it.
        source: What to call it in error messages, such as the file's name.

    Raises:
        InputError: A setting is unknown, of the wrong type or impossible.
    """
    return _build(_flatten(mapping, "", f"{source}: "))


def config_to_dict(config: TrainingConfig) -> dict[str, Any]:
    """Return the recipe as nested dictionaries of plain values, fit for YAML and JSON."""
    return dataclasses.asdict(config)


def save_config(config: TrainingConfig, path: str | Path) -> None:
    """Write the recipe as YAML, whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    text = yaml.safe_dump(config_to_dict(config), sort_keys=False, allow_unicode=True, width=100)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Read a YAML file that holds a mapping; an empty file is an empty one.

    Raises:
        InputError: The file is missing, too large, no UTF-8, no YAML or no mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, ValueError):  # the latter for what no file can be called
        raise InputError(f"{path}: there is no such configuration file; check the path") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(content) > _LARGEST:
        raise InputError(f"{path}: is larger than {_LARGEST:,} bytes; name a configuration file")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    try:
        loaded = yaml.load(text, Loader=StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: this is not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: this is not valid YAML: {reason(error)}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise InputError(f'{path}: wants sections with settings, such as "warmup:", not {show(loaded)}')
    return loaded


def _flatten(mapping: Mapping[Any, Any], prefix: str, source: str) -> dict[str, Any]:
    """Turn nested sections into dotted names with converted values."""
    leaves, sections = _table()
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if name in leaves:
            values[name] = convert(value, leaves[name].annotation, f"{source}{name}")
        elif name not in sections:
            raise InputError(f'{source}unknown setting "{name}"{nearest(name, [*leaves, *sections])}')
        elif isinstance(value, Mapping):
            values.update(_flatten(value, f"{name}.", source))
        elif value is not None:
            raise InputError(f"{source}{name} is a section with settings of its own, not {show(value)}")
    return values


def _parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Read ``--name value``, ``--name=value``, ``--name value value`` (lists), ``--name`` (true)."""
    values: dict[str, Any] = {}
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        name, equals, joined = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            raise InputError(f'unexpected argument "{word}"; settings are given as --section.field value')
        setting = _find(name, prefix="--")
        given = [joined] if equals else []
        while not equals and position < len(words) and not words[position].startswith("--"):
            given.append(words[position])
            position += 1
        values[name] = _from_words(given, setting)
    return values


def _find(name: str, prefix: str) -> Setting:
    """The setting of a dotted name, which is written with ``prefix`` where it was given."""
    leaves, sections = _table()
    if name in sections:
        raise InputError(
            f'"{prefix}{name}" is a section; set one of its fields, such as {prefix}{_first_field(name)}'
        )
    setting = leaves.get(name) or _field_of_entry(name)
    if setting is None:
        guess = nearest(name, leaves).replace('"', f'"{prefix}', 1)
        raise InputError(f'unknown setting "{prefix}{name}"{guess}')
    return setting


def _field_of_entry(name: str) -> Setting | None:
    """The setting of one field of an entry of a mapping, such as ``custom_rewards.NAME.weight``."""
    entry, _, field = name.rpartition(".")
    mapping = _table()[0].get(entry.rpartition(".")[0])
    kind = get_args(mapping.annotation)[-1] if mapping and get_origin(mapping.annotation) is dict else None
    if kind is None or not dataclasses.is_dataclass(kind) or field not in (hints := get_type_hints(kind)):
        return None
    return Setting(name, hints[field], None, "")


def _first_field(section: str) -> str:
    return next(name for name in _table()[0] if name.startswith(f"{section}."))


def _from_words(given: list[str], setting: Setting) -> Any:
    where, annotation = f"--{setting.name}", setting.annotation
    if not given:
        if annotation is bool:
            return True
        raise InputError(f"{where}: a value is missing; it wants {setting.wanted}")
    is_list = get_origin(annotation) is list
    if len(given) > 1 and not is_list:
        raise InputError(f"{where}: wants {setting.wanted}, one value, not {len(given)}")
    if is_list and (len(given) > 1 or not given[0].lstrip().startswith("[")):
        # Read word for word: a source may be "-" or hold "*", which mean something else in YAML.
        words = given if len(given) > 1 else [part.strip() for part in given[0].split(",")]
        element = get_args(annotation)[0]
        return [convert(from_word(part, element, where), element, where) for part in words if part]
    return convert(from_word(given[0], annotation, where), annotation, where)


def _build(values: Mapping[str, Any]) -> TrainingConfig:
    config = TrainingConfig()
    # A mapping comes before the fields of its entries, wherever they were given.
    for name, value in sorted(values.items(), key=lambda item: item[0].count(".")):
        *path, last = name.split(".")
        owner: Any = config
        for part in path:
            if isinstance(owner, dict) and part not in owner:
                raise InputError(f'--{name}: the recipe has no entry "{part}"{nearest(part, owner)}')
            owner = owner[part] if isinstance(owner, dict) else getattr(owner, part)
        setattr(owner, last, value)
    validate(config)
    return config
