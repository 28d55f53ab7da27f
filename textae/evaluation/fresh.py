"""A fresh reader: a reconstructor that learns from frozen summaries of other documents alone."""

import logging
import random

import torch

from textae.config import NoiseConfig, OptimizerConfig, WarmupConfig
from textae.data.batches import BatchStream
from textae.errors import InputError
from textae.models.autoencoder import TextAutoencoder
from textae.models.decoding import pad_texts
from textae.models.learning import adamw, decay_groups, hide_tokens, ramp
from textae.models.reconstructor import Reconstructor

# Of the documents that a fresh reader learns from, so many come without their summary: so it learns
# what a document is like when nothing is known of it, which is the floor that it is measured from.
WITHOUT_SUMMARY = 0.1
# Lines in the log.
_LOG_EVERY = 100

logger = logging.getLogger(__name__)


def train_fresh_reader(
    model: TextAutoencoder,
    documents: list[str],
    summaries: list[str],
    *,
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = WarmupConfig.learning_rate,
    seed: int = 0,
) -> Reconstructor:
    """Train a reconstructor of the model's configuration, from its start, on summaries as they are.

    It learns as in training: AdamW with the same defaults, a rate that rises and falls to a fifth,
    words hidden from the decoder in the first half (as in warm-up) and none in the second (as in
    the adversarial phase). A tenth of the summaries is empty. The same seed gives the same reader,
    and readers of different summaries start from the same weights and see the same batches.

    Args:
        model: whose configuration and vocabulary the reader gets; it is left as it is.
        documents: normalised texts, none twice.
        summaries: one for each document.
        steps: optimizer steps.
        batch_size: documents in a step.
        learning_rate: the highest.
        seed: of weights, dropout and batches.

    Raises:
        InputError: if no document has a token, or training breaks down.
    """
    import datasets

    vocabulary, device = model.vocabulary, model.device
    window = model.config.max_document_tokens
    codes = dict(zip(documents, model.prepare(summaries, window), strict=True))
    stream = BatchStream(
        datasets.Dataset.from_dict({"text": documents}),
        vocabulary,
        batch_size=batch_size,
        max_tokens=window,
        seed=seed,
    )
    config, hidden = OptimizerConfig(), NoiseConfig.reconstructor_word_dropout
    rise = min(WarmupConfig.warmup_steps, max(1, steps // 2))
    generator = random.Random(f"fresh reader {seed}")
    # Whoever called gets the random numbers that would have come without the audit.
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        reader = model.fresh_reconstructor().train()
        optimizer = adamw(decay_groups(reader, config.weight_decay), config)
        for step in range(steps):
            batch = next(stream)
            known = [
                codes[example.text] if generator.random() >= WITHOUT_SUMMARY else [] for example in batch
            ]
            targets = model.sentences([example.ids for example in batch])
            inputs = None
            if step < steps // 2:
                uniforms = torch.rand(targets.ids.shape).to(device)
                inputs = hide_tokens(targets, uniforms, hidden, vocabulary.mask)
            restored = reader.document_log_probabilities(
                pad_texts(known, vocabulary, device), targets, inputs
            )
            loss = -restored.sum() / targets.mask.sum()
            if not bool(loss.isfinite()):
                raise InputError(f"The fresh reader broke down at step {step}; lower --learning-rate.")
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * ramp(step, steps, rise)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(reader.parameters(), config.maximum_gradient_norm)
            optimizer.step()
            if (step + 1) % _LOG_EVERY == 0:
                logger.info("fresh reader: step %d of %d, loss %.3f", step + 1, steps, loss.item())
    return reader.eval()
