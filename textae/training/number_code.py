"""A run whose code is numbers: one phase, in which a network restores documents from their codes."""

from typing import TYPE_CHECKING, Any

import datasets
import torch
from accelerate.utils import broadcast

from textae.config import TrainingConfig
from textae.data.batches import POOL_BATCHES, BatchStream, Example, pad_rows
from textae.models.code_autoencoder import CodeAutoencoder, CodeInputs, CodeOutputs
from textae.models.codes.code import Circumstances
from textae.models.learning import hide_tokens, ramp
from textae.training.loop import Training
from textae.training.metrics import logger
from textae.training.noisy_documents import noisy_documents

if TYPE_CHECKING:
    from pathlib import Path


class DocumentStream:
    """Documents, batch by batch, in the one order of a run."""

    def __init__(self, open_stream: Any):
        self._open = open_stream
        self.phase: str | None = None

    def open(self, phase: str) -> None:
        """Open the documents at their start."""
        self.phase, self.documents = phase, self._open()

    def state_dict(self) -> dict[str, Any]:
        """Position of the next document."""
        return {"documents": self.documents.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.documents.load_state_dict(state["documents"])


class NumberTraining(Training):
    """One network with a code in its middle: cross-entropy of the documents, and the code's own losses."""

    model: CodeAutoencoder
    streams: DocumentStream

    @staticmethod
    def steps(config: TrainingConfig) -> int:
        """Those of the warm-up: there is no other phase."""
        return config.warmup.steps

    def read_data(self) -> None:
        """Open the documents, those of ``data.valid`` too, of which no summaries are needed."""
        data = self.config.data
        self.document_texts = self.read(data.documents, data.document_columns, "documents")
        self.valid_texts: list[str] = []
        if data.valid:
            texts = [row["text"] for row in self.read(data.valid, data.document_columns, "documents")]
            self.valid_texts = self.some(texts)

    def training_texts(self) -> list[str]:
        """Documents."""
        return self.taken(self.document_texts)

    def build_model(self, checkpoint: "Path | None") -> CodeAutoencoder:
        """The network with its code."""
        return CodeAutoencoder(self.model_config(), self.vocabulary)

    def build_rest(self) -> None:
        """The stream of documents."""
        config = self.config
        pool = 1 if self.model.code.wants_mixed_batches else POOL_BATCHES

        def open_stream() -> BatchStream:
            return BatchStream(
                self.document_texts,
                self.vocabulary,
                batch_size=config.warmup.documents_per_batch,
                tokens_per_batch=config.warmup.tokens_per_batch,
                max_tokens=config.data.max_document_tokens,
                seed=2 * config.run.seed,
                pool_batches=pool,
            )

        self.streams = DocumentStream(open_stream)

    def make(self, step: int, rows: range, documents: list[Example], device: torch.device) -> CodeInputs:
        """Inputs for one process's ``rows`` of the global batch of ``step``, however many share it."""
        config, vocabulary = self.config, self.vocabulary
        sources = noisy_documents(config, vocabulary, step, rows, documents)
        target = pad_rows([[*documents[row].ids, vocabulary.end] for row in rows], vocabulary.pad, device)
        randoms = torch.Generator().manual_seed(config.run.seed * 1_000_003 + step)
        shape = (len(documents), config.code.vectors, config.code.width)
        normal = torch.randn(shape, generator=randoms)[rows.start : rows.stop].to(device)
        dropped = torch.rand(len(documents), config.data.max_document_tokens + 1, generator=randoms)
        dropped = dropped[rows.start : rows.stop, : target.ids.shape[1]].to(device)
        return CodeInputs(
            source=pad_rows(sources, vocabulary.pad, device),
            target=target,
            inputs=hide_tokens(target, dropped, config.noise.reconstructor_word_dropout, vocabulary.mask),
            around=Circumstances(
                progress=step,
                normal=normal,
                sources=torch.tensor([documents[row].source for row in rows], device=device),
            ),
        )

    def next_batch(self) -> tuple[CodeInputs, int]:
        """Documents, with all random numbers that are needed."""
        documents = next(self.streams.documents)
        rows = self.own_rows(len(documents))
        return self.make(self.step, rows, documents, self.accelerator.device), len(rows)

    def losses(
        self, batch: CodeInputs, rows_at_once: int | None
    ) -> tuple[str, torch.Tensor, dict[str, float], list[str]]:
        """Cross-entropy of the tokens, of the words in no order, and the code's own losses."""
        inputs = batch
        inputs.rows_at_once = rows_at_once
        self.outputs: CodeOutputs = self.module(inputs)
        outputs, reduce = self.outputs, self.reduce
        count = torch.tensor(float(len(inputs.target.ids)), device=self.accelerator.device)
        tokens = inputs.target.mask.sum()
        parts = {"reconstructor": reduce.mean(-outputs.log_probabilities.sum(), tokens)}
        if outputs.bag is not None:
            parts["bag"] = reduce.mean(-self.config.code.bag_weight * outputs.bag.sum(), count)
        # What is counted in nats of a document weighs against the nats of its tokens, as in a bound on
        # its log-probability.
        parts |= {name: reduce.mean(nats.sum(), tokens) for name, nats in outputs.coded.nats.items()}
        parts |= {name: reduce.mean(loss.sum(), count) for name, loss in outputs.coded.losses.items()}
        metrics = {f"loss/{name}": reduce.value(part) for name, part in parts.items()}
        for name, values in outputs.coded.measures.items():
            metrics[f"code/{name}"] = reduce.value(reduce.mean(values.sum(), count))
        return "code", torch.stack(list(parts.values())).sum(), metrics, []

    def learned(self) -> dict[str, float]:
        """What the code learns without gradients."""
        return self.model.code.after_step(self.outputs.coded, self.reduce)

    def learning_rates(self) -> dict[str, float]:
        """Of network and code: one rate, that of the warm-up."""
        warm = self.config.warmup
        rate = warm.learning_rate * ramp(
            self.step, warm.steps, min(warm.warmup_steps, max(1, warm.steps // 2))
        )
        return dict.fromkeys(self.model.parts(), rate)

    def show(self, model: CodeAutoencoder) -> None:
        """Put a few documents and their reconstructions in the log."""
        count = self.config.run.sample_documents
        texts = self.valid_texts[:count] or [row["text"] for row in self.document_texts.take(count)]
        for text, restored in zip(texts, model.reconstruct(texts), strict=True):
            logger.info("step %d\n  document:       %s\n  reconstruction: %s", self.step, text, restored)

    def _fit_code(self, model: CodeAutoencoder) -> None:
        wanted = model.code.fitted_documents
        if not wanted:
            return
        if self.is_main:  # in others a sharded model has no weights now
            texts = self.document_texts
            if isinstance(texts, datasets.Dataset):
                # Evenly from all of it: sources lie one after the other.
                texts = texts.select(range(0, len(texts), max(1, -(-len(texts) // wanted))))
            rows = list(texts.take(wanted))
            model.fit_code([row["text"] for row in rows], [row["source"] for row in rows])
        for buffer in self.model.code.buffers():
            buffer.copy_(broadcast(buffer))

    def scores(self, model: CodeAutoencoder) -> dict[str, float] | None:
        """Nats per token of valid documents; the best model has the least."""
        self._fit_code(model)
        if not self.valid_texts:
            return None
        if not self.is_main:
            return {}
        losses = model.reconstruction_loss(self.valid_texts)
        loss = sum(losses) / len(losses)
        return {"loss": loss, "score": -loss}
