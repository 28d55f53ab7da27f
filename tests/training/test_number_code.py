"""Runs whose code is numbers: every kind learns, resumes and is loaded."""

import json

import pytest
import torch

from textae import Autoencoder, CodeAutoencoder, TextAutoencoder
from textae.data.corpus import read_pairs, read_texts
from textae.errors import InputError
from textae.model_config import NormalizationConfig
from textae.training import loop
from textae.training.noisy_documents import noisy_documents
from textae.training.run import train, training_class

KINDS = ("vector", "gaussian", "vq", "split")
DOCUMENTS = ["newswire:200", "newswire:40"]


def sections(kind, **values):
    """What a tiny recipe needs for a code of numbers."""
    sizes = {"vectors": 2, "width": 8, "slots": 2, "codebook_size": 8, "style_width": 2}
    return {
        "code": {"kind": kind, **sizes, **values},
        "data": {"documents": DOCUMENTS, "valid": ["newswire:valid:6"]},
        "noise": {f"document_{what}": 0.1 for what in ("mask", "delete", "replace", "shuffle")},
        "warmup": {"steps": 6},
    }


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def text(count=3):
    pairs = read_pairs([f"newswire:test:{count}"], ["document"], ["summary"], NormalizationConfig())
    return [pair.document for pair in pairs]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_resumes_step_for_step_and_its_model_is_loaded(kind, tmp_path, make_config, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(make_config(whole, **sections(kind)))
    original = loop.Training.train_step

    def train_step(self):
        if self.step == 3:
            raise KeyboardInterrupt
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "train_step", train_step)
        with pytest.raises(KeyboardInterrupt):
            train(make_config(broken, **sections(kind)))
    train(make_config(broken, **sections(kind)), "latest")
    assert metrics(broken) == metrics(whole)
    steps = [line for line in metrics(whole) if "loss/reconstructor" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert {line["phase"] for line in steps} == {"code"}
    assert not (whole / "warm").exists()

    model = Autoencoder.from_pretrained(whole)
    assert isinstance(model, CodeAutoencoder)
    assert model.config.sources == DOCUMENTS
    documents = text()
    vectors = model.embed([*documents, ""])
    assert vectors.shape == (4, 16) and vectors.dtype == torch.float32
    assert torch.equal(vectors[3], torch.zeros(16))
    # The same whatever the batch.
    alone = torch.cat([model.embed([document]) for document in documents])
    assert torch.allclose(vectors[:3], alone, atol=1e-5)
    losses = model.reconstruction_loss([*documents, ""])
    assert losses[3] == 0.0 and all(0 < loss < 10 for loss in losses[:3])
    assert model.reconstruct(["", documents[0]])[0] == ""
    with pytest.raises(InputError, match=f"this model's code is {kind}; summarising needs another"):
        TextAutoencoder.from_pretrained(whole)


def test_the_network_learns_to_restore_documents(tmp_path, make_config):
    network = {"width": 32, "layers": 1, "heads": 2, "feed_forward": 64, "dropout": 0.0}
    settings = sections("vector", vectors=1, width=32, slots=4)
    settings |= {
        "encoder": network,
        "warmup": {"steps": 60, "documents_per_batch": 16, "learning_rate": 1e-2, "warmup_steps": 5},
        "run": {"save_every": 1000, "evaluate_every": 1000, "sample_every": 1000},
    }
    train(make_config(tmp_path / "run", **settings))
    lines = [line for line in metrics(tmp_path / "run") if line.get("phase") == "code"]
    for name, fall in (("loss/reconstructor", 1.5), ("loss/bag", 0.5)):
        assert lines[-1][name] < lines[0][name] - fall


def test_what_a_code_cannot_do_is_refused(tmp_path, make_config):
    train(make_config(tmp_path / "run", **sections("vector")))
    model = CodeAutoencoder.from_pretrained(tmp_path / "run")
    for call, reason in (
        (lambda: model.generate(2), "A vector code has no prior"),
        (lambda: model.indices(text()), "A vector code is not discrete"),
        (lambda: model.restyle(text(), text()), "A vector code does not tell style from content"),
        (lambda: model.generate(0), "n is 0"),
        (lambda: model.between("a", "b", 1), "n is 1"),
        (lambda: model.between("a", "", 3), "a document to walk between"),
        (lambda: model.decode(torch.zeros(1, 2, 8), num_beams=0), "num_beams is 0"),
    ):
        with pytest.raises(InputError, match=reason):
            call()


def test_documents_are_drawn_walked_between_and_restyled(tmp_path, make_config):
    train(make_config(tmp_path / "g", **sections("gaussian")))
    model = CodeAutoencoder.from_pretrained(tmp_path / "g")
    assert model.generate(3, seed=1) == model.generate(3, seed=1)
    first, last = text(2)
    walk = model.between(first, last, 3)
    assert [walk[0], walk[2]] == model.reconstruct([first, last])
    train(make_config(tmp_path / "s", **sections("split")))
    model = CodeAutoencoder.from_pretrained(tmp_path / "s")
    # Fitted to the last weights: what they make of the training documents says the same once more.
    means = model.code.means.clone()
    texts = read_texts(
        DOCUMENTS, ["document"], kind="documents", streaming=False, normalization=model.config.normalization
    )
    model.fit_code(texts["text"], texts["source"])
    torch.testing.assert_close(model.code.means, means, rtol=1e-4, atol=1e-4)
    assert len(model.restyle([first, "", last], [last])) == 3
    assert model.restyle([last], [last]) == model.reconstruct([last])
    train(make_config(tmp_path / "q", **sections("vq")))
    numbers = CodeAutoencoder.from_pretrained(tmp_path / "q").indices([first, "", last])
    assert numbers.shape == (3, 2) and numbers[1].tolist() == [-1, -1]
    assert ((numbers[[0, 2]] >= 0) & (numbers[[0, 2]] < 8)).all()


def test_a_batch_has_documents_of_all_sources_where_a_code_compares_them(tmp_path, make_config):
    settings = sections("split")
    short = tmp_path / "short.txt"
    short.write_text("".join(f"rain in hall {number}\n" for number in range(200)), encoding="utf-8")
    settings["data"] = {"documents": ["newswire:200", str(short)], "max_document_tokens": 40}
    recipe = make_config(tmp_path / "s", **settings)
    training = training_class(recipe)(recipe, None, None)
    training.streams.open("warm-up")
    batches = [next(training.streams.documents) for _ in range(20)]
    # In batches of one length most would have stories alone, or short lines alone.
    assert sum(len({example.source for example in batch}) == 2 for batch in batches) > 15


def test_one_source_has_no_style(tmp_path, make_config):
    settings = sections("split")
    settings["data"] = {"documents": ["newswire:200"]}
    with pytest.raises(InputError, match="wants documents of two sources or more"):
        train(make_config(tmp_path, **settings))


def test_what_the_encoder_of_a_text_code_reads_is_corrupted_too(config, small_vocabulary, documents):
    rows = range(1, 3)
    clean = noisy_documents(config, small_vocabulary, 5, rows, documents)
    assert clean == [small_vocabulary.as_source(documents[row].ids) for row in rows]
    config.noise.document_mask = 0.5
    noisy = noisy_documents(config, small_vocabulary, 5, rows, documents)
    assert noisy == noisy_documents(config, small_vocabulary, 5, range(4), documents)[1:3]
    for before, after in zip(clean, noisy, strict=True):
        hidden = [now == small_vocabulary.mask for now in after]
        assert 0 < sum(hidden) < len(after)
        kept = [token for token, gone in zip(before, hidden, strict=True) if not gone]
        assert kept == [token for token, gone in zip(after, hidden, strict=True) if not gone]
