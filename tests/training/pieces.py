"""Two sharded CPU processes count the bytes of what they hold, and each writes them down, as JSON.

    torchrun --nproc_per_node 2 pieces.py FILE CHECKPOINTS

FILE and the number of the process make the name.
"""

import gc
import json
import sys
from functools import partial
from pathlib import Path

import torch
from sharded import ShardedAccelerator
from torch import nn
from torch.distributed.tensor import DTensor

from textae.training.checkpoint import help_saving, load_checkpoint, put_moments, save_checkpoint
from textae.training.sharding import WholeModel

# Rows, of which two processes have as many each.
SIZES = {"encoder": 64, "reconstructor": 96, "discriminator": 32}


class Networks(nn.Module):
    """Three networks; of the last, a recurrent one, only the form counts."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(32, SIZES["encoder"], bias=False), nn.LayerNorm(64))
        self.reconstructor = nn.Linear(32, SIZES["reconstructor"], bias=False)
        self.discriminator = nn.GRU(4, SIZES["discriminator"], batch_first=True)

    def forward(self, inputs):
        """A number of all of them."""
        return sum(part.sum() for part in (self.encoder(inputs), self.reconstructor(inputs))) + sum(
            parameter.sum() for parameter in self.discriminator.parameters()
        )


def stored(tensors):
    """Bytes of the memory behind tensors, each piece of it once; none on the meta device."""
    found = {}
    for tensor in tensors:
        local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        if not local.is_meta:
            found[local.untyped_storage().data_ptr()] = local.untyped_storage().nbytes()
    return sum(found.values())


def weights(module):
    """Bytes of the parameters that a module holds, in whatever list it keeps them."""
    lists = [getattr(part, "_flat_weights", []) for part in module.modules()]
    return stored([*module.parameters(), *(weight for each in lists for weight in each)])


def alive():
    """Bytes of all parameters that anything in the process holds."""
    gc.collect()
    return stored([found for found in gc.get_objects() if isinstance(found, nn.Parameter)])


def main(file, folder):
    """Count, phase by phase."""
    accelerator = ShardedAccelerator()
    torch.manual_seed(0)
    model = Networks()
    told = {"whole": {name: weights(getattr(model, name)) for name in SIZES}, "built": alive()}
    gathering = WholeModel(accelerator, model)
    told["with skeleton"] = alive()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    module, optimizer = accelerator.prepare(model, optimizer)
    skeleton, own = gathering.skeleton, accelerator.unwrap_model(module)
    del model
    told["sharded"] = alive()
    accelerator.backward(module(torch.ones(2, 32)))
    optimizer.step()
    optimizer.zero_grad()
    told["before"] = weights(skeleton)
    with gathering.part("encoder", own.encoder) as encoder:
        told["rollout"] = weights(skeleton)
        wanted = {name: value.clone() for name, value in encoder.state_dict().items()}
    told["after rollout"] = weights(skeleton)
    reference = gathering.frozen("encoder", own.encoder)
    told["reference"] = weights(reference)
    accelerator.backward(module(torch.ones(2, 32)))
    optimizer.step()
    optimizer.zero_grad()
    with gathering.part("encoder", reference) as warm:
        told["reference whole"] = weights(skeleton)
        told["reference unchanged"] = all(
            torch.equal(value, wanted[name]) for name, value in warm.state_dict().items()
        )
    given = gathering.frozen("encoder", own.encoder, wanted)
    told["reference from a file"] = weights(given)
    with gathering.of(own, keep=accelerator.is_main_process) as whole:
        told["scoring"] = weights(whole)
        moments = optimizer.optimizer.state_dict()["state"]
        folder = Path(folder) / "step-000001"
        if accelerator.is_main_process:
            save_checkpoint(folder, whole, moments, {"step": 1})
        else:
            help_saving(moments)
    accelerator.wait_for_everyone()
    with gathering.of(own) as whole:
        load_checkpoint(folder, whole, partial(put_moments, optimizer.optimizer))
    told["after"] = weights(skeleton)
    told["moments"] = stored(
        value for values in optimizer.optimizer.state.values() for value in values.values() if value.dim()
    )
    Path(f"{file}-{accelerator.process_index}.json").write_text(json.dumps(told), encoding="utf-8")
    accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:])
