"""One AdamW over the parts of a model, each with its own learning rate."""

import torch

from textae.config import OptimizerConfig, TrainingConfig
from textae.models.base import Autoencoder
from textae.models.learning import adamw, decay_groups, ramp


def build_optimizer(model: Autoencoder, config: OptimizerConfig) -> torch.optim.AdamW:
    """Two parameter groups for each part: matrices with weight decay, biases and norms without."""
    groups = [
        {**group, "network": name}
        for name, part in model.parts().items()
        for group in decay_groups(part, config.weight_decay)
    ]
    return adamw(groups, config)


def learning_rates(config: TrainingConfig, step: int) -> dict[str, float]:
    """Learning rate of each network at ``step`` of the whole run."""
    warm, adversarial = config.warmup, config.adversarial
    if step < warm.steps:
        factor = ramp(step, warm.steps, min(warm.warmup_steps, max(1, warm.steps // 2)))
        restoring = warm.reconstructor_learning_rate
        return {
            "encoder": warm.learning_rate * factor,
            "reconstructor": (warm.learning_rate if restoring is None else restoring) * factor,
            "discriminator": warm.discriminator_learning_rate * factor,
        }
    factor = ramp(step - warm.steps, adversarial.steps, min(10, adversarial.steps))
    return {
        "encoder": adversarial.learning_rate * factor,
        "reconstructor": adversarial.reconstructor_learning_rate * factor,
        "discriminator": adversarial.discriminator_learning_rate * factor,
    }


def set_learning_rates(optimizer: torch.optim.Optimizer, rates: dict[str, float]) -> None:
    """Give every parameter group the rate of its part of the model."""
    for group in optimizer.param_groups:
        group["lr"] = rates[group["network"]]
