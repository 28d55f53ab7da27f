"""Checkpoints of everything, written atomically, with checksums; safetensors and JSON only."""

import errno
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import nn

from textae.errors import InputError, reason
from textae.manifest import MANIFEST, check_manifest, require_whole, synchronize, write_manifest
from textae.training.metrics import logger
from textae.training.sharding import piece_like
from textae.training.tensor_file import write_tensors

STATE = "state.json"
MOMENTS = "optimizer.safetensors"
KEPT = "kept.safetensors"
START_AGAIN = "start again without --resume."


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    moments: dict[int, dict[str, Any]],
    state: dict[str, Any],
    kept: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write networks, the optimizer's moments and ``state`` to ``folder``; it appears whole or not at all.

    Moments may lie in pieces: every other process is in :func:`help_saving` meanwhile.
    ``kept`` are weights to which the run may go back, if there are any.
    Every process calls :func:`save_random_state` on its own.

    Raises:
        InputError: if the disk is full, or nothing can be written there; older checkpoints are as before.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_model(model, str(temporary / "model.safetensors"))
        tensors, scalars = _flatten(moments)
        write_tensors(tensors, temporary / MOMENTS)
        if kept is not None:
            save_file(kept, str(temporary / KEPT))
        (temporary / STATE).write_text(json.dumps({**state, "optimizer": scalars}), encoding="utf-8")
        for file in folder.glob("random-*.safetensors"):
            os.replace(file, temporary / file.name)
        write_manifest(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
        synchronize(folder.parent)
    except (OSError, SafetensorError) as error:
        # What was written of it would fill the disk that the next try needs.
        shutil.rmtree(temporary, ignore_errors=True)
        raise not_written(folder, error) from error


def not_written(folder: Path, error: Exception) -> InputError:
    """What is said where a checkpoint cannot be written."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else reason(error)
    if os.strerror(errno.ENOSPC) in told:  # safetensors and tokenizers say more around it
        told = os.strerror(errno.ENOSPC)
    return InputError(
        f"{folder} cannot be written ({told.lower()}); make room there and --resume latest, earlier "
        "checkpoints are untouched."
    )


def save_checked(model: Any, folder: Path) -> None:
    """Write a model or tokenizer that a run will need again, with checksums.

    Raises:
        InputError: if it cannot be written.
    """
    try:
        model.save_pretrained(folder)
        write_manifest(folder)
    except InputError:
        raise
    except Exception as error:  # a tokenizer's own library has no kind of error for a full disk
        raise not_written(folder, error) from error


def load_checkpoint(
    folder: Path, model: nn.Module, put_moments: Callable[[Iterable[tuple[int, str, Any]]], None]
) -> dict[str, Any]:
    """Restore networks and moments, and return the ``state`` that was saved with them.

    ``put_moments`` gives the optimizer its moments (:func:`put_moments`, or the same for DeepSpeed).

    Raises:
        InputError: if files are missing or do not fit the model.
    """
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        load_model(model, str(folder / "model.safetensors"))
        put_moments(_stored_moments(folder / MOMENTS, state.pop("optimizer")))
    except Exception as error:  # safetensors raises several kinds for damaged files
        raise _refusal(folder, error) from error
    return state


@contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Around whatever takes over the state of a checkpoint, which may hold anything.

    Raises:
        InputError: if the body stumbles over it.
    """
    try:
        yield
    except InputError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise _refusal(folder, error) from error


def _refusal(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"{folder}: the checkpoint is incomplete or of another recipe ({reason(error)}); "
        "remove it or start without --resume."
    )


def put_moments(optimizer: torch.optim.Optimizer, moments: Iterable[tuple[int, str, Any]]) -> None:
    """Give an optimizer its whole state, of which it keeps what is this process's.

    Args:
        optimizer: which may be of sharded parameters.
        moments: number of a parameter, name and value, of which no process ever has more than one whole.

    Raises:
        ValueError: if they do not fit the weights.
    """
    current = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    found: dict[int, dict[str, Any]] = {}
    for index, name, value in moments:
        if isinstance(value, torch.Tensor) and index < len(parameters):
            value = piece_like(value, parameters[index])
        found.setdefault(index, {})[name] = value
    current["state"] = found
    optimizer.load_state_dict(current)
    _check_optimizer(optimizer)


def _check_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Refuse moments that do not fit their weights, with which the next step would break down."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if any(not isinstance(owner, torch.Tensor) for owner in optimizer.state):
        raise ValueError("the optimizer's state is of more weights than there are")
    for parameter in parameters:
        values = optimizer.state.get(parameter, {})
        if values and not {"step", "exp_avg", "exp_avg_sq"} <= values.keys():
            raise ValueError("the optimizer's state has gaps")
        for name in ("exp_avg", "exp_avg_sq") if values else ():
            if values[name].shape != parameter.shape:
                raise ValueError("the optimizer's state does not fit the weights")


def help_saving(moments: dict[int, dict[str, Any]]) -> None:
    """In a process that saves nothing: give its pieces to the one that is in :func:`save_checkpoint`."""
    write_tensors(_flatten(moments)[0], None)


def load_kept(folder: Path) -> dict[str, torch.Tensor] | None:
    """The weights to which a run may go back, or None.

    Raises:
        InputError: if they are damaged.
    """
    file = folder / KEPT
    if not file.is_file():
        return None
    try:
        return load_file(str(file))
    except Exception as error:  # safetensors raises several kinds for damaged files
        raise InputError(f"{file}: these weights are damaged; resume from another checkpoint.") from error


def _stored_moments(file: Path, scalars: dict[str, float]) -> Iterator[tuple[int, str, Any]]:
    """What the optimizer had, one after the other: number of a parameter, name, value."""
    for key, number in scalars.items():
        index, name = key.split(".", 1)
        yield int(index), name, number
    with safe_open(str(file), framework="pt") as stored:
        for key in stored.keys():  # noqa: SIM118
            index, name = key.split(".", 1)
            yield int(index), name, stored.get_tensor(key)


def _flatten(state: dict[int, dict[str, Any]]) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    tensors, scalars = {}, {}
    for index, values in state.items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                scalars[f"{index}.{name}"] = value
    return tensors, scalars


def save_random_state(file: Path) -> None:
    """Write the state of all random generators of this process.

    Raises:
        InputError: if it cannot be written.
    """
    version, numbers, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    if kind != "MT19937":
        raise RuntimeError(f"numpy's global generator is {kind}, and not the MT19937 it always was")
    tensors = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor([version, *numbers]),
        "python_gauss": torch.tensor([float("nan") if gauss is None else gauss], dtype=torch.float64),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "numpy_rest": torch.tensor([position, has_gauss, cached], dtype=torch.float64),
    }
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, str(file))
    except (OSError, SafetensorError) as error:
        raise not_written(file.parent, error) from error


def load_random_state(file: Path) -> None:
    """Restore what :func:`save_random_state` wrote; a process that has no file keeps its own state.

    Raises:
        InputError: if the file is damaged.
    """
    if not file.is_file():
        return
    try:
        _set_random_state(load_file(str(file)))
    except Exception as error:  # safetensors and each generator raise kinds of their own
        raise _refusal(file, error) from error


def _set_random_state(tensors: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(tensors["torch"])
    version, *numbers = tensors["python"].tolist()
    gauss = float(tensors["python_gauss"])
    random.setstate((version, tuple(numbers), None if gauss != gauss else gauss))
    position, has_gauss, cached = tensors["numpy_rest"].tolist()
    keys = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), cached))
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints in ``folder``, oldest first; what was never finished has no manifest and is none."""
    found = (path.parent for path in folder.glob(f"step-*/{MANIFEST}"))
    return sorted(path for path in found if re.fullmatch(r"step-[0-9]{1,18}", path.name))


def find_checkpoint(folder: Path, resume: str) -> Path:
    """The checkpoint that ``--resume`` means, its checksums verified: ``latest``, or a path.

    Where the latest one is damaged, the log says so and the one before it is taken.

    Raises:
        InputError: if there is none, or the one that is named is damaged.
    """
    if resume != "latest":
        if not (Path(resume) / STATE).is_file():
            raise InputError(f"{resume}: this is no checkpoint; name a folder like {folder}/step-000200.")
        require_whole(Path(resume), "resume from another checkpoint.")
        return Path(resume)
    found = checkpoints(folder)
    if not found:
        raise InputError(f"{folder}: there is no checkpoint to resume from; start without --resume.")
    for path in reversed(found):
        try:
            check_manifest(path)
            return path
        except InputError as error:
            logger.warning("%s: the checkpoint %s is left out for the one before it.", error, path.name)
    raise InputError(f"{folder}: all {len(found)} checkpoints there are damaged; start without --resume.")


def remove_later_checkpoints(folder: Path, step: int) -> None:
    """Drop those after ``step``: a run that went back to it must not go on from them some day."""
    for path in folder.glob("step-*"):  # unfinished and damaged ones too
        if path.name.removeprefix("step-").isdigit() and int(path.name.removeprefix("step-")) > step:
            shutil.rmtree(path)


def remove_old_checkpoints(folder: Path, keep: int) -> None:
    """Keep the last ``keep`` checkpoints."""
    for path in checkpoints(folder)[:-keep]:
        shutil.rmtree(path)
    for leftover in folder.glob(".step-*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
