"""Summarising: documents per second and the latency of one, against ``generate`` and CTranslate2."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.plain import PlainNetwork
from benchmarks.timing import Contender, Measured, take_turns
from benchmarks.training import described
from textae.data import newswire
from textae.data.tokenizer import load_tokenizer, vocabulary_of
from textae.model_config import AutoencoderConfig, NetworkConfig
from textae.models.autoencoder import TextAutoencoder
from textae.models.decoding import pad_texts
from textae.models.engines.ctranslate2 import QUANTIZATIONS, export_ctranslate2
from textae.models.engines.onnx import export_onnx
from textae.models.generation import summary_lengths
from textae.models.saving import SHIPPED_FOLDER

# Documents in a batch; the large network has fewer, and fewer documents, so that a round is as long.
BATCHES = {"copy head": 64, "T5": 32}
# T5-small's sizes; its weights are random, so that every summary has as many tokens as it may have.
T5_SMALL = NetworkConfig(
    architecture="t5", width=512, layers=6, heads=8, feed_forward=2048, dropout=0.0, copy_head=False
)
T5_VOCABULARY = 32128


def stories(count: int) -> list[str]:
    """Stories of the embedded corpus, which the shipped model knows the kind of."""
    return newswire.documents(count, seed=7)


@cache
def shipped() -> TextAutoencoder:
    """The model inside the package: from scratch, with a copy head."""
    return _placed(TextAutoencoder.from_pretrained())


@cache
def t5_shaped() -> TextAutoencoder:
    """A model of T5-small's sizes, its vocabulary's too, with random weights."""
    small = NetworkConfig(width=16, layers=1, heads=2, feed_forward=16)
    tokenizer = load_tokenizer(SHIPPED_FOLDER)
    # The shipped vocabulary, and pieces that no text has: the vocabulary head is a large part of the work.
    tokenizer.add_tokens([f"piece{number}" for number in range(T5_VOCABULARY - len(tokenizer))])
    config = AutoencoderConfig(
        **{**vars(TextAutoencoder.from_pretrained().config), "encoder": T5_SMALL, "reconstructor": small},
    )
    torch.manual_seed(0)
    return _placed(TextAutoencoder(config, vocabulary_of(tokenizer)))


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
    return lambda: ours.summarize(documents, batch_size=BATCHES[model], **decoding)


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


def longest_summary(ours: TextAutoencoder) -> int:
    """Tokens that ``summarize`` lets a summary have; a contender with fewer would have less to do."""
    whatever = dict.fromkeys(("words", "ratio", "min_words", "max_words"))
    _, lengths = summary_lengths(ours.config, None, [(0, 0)], **whatever)
    return lengths[0].max_tokens


def forbidden(ours: TextAutoencoder) -> list[int]:
    """Tokens that no summary has: a random network would write them."""
    vocabulary = ours.vocabulary
    return [i for i in vocabulary.special.nonzero().flatten().tolist() if i != vocabulary.end]


def generated(
    documents: list[str], decoding: dict[str, Any], model: str, sort: bool, batch_size: int | None = None
) -> Callable[[], list[str]]:
    """``generate`` of the same network, in batches of documents as they come or of similar length."""
    ours = MODELS[model]()
    plain = PlainNetwork(ours.encoder).eval()
    vocabulary, config = ours.vocabulary, ours.config
    wanted = config.length.summary_words
    longest, never = longest_summary(ours), forbidden(ours)
    beam_options: dict[str, Any] = {"num_beams": decoding["num_beams"]}
    if decoding["num_beams"] > 1:
        beam_options["length_penalty"] = config.decoding.length_penalty

    size = batch_size or BATCHES[model]

    def work() -> list[str]:
        rows = ours.read_documents(documents)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i])) if sort else list(range(len(rows)))
        texts = [""] * len(rows)
        for begin in range(0, len(order), size):
            chosen = order[begin : begin + size]
            batch = pad_texts([rows[i] for i in chosen], vocabulary, ours.device)
            hints = vocabulary.hint_ids([wanted] * len(chosen), ours.device)
            written = plain.generate(
                batch, hints, longest, do_sample=False, suppress_tokens=never, **beam_options
            )
            for i, text in zip(chosen, vocabulary.decode(written.tolist()), strict=True):
                texts[i] = text
        return texts

    return work


def direct(documents: list[str], decoding: dict[str, Any], folder: str) -> Callable[[], list[str]]:
    """CTranslate2 called by hand: all documents at once, which it sorts and cuts into batches itself."""
    import ctranslate2

    ours = TextAutoencoder.from_pretrained(folder)
    vocabulary, config = ours.vocabulary, ours.config
    threads = torch.get_num_threads()
    translator = ctranslate2.Translator(
        f"{folder}/ctranslate2", device="cpu", inter_threads=threads, intra_threads=1
    )
    convert = vocabulary.tokenizer.convert_ids_to_tokens
    hint = convert([vocabulary.hint(config.length.summary_words)])
    never = [[token] for token in convert(forbidden(ours))]
    longest = longest_summary(ours)

    def work() -> list[str]:
        rows = ours.read_documents(documents)
        written = translator.translate_batch(
            [convert(vocabulary.as_source(row)) for row in rows],
            target_prefix=[hint] * len(rows),
            beam_size=decoding["num_beams"],
            length_penalty=config.decoding.length_penalty,
            max_batch_size=BATCHES["T5"],
            max_decoding_length=longest + 1,
            suppress_sequences=never,
        )
        ids = [vocabulary.tokenizer.convert_tokens_to_ids(result.hypotheses[0][1:]) for result in written]
        return vocabulary.decode(ids)

    return work


def exported(model: str, folder: Path) -> list[tuple[str, str, str]]:
    """Name, folder and engine of everything that a model can be exported for, written below ``folder``."""
    ours = MODELS[model]()
    network, vocabulary = ours.encoder, ours.vocabulary
    first = folder / model / "float32"
    ours.save_pretrained(first)
    export_onnx(network, vocabulary, first)
    engines = [("textae, onnx", str(first), "onnx")]
    if network.copy_head is None:
        for quantization in QUANTIZATIONS:
            target = folder / model / quantization
            if target != first:
                ours.save_pretrained(target)
            export_ctranslate2(network, vocabulary, target, quantization)
            engines.append((f"textae, ctranslate2 {quantization}", str(target), "ctranslate2"))
    return engines


def measure_summarizing(rounds: int, threads: int, documents: int, single: int) -> dict[str, Any]:
    """The table's part about summarising, for both models, greedily and with beams."""
    report: dict[str, Any] = {"batches": BATCHES, "models": {}}
    for model in MODELS:
        with TemporaryDirectory() as folder:
            on_processor = MODELS[model]().device.type == "cpu"
            engines = exported(model, Path(folder)) if on_processor else []
            share = 1 if model == "copy head" else 4
            count, few = documents // share, max(1, single // share)
            report["models"][model] = {
                name: _compare(model, decoding, engines, stories(count), stories(few), rounds, threads)
                for name, decoding in (("greedy", greedy()), ("4 beams", beams()))
            }
    return report


def _compare(
    model: str,
    decoding: dict[str, Any],
    engines: list[tuple[str, str, str]],
    texts: list[str],
    few: list[str],
    rounds: int,
    threads: int,
) -> dict[str, Any]:
    common = {"decoding": decoding, "model": model}
    torch_engine: list[tuple[str, str | None, str]] = [("textae, torch", None, "torch")]
    contenders = [
        Contender("generate", generated, {"documents": texts, "sort": False, **common}),
        Contender("generate, sorted", generated, {"documents": texts, "sort": True, **common}),
    ]
    latency = [Contender("generate", generated, {"documents": few, "sort": False, "batch_size": 1, **common})]
    for name, folder, engine in [*torch_engine, *engines]:
        chosen = {"folder": folder, "engine": engine, **common}
        contenders.append(Contender(name, our_summaries, {"documents": texts, **chosen}))
        latency.append(Contender(name, our_latency, {"documents": few, **chosen}))
        if engine == "ctranslate2":
            given = {"documents": texts, "decoding": decoding, "folder": folder}
            contenders.append(Contender(name.replace("textae, ", "directly, "), direct, given))
    measured = take_turns(contenders, rounds, threads)
    single = take_turns(latency, rounds, threads)
    return {
        "throughput": described(measured, len(texts)),
        "latency": described(single, len(few)),
        "equal_to_torch": {
            contender.name: _equal(measured, "textae, torch", contender.name)
            for contender in contenders
            if contender.name != "textae, torch"
        },
    }


def _equal(measured: dict[str, Measured], first: str, second: str) -> float:
    """Share of the summaries that are the same, of two contenders."""
    pairs = list(zip(measured[first].result, measured[second].result, strict=True))
    return sum(one == other for one, other in pairs) / len(pairs)
