"""A whole run, from one recipe: alone in its folder, with the kind of training that its code needs."""

import shutil
from contextlib import closing, nullcontext
from pathlib import Path

from textae.config import TrainingConfig
from textae.training.checkpoint import find_checkpoint
from textae.training.launch import join_processes
from textae.training.lock import in_use
from textae.training.loop import Evaluate, Training
from textae.training.metrics import close_log
from textae.training.record import RECORD
from textae.training.topic import TOPIC


def train(config: TrainingConfig, resume: str | None = None, evaluate: Evaluate | None = None) -> Path:
    """Train an autoencoder from one recipe; works under ``accelerate launch`` and alone.

    Args:
        config: the recipe.
        resume: ``latest``, or a checkpoint folder; without it the run starts afresh.
        evaluate: scores a model on pairs; the key ``score`` chooses the best checkpoint.

    Returns:
        The folder ``run.output``: the model, and beside it ``warm`` (of a text code, the model after
        warm-up), ``best``, ``checkpoints``, ``metrics.jsonl``, ``train.log``, ``config.yaml`` and
        ``run.json``.

    Raises:
        InputError: if text, settings, folders or a checkpoint cannot be used, or another process is
            training in the folder.
        DivergenceError: if losses are not finite any more.
        Interrupted: after Ctrl-C or SIGTERM, once everything is saved.
    """
    output = Path(config.run.output)
    state = join_processes()
    earlier = (output / "metrics.jsonl").exists() or (output / "checkpoints").is_dir()
    if resume is not None and not output.is_dir():
        find_checkpoint(output / "checkpoints", resume)  # before a folder is made for nothing
    with in_use(output) if state.is_main_process else nullcontext():
        if resume is None and earlier and state.is_main_process:
            # A fresh run must not resume from, or be judged by, what an earlier one left.
            for name in ("checkpoints", "best", "warm", "tokenizer"):
                shutil.rmtree(output / name, ignore_errors=True)
            for name in ("metrics.jsonl", TOPIC, RECORD):
                (output / name).unlink(missing_ok=True)
        state.wait_for_everyone()
        try:
            training = training_class(config)(config, resume, evaluate)
            with closing(training.metrics):
                return training.run()
        finally:
            close_log()


def training_class(config: TrainingConfig) -> type[Training]:
    """What trains a model with this kind of code."""
    if config.code.is_text:
        from textae.training.text_code import TextTraining

        return TextTraining
    from textae.training.number_code import NumberTraining

    return NumberTraining
