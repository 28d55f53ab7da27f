"""ONNX Runtime: the encoder and one step of the decoder as graphs, copy head and all.

A small network's time goes into starting operations one by one; a graph runs in one call. Every setting of
decoding works as with PyTorch, for the loops are the same.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from textae.data.batches import TokenBatch
from textae.data.tokenizer import Vocabulary
from textae.errors import InputError, reason
from textae.models.constraints import Decoding, Lengths
from textae.models.decoding import Candidate, pad_texts
from textae.models.engines.files import exporting
from textae.models.engines.writer import StepWriter, one_thread
from textae.models.seq2seq import Seq2Seq, Source

READ, STEP = "read.onnx", "step.onnx"
# More than rounding makes of a log-probability.
TOLERANCE = 1e-3


@dataclass
class OnnxSource(Source):
    """An encoded source with what the decoder's layers make of it: keys and values of each.

    ``attended`` are (B, H, S, W / H), and ``started`` (B, H, 1, W / H) what a text begins with.
    """

    attended: list[torch.Tensor]
    started: list[torch.Tensor]

    def select(self, rows: torch.Tensor) -> "OnnxSource":
        """The given rows."""
        chosen = super().select(rows)
        layers = [[tensor[rows] for tensor in tensors] for tensors in (self.attended, self.started)]
        return OnnxSource(**vars(chosen), attended=layers[0], started=layers[1])


class _Read(nn.Module):
    """Ids and mask (B, S) to states, copy keys if there is a copy head, and each layer's keys and values.

    These are of the source, then of the start token, with which every text begins.
    """

    def __init__(self, network: Seq2Seq):
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        network = self.network
        states = network.backbone.encode(ids, mask)
        cache = network.backbone.new_cache()
        start = torch.full_like(ids[:, :1], network.start)
        network.backbone.decode(start, states, mask, cache)
        layers = [*_tensors(cache.cross_attention_cache), *_tensors(cache.self_attention_cache)]
        keys = [] if network.copy_head is None else [network.copy_head.keys(states)]
        return (states, *keys, *layers)


class _Step(nn.Module):
    """One token (N, 1) further: log-probabilities (N, V) of the next, and each layer's keys and values.

    ``copying`` is what a copy head needs besides the mask: ids and copyable (N, S), states and keys
    (N, S, W). It is empty without one, as a graph must use all that it is given.
    """

    def __init__(self, network: Seq2Seq):
        super().__init__()
        self.network = network

    def forward(
        self,
        tokens: torch.Tensor,
        mask: torch.Tensor,
        copying: list[torch.Tensor],
        attended: list[torch.Tensor],
        past: list[torch.Tensor],
    ) -> tuple[torch.Tensor, ...]:
        network = self.network
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer in range(len(past) // 2):
            cache.self_attention_cache.update(past[2 * layer], past[2 * layer + 1], layer)
            cache.cross_attention_cache.update(attended[2 * layer], attended[2 * layer + 1], layer)
            cache.is_updated[layer] = True
        # Of the states only the shape counts where keys and values are known.
        shape = mask[..., None].to(past[0].dtype).expand(-1, -1, network.backbone.width)
        hidden = network.backbone.decode(tokens, shape, mask, cache)[:, -1]
        source = Source(shape, tokens, mask, None, mask)
        if copying:
            ids, copyable, states, keys = copying
            source = Source(states, ids, mask, keys, copyable)
        scores = network.next_log_probabilities(hidden, source)
        return (scores, *_tensors(cache.self_attention_cache))


def _tensors(cache: DynamicCache) -> list[torch.Tensor]:
    return [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]


def export_onnx(network: Seq2Seq, vocabulary: Vocabulary, folder: Path) -> None:
    """Write the graphs of a network beside the weights of the saved model in ``folder``.

    Raises:
        InputError: if a library is missing, or the network cannot be written as a graph or does not give the
            same numbers there.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed: an export for the engine onnx needs it; "
            'install textae with its extra "onnx".'
        ) from error
    texts = [[vocabulary.end + 1 + number for number in range(5)], [vocabulary.end + 1]]
    batch = pad_texts(texts, vocabulary, network.special.device)
    with (
        exporting(folder, "onnx", onnxruntime=onnxruntime.__version__) as target,
        _plain_attention(network),
        torch.no_grad(),
    ):
        read = _Read(network).eval()
        every = _dynamic()
        count = 1 + (network.copy_head is not None)
        try:
            _write(read, (batch.ids, batch.mask), (every, every), target / READ)
            source = network.read(batch)
            copying = _copying(source)
            layers = list(read(batch.ids, batch.mask))[count:]
            attended = layers[: len(layers) // 2]
            # Two tokens stand behind: of a length of one a graph would take for granted that it stays.
            past = [tensor[:, :, :2] for tensor in attended]
            tokens = batch.ids[:, :1]
            shapes = (
                *({0: every[0]}, every, [every] * len(copying)),
                *([_layer("S")] * len(attended), [_layer("P")] * len(past)),
            )
            given = (tokens, source.mask, copying, attended, past)
            _write(_Step(network).eval(), given, shapes, target / STEP)
        except Exception as error:  # the exporter raises whatever it meets
            raise InputError(
                f"{folder}: this network cannot be written as a graph ({reason(error)}); "
                "use the engine torch."
            ) from error
        _check(network, OnnxNetwork(network, target), batch, folder)


def _copying(source: Source) -> list[torch.Tensor]:
    if source.keys is None:
        return []
    return [source.ids, source.copyable, source.states, source.keys]


@contextmanager
def _plain_attention(network: Seq2Seq) -> Iterator[None]:
    """Attention as two matrix products, which a graph fuses with what is around them."""
    inner = network.backbone.network
    before = inner.config._attn_implementation
    inner.set_attn_implementation("eager")
    try:
        yield
    finally:
        inner.set_attn_implementation(before)


def _dynamic() -> dict[int, Any]:
    return {0: torch.export.Dim("N"), 1: torch.export.Dim("S")}


def _layer(length: str) -> dict[int, Any]:
    return {0: torch.export.Dim("N"), 2: torch.export.Dim(length)}


def _write(module: nn.Module, given: tuple[Any, ...], shapes: tuple[Any, ...], path: Path) -> None:
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Names of axes that two inputs share, and what is going to change in its own libraries.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(module, given, dynamo=True, dynamic_shapes=shapes, verbose=False)
        assert program is not None
        program.save(str(path))
    finally:
        logging.getLogger("torch.onnx").setLevel(level)


def _check(network: Seq2Seq, exported: "OnnxNetwork", batch: TokenBatch, folder: Path) -> None:
    """Compare two steps of both."""
    inputs = network.prefix(len(batch.ids), None, batch.ids.device)
    ours, theirs = network.begin(network.read(batch)), exported.begin(exported.read(batch))
    for tokens in (inputs, batch.ids[:, 1:2]):
        difference = ours.next_log_probabilities(tokens) - theirs.next_log_probabilities(tokens)
        if difference.abs().max() > TOLERANCE:
            raise InputError(
                f"{folder}: the graph gives log-probabilities that differ by {difference.abs().max():.3g}; "
                "use the engine torch."
            )


class OnnxNetwork:
    """Stands for a :class:`Seq2Seq` wherever texts are written.

    Args:
        network: whose graphs they are; of its weights nothing is used.
        folder: of the graphs.
    """

    def __init__(self, network: Seq2Seq, folder: Path):
        self.special, self.end, self.pad = network.special, network.end, network.pad
        self.prefix = network.prefix
        self.copies = network.copy_head is not None
        self.reading, self.stepping = _session(folder / READ), _session(folder / STEP)
        self.inputs = [entry.name for entry in self.stepping.get_inputs()]

    def read(self, source: TokenBatch) -> OnnxSource:
        """Encode a batch of sources (B, S)."""
        from textae.models.copying import copyable_tokens

        names = [entry.name for entry in self.reading.get_inputs()]
        given = dict(zip(names, (source.ids.numpy(), source.mask.numpy()), strict=True))
        states, *rest = [torch.from_numpy(array) for array in self.reading.run(None, given)]
        keys = rest.pop(0) if self.copies else None
        copyable = copyable_tokens(source, self.special)
        half = len(rest) // 2
        return OnnxSource(states, source.ids, source.mask, keys, copyable, rest[:half], rest[half:])

    def begin(self, source: OnnxSource) -> "OnnxWriting":
        """Begin a text for each row of a source, token by token."""
        return OnnxWriting(self, source)


class OnnxWriting:
    """Texts on their way, as :class:`textae.models.seq2seq.Writing`."""

    def __init__(self, network: OnnxNetwork, source: OnnxSource):
        self.network, self.source = network, source
        self.past: list[np.ndarray] | None = None
        self._keep_source()

    def _keep_source(self) -> None:
        source = self.source
        tensors = [source.mask, *_copying(source), *source.attended]
        self.arrays = [tensor.contiguous().numpy() for tensor in tensors]

    def next_log_probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        """Take in the tokens (N, T) written since the last call; log-probabilities (N, V) of the next."""
        first = 0
        if self.past is None:
            started = [tensor.numpy() for tensor in self.source.started]
            # The start token has been taken in, unless it is all there is.
            first = int(inputs.shape[1] > 1)
            self.past = started if first else [array[:, :, :0] for array in started]
        for column in range(first, inputs.shape[1]):
            tokens = inputs[:, column : column + 1].contiguous().numpy()
            given = dict(zip(self.network.inputs, [tokens, *self.arrays, *self.past], strict=True))
            scores, *self.past = self.network.stepping.run(None, given)
        return torch.from_numpy(scores)

    def reorder(self, origins: torch.Tensor) -> None:
        """Go on in each row with what the row ``origins`` (N,) has, which is of the same source."""
        order = origins.numpy()
        assert self.past is not None
        self.past = [array[order] for array in self.past]

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone."""
        self.source = self.source.select(rows)
        self._keep_source()
        self.reorder(rows)


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            'onnxruntime is not installed: the engine onnx needs it; install textae with its extra "onnx".'
        ) from error
    options = onnxruntime.SessionOptions()
    # Several batches at once keep the cores busy; several threads for one batch wait for each other.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            os.fspath(path),
            options,
            providers=["CPUExecutionProvider"],
            # Measured to be slower than what it stands for: a sum and a normalisation.
            disabled_optimizers=["SkipLayerNormFusion"],
        )
    except Exception as error:  # its exceptions have no base class of their own
        raise InputError(
            f"{path}: this graph cannot be read ({reason(error)}); export the model again."
        ) from error


class OnnxWriter(StepWriter):
    """Writes by the graphs in a folder."""

    def __init__(self, network: Seq2Seq, vocabulary: Vocabulary, folder: Path):
        super().__init__(OnnxNetwork(network, folder), vocabulary)

    @property
    def workers(self) -> int:
        """One for each thread, as a graph runs in one."""
        return torch.get_num_threads()

    def decode(
        self, source: OnnxSource, words: list[int], decoding: Decoding, lengths: Sequence[Lengths]
    ) -> list[list[int]]:
        """As :class:`StepWriter`; what is left to PyTorch is too small for several threads."""
        with one_thread():
            return super().decode(source, words, decoding, lengths)

    def search(
        self, source: OnnxSource, words: list[int], decoding: Decoding, lengths: Sequence[Lengths]
    ) -> list[list[Candidate]]:
        """As :class:`StepWriter`, likewise."""
        with one_thread():
            return super().search(source, words, decoding, lengths)
