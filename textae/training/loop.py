"""The training loop: Accelerate, phases, logging, saving, resuming. It knows no formula."""

import copy
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from textae.allocator import keep_freed_memory
from textae.config import AutoencoderConfig, TrainingConfig
from textae.data.corpus import Pair, read_pairs, read_texts
from textae.data.tokenizer import load_tokenizer, train_tokenizer, vocabulary_of
from textae.errors import DivergenceError, InputError
from textae.models.autoencoder import TextAutoencoder
from textae.models.encoder import Encoder
from textae.settings import save_config
from textae.training.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    load_kept,
    load_random_state,
    remove_later_checkpoints,
    remove_old_checkpoints,
    save_checkpoint,
    save_random_state,
)
from textae.training.collapse import CollapseSigns
from textae.training.denoising import NoisySentences
from textae.training.estimator import Estimator
from textae.training.estimators import ESTIMATORS
from textae.training.interpolation import interpolated
from textae.training.launch import join_processes
from textae.training.lengths import UNLEARNED, unlearned_lengths
from textae.training.metrics import MetricsLog, close_log, logger, set_up_log
from textae.training.optimizer import NETWORKS, build_optimizer, learning_rates, set_learning_rates
from textae.training.record import RECORD, RunRecord
from textae.training.reduce import Reduce
from textae.training.reward_models import RewardModels
from textae.training.rollback import Rollback
from textae.training.streams import TextStreams
from textae.training.supervision import pair_inputs
from textae.training.topic import TOPIC, topic_embeddings
from textae.training.warmup import WarmupBatches, WordWeights, token_weights, warmup_losses

# Scores a model on pairs: names and numbers, "score" being what the best checkpoint has most of.
Evaluate = Callable[[TextAutoencoder, list[Pair]], dict[str, float]]


class Training:
    """One run: everything that a step needs, and everything that a checkpoint holds."""

    def __init__(self, config: TrainingConfig, resume: str | None, evaluate: Evaluate | None):
        self.config, self.evaluate = config, evaluate
        self.output = Path(config.run.output)
        self.accelerator = Accelerator(log_with=config.run.trackers or None, project_dir=self.output)
        self.is_main = self.accelerator.is_main_process
        self.total = config.warmup.steps + config.adversarial.steps
        self.checkpoint_folder = self.output / "checkpoints"
        checkpoint = find_checkpoint(self.checkpoint_folder, resume) if resume else None
        # What belongs to a checkpoint lies beside it, in the folder of the run that wrote it.
        self.origin = checkpoint.parent.parent if checkpoint else self.output
        self._make_output()
        if self.is_main:
            set_up_log(self.output / "train.log")
        self.reward_models = RewardModels.load(config.adversarial, self.accelerator.device)
        set_seed(config.run.seed)
        self._read_data()
        self._build(checkpoint)
        self.signs = CollapseSigns(config.run.collapse_window, config.length.maximum_words)
        self.streams = TextStreams(
            config, self.vocabulary, self.document_texts, self.human_texts, self.training_pairs
        )
        self.estimator: Estimator | None = None
        self.rollback = Rollback(config.adversarial)
        self.best = -float("inf")
        self.step = 0
        state = self._restore(checkpoint) if checkpoint else {}
        self.accelerator.init_trackers("textae")
        file = self.output / "metrics.jsonl"
        self.metrics = MetricsLog(self.accelerator, file, config.run.log_every, self.total, self.step)
        self.metrics.load_state_dict(state.get("metrics", {}))
        self.record = RunRecord(self.output, self.step, self.accelerator.num_processes)

    def _make_output(self) -> None:
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            if self.is_main:
                save_config(self.config, self.output / "config.yaml")
        except OSError as error:
            raise InputError(
                f"{self.output}: this folder cannot be written ({error.strerror}); set run.output to another."
            ) from error
        self.accelerator.wait_for_everyone()

    def _read_data(self) -> None:
        data = self.config.data
        normalization = data.normalization
        read = partial(read_texts, streaming=data.streaming, normalization=normalization, share=data.share)
        self.document_texts = read(data.documents, data.document_columns, kind="documents")
        self.human_texts = read(data.human, data.human_columns, kind="human")
        columns = (data.document_columns, data.summary_columns, normalization)
        self.training_pairs = read_pairs(data.pairs, *columns) if data.pairs else []
        self.pairs: list[Pair] = []
        if data.valid:
            pairs = read_pairs(data.valid, *columns)
            # Evenly over the file: the beginning of a file may be easier than the rest.
            stride = max(1, -(-len(pairs) // self.config.run.evaluate_documents))
            self.pairs = pairs[::stride]

    def _build(self, checkpoint: Path | None) -> None:
        config = self.config
        limit = config.tokenizer.training_texts
        documents = [row["text"] for row in self.document_texts.take(limit)]
        self.weights = WordWeights.from_texts(documents)
        name = config.tokenizer.path or config.encoder.checkpoint or config.reconstructor.checkpoint
        saved = self.output / "tokenizer"
        if checkpoint and (self.origin / "tokenizer").is_dir():
            name = str(self.origin / "tokenizer")
        if name:
            tokenizer = load_tokenizer(name)
        else:
            human = [row["text"] for row in self.human_texts.take(limit)]
            tokenizer = train_tokenizer(
                [*documents, *human], config.tokenizer.vocabulary_size, config.tokenizer.held_out
            )
        self.vocabulary = vocabulary_of(tokenizer)
        self.token_weights = torch.ones(len(self.vocabulary))
        if config.adversarial.weigh_content:
            self.token_weights = token_weights(self.vocabulary, documents)
        if self.is_main and name != str(saved):  # which other processes may be reading just now
            tokenizer.save_pretrained(saved)
        if config.adversarial.rewards.topic.weight > 0:
            self.reward_models.topic = topic_embeddings(
                self.vocabulary,
                lambda: documents + [row["text"] for row in self.human_texts.take(limit)],
                config.data.max_document_tokens,
                self.output,
                self.origin if checkpoint else None,
                self.accelerator,
            )
        model = TextAutoencoder(
            AutoencoderConfig(
                encoder=config.encoder,
                reconstructor=config.reconstructor,
                discriminator=config.discriminator,
                length=config.length,
                decoding=config.decoding,
                normalization=config.data.normalization,
                max_document_tokens=config.data.max_document_tokens,
                max_human_tokens=config.data.max_human_tokens,
            ),
            self.vocabulary,
        )
        if config.discriminator.language_model:
            human = [row["text"] for row in self.human_texts.take(limit)]
            rows = self.vocabulary.encode(human, config.data.max_human_tokens)
            model.discriminator.count([[*row, self.vocabulary.end] for row in rows])
        optimizer = build_optimizer(model, config.optimizer)
        self.module, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.model: TextAutoencoder = self.accelerator.unwrap_model(self.module)
        self.reduce = Reduce(self.accelerator)
        noisy = NoisySentences.from_texts(
            config.noise, documents, lambda: [row["text"] for row in self.human_texts.take(limit)]
        )
        if config.adversarial.length_sampling == "uniform":
            human = [row["text"] for row in self.human_texts.take(limit)]
            missing = unlearned_lengths(config, self.vocabulary, human)
            if missing and self.is_main:
                logger.warning(UNLEARNED, ", ".join(map(str, missing)))
        self.warmup = WarmupBatches(config, self.vocabulary, self.weights, noisy)
        if self.is_main:
            logger.info("processes: %d, device: %s", self.accelerator.num_processes, self.accelerator.device)
            for network in NETWORKS:
                count = sum(p.numel() for p in getattr(self.model, network).parameters())
                logger.info("%s: %s parameters", network, f"{count:,}")

    def _start_adversarial(self) -> None:
        """Freeze a copy of the warm encoder: the reference of the KL divergence, and a part of the result."""
        if self.step > self.config.warmup.steps:
            warm = TextAutoencoder.from_pretrained(self.origin / "warm", self.accelerator.device)
            reference: Encoder = warm.encoder
        else:
            reference = copy.deepcopy(self.model.encoder)
        self.estimator = ESTIMATORS[self.config.adversarial.estimator](
            self.config, self.vocabulary, reference, self.token_weights, self.reduce, self.reward_models
        )

    def _as_result(self) -> AbstractContextManager[None]:
        """Within, the encoder is what a run would give if it ended now."""
        warm = None if self.estimator is None else self.estimator.reference
        return interpolated(self.model.encoder, warm, self.config.adversarial.warm_share)

    # One step ------------------------------------------------------------------------------------

    def train_step(self) -> tuple[str, dict[str, float], list[str]]:
        """One optimizer step: its phase, its metrics, and a sampled summary of each document."""
        config, accelerator = self.config, self.accelerator
        documents, human, paired = self.streams.next(self.step)
        count, index, processes = len(documents), accelerator.process_index, accelerator.num_processes
        first = min(count * index // processes, count - 1)
        # Each row once; only where there are fewer rows than processes some are taken twice.
        rows = range(first, max(first + 1, count * (index + 1) // processes))
        self.module.train()
        texts: list[str] = []
        if self.step < config.warmup.steps:
            phase = "warm-up"
            inputs = self.warmup.make(self.step, rows, documents, human, accelerator.device, paired)
            outputs = self.module(inputs)
            loss, metrics = warmup_losses(inputs, outputs, config.warmup.label_smoothing, self.reduce)
        else:
            phase = "adversarial"
            assert self.estimator is not None
            # The scored policy must be the sampled one, and rewards free of noise: no dropout here.
            self.model.encoder.eval()
            self.model.reconstructor.eval()
            batch = self.estimator.sample(self.model, self.step, rows, documents, human)
            if paired:
                batch.inputs.pairs = pair_inputs(paired, rows, self.vocabulary, accelerator.device)
            if config.adversarial.denoising_weight > 0:
                batch.inputs.denoising = self.warmup.denoising(
                    self.step, rows, documents, human, accelerator.device
                )
            outputs = self.module(batch.inputs)
            loss, metrics = self.estimator.losses(batch, outputs, self.step - config.warmup.steps)
            texts = self.estimator.texts(batch, outputs)
        self.optimizer.zero_grad()
        accelerator.backward(loss)
        for network in NETWORKS:
            parameters = list(getattr(self.model, network).parameters())
            norm = accelerator.clip_grad_norm_(parameters, config.optimizer.maximum_gradient_norm)
            metrics[f"gradient_norm/{network}"] = float(norm)
        set_learning_rates(self.optimizer, self.rollback.slow_down(learning_rates(config, self.step)))
        self.optimizer.step()
        self.step += 1
        return phase, metrics, texts

    # The whole run -------------------------------------------------------------------------------

    def run(self) -> Path:
        """Train from where the run stands to its end; returns the folder of the trained model."""
        config = self.config
        if self.streams.phase is None:
            self.streams.open("warm-up")
        while self.step < self.total:
            if self.step == config.warmup.steps:
                self._end_warmup()
            phase, metrics, texts = self.train_step()
            if not all(value == value and abs(value) < 1e6 for value in metrics.values()):
                bad = [name for name, value in metrics.items() if not abs(value) < 1e6]
                raise DivergenceError(
                    f"Training broke down at step {self.step} ({', '.join(bad)} is not finite); "
                    "lower the learning rates and --resume from the last checkpoint."
                )
            self.metrics.step(self.step, phase, metrics)
            if phase == "adversarial":
                self._watch(metrics, texts)
            if self.step % config.run.sample_every == 0:
                self._show()
            if self.step % config.run.evaluate_every == 0 or self.step in (config.warmup.steps, self.total):
                self._evaluate()
            if self.step % config.run.save_every == 0 or self.step == self.total:
                self._save()
        if config.adversarial.steps == 0 and self.total:
            self._save_model(self.output / "warm")
        return self._finish()

    def _end_warmup(self) -> None:
        """Between the phases: the warm model is saved, and the optimizer forgets."""
        self._save_model(self.output / "warm")
        self._start_adversarial()
        self.streams.open("adversarial")
        # The moments of maximum-likelihood gradients say nothing of policy gradients.
        self.optimizer.optimizer.state.clear()
        self.best = -float("inf")

    def _watch(self, metrics: dict[str, float], texts: list[str]) -> None:
        self.signs.add(metrics, texts)
        if self.step % self.config.run.collapse_window == 0 and self.is_main:
            for sign in self.signs.warnings():
                logger.warning("step %d, sign of collapse: %s.", self.step, sign)
        mean = self.rollback.window_mean(metrics, self.step - 1 - self.config.warmup.steps)
        if mean is not None:
            self._go_back_if_worse(mean)

    def _go_back_if_worse(self, value: float) -> None:
        """Report what the rollback watches, and go back to the best weights where it has fallen too far."""
        if self.rollback.report(value, self.model):
            self.rollback.go_back(self.model, self.optimizer.optimizer)
            self.metrics.write(self.step, {"rollback/count": float(self.rollback.count)})
            if self.is_main:
                logger.warning("step %d, %s.", self.step, self.rollback.describe(value))

    @torch.no_grad()
    def _show(self) -> None:
        """Put a few documents with summary and reconstruction in the log."""
        if not self.is_main:
            return
        texts = [pair.document for pair in self.pairs[: self.config.run.sample_documents]]
        if not texts:
            count = self.config.run.sample_documents
            texts = [row["text"] for row in self.document_texts.take(count)]
        with self._as_result():
            summaries = self.model.summarize(texts)
        for text, summary, restored in zip(texts, summaries, self.model.reconstruct(summaries), strict=True):
            logger.info("step %d\n  document:       %s\n  summary:        %s\n  reconstruction: %s",
                        self.step, text, summary, restored)  # fmt: skip

    def _evaluate(self) -> None:
        """Score on the valid pairs; in the adversarial phase the best model so far is kept."""
        if not self.pairs or self.evaluate is None:
            return
        score = 0.0
        if self.is_main:
            with self._as_result():
                scores = self.evaluate(self.model, self.pairs)
            self.metrics.write(self.step, {f"valid/{name}": float(value) for name, value in scores.items()})
            shown = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
            logger.info("step %d, valid: %s", self.step, shown)
            score = scores["score"]
            if score > self.best:
                self.best = score
                if self.step > self.config.warmup.steps or self.config.adversarial.steps == 0:
                    with self._as_result():
                        self.model.save_pretrained(self.output / "best")
        self.accelerator.wait_for_everyone()
        if self.rollback.watches("valid") and self.step >= self.config.warmup.steps:
            # Only the main process scores; all of them go back.
            self._go_back_if_worse(float(self.reduce.sum(torch.tensor(score, device=self.model.device))))

    # Saving --------------------------------------------------------------------------------------

    def _save_model(self, folder: Path) -> None:
        if self.is_main:
            self.model.save_pretrained(folder)
        self.accelerator.wait_for_everyone()

    def _save(self) -> None:
        folder = self.checkpoint_folder / f"step-{self.step:06d}"
        save_random_state(folder / f"random-{self.accelerator.process_index}.safetensors")
        self.accelerator.wait_for_everyone()
        if self.is_main:
            state = {
                "step": self.step,
                "best": self.best,
                **self.streams.state_dict(),
                "metrics": self.metrics.state_dict(),
                "adversarial": None if self.estimator is None else self.estimator.state_dict(),
                "rollback": self.rollback.state_dict(),
            }
            save_checkpoint(folder, self.model, self.optimizer.optimizer, state, self.rollback.weights)
            remove_old_checkpoints(self.checkpoint_folder, self.config.run.keep_checkpoints)
            self.record.write(self.step)
        self.accelerator.wait_for_everyone()

    def _restore(self, checkpoint: Path) -> dict[str, Any]:
        state = load_checkpoint(checkpoint, self.model, self.optimizer.optimizer)
        self.step, self.best = state["step"], state["best"]
        in_warmup = self.step <= self.config.warmup.steps
        self.streams.open("warm-up" if in_warmup else "adversarial")
        self.streams.load_state_dict(state)
        if not in_warmup:
            self._start_adversarial()
            if self.estimator and state.get("adversarial"):  # which an older checkpoint has not
                self.estimator.load_state_dict(state["adversarial"])
        if state.get("rollback"):
            self.rollback.load_state_dict(state["rollback"], load_kept(checkpoint))
        if self.is_main:
            remove_later_checkpoints(self.checkpoint_folder, self.step)
        load_random_state(checkpoint / f"random-{self.accelerator.process_index}.safetensors")
        return state

    def _finish(self) -> Path:
        """Save the best model, or the last where nothing chose a best, as the run's result."""
        if self.is_main:
            if (self.output / "best").is_dir():
                self.model = TextAutoencoder.from_pretrained(self.output / "best", self.accelerator.device)
                self.model.save_pretrained(self.output)
            else:
                with self._as_result():
                    self.model.save_pretrained(self.output)
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        return self.output


def train(config: TrainingConfig, resume: str | None = None, evaluate: Evaluate | None = None) -> Path:
    """Train a text autoencoder from one recipe; works under ``accelerate launch`` and alone.

    Args:
        config: the recipe.
        resume: ``latest``, or a checkpoint folder; without it the run starts afresh.
        evaluate: scores a model on pairs; the key ``score`` chooses the best checkpoint.

    Returns:
        The folder ``run.output``: the model, and beside it ``warm`` (the model after warm-up),
        ``best``, ``checkpoints``, ``metrics.jsonl``, ``train.log``, ``config.yaml`` and ``run.json``.

    Raises:
        InputError: if text, settings, folders or a checkpoint cannot be used.
        DivergenceError: if losses are not finite any more.
    """
    keep_freed_memory()
    output = Path(config.run.output)
    state = join_processes()
    earlier = (output / "metrics.jsonl").exists() or (output / "checkpoints").is_dir()
    if resume is None and earlier and state.is_main_process:
        # A fresh run must not resume from, or be judged by, what an earlier one left.
        for name in ("checkpoints", "best", "warm", "tokenizer"):
            shutil.rmtree(output / name, ignore_errors=True)
        for name in ("metrics.jsonl", TOPIC, RECORD):
            (output / name).unlink(missing_ok=True)
    state.wait_for_everyone()
    try:
        training = Training(config, resume, evaluate)
        with closing(training.metrics):
            return training.run()
    finally:
        close_log()
