"""Summarising: documents per second and the latency of one, against ``generate`` and CTranslate2."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from benchmarks.plain import PlainNetwork
from benchmarks.timing import Contender, Measured, take_turns
from benchmarks.training import described
from textae.config import AutoencoderConfig, NetworkConfig
from textae.data import newswire
from textae.models.autoencoder import TextAutoencoder
from textae.models.decoding import pad_texts

BATCH = 64
# T5-small's sizes; its weights are random, so that every summary has as many tokens as it may have.
T5_SMALL = NetworkConfig(
    architecture="t5", width=512, layers=6, heads=8, feed_forward=2048, dropout=0.0, copy_head=False
)


def stories(count: int) -> list[str]:
    """Stories of the embedded corpus, which the shipped model knows the kind of."""
    return newswire.documents(count, seed=7)


@cache
def shipped() -> TextAutoencoder:
    """The model inside the package: from scratch, with a copy head."""
    return _placed(TextAutoencoder.from_pretrained())


@cache
def t5_shaped() -> TextAutoencoder:
    """A model of T5-small's sizes with the shipped vocabulary and random weights."""
    small = NetworkConfig(width=16, layers=1, heads=2, feed_forward=16)
    known = TextAutoencoder.from_pretrained()
    config = AutoencoderConfig(
        **{**vars(known.config), "encoder": T5_SMALL, "reconstructor": small},
    )
    torch.manual_seed(0)
    return _placed(TextAutoencoder(config, known.vocabulary))


MODELS = {"copy head": shipped, "T5": t5_shaped}


def _placed(model: TextAutoencoder) -> TextAutoencoder:
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def greedy() -> dict[str, Any]:
    """The plainest decoding, which all contenders have."""
    return {
        "num_beams": 1,
        "candidates": 1,
        "no_repeat_ngram_size": 0,
        "whole_words": False,
        "distinct_words": False,
    }


def beams() -> dict[str, Any]:
    """Beam search with four beams, without choosing among what it finds."""
    return {**greedy(), "num_beams": 4}


def our_summaries(
    documents: list[str],
    decoding: dict[str, Any],
    model: str = "copy head",
    folder: str | None = None,
    engine: str = "torch",
) -> Callable[[], list[str]]:
    """``TextAutoencoder.summarize``, by an engine whose files are in ``folder``."""
    ours = _engaged(model, folder, engine)
    return lambda: ours.summarize(documents, batch_size=BATCH, **decoding)


def our_latency(
    documents: list[str], decoding: dict[str, Any], model: str, folder: str | None, engine: str
) -> Callable[[], list[str]]:
    """The same, one document after the other."""
    ours = _engaged(model, folder, engine)
    return lambda: [ours.summarize([text], **decoding)[0] for text in documents]


def _engaged(model: str, folder: str | None, engine: str) -> TextAutoencoder:
    if folder is None:
        return MODELS[model]()
    ours = _placed(TextAutoencoder.from_pretrained(folder))
    ours.use_engine(engine)
    return ours


def generated(
    documents: list[str], decoding: dict[str, Any], model: str, sort: bool, batch_size: int = BATCH
) -> Callable[[], list[str]]:
    """``generate`` of the same network, in batches of documents as they come or of similar length."""
    ours = MODELS[model]()
    plain = PlainNetwork(ours.encoder).eval()
    vocabulary, config = ours.vocabulary, ours.config
    wanted = config.length.summary_words
    beam_options: dict[str, Any] = {"num_beams": decoding["num_beams"]}
    if decoding["num_beams"] > 1:
        beam_options["length_penalty"] = config.decoding.length_penalty

    def work() -> list[str]:
        rows = ours.read_documents(documents)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i])) if sort else list(range(len(rows)))
        texts = [""] * len(rows)
        for begin in range(0, len(order), batch_size):
            chosen = order[begin : begin + batch_size]
            batch = pad_texts([rows[i] for i in chosen], vocabulary, ours.device)
            hints = vocabulary.hint_ids([wanted] * len(chosen), ours.device)
            written = plain.generate(
                batch,
                hints,
                config.length.maximum_tokens,
                do_sample=False,
                **beam_options,
            )
            for i, text in zip(chosen, vocabulary.decode(written.tolist()), strict=True):
                texts[i] = text
        return texts

    return work


def measure_summarizing(rounds: int, threads: int, documents: int, single: int) -> dict[str, Any]:
    """The table's part about summarising, for both models, greedily and with beams."""
    texts, few = stories(documents), stories(single)
    report: dict[str, Any] = {"documents": documents, "batch_size": BATCH}
    for model in MODELS:
        report[model] = {}
        for name, decoding in (("greedy", greedy()), ("4 beams", beams())):
            common = {"decoding": decoding, "model": model}
            throughput = take_turns(
                [
                    Contender("textae", our_summaries, {"documents": texts, **common}),
                    Contender("generate", generated, {"documents": texts, "sort": False, **common}),
                    Contender("generate, sorted", generated, {"documents": texts, "sort": True, **common}),
                ],
                rounds,
                threads,
            )
            latency = take_turns(
                [
                    Contender("textae", our_latency, {"documents": few, **common}),
                    Contender(
                        "generate",
                        generated,
                        {"documents": few, "sort": False, "batch_size": 1, **common},
                    ),
                ],
                rounds,
                threads,
            )
            report[model][name] = {
                "throughput": described(throughput, documents),
                "latency": described(latency, single),
                "equal": {"generate, sorted": _equal(throughput, "textae", "generate, sorted")},
            }
    return report


def _equal(measured: dict[str, Measured], first: str, second: str) -> float:
    """Share of the summaries that are the same, of two contenders."""
    pairs = list(zip(measured[first].result, measured[second].result, strict=True))
    return sum(one == other for one, other in pairs) / len(pairs)
