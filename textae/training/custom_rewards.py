"""Rewards of the user's own: named by import path in the recipe, and nowhere else.

No checkpoint and no saved model names any, so that loading one runs nobody's code.
"""

import importlib
from operator import attrgetter

import torch

from textae.config import CustomRewardConfig
from textae.errors import InputError
from textae.training.rewards import Reward, Rollout


def load_custom_rewards(configs: dict[str, CustomRewardConfig]) -> dict[str, Reward]:
    """Import the functions of ``adversarial.custom_rewards``; what they return is checked at each call.

    A function takes the :class:`~textae.training.rewards.Rollout` and returns a tensor with a finite
    number for each summary, (N,), or each token, (N, T); what it says of padding does not matter.
    An error inside it is its own, and passes through with its traceback.

    Raises:
        InputError: if a module cannot be imported, or has no such callable; at a call, if the result
            has the wrong kind, shape or numbers.
    """
    return {name: _checked(name, _load(name, config.function)) for name, config in configs.items()}


def _load(name: str, path: str) -> Reward:
    where = f"adversarial.custom_rewards.{name}.function = {path}"
    module_name, _, function_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the module itself raises
        reason = (str(error).strip().splitlines() or [""])[0].rstrip(".")
        raise InputError(
            f"{where}: the module cannot be imported ({type(error).__name__}: {reason}); "
            "install it, or name its folder in PYTHONPATH"
        ) from error
    try:
        function = attrgetter(function_name)(module)
    except AttributeError:
        raise InputError(f'{where}: {module_name} has no "{function_name}"; check the name') from None
    if not callable(function):
        raise InputError(f"{where}: this is no function but {_kind(function)}; name a callable")
    return function


def _checked(name: str, function: Reward) -> Reward:
    where = f"adversarial.custom_rewards.{name}"

    def reward(rollout: Rollout) -> torch.Tensor:
        result = function(rollout)
        mask = rollout.summaries.mask
        rows, length = mask.shape
        if not isinstance(result, torch.Tensor):
            raise InputError(f"{where} returned {_kind(result)}; it must return a tensor")
        if result.shape not in ((rows,), (rows, length)):
            raise InputError(
                f"{where} returned a tensor of shape {tuple(result.shape)}; it must be ({rows},), one number "
                f"for each summary, or ({rows}, {length}), one for each token"
            )
        result = result.detach().to(mask.device, torch.float32)
        if result.dim() == 2:
            result = result.masked_fill(~mask, 0.0)
        if not result.isfinite().all():
            raise InputError(f"{where} returned numbers that are not finite; mend the function")
        return result

    return reward


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
