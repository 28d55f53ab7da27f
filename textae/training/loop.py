"""The training loop: Accelerate, logging, saving, resuming. It knows no formula and no kind of code."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, set_seed

from textae.allocator import keep_freed_memory, return_freed_memory
from textae.config import TrainingConfig
from textae.data.corpus import Pair, read_texts
from textae.data.tokenizer import load_tokenizer, train_tokenizer, vocabulary_of
from textae.manifest import require_whole
from textae.model_config import AutoencoderConfig
from textae.models.base import Autoencoder
from textae.settings import save_config
from textae.training.checkpoint import (
    START_AGAIN,
    find_checkpoint,
    help_saving,
    load_checkpoint,
    load_random_state,
    remove_later_checkpoints,
    remove_old_checkpoints,
    restoring,
    save_checked,
    save_checkpoint,
    save_random_state,
)
from textae.training.interruption import Interruption
from textae.training.lock import not_writable
from textae.training.memory import RowsAtOnce, ran_out_of_memory
from textae.training.metrics import MetricsLog, logger, set_up_log
from textae.training.optimizer import build_optimizer, set_learning_rates
from textae.training.record import RunRecord
from textae.training.reduce import Reduce
from textae.training.sharding import (
    WholeModel,
    check_supported,
    is_sharded,
    put_weights,
)
from textae.training.skipping import SkippedSteps, split_finite
from textae.training.stepping import Stepping
from textae.training.subject import Subject
from textae.training.zero import ZeroStepping, set_up_zero

if TYPE_CHECKING:
    from textae.models.autoencoder import TextAutoencoder

T = TypeVar("T")
# Scores a text code's model on pairs: names and numbers, "score" being what the best checkpoint has most of.
Evaluate = Callable[["TextAutoencoder", list[Pair]], dict[str, float]]


class Training(Subject):
    """One run: everything that a step needs, and everything that a checkpoint holds.

    What is learned is the subclasses' matter: the code that is text, or one of numbers.
    """

    def __init__(self, config: TrainingConfig, resume: str | None, evaluate: Evaluate | None):
        self.config, self.evaluate = config, evaluate
        self.output = Path(config.run.output)
        self.accelerator = Accelerator(log_with=config.run.trackers or None, project_dir=self.output)
        check_supported(self.accelerator)
        # Who shards lacks memory rather than time.
        (return_freed_memory if is_sharded(self.accelerator) else keep_freed_memory)()
        set_up_zero(self.accelerator)
        self.is_main = self.accelerator.is_main_process
        self.total = self.steps(config)
        self.checkpoint_folder = self.output / "checkpoints"
        checkpoint = find_checkpoint(self.checkpoint_folder, resume) if resume else None
        # What belongs to a checkpoint lies beside it, in the folder of the run that wrote it.
        self.origin = checkpoint.parent.parent if checkpoint else self.output
        self._make_output()
        if self.is_main:
            set_up_log(self.output / "train.log")
        self.reduce = Reduce(self.accelerator)
        self.load_helpers()
        set_seed(config.run.seed)
        self.read_data()
        self._make_vocabulary(checkpoint)
        self._build(checkpoint)
        self.best = -float("inf")
        self.step = 0
        self.skipped = SkippedSteps(config.optimizer.most_skipped_steps)
        state = self._restore(checkpoint) if checkpoint else {}
        self.accelerator.init_trackers("textae")
        file = self.output / "metrics.jsonl"
        self.metrics = MetricsLog(self.accelerator, file, config.run.log_every, self.total, self.step)
        with restoring(checkpoint or self.output):
            self.metrics.load_state_dict(state.get("metrics", {}))
        self.record = RunRecord(self.output, self.step, self.accelerator.num_processes)

    # Building -------------------------------------------------------------------------------------

    def _make_output(self) -> None:
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            if self.is_main:
                save_config(self.config, self.output / "config.yaml")
        except OSError as error:
            raise not_writable(self.output, error) from error
        self.accelerator.wait_for_everyone()

    def read(self, sources: list[str], columns: list[str], kind: Any) -> Any:
        """A data set of texts, as ``data`` says."""
        data = self.config.data
        return read_texts(
            sources,
            columns,
            kind=kind,
            streaming=data.streaming,
            normalization=data.normalization,
            share=data.share,
        )

    def some(self, items: list[T]) -> list[T]:
        """At most ``run.evaluate_documents`` of the valid ones, evenly: a file's beginning may be easier."""
        return items[:: max(1, -(-len(items) // self.config.run.evaluate_documents))]

    def taken(self, texts: Any) -> list[str]:
        """The first texts of a data set, as many as ``tokenizer.training_texts``."""
        return [row["text"] for row in texts.take(self.config.tokenizer.training_texts)]

    def _make_vocabulary(self, checkpoint: Path | None) -> None:
        config = self.config
        name = config.tokenizer.path or config.encoder.checkpoint
        if config.code.is_text:
            name = name or config.reconstructor.checkpoint
        saved = self.output / "tokenizer"
        if checkpoint and (self.origin / "tokenizer").is_dir():
            name = str(self.origin / "tokenizer")
            require_whole(Path(name), START_AGAIN)
        if name:
            tokenizer = load_tokenizer(name)
        else:
            settings = config.tokenizer
            tokenizer = train_tokenizer(self.training_texts(), settings.vocabulary_size, settings.held_out)
        self.vocabulary = vocabulary_of(tokenizer)
        if self.is_main and name != str(saved):  # which other processes may be reading just now
            save_checked(tokenizer, saved)

    def model_config(self) -> AutoencoderConfig:
        """What the model will know of itself."""
        config = self.config
        return AutoencoderConfig(
            encoder=config.encoder,
            reconstructor=config.reconstructor,
            code=config.code,
            discriminator=config.discriminator,
            length=config.length,
            decoding=config.decoding,
            normalization=config.data.normalization,
            max_document_tokens=config.data.max_document_tokens,
            max_human_tokens=config.data.max_human_tokens,
            sources=[] if config.code.is_text else list(config.data.documents),
        )

    def _build(self, checkpoint: Path | None) -> None:
        model = self.build_model(checkpoint)
        self.gathering = WholeModel(self.accelerator, model)
        sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.parts().items()}
        optimizer = build_optimizer(model, self.config.optimizer)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.module, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.stepping = (
            ZeroStepping(self.accelerator, self.module, self.optimizer, parameters)
            if self.accelerator.distributed_type == DistributedType.DEEPSPEED
            else Stepping(self.accelerator, self.optimizer)
        )
        self.model = self.accelerator.unwrap_model(self.module)
        self.build_rest()
        if self.is_main:
            logger.info("processes: %d, device: %s", self.accelerator.num_processes, self.accelerator.device)
            for name, size in sizes.items():
                logger.info("%s: %s parameters", name, f"{size:,}")

    def own_rows(self, count: int) -> range:
        """The rows of a global batch of ``count`` that this process has."""
        index, processes = self.accelerator.process_index, self.accelerator.num_processes
        first = min(count * index // processes, count - 1)
        # Each row once; only where there are fewer rows than processes some are taken twice.
        return range(first, max(first + 1, count * (index + 1) // processes))

    # One step ------------------------------------------------------------------------------------

    def train_step(self) -> tuple[str, dict[str, float], list[str]]:
        """One optimizer step: its phase, its metrics, and what was written for each document.

        Where a loss or a gradient is not finite, nothing is learned.

        Raises:
            DivergenceError: if that happens ``optimizer.most_skipped_steps`` times in a row.
            InputError: if the memory does not hold one row.
        """
        self.model.train()
        phase, metrics, texts = self._backward()
        for name, part in self.model.parts().items():
            limit = self.config.optimizer.maximum_gradient_norm
            metrics[f"gradient_norm/{name}"] = self.stepping.clip(name, part.parameters(), limit)
        set_learning_rates(self.optimizer, self.learning_rates())
        # Metrics are of all processes' rows, so that all of them skip a step, or none.
        metrics, bad = split_finite(metrics)
        self.skipped.add(self.step + 1, bad)
        if bad:
            metrics["optimizer/skipped"] = 1.0
            self.stepping.skip()
        else:
            self.stepping.step()
            metrics |= self.learned()
        self.step += 1
        return phase, metrics, texts

    def _backward(self) -> tuple[str, dict[str, float], list[str]]:
        """Gradients of the next batch, with as many rows at once as the memory holds."""
        batch, rows = self.next_batch()
        repeats = self.stepping.repeats and self.accelerator.num_processes == 1
        at_once = RowsAtOnce(self.config.optimizer.rows_at_once, rows, repeats)
        while True:
            try:
                return self._backward_from(batch, at_once.now)
            except (RuntimeError, MemoryError) as error:
                if not ran_out_of_memory(error):
                    raise
            # Only here, where the error and with it the tensors of its frames have gone.
            at_once.reduce(self.step + 1)

    def _backward_from(self, batch: Any, at_once: int | None) -> tuple[str, dict[str, float], list[str]]:
        phase, loss, metrics, texts = self.losses(batch, at_once)
        self.stepping.backward(loss)
        return phase, metrics, texts

    # The whole run -------------------------------------------------------------------------------

    def run(self) -> Path:
        """Train from where the run stands to its end; returns the folder of the trained model."""
        config = self.config
        if self.streams.phase is None:
            self.streams.open("warm-up")
        with Interruption() as interruption:
            while self.step < self.total:
                self.before_step()
                phase, metrics, texts = self.train_step()
                # Where the next texts are sampled, scored or saved they would only take memory.
                self.optimizer.zero_grad()
                self.metrics.step(self.step, phase, metrics)
                self.after_step(phase, metrics, texts)
                if self.step % config.run.sample_every == 0:
                    with torch.no_grad(), self.as_result() as model:
                        if self.is_main:
                            self.show(model)
                ends = self.step in (config.warmup.steps, self.total)
                if self.step % config.run.evaluate_every == 0 or ends:
                    self._evaluate()
                stops = self.step < self.total and self.reduce.any(interruption.requested is not None)
                if stops or self.step % config.run.save_every == 0 or self.step == self.total:
                    self._save()
                if stops:
                    self.accelerator.end_training()
                    raise interruption.leave(self.step, self.output)
        self.before_finish()
        return self._finish()

    def _evaluate(self) -> None:
        """Score on valid; the best model so far is kept."""
        with self.as_result() as model:
            scores = self.scores(model)
            if scores is None:
                return
            if self.is_main:
                self._keep_best(model, scores)
            self.accelerator.wait_for_everyone()
        self.scored(scores.get("score", 0.0))

    def _keep_best(self, model: Any, scores: dict[str, float]) -> None:
        self.metrics.write(self.step, {f"valid/{name}": float(value) for name, value in scores.items()})
        shown = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
        logger.info("step %d, valid: %s", self.step, shown)
        if scores["score"] > self.best:
            self.best = scores["score"]
            if self.keeps_best:
                save_checked(model, self.output / "best")

    # Saving --------------------------------------------------------------------------------------

    def save_model(self, folder: Path) -> None:
        """Write the model as it is; every process calls it."""
        with self.whole() as model:
            if self.is_main:
                save_checked(model, folder)
        self.accelerator.wait_for_everyone()

    def _save(self) -> None:
        folder = self.checkpoint_folder / f"step-{self.step:06d}"
        save_random_state(folder / f"random-{self.accelerator.process_index}.safetensors")
        self.accelerator.wait_for_everyone()
        moments = self.stepping.moments(keep=self.is_main)
        with self.whole() as model:
            if self.is_main:
                self._write_checkpoint(folder, model, moments)
            else:
                help_saving(moments)
        self.accelerator.wait_for_everyone()

    def _write_checkpoint(self, folder: Path, model: Any, moments: dict[int, dict[str, Any]]) -> None:
        state = {
            "step": self.step,
            "best": self.best,
            **self.streams.state_dict(),
            "metrics": self.metrics.state_dict(),
            "skipped": self.skipped.in_a_row,
            **self.state(),
        }
        save_checkpoint(folder, model, moments, state, self.kept_weights())
        remove_old_checkpoints(self.checkpoint_folder, self.config.run.keep_checkpoints)
        self.record.write(self.step)

    def _restore(self, checkpoint: Path) -> dict[str, Any]:
        with self.gathering.of(self.model) as model:
            state = load_checkpoint(checkpoint, model, self.stepping.put_moments)
            if model is not self.model:
                put_weights(self.model, model.state_dict())
        with restoring(checkpoint):
            self.step, self.best = int(state["step"]), float(state["best"])
            self.skipped.in_a_row = int(state["skipped"])
        in_warmup = self.step <= self.config.warmup.steps
        self.streams.open("warm-up" if in_warmup else "adversarial")
        with restoring(checkpoint):
            self.streams.load_state_dict(state)
            self.restore_rest(state, checkpoint)
        if self.is_main:
            remove_later_checkpoints(self.checkpoint_folder, self.step)
        load_random_state(checkpoint / f"random-{self.accelerator.process_index}.safetensors")
        return state

    def _finish(self) -> Path:
        """Save the best model, or the last where nothing chose a best, as the run's result."""
        # Nothing is learned any more, and weights are about to be gathered or loaded.
        self.optimizer.optimizer.state.clear()
        if self.reduce.any(self.is_main and (self.output / "best").is_dir()):
            if self.is_main:
                require_whole(self.output / "best", START_AGAIN)
                best = Autoencoder.from_pretrained(self.output / "best", self.accelerator.device)
                best.save_pretrained(self.output)
        else:
            with self.as_result() as model:
                if self.is_main:
                    model.save_pretrained(self.output)
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        return self.output
