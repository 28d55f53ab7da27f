"""One AdamW over the three networks, each with its own learning rate."""

import torch

from textae.config import OptimizerConfig, TrainingConfig
from textae.models.autoencoder import TextAutoencoder

NETWORKS = ("encoder", "reconstructor", "discriminator")


def build_optimizer(model: TextAutoencoder, config: OptimizerConfig) -> torch.optim.AdamW:
    """Two parameter groups a network: matrices with weight decay, biases and norms without."""
    groups = []
    for name in NETWORKS:
        parameters = [p for p in getattr(model, name).parameters() if p.requires_grad]
        for decays in (True, False):
            chosen = [p for p in parameters if (p.dim() >= 2) == decays]
            decay = config.weight_decay if decays else 0.0
            groups.append({"params": chosen, "weight_decay": decay, "network": name, "lr": 0.0})
    betas = (config.adam_beta1, config.adam_beta2)
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=True)


def ramp(step: int, steps: int, rise: int) -> float:
    """Factor on a learning rate: rises linearly over ``rise`` steps, then falls linearly to a fifth."""
    if step < rise:
        return (step + 1) / rise
    return 1.0 - 0.8 * (step - rise) / max(1, steps - rise)


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
    """Give every parameter group the rate of its network."""
    for group in optimizer.param_groups:
        group["lr"] = rates[group["network"]]
