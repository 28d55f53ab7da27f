"""textae: summarise text with an autoencoder whose code is text.

The public names are loaded when they are first used, so that ``import textae`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textae.config import TrainingConfig
    from textae.errors import InputError
    from textae.evaluation.rouge import Rouge
    from textae.models.autoencoder import TextAutoencoder
    from textae.models.base import Autoencoder
    from textae.models.code_autoencoder import CodeAutoencoder
    from textae.settings import load_config

__version__ = "0.1.0"

__all__ = [
    "Autoencoder",
    "CodeAutoencoder",
    "InputError",
    "Rouge",
    "TextAutoencoder",
    "TrainingConfig",
    "__version__",
    "load_config",
]

_MODULES = {
    "Autoencoder": "textae.models.base",
    "CodeAutoencoder": "textae.models.code_autoencoder",
    "InputError": "textae.errors",
    "Rouge": "textae.evaluation.rouge",
    "TextAutoencoder": "textae.models.autoencoder",
    "TrainingConfig": "textae.config",
    "load_config": "textae.settings",
}


def __getattr__(name: str) -> Any:
    """Import the module that owns a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'textae' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
