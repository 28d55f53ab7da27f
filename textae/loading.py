"""The process of a launch that a command runs in, and the model that it loads onto its own accelerator."""

import logging
import os
from typing import Any

logger = logging.getLogger(__name__)


def is_main_process() -> bool:
    """Tell whether this is the process of a launch that writes and prints."""
    return os.environ.get("RANK", "0") == "0"


def load_model(path: str | None, *, any_code: bool = False, of_numbers: bool = False) -> Any:
    """Load a model, the shipped one if none is named, onto the accelerator if there is one.

    Its code is text, or anything with ``any_code``, or anything but text with ``of_numbers``.

    Raises:
        InputError: if there is no such model.
    """
    import torch

    from textae.models.autoencoder import TextAutoencoder
    from textae.models.base import Autoencoder
    from textae.models.code_autoencoder import CodeAutoencoder
    from textae.models.saving import SHIPPED

    if path is None:
        path = SHIPPED
        logger.info(
            "model: %s, shipped with textae for short English news and scientific abstracts, a small one to "
            "start with; --model M takes another",
            path,
        )

    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if device is not None and torch.accelerator.device_count() > 1:  # each process of a launch has its own
        device = torch.device(device.type, int(os.environ.get("LOCAL_RANK", "0")))
    wanted = Autoencoder if any_code else CodeAutoencoder if of_numbers else TextAutoencoder
    return wanted.from_pretrained(path, device=device)
