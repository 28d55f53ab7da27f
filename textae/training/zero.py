"""DeepSpeed's ZeRO-2 and ZeRO-3: gradients and moments in pieces, and with ZeRO-3 weights, too.

Accelerate's ``backward`` would take DeepSpeed's step at once. Here the engine's backward and step are called
apart, so that networks are clipped one by one in between and a step may be skipped, as without DeepSpeed.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import nn
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from textae.errors import InputError
from textae.training.sharding import zero3_piece
from textae.training.stepping import Stepping

MOMENTS = ("exp_avg", "exp_avg_sq")


def set_up_zero(accelerator: Accelerator) -> None:
    """Complete DeepSpeed's configuration by what the loop does itself; before anything is prepared.

    Raises:
        InputError: for what does not go with this loop: other stages, offloading, float16, and an optimizer
            or scheduler of DeepSpeed's own.
    """
    if accelerator.distributed_type != DistributedType.DEEPSPEED:
        return
    plugin = accelerator.state.deepspeed_plugin
    config = plugin.deepspeed_config
    offloads = {plugin.offload_optimizer_device, plugin.offload_param_device} - {None, "none"}
    for wrong, setting in (
        (plugin.zero_stage not in (2, 3), "zero_stage: 2 or 3"),
        (bool(offloads), "offload_optimizer_device and offload_param_device: none"),
        (config.get("fp16", {}).get("enabled") is True, "mixed_precision: bf16 or no"),
        ("optimizer" in config or "scheduler" in config, "no optimizer and no scheduler of DeepSpeed's"),
    ):
        if wrong:
            raise InputError(
                f"textae trains with DeepSpeed only where its configuration has {setting}, as in "
                "configs/accelerate/several_gpus_deepspeed_zero3.yaml."
            )
    # Networks are made and loaded whole, by single processes, too: Transformers shall cut none.
    unset_hf_deepspeed_config()
    # A batch is the loop's own matter: DeepSpeed, which wants to know, is told one row.
    config["train_micro_batch_size_per_gpu"] = 1
    config["gradient_accumulation_steps"] = 1
    config["gradient_clipping"] = 0.0
    if config.get("bf16", {}).get("enabled") is True:
        # Weights in float32 and products in bfloat16, as Accelerate has it in all other modes; what DeepSpeed
        # calls bf16 would round the weights themselves. No module sends its gradients in bfloat16.
        config["bf16"] = {"enabled": False}
        config["torch_autocast"] = {
            "enabled": True,
            "dtype": "bfloat16",
            "lower_precision_safe_modules": [],
        }


class ZeroStepping(Stepping):
    """Backward, clip and step of DeepSpeed's engine.

    Args:
        accelerator: of the run.
        engine: the model as it was prepared.
        optimizer: as it was prepared, of groups that say their ``network``.
        parameters: in the order of the optimizer's groups before they were prepared.
    """

    # DeepSpeed has added up pieces of the gradients by then.
    repeats = False

    def __init__(self, accelerator: Accelerator, engine: Any, optimizer: Any, parameters: list[nn.Parameter]):
        super().__init__(accelerator, optimizer)
        self.engine, self.parameters = engine, parameters
        self.zero = optimizer.optimizer
        # This process's pieces, one for each of DeepSpeed's groups, and the optimizer's group of each.
        if accelerator.state.deepspeed_plugin.zero_stage == 3:
            self.flat = self.zero.fp32_partitioned_groups_flat
            self.group_of = self.zero.sub_group_to_group_id
        else:
            self.flat = self.zero.single_partition_of_fp32_groups
            self.group_of = {index: index for index in range(len(self.flat))}
        # AdamW would make them in its first step, after DeepSpeed has looked for them.
        for piece in self.flat:
            count = torch.zeros((), dtype=torch.float32, device=piece.device)
            self.zero.optimizer.state[piece] = {
                "step": count,
                **{name: torch.zeros_like(piece, requires_grad=False) for name in MOMENTS},
            }
        if accelerator.state.deepspeed_plugin.zero_stage == 2:
            self.zero._lazy_init_hp_params_optimizer_state()
        self.engine.set_gradient_accumulation_boundary(True)

    def backward(self, loss: torch.Tensor) -> None:
        """Gradients of this loss alone, averaged over processes, of which each keeps its pieces."""
        self.engine.backward(loss)

    def _pieces(self, network: str) -> Iterator[torch.Tensor]:
        groups = self.zero.param_groups
        for index, pieces in self.zero.averaged_gradients.items():
            if groups[self.group_of[index]]["network"] == network:
                yield from pieces

    def clip(self, network: str, parameters: Iterable[nn.Parameter], limit: float) -> float:
        """Norm of the gradients of one network before they are cut to ``limit``."""
        squares = [piece.float().square().sum() for piece in self._pieces(network)]
        own = torch.stack(squares).sum() if squares else torch.zeros((), device=self.accelerator.device)
        norm = float(self.accelerator.reduce(own, "sum").sqrt())
        # Where it is no number nothing is scaled: DeepSpeed fills the ends of pieces up with zeros, once.
        if limit < norm < float("inf"):
            for piece in self._pieces(network):
                piece.mul_(limit / (norm + 1e-6))
        return norm

    def step(self) -> None:
        """Learn from the gradients."""
        self.engine.step()

    def skip(self) -> None:
        """Learn nothing from them: DeepSpeed itself drops gradients that are not finite."""
        if self.accelerator.is_main_process:
            # Its first piece is never one of those that are only filled up.
            next(iter(self.zero.averaged_gradients.values()))[0].view(-1)[0] = float("nan")
        self.engine.step()

    def moments(self, keep: bool) -> dict[int, dict[str, Any]]:
        """The optimizer's state by the number of a parameter, whole, on the CPU; every process calls it."""
        from deepspeed.utils import safe_get_full_optimizer_state

        count = self.zero.optimizer.state[self.flat[0]]["step"].cpu()
        if not count:
            return {}
        found: dict[int, dict[str, Any]] = {}
        for index, parameter in enumerate(self.parameters):
            for name in MOMENTS:
                whole = safe_get_full_optimizer_state(parameter, name)
                if keep:
                    found.setdefault(index, {"step": count.clone()})[name] = whole.cpu()
        return found

    def put_moments(self, moments: Iterable[tuple[int, str, Any]]) -> None:
        """Take over what was saved of :meth:`moments`, in this mode or another.

        Raises:
            ValueError: if it does not fit the weights.
        """
        from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

        self.forget()
        found: dict[int, dict[str, Any]] = {}
        for index, name, value in moments:
            found.setdefault(index, {})[name] = value
        if not found:
            return
        if found.keys() != set(range(len(self.parameters))):
            raise ValueError("the optimizer's state is of other weights than there are")
        for index, parameter in enumerate(self.parameters):
            for name in MOMENTS:
                value = found[index][name]
                if value.shape != getattr(parameter, "ds_shape", parameter.shape):
                    raise ValueError("the optimizer's state does not fit the weights")
                if hasattr(parameter, "ds_id"):
                    safe_set_local_optimizer_state(parameter, zero3_piece(value, parameter), name)
                else:
                    safe_set_full_optimizer_state(parameter, value.to(parameter.device), name)
        for piece in self.flat:
            self.zero.optimizer.state[piece]["step"].fill_(float(found[0]["step"]))

    def forget(self) -> None:
        """The optimizer begins anew, with no moments; DeepSpeed looks for them where they are now."""
        for values in self.zero.optimizer.state.values():
            for value in values.values():
                value.zero_()
