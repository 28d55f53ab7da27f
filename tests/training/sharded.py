"""``textae train`` with parameters sharded over CPU processes, which Accelerate by itself does on GPUs only.

    torchrun --nproc_per_node 2 sharded.py --config ...

With ``MEMORY`` set to a file name, each process writes what it holds at the end there, as JSON. With
``RETURNED=1`` freed memory is given back in every mode, as it is in sharded training.
"""

import json
import os
import resource
import sys

import accelerate
import torch
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.tensor import DTensor

from textae.allocator import return_freed_memory
from textae.cli import main
from textae.training import loop


class ShardedAccelerator(accelerate.Accelerator):
    """An accelerator on CPUs whose models are sharded as FSDP2 does it on GPUs."""

    def __init__(self, **options):
        super().__init__(cpu=True, **options)
        assert self.num_processes == 2
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=False
        )
        AcceleratorState._shared_state["distributed_type"] = DistributedType.FSDP
        AcceleratorState._shared_state["fsdp_plugin"] = plugin


def local(tensor):
    """Bytes of a tensor, or of this process's piece of it."""
    tensor = getattr(tensor, "ds_tensor", tensor)  # of ZeRO-3
    tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return tensor.numel() * tensor.element_size()


def held(training):
    """Bytes of parameters, gradients and moments that this process holds, and its peak resident size.

    Gradients are those of the last step, after which they are dropped.
    """
    parameters = list(training.module.parameters())
    moments = [
        value
        for values in training.optimizer.optimizer.state.values()
        for value in values.values()
        if isinstance(value, torch.Tensor)
    ]
    return {
        "processes": training.accelerator.num_processes,
        "parameters": sum(map(local, parameters)),
        "gradients": training.gradients,
        "moments": sum(map(local, moments)),
        "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def run():
    """Train, and tell what is held."""
    if os.environ.get("SHARDED") == "1":
        loop.Accelerator = ShardedAccelerator
    if os.environ.get("RETURNED") == "1":
        loop.keep_freed_memory = return_freed_memory
    finish, step = loop.Training._finish, loop.Training.train_step

    def stepped(self):
        result = step(self)
        self.gradients = sum(local(p.grad) for p in self.module.parameters() if p.grad is not None)
        return result

    def told(self):
        if "MEMORY" in os.environ:
            name = f"{os.environ['MEMORY']}-{self.accelerator.process_index}.json"
            with open(name, "w", encoding="utf-8") as file:
                json.dump(held(self), file)
        return finish(self)

    loop.Training._finish, loop.Training.train_step = told, stepped
    return main(["train", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(run())
