"""Finding the other processes of a launch."""

import os

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env


def join_processes() -> PartialState:
    """Let the processes of ``accelerate launch`` find each other where there is no GPU.

    The launcher starts several processes on a CPU but does not tell them that it is one (1.15.0);
    each would then train alone, over the others' files. The state is made here because
    ``PartialState()`` does not read the variable, and whoever makes it first settles it for all.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        if not torch.accelerator.is_available():
            os.environ.setdefault("ACCELERATE_USE_CPU", "true")
        return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
    return PartialState()
