"""The folder of a saved TextAutoencoder: where it is, what its configuration says."""

import json
from pathlib import Path
from typing import Any

from textae.config import (
    AutoencoderConfig,
    DecodingConfig,
    DiscriminatorConfig,
    LengthConfig,
    NetworkConfig,
    NormalizationConfig,
)
from textae.errors import InputError
from textae.models.backbone import network_from_dict

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def model_folder(name: str | Path) -> Path:
    """Folder of a saved model; a Hub name is downloaded, without anything that could run.

    Raises:
        InputError: if there is neither such a folder nor such a Hub name, or it holds no model.
    """
    folder = Path(name)
    if not folder.exists():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError

        try:
            patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
            folder = Path(snapshot_download(str(name), allow_patterns=patterns))
        except (OSError, HFValidationError, ValueError) as error:
            raise InputError(f"{name}: there is no such folder, and no such model on the Hub.") from error
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise InputError(f"{name}: this is no trained model, {file} is missing; name a saved folder.")
    return folder


def read_configuration(folder: Path) -> tuple[AutoencoderConfig, tuple[Any, Any]]:
    """Configuration of the model in ``folder``, and its two networks, untrained.

    Raises:
        InputError: if the file is damaged or belongs to something else.
    """
    try:
        saved = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        values = saved["textae"]
        config = AutoencoderConfig(
            **{
                **values,
                "encoder": NetworkConfig(**values["encoder"]),
                "reconstructor": NetworkConfig(**values["reconstructor"]),
                "discriminator": DiscriminatorConfig(**values["discriminator"]),
                "length": LengthConfig(**values["length"]),
                "decoding": DecodingConfig(**values["decoding"]),
                "normalization": NormalizationConfig(**values["normalization"]),
            }
        )
        networks = saved["networks"]
        return config, (network_from_dict(networks["encoder"]), network_from_dict(networks["reconstructor"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG}: this is no configuration of textae ({error}).") from error
