"""What writes summaries: PyTorch, ONNX Runtime or CTranslate2, behind one interface.

An engine other than PyTorch has files of its own, which ``textae export`` puts beside a model's weights, in a
folder that has the engine's name.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textae.errors import InputError
from textae.models.engines.files import checked

if TYPE_CHECKING:
    from textae.models.autoencoder import TextAutoencoder
    from textae.models.engines.writer import Writer

logger = logging.getLogger(__name__)
ENGINES = ("auto", "torch", "onnx", "ctranslate2")


def load_writers(model: "TextAutoencoder", folder: Path | None, engine: str) -> "list[Writer]":
    """What may write for a model, the most wanted first; the last one writes whatever is asked for.

    Args:
        model: whose summaries they write.
        folder: where it was loaded from; None where it was not.
        engine: ``auto`` takes all that were exported and can be loaded, with PyTorch behind them (and it
            alone on a GPU); another one is taken alone.

    Raises:
        InputError: if an engine that is asked for was not exported, its files belong to other weights, or
            its library is missing.
    """
    from textae.models.engines.writer import TorchWriter

    if engine not in ENGINES:
        raise InputError(f'engine "{engine}" is unknown; take one of {", ".join(ENGINES)}.')
    torch_writer = TorchWriter(model.encoder, model.vocabulary)
    if engine == "torch":
        return [torch_writer]
    on_processor = model.device.type == "cpu"
    if engine == "auto":
        found = _exported(model, folder) if folder is not None and on_processor else []
        return [*found, torch_writer]
    if not on_processor:
        raise InputError(f"engine {engine} writes on processors; leave a model on a GPU to torch.")
    if folder is None or not (folder / engine).is_dir():
        raise InputError(
            f"{folder or 'this model'}: nothing is exported for the engine {engine}; "
            f"write it with textae export --engine {engine} first."
        )
    return [_load(model, checked(folder, engine))]


def _exported(model: "TextAutoencoder", folder: Path) -> "list[Writer]":
    """Those that are there and can be loaded; what is wrong with others is said."""
    writers = []
    for name in ("ctranslate2", "onnx"):
        if (folder / name).is_dir():
            try:
                writers.append(_load(model, checked(folder, name)))
            except InputError as error:
                logger.warning("The engine %s is left out: %s", name, error)
    return writers


def _load(model: "TextAutoencoder", folder: Path) -> Any:
    if folder.name == "onnx":
        from textae.models.engines.onnx import OnnxWriter

        return OnnxWriter(model.encoder, model.vocabulary, folder)
    from textae.models.engines.ctranslate2 import CTranslate2Writer

    return CTranslate2Writer(model.encoder, model.vocabulary, folder)


def export_engine(folder: str | Path, engine: str, quantization: str = "float32") -> None:
    """Write what an engine needs into the folder of a saved model.

    Args:
        folder: of the model.
        engine: ``onnx`` or ``ctranslate2``.
        quantization: of CTranslate2's weights, ``float32`` or ``int8``.

    Raises:
        InputError: if a library is missing, or the engine cannot run the model.
    """
    from textae.models.autoencoder import TextAutoencoder

    folder = Path(folder)
    model = TextAutoencoder.from_pretrained(folder)
    if engine == "onnx":
        from textae.models.engines.onnx import export_onnx

        export_onnx(model.encoder, model.vocabulary, folder)
    else:
        from textae.models.engines.ctranslate2 import export_ctranslate2

        export_ctranslate2(model.encoder, model.vocabulary, folder, quantization)
