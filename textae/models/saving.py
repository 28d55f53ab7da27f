"""The folder of a saved autoencoder: where it is, what its configuration says."""

import copy
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from torch import nn

from textae.errors import InputError, reason
from textae.model_config import AutoencoderConfig
from textae.models.untrusted import check_network, find_pickles, read_json, refuse_code, typed

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
# The name of the model inside the package; a folder that is called so is ./textae-english.
SHIPPED = "textae-english"
SHIPPED_FOLDER = Path(__file__).resolve().parents[1] / "pretrained" / "english"
# Of a configuration; models from before there were other codes say nothing of theirs: it is text.
_SECTIONS = ("encoder", "reconstructor", "discriminator", "length", "decoding", "normalization")
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

M = TypeVar("M", bound=nn.Module)


def model_folder(name: str | Path) -> Path:
    """Folder of a saved model; a Hub name is downloaded, without anything that could run.

    Raises:
        InputError: if there is neither such a folder nor such a Hub name, or it holds no model.
    """
    folder = SHIPPED_FOLDER if name == SHIPPED else Path(name)
    if not folder.exists():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError

        try:
            patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
            folder = Path(snapshot_download(str(name), allow_patterns=patterns))
        except (OSError, HFValidationError, ValueError) as error:
            raise InputError(f"{name}: there is no such folder, and no such model on the Hub.") from error
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            if pickles := find_pickles(folder) if folder.is_dir() else []:
                raise InputError(
                    f"{name}: {file} is missing, and {pickles[0]} may be a pickle, which can run code when "
                    "it is read; textae reads safetensors only."
                )
            raise InputError(f"{name}: this is no trained model, {file} is missing; name a saved folder.")
    refuse_code(folder)
    return folder


def read_configuration(folder: Path) -> tuple[AutoencoderConfig, dict[str, Any]]:
    """Configuration of the model in ``folder``, and the settings of its Hugging Face networks by name.

    Raises:
        InputError: if the file is damaged, belongs to something else, or names code to be run.
    """
    try:
        saved = read_json(folder / CONFIG)
        check_network(saved)
        values = saved["textae"]
        for section in _SECTIONS:
            values[section]
        config = typed(AutoencoderConfig, values, "textae")
        if not all(isinstance(new, str) for new in config.normalization.replacements.values()):
            raise ValueError("textae.normalization.replacements wants text for text")
        names = ("encoder", "reconstructor") if config.code.is_text else ("network",)
        return config, {name: dict(saved["networks"][name]) for name in names}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / CONFIG}: this is no configuration of textae ({reason(error)})."
        ) from error


def write_configuration(folder: Path, config: AutoencoderConfig, networks: dict[str, Any]) -> None:
    """Write what :func:`read_configuration` reads, of a model and its networks by name."""
    saved = {
        "model_type": "textae",
        "textae": asdict(config),
        "networks": {name: network.config.to_dict() for name, network in networks.items()},
    }
    (folder / CONFIG).write_text(json.dumps(saved, indent=2, default=str) + "\n", encoding="utf-8")


def stored_dtype(folder: Path) -> str:
    """The name in ``DTYPES`` of what the weights in a model's folder are; float32 if of several kinds."""
    from safetensors import safe_open

    with safe_open(str(folder / WEIGHTS), framework="pt") as file:
        found = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    names = {"F16": "float16", "BF16": "bfloat16"}
    return names.get(found.pop(), "float32") if len(found) == 1 else "float32"


def rounded(model: M, dtype: torch.dtype) -> M:
    """A copy of ``model`` whose weights are of ``dtype``; those that are shared stay so.

    Raises:
        InputError: if ``dtype`` is none of ``DTYPES``, or too small for a weight.
    """
    if dtype not in DTYPES.values():
        raise InputError(f"dtype is {dtype}; a model is saved in {', '.join(DTYPES)}.")
    copied = copy.deepcopy(model).to(dtype)
    before = model.state_dict()
    for name, tensor in copied.state_dict().items():
        if bool((tensor.isinf() & before[name].isfinite()).any()):
            raise InputError(f"{name} has a weight that is too large for {dtype}; save it in bfloat16.")
    return copied


@contextmanager
def new_files(path: Path) -> Iterator[Path]:
    """Give an empty folder; its files move to ``path`` if the body succeeds, all or nothing.

    Raises:
        InputError: if they cannot be written.
    """
    path = path.absolute()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        path.mkdir(exist_ok=True)
        # Weights last: a folder is a model only once they are there.
        for file in sorted(temporary.iterdir(), key=lambda file: file.name == WEIGHTS):
            os.replace(file, path / file.name)
    except (OSError, SafetensorError) as error:
        told = getattr(error, "strerror", None) or reason(error)
        raise InputError(f"{path}: the model cannot be written there ({told}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
