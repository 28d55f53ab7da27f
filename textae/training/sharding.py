"""Parameters that lie in pieces on several processes (FSDP2), and the whole model where one is needed.

In the forward pass FSDP2 gathers each layer as it comes. Whatever else is asked of a model (sampling,
scoring, saving) goes through a copy of its modules that holds no weights of its own: they are gathered into
it once, for as long as they are needed, however many tokens are sampled meanwhile. Only what is needed is
gathered: the one network that samples or judges; the whole model only in the process that scores and saves.
"""

import copy
from collections.abc import Callable, Iterator
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


def put_weights(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Give a model whole weights, of which it keeps what is its own; every process has them all."""
    parameters = dict(model.named_parameters())
    with_zero = any(_is_of_zero(parameter) for parameter in parameters.values())
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
    """Gives the whole of a model, or of one of its parts, which may be sharded.

    Args:
        accelerator: which says whether it will be.
        model: before it is prepared.
    """

    def __init__(self, accelerator: Accelerator, model: nn.Module):
        self.skeleton: Any = None
        self.held = 0
        if is_sharded(accelerator):
            self.skeleton = _without_weights(model)

    @contextmanager
    def of(self, model: Any, keep: bool = True) -> Iterator[Any]:
        """Within, a model with all the weights that ``model`` has now: itself, if it is not sharded.

        Every process enters, and what a process does to the copy's weights is lost at the end.

        Args:
            model: what was prepared.
            keep: whether this process wants the weights; without them it helps to gather one tensor after
                the other, and what it is given has none (they are on the meta device).
        """
        if self.skeleton is None:
            yield model
            return
        with self._filled(self.skeleton, model, keep):
            yield self.skeleton

    @contextmanager
    def part(self, name: str, network: Any) -> Iterator[Any]:
        """Within, ``network`` with all of its weights: itself, if the model is not sharded.

        Every process enters.

        Args:
            name: of the part of the model that has the form of ``network``.
            network: that part as it was prepared, or pieces of :meth:`frozen`.
        """
        if self.skeleton is None:
            yield network
            return
        skeleton = getattr(self.skeleton, name)
        with self._filled(skeleton, network, keep=True):
            yield skeleton

    def frozen(self, name: str, network: Any, weights: dict[str, torch.Tensor] | None = None) -> Any:
        """A copy of a part that nothing trains, in pieces like those of the part.

        Args:
            name: of the part.
            network: that part as it was prepared.
            weights: what the copy is given, whole and the same in every process; those that ``network`` has
                now if not given.
        """
        if self.skeleton is None:
            made = copy.deepcopy(network).requires_grad_(False)
        else:
            made = copy.deepcopy(getattr(self.skeleton, name))
            _take_over(made, network, _piece)
            for module in made.modules():
                module._buffers = copy.deepcopy(module._buffers)
        if weights is not None:
            put_weights(made, weights)
        return made

    @contextmanager
    def _filled(self, skeleton: nn.Module, own: nn.Module, keep: bool) -> Iterator[None]:
        # One thing at a time: the skeleton of a part is also that of the whole.
        if self.held:
            raise RuntimeError("the skeleton already holds weights")
        self.held += 1
        try:
            _take_over(skeleton, own, whole_tensor if keep else _only_gather)
            yield
        finally:
            self.held -= 1
            _empty(skeleton)


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether models that are prepared will lie in pieces on several processes."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def _only_gather(piece: torch.Tensor) -> torch.Tensor:
    return whole_tensor(piece).to("meta")


def _is_of_zero(parameter: torch.Tensor) -> bool:
    """Whether DeepSpeed keeps it: in pieces by ZeRO-3, or as a view of all weights in a row by ZeRO-2."""
    return hasattr(parameter, "ds_id") or hasattr(parameter, "_hp_mapping")


def _piece(parameter: torch.Tensor) -> torch.Tensor:
    """A copy of this process's piece; of ZeRO's, which make sense to DeepSpeed alone, a whole copy."""
    if _is_of_zero(parameter):
        return whole_tensor(parameter)
    return parameter.detach().clone()


def _without_weights(model: nn.Module) -> Any:
    """A copy of the modules, with buffers, whose parameters take no memory; what is shared stays shared."""
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
        for parameter in model.parameters()
    }
    # Copied by nobody: a tokenizer has megabytes, and nothing changes it.
    if hasattr(model, "vocabulary"):
        memo[id(model.vocabulary)] = model.vocabulary
    return copy.deepcopy(model, memo).eval()


@torch.no_grad()
def _take_over(skeleton: nn.Module, own: nn.Module, make: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Give ``skeleton`` what ``make`` makes of each parameter of ``own``, and its buffers."""
    # One copy of a tensor that several modules share.
    made: dict[int, nn.Parameter] = {}
    for module, other in zip(skeleton.modules(), own.modules(), strict=True):
        for name, parameter in other._parameters.items():
            if parameter is not None:
                if id(parameter) not in made:
                    made[id(parameter)] = nn.Parameter(make(parameter).detach(), requires_grad=False)
                # Recurrent layers keep a second list of their weights, which only this brings up to date.
                setattr(module, name, made[id(parameter)])
        module._buffers.update(other._buffers)


def _empty(skeleton: nn.Module) -> None:
    nothing: dict[int, nn.Parameter] = {}
    for module in skeleton.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                empty = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
                setattr(module, name, nothing.setdefault(id(parameter), empty))
