"""A run whose code is text: warm-up, then the adversarial phase."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from textae.config import TrainingConfig
from textae.data.corpus import Pair, read_pairs
from textae.manifest import require_whole
from textae.models.autoencoder import TextAutoencoder
from textae.models.encoder import Encoder
from textae.models.inputs import AutoencoderInputs
from textae.training.checkpoint import START_AGAIN, load_kept
from textae.training.collapse import CollapseSigns
from textae.training.denoising import NoisySentences
from textae.training.estimator import Estimator
from textae.training.estimators import ESTIMATORS
from textae.training.interpolation import interpolated
from textae.training.lengths import UNLEARNED, unlearned_lengths
from textae.training.loop import Training
from textae.training.metrics import logger
from textae.training.optimizer import learning_rates
from textae.training.reward_models import RewardModels
from textae.training.rollback import Rollback
from textae.training.streams import TextStreams
from textae.training.supervision import pair_inputs
from textae.training.topic import topic_embeddings
from textae.training.warmup import WarmupBatches, WordWeights, token_weights, warmup_losses


class TextTraining(Training):
    """Encoder, reconstructor and discriminator: what they learn before they meet, and from each other."""

    model: TextAutoencoder
    streams: TextStreams

    @staticmethod
    def steps(config: TrainingConfig) -> int:
        """Those of both phases."""
        return config.warmup.steps + config.adversarial.steps

    def load_helpers(self) -> None:
        """Load what rewards need."""
        self.reward_models = RewardModels.load(self.config.adversarial, self.accelerator.device)

    def read_data(self) -> None:
        """Open documents, human sentences and pairs."""
        data = self.config.data
        self.document_texts = self.read(data.documents, data.document_columns, "documents")
        self.human_texts = self.read(data.human, data.human_columns, "human")
        columns = (data.document_columns, data.summary_columns, data.normalization)
        self.training_pairs = read_pairs(data.pairs, *columns) if data.pairs else []
        self.pairs: list[Pair] = self.some(read_pairs(data.valid, *columns)) if data.valid else []

    def training_texts(self) -> list[str]:
        """Documents and human sentences."""
        return [*self.taken(self.document_texts), *self.taken(self.human_texts)]

    def build_model(self, checkpoint: Path | None) -> TextAutoencoder:
        """The three networks, and what the rewards learn of the corpus."""
        config = self.config
        self.documents = documents = self.taken(self.document_texts)
        self.weights = WordWeights.from_texts(documents)
        self.token_weights = torch.ones(len(self.vocabulary))
        if config.adversarial.weigh_content:
            self.token_weights = token_weights(self.vocabulary, documents)
        if config.adversarial.rewards.topic.weight > 0:
            self.reward_models.topic = topic_embeddings(
                self.vocabulary,
                self.training_texts,
                config.data.max_document_tokens,
                self.output,
                self.origin if checkpoint else None,
                self.accelerator,
            )
        model = TextAutoencoder(self.model_config(), self.vocabulary)
        if config.discriminator.language_model:
            rows = self.vocabulary.encode(self.taken(self.human_texts), config.data.max_human_tokens)
            model.discriminator.count([[*row, self.vocabulary.end] for row in rows])
        return model

    def build_rest(self) -> None:
        """Batches, streams, and what watches over them."""
        config = self.config
        noisy = NoisySentences.from_texts(config.noise, self.documents, lambda: self.taken(self.human_texts))
        del self.documents  # of no use any more, and not small
        if config.adversarial.length_sampling == "uniform":
            missing = unlearned_lengths(config, self.vocabulary, self.taken(self.human_texts))
            if missing and self.is_main:
                logger.warning(UNLEARNED, ", ".join(map(str, missing)))
        self.warmup = WarmupBatches(config, self.vocabulary, self.weights, noisy)
        self.signs = CollapseSigns(config.run.collapse_window, config.length.maximum_words)
        self.streams = TextStreams(
            config, self.vocabulary, self.document_texts, self.human_texts, self.training_pairs
        )
        self.estimator: Estimator | None = None
        self.rollback = Rollback(config.adversarial)

    def start_adversarial(self) -> None:
        """Freeze a copy of the warm encoder: the reference of the KL divergence, and a part of the result."""
        weights = None
        if self.step > self.config.warmup.steps:
            require_whole(self.origin / "warm", START_AGAIN)
            warm = TextAutoencoder.from_pretrained(self.origin / "warm", self.accelerator.device)
            weights = warm.encoder.state_dict()
            del warm
        reference: Encoder = self.gathering.frozen("encoder", self.model.encoder, weights)
        self.estimator = ESTIMATORS[self.config.adversarial.estimator](
            self.config,
            self.vocabulary,
            reference,
            self.token_weights,
            self.reduce,
            self.reward_models,
            self.gathering.part,
        )

    @contextmanager
    def as_result(self) -> Iterator[TextAutoencoder]:
        """Within, a model whose encoder is what a run would give if it ended now."""
        warm = None if self.estimator is None else self.estimator.reference
        with (
            self.whole() as model,
            interpolated(model.encoder, warm, self.config.adversarial.warm_share),
        ):
            yield model

    def next_batch(self) -> tuple[AutoencoderInputs | Any, int]:
        """Inputs of the warm-up, or summaries that were sampled."""
        config, device = self.config, self.accelerator.device
        documents, human, paired = self.streams.next(self.step)
        rows = self.own_rows(len(documents))
        if self.step < config.warmup.steps:
            return self.warmup.make(self.step, rows, documents, human, device, paired), len(rows)
        assert self.estimator is not None
        # The scored policy must be the sampled one, and rewards free of noise: no dropout here.
        self.model.encoder.eval()
        self.model.reconstructor.eval()
        batch = self.estimator.sample(self.model, self.step, rows, documents, human)
        if paired:
            batch.inputs.pairs = pair_inputs(paired, rows, self.vocabulary, device)
        if config.adversarial.denoising_weight > 0:
            batch.inputs.denoising = self.warmup.denoising(self.step, rows, documents, human, device)
        divisible = len(rows) * config.adversarial.samples if self.estimator.takes_rows_at_once else 1
        return batch, divisible

    def losses(
        self, batch: Any, rows_at_once: int | None
    ) -> tuple[str, torch.Tensor, dict[str, float], list[str]]:
        """Of a batch of either phase."""
        config = self.config
        if isinstance(batch, AutoencoderInputs):
            batch.rows_at_once = rows_at_once
            outputs = self.module(batch)
            loss, metrics = warmup_losses(batch, outputs, config.warmup.label_smoothing, self.reduce)
            return "warm-up", loss, metrics, []
        assert self.estimator is not None
        if self.estimator.takes_rows_at_once:
            batch.inputs.rows_at_once = rows_at_once
        outputs = self.module(batch.inputs)
        loss, metrics = self.estimator.losses(batch, outputs, self.step - config.warmup.steps)
        return "adversarial", loss, metrics, self.estimator.texts(batch, outputs)

    def learning_rates(self) -> dict[str, float]:
        """Of the three networks."""
        return self.rollback.slow_down(learning_rates(self.config, self.step))

    def before_step(self) -> None:
        """Between the phases: the warm model is saved, and the optimizer forgets."""
        if self.step != self.config.warmup.steps:
            return
        self.save_model(self.output / "warm")
        self.start_adversarial()
        self.streams.open("adversarial")
        # The moments of maximum-likelihood gradients say nothing of policy gradients.
        self.stepping.forget()
        self.best = -float("inf")

    def before_finish(self) -> None:
        """Without an adversarial phase the last model is the warm one."""
        if self.config.adversarial.steps == 0 and self.total:
            self.save_model(self.output / "warm")

    def after_step(self, phase: str, metrics: dict[str, float], texts: list[str]) -> None:
        """Watch for signs of collapse, and go back if a run has gone wrong."""
        if phase != "adversarial":
            return
        self.signs.add(metrics, texts)
        if self.step % self.config.run.collapse_window == 0 and self.is_main:
            for sign in self.signs.warnings():
                logger.warning("step %d, sign of collapse: %s.", self.step, sign)
        mean = self.rollback.window_mean(metrics, self.step - 1 - self.config.warmup.steps)
        if mean is not None:
            self._go_back_if_worse(mean)

    def _go_back_if_worse(self, value: float) -> None:
        """Report what the rollback watches, and go back to the best weights where it has fallen too far."""
        with self.gathering.of(self.model) as model:  # every process keeps the best weights
            worse = self.rollback.report(value, model)
        if worse:
            self.rollback.go_back(self.model, self.stepping.forget)
            self.metrics.write(self.step, {"rollback/count": float(self.rollback.count)})
            if self.is_main:
                logger.warning("step %d, %s.", self.step, self.rollback.describe(value))

    def show(self, model: TextAutoencoder) -> None:
        """Put a few documents with summary and reconstruction in the log."""
        texts = [pair.document for pair in self.pairs[: self.config.run.sample_documents]]
        if not texts:
            count = self.config.run.sample_documents
            texts = [row["text"] for row in self.document_texts.take(count)]
        summaries = model.summarize(texts)
        for text, summary, restored in zip(texts, summaries, model.reconstruct(summaries), strict=True):
            logger.info("step %d\n  document:       %s\n  summary:        %s\n  reconstruction: %s",
                        self.step, text, summary, restored)  # fmt: skip

    def scores(self, model: TextAutoencoder) -> dict[str, float] | None:
        """What the caller's function says of the valid pairs."""
        if not self.pairs or self.evaluate is None:
            return None
        if not self.is_main:
            return {}
        return self.evaluate(model, self.pairs)

    @property
    def keeps_best(self) -> bool:
        """A model of the adversarial phase, or of the only one."""
        return self.step > self.config.warmup.steps or self.config.adversarial.steps == 0

    def scored(self, score: float) -> None:
        """Go back where the score has fallen too far."""
        if self.rollback.watches("valid") and self.step >= self.config.warmup.steps:
            # Only the main process scores; all of them go back.
            self._go_back_if_worse(float(self.reduce.sum(torch.tensor(score, device=self.model.device))))

    def state(self) -> dict[str, Any]:
        """Of estimator and rollback."""
        return {
            "adversarial": None if self.estimator is None else self.estimator.state_dict(),
            "rollback": self.rollback.state_dict(),
        }

    def kept_weights(self) -> dict[str, torch.Tensor] | None:
        """Those that a rollback would go back to."""
        return self.rollback.weights

    def restore_rest(self, state: dict[str, Any], checkpoint: Path) -> None:
        """Restore estimator and rollback."""
        if self.step > self.config.warmup.steps:
            self.start_adversarial()
            if self.estimator and state.get("adversarial"):  # which an older checkpoint has not
                self.estimator.load_state_dict(state["adversarial"])
        if state.get("rollback"):
            self.rollback.load_state_dict(state["rollback"], load_kept(checkpoint))
