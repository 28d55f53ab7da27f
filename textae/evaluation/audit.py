"""The secret-code audit: do summaries tell a stranger what they tell the reader they were made for?"""

import hashlib
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

from textae.config import DataConfig
from textae.data.corpus import expand_sources, read_records
from textae.data.noise import drop_words
from textae.data.normalization import normalize
from textae.data.words import count_words, join_words, split_words
from textae.errors import InputError
from textae.evaluation.baselines import lead_words
from textae.evaluation.collapse import collapse_report
from textae.evaluation.fresh import train_fresh_reader
from textae.evaluation.report import spread
from textae.evaluation.verdict import CODES, READERS, THRESHOLDS, Losses, judge
from textae.model_config import NormalizationConfig
from textae.models.autoencoder import TextAutoencoder
from textae.models.reconstructor import Reconstructor

# Share of a summary's words that are left out in the condition "dropped".
DROPPED = 0.3
# Without documents to train on, this share of the data goes to the fresh readers.
TRAINED_SHARE = 0.8

logger = logging.getLogger(__name__)


def audit_model(
    model: TextAutoencoder,
    data: list[str],
    train: list[str] | None = None,
    *,
    document_columns: Sequence[str] | None = None,
    limit: int | None = None,
    steps: int = 400,
    learning_rate: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
    **decoding: Any,
) -> dict[str, Any]:
    """Audit a model's summaries of documents that it never saw.

    Args:
        model: whose encoder writes and whose reconstructor is the trained reader.
        data: sources of held-out documents; summaries in them are not looked at.
        train: sources of other documents for the fresh readers; without them, ``data`` is split by a
            seeded hash of the text, a fifth of it being held out.
        document_columns: columns that may hold the document.
        limit: so many held-out documents, spread evenly.
        steps: of each fresh reader.
        learning_rate: of each fresh reader, at its highest.
        batch_size: documents at a time.
        seed: of the split, the fresh readers and the corruptions.
        decoding: options of ``model.summarize``.

    Returns:
        What :func:`audit_summaries` returns, ``collapse``
        (:func:`~textae.evaluation.collapse.collapse_report` of the held-out summaries) and
        ``protocol``: what the figures depend on.

    Raises:
        InputError: for anything wrong with the data or a setting, and if fewer than two documents
            are held out or none is left to train on.
    """
    for name, value in (("limit", limit), ("steps", steps), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; set it to at least 1.")
    columns, normalization = (
        list(document_columns or DataConfig().document_columns),
        model.config.normalization,
    )
    held_out = read_documents(data, columns, normalization)
    if train is None:
        held_out, others = split_documents(held_out, seed)
    else:
        others = read_documents(train, columns, normalization)
        known = set(held_out)
        kept = [document for document in others if document not in known]
        if shared := len(others) - len(kept):
            logger.warning("%d documents to train on are in the held-out data, too, and left out", shared)
        others = kept
    held_out = spread(held_out, limit)
    # A reader cannot see more than this.
    others = spread(others, steps * batch_size)
    if len(held_out) < 2 or not others:
        raise InputError(
            f"{' and '.join(data)}: {len(held_out)} documents to audit and {len(others)} others for the "
            "fresh readers are too few; give more documents, or others with --train F."
        )
    logger.info("summarising %d documents, %d to train on", len(held_out), len(others))
    summaries = model.summarize([*held_out, *others], batch_size=batch_size, **decoding)
    own, learned = summaries[: len(held_out)], summaries[len(held_out) :]
    figures = audit_summaries(
        model,
        held_out,
        own,
        others,
        learned,
        steps=steps,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
    )
    protocol = {
        "data": list(data),
        "train": None if train is None else list(train),
        "held_out": len(held_out),
        "trained_on": len(others),
        "limit": limit,
        "steps": steps,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "seed": seed,
        "dropped": DROPPED,
        "decoding": decoding,
    }
    return {
        "protocol": protocol,
        **figures,
        "collapse": collapse_report(own, held_out, maximum_words=decoding.get("max_words")),
    }


def audit_summaries(
    model: TextAutoencoder,
    documents: list[str],
    summaries: list[str],
    other_documents: list[str],
    other_summaries: list[str],
    *,
    steps: int = 400,
    learning_rate: float = 1e-3,
    batch_size: int = 64,
    seed: int = 0,
) -> dict[str, Any]:
    """Audit summaries, whoever wrote them, for the reconstructor of ``model``.

    Two codes, the ``summary`` and the ``lead`` (as many first words of the document, an honest text
    of the same length), are each read by the ``trained`` reconstructor and by a ``fresh`` one that
    learned from that code of the other documents alone; and in five conditions: ``written`` as it
    is, words ``shuffled``, a share of 0.3 of them ``dropped``, that of ``others`` instead, and ``empty``.

    Args:
        model: whose reconstructor is the trained reader.
        documents: at least two held-out documents, normalised, none twice.
        summaries: one for each.
        other_documents: what the fresh readers learn from; none is among ``documents``.
        other_summaries: one for each.
        steps: of each fresh reader.
        learning_rate: of each fresh reader, at its highest.
        batch_size: documents at a time.
        seed: of the fresh readers and the corruptions.

    Returns:
        ``losses``: by code, reader and condition the reconstruction loss in nats per document token,
        mean over documents; ``verdict``: what :func:`~textae.evaluation.verdict.judge` says of them;
        ``thresholds``.

    Raises:
        InputError: if a fresh reader cannot be built or trained.
    """
    held_out = {"summary": summaries, "lead": leads(documents, summaries)}
    learned = {"summary": other_summaries, "lead": leads(other_documents, other_summaries)}
    losses: Losses = {}
    for code in CODES:
        logger.info("a fresh reader learns to read: %s", code)
        fresh = train_fresh_reader(
            model,
            other_documents,
            learned[code],
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
        )
        readers: dict[str, Reconstructor] = {"trained": model.reconstructor, "fresh": fresh}
        conditions = corrupted(held_out[code], seed)
        losses[code] = {
            reader: {
                condition: _mean(
                    model.reconstruction_loss(
                        documents, texts, batch_size=batch_size, reconstructor=readers[reader]
                    )
                )
                for condition, texts in conditions.items()
            }
            for reader in READERS
        }
    return {"losses": losses, "verdict": judge(losses), "thresholds": dict(THRESHOLDS)}


def corrupted(summaries: list[str], seed: int) -> dict[str, list[str]]:
    """Summaries in the five conditions of :func:`audit_summaries`, by name; at least two of them."""

    def each(name: str, change: Callable[[list[str], random.Random], list[str]]) -> list[str]:
        return [
            join_words(change(split_words(text), random.Random(f"audit {name} {seed} {row}")))
            for row, text in enumerate(summaries)
        ]

    order = list(range(len(summaries)))
    random.Random(f"audit others {seed}").shuffle(order)
    others = dict(zip(order, order[1:] + order[:1], strict=True))
    return {
        "written": summaries,
        "shuffled": each("shuffled", lambda words, generator: generator.sample(words, len(words))),
        "dropped": each("dropped", lambda words, generator: drop_words(words, DROPPED, generator)),
        # One cycle through all of them: nobody gets their own.
        "others": [summaries[others[row]] for row in range(len(summaries))],
        "empty": [""] * len(summaries),
    }


def leads(documents: list[str], summaries: list[str]) -> list[str]:
    """As many first words of each document as its summary has."""
    return [
        lead_words([document], count_words(summary))[0]
        for document, summary in zip(documents, summaries, strict=True)
    ]


def read_documents(sources: list[str], columns: list[str], normalization: NormalizationConfig) -> list[str]:
    """The normalised documents of all sources, each once, empty ones left out.

    Raises:
        InputError: for anything wrong with a source, or if there is no text in any of them.
    """
    texts = (
        normalize(record.text(columns), normalization)
        for source in expand_sources(sources)
        for record in read_records(source)
    )
    documents = list(dict.fromkeys(text for text in texts if text))
    if not documents:
        raise InputError(f"{' and '.join(sources)}: there is no document in it; give a file with some.")
    return documents


def split_documents(documents: list[str], seed: int) -> tuple[list[str], list[str]]:
    """Held-out documents and the others, by a hash of each text: equal texts are on one side."""
    held_out: list[str] = []
    others: list[str] = []
    for document in documents:
        digest = hashlib.sha256(f"{seed} {document}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        (others if share < TRAINED_SHARE else held_out).append(document)
    return held_out, others


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
