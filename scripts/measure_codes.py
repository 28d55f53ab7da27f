"""Measure codes of numbers on real text: python scripts/measure_codes.py topics|anomalies|... --help.

Each measure prints a table in Markdown, and writes its figures, with the commit and the machine, to --json.
It needs the extras measure and compress.
"""

import argparse
import gzip
import json
import lzma
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard

from textae import Autoencoder, CodeAutoencoder, TextAutoencoder
from textae.data.corpus import read_records
from textae.data.words import split_words
from textae.evaluation.files import write_json
from textae.evaluation.pictures import draw_losses, draw_rates
from textae.evaluation.probes import area_under_curve, topic_accuracy
from textae.evaluation.scoring import RougeProtocol, rouge
from textae.evaluation.tables import aligned
from textae.inference.compression import compress, compressed_bits, decompress
from textae.provenance import provenance

ROUGE = RougeProtocol(resamples=1)
COLUMNS = ("lead", "document", "text", "summary")


def texts_of(sources: Sequence[str], limit: int | None = None, columns: Sequence[str] = COLUMNS) -> list[str]:
    """Texts of some sources, the first of ``columns`` that a record has, evenly spread if limited."""
    texts = [record.text(columns) for source in sources for record in read_records(source)]
    return texts if limit is None else texts[:: max(1, len(texts) // limit)][:limit]


def labelled(sources: Sequence[str], column: str) -> tuple[list[str], list[str]]:
    """Texts and labels of the records that have both."""
    records = [r for source in sources for r in read_records(source) if r.fields.get(column) is not None]
    return [record.text(COLUMNS) for record in records], [str(record.fields[column]) for record in records]


def models_of(given: Sequence[str]) -> dict[str, Any]:
    """Models by the names that ``NAME=FOLDER`` gives them."""
    return {name: Autoencoder.from_pretrained(path) for name, path in (text.split("=", 1) for text in given)}


def topics(options: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of logistic regression on topics, from few labels and from all."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    train, train_labels = labelled(options.train, options.column)
    test, test_labels = labelled(options.test, options.column)
    unlabelled = texts_of(options.unlabelled)
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2).fit(unlabelled)
    all_texts, known, asked = (vectorizer.transform(texts) for texts in (unlabelled, train, test))
    features: dict[str, tuple[Any, Any]] = {"TF-IDF": (known, asked)}
    for width in options.widths:
        reducer = TruncatedSVD(width, random_state=0).fit(all_texts)
        features[f"TF-IDF and SVD, {width}"] = reducer.transform(known), reducer.transform(asked)
    for name, model in models_of(options.model).items():
        features[name] = model.embed(train).numpy(), model.embed(test).numpy()
    if options.sentence_encoder:
        from textae.models.sentence_encoder import SentenceEncoder

        encoder = SentenceEncoder.from_pretrained(options.sentence_encoder)
        known, asked = (
            np.concatenate([encoder.embed(part[i : i + 64]).numpy() for i in range(0, len(part), 64)])
            for part in (train, test)
        )
        features["pretrained sentence encoder"] = known, asked
    found = {
        name: topic_accuracy(known, train_labels, asked, test_labels, draws=options.draws)
        for name, (known, asked) in features.items()
    }
    counts = [f"{result.labels or 'all'} a class" for result in next(iter(found.values()))]
    shown = {name: [f"{r.mean:.1f} ± {r.deviation:.1f}" for r in results] for name, results in found.items()}
    print(markdown(["features", *counts], shown))
    rows = [{"features": name, "results": [asdict(r) for r in results]} for name, results in found.items()]
    return {"train": len(train), "test": len(test), "unlabelled": len(unlabelled), "rows": rows}


def shuffled(texts: Sequence[str], seed: int = 0) -> list[str]:
    """The words of each text in another order."""
    generator = random.Random(seed)
    return [" ".join(generator.sample(words, len(words))) for words in map(split_words, texts)]


def anomalies(options: argparse.Namespace) -> dict[str, Any]:
    """Area under the ROC curve of reconstruction loss, beside two one-class baselines on TF-IDF."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors
    from sklearn.svm import OneClassSVM

    normal, train = texts_of(options.normal, options.limit), texts_of(options.train)
    named = dict(text.split("=", 1) for text in options.anomalous)
    kinds = {name: texts_of([path], options.limit) for name, path in named.items()}
    kinds["the same, words shuffled"] = shuffled(normal)
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2)
    known = vectorizer.fit_transform(train)
    machine = OneClassSVM(kernel="rbf", gamma="scale", nu=0.1).fit(known)
    neighbours = NearestNeighbors(n_neighbors=1, metric="cosine").fit(known)

    def unlike(texts: list[str]) -> list[float]:
        return list(-machine.score_samples(vectorizer.transform(texts)))

    def far(texts: list[str]) -> list[float]:
        return list(neighbours.kneighbors(vectorizer.transform(texts))[0][:, 0])

    scorers: dict[str, Callable[[list[str]], list[float]]] = {
        "one-class SVM on TF-IDF": unlike,
        "distance from the nearest, TF-IDF": far,
    }
    scorers |= {name: model.reconstruction_loss for name, model in models_of(options.model).items()}
    areas: dict[str, dict[str, float]] = {}
    losses: dict[str, list[float]] = {}
    for name, score in scorers.items():
        losses = {"held-out normal": score(normal), **{kind: score(texts) for kind, texts in kinds.items()}}
        areas[name] = {kind: area_under_curve(losses["held-out normal"], losses[kind]) for kind in kinds}
    shown = {name: [f"{area:.3f}" for area in found.values()] for name, found in areas.items()}
    print(markdown(["score", *kinds], shown))
    if options.plot:
        draw_losses(losses, float(np.quantile(losses["held-out normal"], 0.95)), options.plot)
    return {"normal": len(normal), "anomalous": {k: len(v) for k, v in kinds.items()}, "areas": areas}


def compression(options: argparse.Namespace) -> dict[str, Any]:
    """Bits a character and what comes back, lossy and lossless, beside general compressors."""
    documents = texts_of(options.data, options.limit)
    joined, characters = "\n".join(documents).encode("utf-8"), sum(map(len, documents))
    general = {
        "gzip": gzip.compress(joined, 9),
        "xz": lzma.compress(joined, preset=9 | lzma.PRESET_EXTREME),
        "zstd": zstandard.ZstdCompressor(level=22).compress(joined),
    }
    rows: list[dict[str, Any]] = [
        {"system": name, "bits": 8 * len(data) / characters} for name, data in general.items()
    ]
    curves: dict[str, list[tuple[float, float]]] = {}
    sized = [
        (f"{name}, {words} words" if words else name, model, words)
        for name, model in models_of(options.model).items()
        for words in (options.words if model.config.code.is_text and options.words else [None])
    ]
    for name, model, words in sized:
        size = sum(parameter.numel() for parameter in model.parameters())
        packed = compress(model, documents, words=words)
        restored = decompress(model, packed.data)
        likeness = rouge(restored, [[text] for text in documents], ROUGE)["rougeL"]
        bits = compressed_bits(documents, packed.data)
        rows.append({"system": name, "parameters": size, "bits": bits, "rougeL": likeness})
        curves.setdefault(name.split(",")[0], []).append((bits, likeness))
        if options.lossless:
            packed = compress(model, documents, words=words, lossless=True)
            exact = compressed_bits(documents, packed.data)
            rows.append({"system": f"{name}, lossless", "parameters": size, "bits": exact})
    shown = {
        row["system"]: [
            f"{row['bits']:.3f}",
            f"{row['rougeL']:.2f}" if "rougeL" in row else "all",
            f"{row['parameters']:,}" if "parameters" in row else "",
        ]
        for row in rows
    }
    print(markdown(["system", "bits a character", "ROUGE-L", "parameters"], shown))
    if options.plot:
        draw_rates(curves, options.plot, "ROUGE-L of what comes back")
    return {"documents": len(documents), "characters": characters, "rows": rows}


def noise(options: argparse.Namespace) -> dict[str, Any]:
    """Reconstruction of corrupted documents by models trained with and without noise."""
    documents = texts_of(options.data, options.limit)
    generator = random.Random(0)
    thinned = [[word for word in split_words(text) if generator.random() >= 0.2] for text in documents]
    forms = {
        "clean": documents,
        "a fifth of the words left out": [" ".join(words) for words in thinned],
        "words shuffled": shuffled(documents),
    }
    found: dict[str, dict[str, float]] = {}
    for name, model in models_of(options.model).items():
        found[name] = {}
        for form, texts in forms.items():
            restored = model.reconstruct(texts, num_beams=1)
            found[name][form] = rouge(restored, [[text] for text in documents], ROUGE)["rougeL"]
    shown = {name: [f"{score:.2f}" for score in scores.values()] for name, scores in found.items()}
    print(markdown(["ROUGE-L of what comes back", *forms], shown))
    return {"documents": len(documents), "rougeL": found}


def drawn(options: argparse.Namespace) -> dict[str, Any]:
    """Documents drawn from the prior: how many differ, how readable they are to a reader of real text."""
    model = CodeAutoencoder.from_pretrained(options.model[0].split("=", 1)[-1])
    texts = model.generate(options.limit or 500, seed=1)
    real = texts_of(options.data, len(texts), ("text", "summary"))
    means = model.encode(real).flatten(1)
    report: dict[str, Any] = {
        "drawn": len(texts),
        "distinct": len(set(texts)) / len(texts),
        "active_units": int((means.var(dim=0, unbiased=False) > 0.01).sum()),
        "numbers": means.shape[1],
        "in_training": len(set(texts) & set(texts_of(options.train))) / len(texts) if options.train else None,
        "first": texts[:10],
    }
    if options.reader:
        reader = TextAutoencoder.from_pretrained(options.reader)
        for name, sentences in (("drawn", texts), ("real", real), ("shuffled", shuffled(real))):
            judged = reader.readability([text for text in sentences if text.strip()])
            report[f"readability_{name}"] = sum(judged) / len(judged)
    print(json.dumps(report, indent=2, ensure_ascii=False))
    return report


def styles(options: argparse.Namespace) -> dict[str, Any]:
    """What content and style tell of the source to fresh classifiers, and what restyling changes."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = CodeAutoencoder.from_pretrained(options.model[0].split("=", 1)[-1])
    named = {name: path.split("|") for name, path in (text.split("=", 1) for text in options.source)}
    fit = {name: texts_of([paths[0]], options.limit) for name, paths in named.items()}
    held = {name: texts_of([paths[1]], options.limit, paths[2:] or COLUMNS) for name, paths in named.items()}
    content = model.config.code.width - model.config.code.style_width
    codes = [torch.cat([model.encode(texts) for texts in part.values()]) for part in (fit, held)]
    probes = {
        "linear": LogisticRegression(max_iter=2000),
        "network": MLPClassifier((128,), early_stopping=True, random_state=0),
    }
    accuracy = {}
    for half, numbers in (("content", slice(0, content)), ("style", slice(content, None))):
        known, asked = (values[..., numbers].flatten(1).numpy() for values in codes)
        for kind, probe in probes.items():
            fresh = make_pipeline(StandardScaler(), probe).fit(known, labels_of(fit))
            accuracy[f"{half}, {kind}"] = 100 * float(fresh.score(asked, labels_of(held)))
    judge = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, min_df=2), LogisticRegression(max_iter=2000)
    ).fit(joined(fit), labels_of(fit))
    moves: dict[str, dict[str, float]] = {}
    for origin, target in ((a, b) for a in named for b in named if a != b):
        texts = held[origin][:100]
        written, plain = model.restyle(texts, fit[target]), model.reconstruct(texts)
        moves[f"{origin} to {target}"] = {
            "taken for the target": 100 * float((judge.predict(written) == target).mean()),
            "without restyling": 100 * float((judge.predict(plain) == target).mean()),
            "words in common": overlap(written, plain),
            "words": sum(len(split_words(text)) for text in written) / len(written),
            "words without": sum(len(split_words(text)) for text in plain) / len(plain),
        }
    shown = {name: [f"{value:.1f}" for value in move.values()] for name, move in moves.items()}
    print(markdown(["restyled", *next(iter(moves.values()))], shown))
    report = {
        "accuracy": accuracy,
        "chance": 100 * max(map(len, held.values())) / len(labels_of(held)),
        "judge": 100 * float(judge.score(joined(held), labels_of(held))),
    }
    if options.data:
        report["rouge"] = restyled_rouge(model, options.data, next(reversed(fit.values())), options.limit)
    print(json.dumps(report, indent=2))
    return {**report, "moves": moves}


def restyled_rouge(
    model: CodeAutoencoder, sources: Sequence[str], models: list[str], limit: int | None
) -> dict[str, dict[str, float]]:
    """ROUGE of documents restyled as ``models`` are, against their summaries, with what is simpler beside."""
    documents = texts_of(sources, limit, ("document",))
    references = texts_of(sources, limit, ("summary",))
    systems = {
        "restyled": model.restyle(documents, models),
        "reconstructed": model.reconstruct(documents),
        "first 8 words": [" ".join(text.split()[:8]) for text in documents],
        "another document's summary": references[1:] + references[:1],
    }
    wanted = ("rouge1", "rouge2", "rougeL", "mean_words", "count")
    found = {
        name: rouge(texts, [[reference] for reference in references], ROUGE)
        for name, texts in systems.items()
    }
    return {name: {key: scores[key] for key in wanted} for name, scores in found.items()}


def markdown(header: list[str], rows: dict[str, list[str]]) -> str:
    """A table of rows by their names."""
    return "\n".join(aligned([header, *([name, *cells] for name, cells in rows.items())]))


def labels_of(texts: dict[str, list[str]]) -> np.ndarray:
    """The name of each text's source, source after source."""
    return np.repeat(list(texts), [len(part) for part in texts.values()])


def joined(texts: dict[str, list[str]]) -> list[str]:
    """The texts of all sources, one source after the other."""
    return [text for part in texts.values() for text in part]


def overlap(first: list[str], second: list[str]) -> float:
    """Mean share of longer words that two versions of a text have in common (Jaccard), in percent."""
    shares = []
    for one, two in zip(first, second, strict=True):
        a, b = ({word for word in split_words(text) if len(word) > 4} for text in (one, two))
        if a | b:
            shares.append(len(a & b) / len(a | b))
    return 100 * sum(shares) / max(1, len(shares))


MEASURES = (topics, anomalies, compression, noise, drawn, styles)


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    group = parser.add_subparsers(dest="measure", required=True)
    for measure in MEASURES:
        add = group.add_parser(measure.__name__, help=measure.__doc__).add_argument
        add("--model", nargs="+", required=True, metavar="NAME=M")
        add("--json", metavar="F", help="write the figures here")
        add("--limit", type=int, help="documents of each source, evenly spread")
        add("--train", nargs="+", default=[], metavar="F", help="documents that may be learned from")
        add("--test", nargs="+", default=[], metavar="F")
        add("--data", nargs="+", default=[], metavar="F")
        add("--unlabelled", nargs="+", default=[], metavar="F")
        add("--normal", nargs="+", default=[], metavar="F")
        add("--anomalous", nargs="+", default=[], metavar="NAME=F")
        add("--source", nargs="+", default=[], metavar="NAME=TRAIN|TEST")
        add("--column", default="label", help="of labels")
        add("--widths", nargs="+", type=int, default=[16, 64, 256])
        add("--draws", type=int, default=20)
        add("--sentence-encoder", metavar="M")
        add("--reader", metavar="M", help="a model with a text code, whose discriminator judges")
        add("--lossless", action="store_true")
        add("--words", nargs="+", type=int, default=[], help="lengths of codes that are text")
        add("--plot", metavar="F")
    options = parser.parse_args()
    measure = next(found for found in MEASURES if found.__name__ == options.measure)
    report = {"command": " ".join(sys.argv[1:]), **provenance(), **measure(options)}
    if options.json:
        write_json(report, Path(options.json))


if __name__ == "__main__":
    main()
