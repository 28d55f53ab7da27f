"""What can stand in the middle instead of text: a file for each kind, behind the interface of ``code.py``."""

from importlib import import_module

from textae.model_config import CodeConfig
from textae.models.codes.code import Code


def build_code(config: CodeConfig, width: int, vocabulary_size: int, sources: int) -> Code:
    """The code of ``config.kind``, whose file has that name.

    Args:
        config: settings of the code.
        width: of the network's states, W.
        vocabulary_size: number of tokens, V.
        sources: number of sources that documents come from.

    Raises:
        InputError: if a setting does not suit the kind.
    """
    module = import_module(f"{__name__}.{config.kind}")
    code: Code = module.CODE(config, width, vocabulary_size, sources)
    return code
