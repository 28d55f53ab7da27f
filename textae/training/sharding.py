"""Parameters that lie in pieces on several processes (FSDP2), and the whole model where one is needed.

In the forward pass FSDP2 gathers each layer as it comes. Whatever else is asked of a model (sampling,
scoring, saving) goes through a copy of its modules that holds no weights of its own: they are gathered into
it once, for as long as they are needed, however many tokens are sampled meanwhile.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from textae.errors import InputError


def check_supported(accelerator: Accelerator) -> None:
    """Refuse what trains otherwise than by Accelerate's forward, backward, clip and step.

    Raises:
        InputError: for Megatron-LM, and FSDP in its first version.
    """
    kind = accelerator.distributed_type
    if kind == DistributedType.MEGATRON_LM or (kind == DistributedType.FSDP and not accelerator.is_fsdp2):
        raise InputError(
            f"textae does not train with {kind.value} as it is set up here, which takes the optimizer's step "
            "out of its hands; shard with FSDP2, as configs/accelerate/several_gpus_fsdp2.yaml does."
        )


def whole_tensor(value: torch.Tensor) -> torch.Tensor:
    """A tensor with all its pieces; every process calls it."""
    if hasattr(value, "ds_id"):  # of ZeRO-3, which keeps its piece beside the parameter
        from deepspeed import zero

        with zero.GatheredParameters([value]):
            return value.detach().clone()
    if hasattr(value, "_hp_mapping"):  # of ZeRO-2: a view of all weights in a row, which could not be saved
        return value.detach().clone()
    if not isinstance(value, DTensor):
        return value
    whole = value.full_tensor()
    # Where pieces are uneven it is a view of something padded, which safetensors would refuse to save.
    padded = whole.untyped_storage().nbytes() > whole.numel() * whole.element_size()
    return whole.clone() if padded else whole


def piece_like(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """This process's piece of a whole tensor that every process has, cut as ``like`` is, if it is cut."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    value = value.to(like.device)
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


def whole_moments(optimizer: torch.optim.Optimizer, keep: bool) -> dict[int, dict[str, Any]]:
    """The optimizer's state with whole tensors, in CPU memory; every process calls it.

    Args:
        optimizer: whose state may be sharded.
        keep: whether this process wants it; others help to gather one tensor after the other and hold none.
    """
    found: dict[int, dict[str, Any]] = {}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            whole = whole_tensor(value).cpu() if isinstance(value, torch.Tensor) else value
            if keep:
                found.setdefault(index, {})[name] = whole
    return found


def put_weights(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Give a model whole weights, of which it keeps what is its own; every process has them all."""
    parameters = dict(model.named_parameters())
    with_zero = any(
        hasattr(parameter, "ds_id") or hasattr(parameter, "_hp_mapping") for parameter in parameters.values()
    )
    if not with_zero and not any(isinstance(parameter, DTensor) for parameter in parameters.values()):
        model.load_state_dict(weights)
        return
    with torch.no_grad():
        for name, parameter in parameters.items():
            if with_zero:
                _put_with_zero(parameter, weights[name])
            else:
                parameter.copy_(piece_like(weights[name].detach(), parameter))
        for name, buffer in model.named_buffers():
            if name in weights:
                buffer.copy_(weights[name])


def zero3_piece(value: torch.Tensor, parameter: Any) -> torch.Tensor:
    """This process's piece of a whole tensor as ZeRO-3 cuts ``parameter``, the last filled up with zeros."""
    size, process = parameter.ds_tensor.numel(), torch.distributed.get_rank(parameter.ds_process_group)
    piece = parameter.ds_tensor.new_zeros(size)
    own = value.detach().flatten()[size * process : size * (process + 1)]
    piece[: len(own)] = own
    return piece


def _put_with_zero(parameter: nn.Parameter, value: torch.Tensor) -> None:
    from deepspeed import zero
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_local_fp32_param

    # Without ZeRO-3 nothing is gathered.
    with zero.GatheredParameters([parameter], modifier_rank=0):
        parameter.copy_(value)
    # The optimizer steps on a copy of its own, from which the parameter is made after each step.
    if hasattr(parameter, "ds_id"):
        safe_set_local_fp32_param(parameter, zero3_piece(value, parameter))
    else:
        safe_set_full_fp32_param(parameter, value.to(parameter.device))


class WholeModel:
    """Gives the whole of a model, which may be sharded.

    Args:
        accelerator: which says whether it will be.
        model: before it is prepared.
    """

    def __init__(self, accelerator: Accelerator, model: nn.Module):
        self.skeleton: Any = None
        self.held = 0
        if accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED):
            self.skeleton = copy.deepcopy(model).requires_grad_(False).eval()
            self._empty()

    @contextmanager
    def of(self, model: Any) -> Iterator[Any]:
        """Within, a model with all the weights that ``model`` has now: itself, if it is not sharded.

        Every process enters, and what a process does to the copy's weights is lost at the end.
        """
        if self.skeleton is None:
            yield model
            return
        if self.held == 0:
            self._fill(model)
        self.held += 1
        try:
            yield self.skeleton
        finally:
            self.held -= 1
            if self.held == 0:
                self._empty()

    @torch.no_grad()
    def _fill(self, model: nn.Module) -> None:
        # One copy of a tensor that several modules share.
        gathered: dict[int, nn.Parameter] = {}
        for module, own in zip(self.skeleton.modules(), model.modules(), strict=True):
            for name, parameter in own._parameters.items():
                if parameter is not None:
                    if id(parameter) not in gathered:
                        whole = whole_tensor(parameter).detach()
                        gathered[id(parameter)] = nn.Parameter(whole, requires_grad=False)
                    module._parameters[name] = gathered[id(parameter)]
            module._buffers.update(own._buffers)

    def _empty(self) -> None:
        nothing: dict[int, nn.Parameter] = {}
        for module in self.skeleton.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    empty = nn.Parameter(parameter.to("meta"), requires_grad=False)
                    module._parameters[name] = nothing.setdefault(id(parameter), empty)
