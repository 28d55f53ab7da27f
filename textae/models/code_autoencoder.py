"""CodeAutoencoder: one network with numbers in its middle."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from textae.data.batches import TokenBatch
from textae.data.tokenizer import Vocabulary
from textae.errors import InputError
from textae.model_config import AutoencoderConfig
from textae.models.backbone import Backbone, build_network, check_positions, positions_for
from textae.models.base import Autoencoder, evaluating
from textae.models.chunks import in_chunks
from textae.models.code_card import code_card
from textae.models.codes import build_code
from textae.models.codes.code import Circumstances, Coded
from textae.models.constraints import Decoding
from textae.models.decoding import decode, pad_texts
from textae.models.generation import DOCUMENT_LENGTH_PENALTY, check
from textae.models.seq2seq import Seq2Seq, Source


@dataclass
class CodeInputs:
    """One batch of B documents.

    Attributes:
        source: (B, S) documents, or noisy forms of them, with the special tokens around.
        target: (B, T) the documents with the end token.
        inputs: (B, T) decoder inputs, some words masked.
        around: what the code needs to know besides.
        rows_at_once: so many rows go through the network at a time; None for all.
    """

    source: TokenBatch
    target: TokenBatch
    inputs: torch.Tensor
    around: Circumstances
    rows_at_once: int | None = None


@dataclass
class CodeOutputs:
    """What comes of a batch.

    Attributes:
        log_probabilities: (B, T) of the target's tokens, 0 on padding.
        bag: (B,) mean log-probability of a document's tokens in no order, or None.
        coded: the codes with their own losses.
    """

    log_probabilities: torch.Tensor
    bag: torch.Tensor | None
    coded: Coded


class CodeAutoencoder(Autoencoder):
    """Document, code, document: the encoder's states become the code, the decoder attends to it alone.

    Args:
        config: ``config.encoder`` has the sizes of the whole network, encoder and decoder.
        vocabulary: of its tokens.
        networks: the Hugging Face network under the name ``network``; built anew if not given.
    """

    purpose = "a code of numbers"

    def __init__(
        self, config: AutoencoderConfig, vocabulary: Vocabulary, networks: dict[str, Any] | None = None
    ):
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        positions = positions_for(config.max_document_tokens)
        network = (networks or {}).get("network") or build_network(config.encoder, vocabulary, positions)
        backbone = Backbone(network)
        check_positions(backbone, config.max_document_tokens)
        # There is no text to copy from.
        self.network = Seq2Seq(backbone, replace(config.encoder, copy_head=False), vocabulary)
        self.code = build_code(config.code, backbone.width, len(vocabulary), len(config.sources))

    def networks(self) -> dict[str, Any]:
        """The one Hugging Face network."""
        return {"network": self.network.backbone.network}

    def parts(self) -> dict[str, nn.Module]:
        """Network and code."""
        return {"network": self.network, "code": self.code}

    def try_out(self) -> None:
        """Restore a document from its code."""
        self.reconstruction_loss(["a"])

    def card(self, results: str) -> str:
        """Markdown of the model card."""
        return code_card(self.config, sum(p.numel() for p in self.parameters()), results)

    def forward(self, inputs: CodeInputs) -> CodeOutputs:
        """Encode and restore a batch, as in training."""
        source, target, network = inputs.source, inputs.target, self.network
        (states,) = in_chunks(
            len(source.ids),
            inputs.rows_at_once,
            lambda rows: (network.backbone.encode(source.ids[rows], source.mask[rows]),),
        )
        assert states is not None
        coded = self.code.learn(states, source.mask, inputs.around)
        (restored,) = in_chunks(
            len(source.ids),
            inputs.rows_at_once,
            lambda rows: (
                network.log_probabilities(
                    self.memory(coded.values[rows]), target.select(rows), inputs=inputs.inputs[rows]
                ),
            ),
        )
        assert restored is not None
        bag = None
        if self.code.bag is not None:
            kept = inputs.target.mask & (inputs.target.ids != self.vocabulary.end)
            words = self.code.bag(coded.values.flatten(1)).float().log_softmax(dim=-1)
            bag = (words.gather(1, inputs.target.ids) * kept).sum(1) / kept.sum(1).clamp_min(1)
        return CodeOutputs(restored, bag, coded)

    def memory(self, values: torch.Tensor) -> Source:
        """What the decoder attends to, made of codes (B, M, D): no tokens are in it, only states."""
        states = self.code.decode(values)
        ids = torch.full(states.shape[:2], self.vocabulary.pad, device=states.device)
        return Source(states, ids, torch.ones_like(ids, dtype=torch.bool), None, torch.zeros_like(ids).bool())

    # What people do with a model -----------------------------------------------------------------

    @torch.no_grad()
    def encode(self, documents: list[str], *, batch_size: int = 64) -> torch.Tensor:
        """The codes (N, M, D) of documents in float32, order kept; of an empty one they are zeros."""
        shape = (self.config.code.vectors, self.config.code.width)
        rows = self.read_documents(documents)
        codes = self._by_length(
            rows,
            batch_size,
            lambda chosen: list(self._encode(rows, chosen).float().cpu()),
            torch.zeros(shape),
        )
        return torch.stack(codes) if codes else torch.zeros(0, *shape)

    def _encode(self, rows: list[list[int]], chosen: list[int]) -> torch.Tensor:
        return self.code.encode(*self._states(rows, chosen))

    def _states(self, rows: list[list[int]], chosen: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        source = pad_texts([rows[i] for i in chosen], self.vocabulary, self.device)
        return self.network.backbone.encode(source.ids, source.mask), source.mask

    @torch.no_grad()
    def fit_code(self, documents: list[str], sources: list[int], *, batch_size: int = 64) -> None:
        """Let the code measure what the network as it is makes of training documents of known sources."""
        rows = self.read_documents(documents)

        def pool(chosen: list[int]) -> list[torch.Tensor | None]:
            return list(self.code.pool(*self._states(rows, chosen)).float())

        found = self._by_length(rows, batch_size, pool, None)
        known = [
            (values, source) for values, source in zip(found, sources, strict=True) if values is not None
        ]
        if known:
            values, numbers = zip(*known, strict=True)
            self.code.fit(torch.stack(values), torch.tensor(numbers, device=self.device))

    def embed(self, documents: list[str], *, batch_size: int = 64) -> torch.Tensor:
        """The codes of documents, their vectors one after the other: (N, M * D) in float32, order kept."""
        return self.encode(documents, batch_size=batch_size).flatten(1)

    @torch.no_grad()
    def decode(self, codes: torch.Tensor, *, batch_size: int = 64, num_beams: int = 4) -> list[str]:
        """Write a document for each of the codes (N, M, D), order kept.

        No word follows itself, and no three tokens come twice.

        Raises:
            InputError: if a size makes no sense.
        """
        check(num_beams >= 1, "num_beams", num_beams, "at least 1")
        check(batch_size >= 1, "batch_size", batch_size, "at least 1")
        how = Decoding(
            max_tokens=self.config.max_document_tokens,
            num_beams=num_beams,
            length_penalty=DOCUMENT_LENGTH_PENALTY,
            # A weak network only stutters otherwise.
            no_repeat_ngram_size=3,
            no_stutter=True,
        )
        written: list[str] = []
        with evaluating(self):
            for begin in range(0, len(codes), batch_size):
                source = self.memory(codes[begin : begin + batch_size].to(self.device))
                written += self.vocabulary.decode(decode(self.network, source, None, self.vocabulary, how))
        return written

    def reconstruct(self, documents: list[str], *, batch_size: int = 64, num_beams: int = 4) -> list[str]:
        """Write what is left of each document after its way through the code; of an empty one nothing.

        Raises:
            InputError: if a size makes no sense.
        """
        codes = self.encode(documents, batch_size=batch_size)
        return self._fill(documents, codes, batch_size, num_beams)

    def _fill(self, documents: list[str], codes: torch.Tensor, batch_size: int, num_beams: int) -> list[str]:
        """A text for each of ``codes``, and an empty one where the document has no tokens."""
        filled = [i for i, row in enumerate(self.prepare(documents)) if row]
        results = [""] * len(documents)
        written = self.decode(codes[filled], batch_size=batch_size, num_beams=num_beams)
        for i, text in zip(filled, written, strict=True):
            results[i] = text
        return results

    @torch.no_grad()
    def indices(self, documents: list[str], *, batch_size: int = 64) -> torch.Tensor:
        """Numbers (N, M) of documents' discrete codes, order kept; -1 for those of an empty one.

        Raises:
            InputError: if the model's code is not discrete.
        """
        rows = self.read_documents(documents)
        none = torch.full((self.config.code.vectors,), -1)

        def write(chosen: list[int]) -> list[torch.Tensor]:
            found = self.code.indices(*self._states(rows, chosen))
            if found is None:
                raise InputError(f"A {self.config.code.kind} code is not discrete: there is no codebook.")
            return list(found.cpu())

        numbers = self._by_length(rows, batch_size, write, none)
        return torch.stack(numbers) if numbers else torch.zeros(0, len(none), dtype=torch.long)

    @torch.no_grad()
    def generate(self, n: int, *, seed: int = 0, num_beams: int = 4) -> list[str]:
        """Write ``n`` documents that nobody wrote, from codes drawn from the prior.

        Raises:
            InputError: if the model's code has no prior, or a size makes no sense.
        """
        check(n >= 1, "n", n, "at least 1")
        shape = (n, self.config.code.vectors, self.config.code.width)
        values = self.code.draw(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))
        if values is None:
            raise InputError(f"A {self.config.code.kind} code has no prior to draw documents from.")
        return self.decode(values, num_beams=num_beams)

    def between(self, first: str, last: str, n: int, *, num_beams: int = 4) -> list[str]:
        """Walk from one document to another in ``n`` equal steps of the code, both ends restored too.

        Raises:
            InputError: if a document is empty, or ``n`` is below 2.
        """
        check(n >= 2, "n", n, "at least 2")
        for text in (first, last):
            check(any(self.prepare([text])), "a document to walk between", repr(text), "a text with words")
        begin, end = self.encode([first, last])
        steps = torch.linspace(0, 1, n)[:, None, None]
        return self.decode(begin + steps * (end - begin), num_beams=num_beams)

    @torch.no_grad()
    def restyle(
        self, documents: list[str], style_of: list[str], *, batch_size: int = 64, num_beams: int = 4
    ) -> list[str]:
        """Write documents anew in the style of others, order kept; an empty one stays empty.

        Raises:
            InputError: if the model's code has no style, or a size makes no sense.
        """
        models = self.encode([text for text in style_of if text.strip()], batch_size=batch_size)
        check(len(models) > 0, "style_of", "empty", "some documents")
        values = self.code.restyle(self.encode(documents, batch_size=batch_size), models)
        if values is None:
            raise InputError(f"A {self.config.code.kind} code does not tell style from content.")
        return self._fill(documents, values, batch_size, num_beams)

    @torch.no_grad()
    def reconstruction_loss(self, documents: list[str], *, batch_size: int = 64) -> list[float]:
        """Nats per token of each document when it is restored from its code; 0 for an empty one."""
        rows = self.read_documents(documents)

        def judge(chosen: list[int]) -> list[float]:
            source = self.memory(self._encode(rows, chosen))
            target = self.sentences([rows[i] for i in chosen])
            losses = -self.network.log_probabilities(source, target).sum(1) / target.mask.sum(1)
            return losses.tolist()

        return self._by_length(rows, batch_size, judge, 0.0)
