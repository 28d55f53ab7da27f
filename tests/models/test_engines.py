"""Every engine writes what PyTorch writes."""

import json
import shutil

import pytest
import torch

from textae import InputError, TextAutoencoder
from textae.cli import main
from textae.models.constraints import Decoding, Lengths
from textae.models.decoding import decode, pad_texts
from textae.models.engines import export_engine
from textae.models.engines.ctranslate2 import CTranslate2Writer
from textae.models.engines.files import exporting
from textae.models.engines.writer import TorchWriter

GREEDY = {"num_beams": 1, "candidates": 1}
PLAIN = {"whole_words": False, "distinct_words": False, "no_repeat_ngram_size": 0}
ENGINES = ("onnx", "ctranslate2")


@pytest.fixture(scope="module")
def copying(tiny_vocabulary, build_model, tmp_path_factory):
    """A saved model with a copy head, exported for ONNX Runtime."""
    folder = tmp_path_factory.mktemp("engines") / "copying"
    build_model(tiny_vocabulary).save_pretrained(folder)
    export_engine(folder, "onnx")
    return folder


@pytest.fixture(scope="module", params=("mbart", "t5"))
def generating(request, tiny_vocabulary, build_model, build_network_config, tmp_path_factory):
    """A saved model without one, exported for both engines."""
    folder = tmp_path_factory.mktemp("engines") / request.param
    network = build_network_config(request.param, copy_head=False)
    build_model(tiny_vocabulary, encoder=network).save_pretrained(folder)
    for engine in ENGINES:
        export_engine(folder, engine)
    return folder


def loaded(folder, engine="torch"):
    model = TextAutoencoder.from_pretrained(folder)
    model.use_engine(engine)
    return model


# Which settings each engine heeds, and that it writes the same with them ----------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        GREEDY,
        {**GREEDY, **PLAIN},
        {**GREEDY, "words": 3},
        {"num_beams": 3, "candidates": 1},
        {"num_beams": 3, "candidates": 3, "words": 4},
        {"num_beams": 1, "do_sample": True, "seed": 5},
        {**GREEDY, "min_words": 2, "max_words": 3, "no_repeat_ngram_size": 2},
    ],
)
def test_onnx_heeds_every_setting(copying, sentences, settings):
    for batch_size in (3, 64):  # of which seeds depend
        written = loaded(copying).summarize(sentences, batch_size=batch_size, **settings)
        assert len(set(written)) > 1
        assert loaded(copying, "onnx").summarize(sentences, batch_size=batch_size, **settings) == written


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("search", [GREEDY, {"num_beams": 3, "candidates": 1}])
def test_networks_without_a_copy_head_write_the_same_everywhere(generating, sentences, engine, search):
    settings = {**PLAIN, **search}
    written = loaded(generating).summarize(sentences, **settings)
    assert loaded(generating, engine).summarize(sentences, batch_size=3, **settings) == written


def test_ctranslate2_gives_candidates_the_networks_own_log_probabilities(generating, sentences):
    model = loaded(generating)
    theirs = CTranslate2Writer(model.encoder, model.vocabulary, generating / "ctranslate2")
    ours = TorchWriter(model.encoder, model.vocabulary)
    rows = model.read_documents(sentences[:4])
    how = Decoding(max_tokens=9, num_beams=3, candidates=2, length_penalty=0.0)
    with torch.no_grad():
        found = [writer.search(writer.read(rows), [4] * 4, how, [how] * 4) for writer in (ours, theirs)]
    ours_found, theirs_found = (
        {
            (row, *candidate.tokens): candidate.log_probability
            for row, texts in enumerate(rows)
            for candidate in texts
        }
        for rows in found
    )
    both = ours_found.keys() & theirs_found.keys()
    assert len(both) >= 4
    for text in both:
        assert ours_found[text] == pytest.approx(theirs_found[text], abs=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_leave_pytorch_its_threads(generating, sentences, engine):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        model = loaded(generating, engine)
        model.summarize(sentences, batch_size=3, **PLAIN, **GREEDY)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_ctranslate2_says_what_it_cannot_heed(generating, sentences):
    model = loaded(generating, "ctranslate2")
    for settings, named in (
        ({"words": 4}, "a length in words"),
        ({"max_words": 4}, "a length in words"),
        ({"whole_words": True}, "whole_words"),
        ({"distinct_words": True}, "distinct_words"),
        ({"do_sample": True, "num_beams": 1}, "sampling"),
    ):
        with pytest.raises(InputError, match=f"CTranslate2 cannot heed {named}.*take the engine torch"):
            model.summarize(sentences, **{**PLAIN, **GREEDY, **settings})
    # Whoever leaves the choice to textae does not notice.
    settings = {**GREEDY, "words": 4}
    assert loaded(generating, "auto").summarize(sentences, **settings) == loaded(generating).summarize(
        sentences, **settings
    )


def test_int8_writes_texts_of_its_own(generating, tiny_vocabulary, tmp_path, sentences):
    folder = tmp_path / "model"
    TextAutoencoder.from_pretrained(generating).save_pretrained(folder)
    export_engine(folder, "ctranslate2", "int8")
    assert json.loads((folder / "ctranslate2" / "export.json").read_text())["quantization"] == "int8"
    summaries = loaded(folder, "ctranslate2").summarize(sentences, **GREEDY, **PLAIN)
    assert len(summaries) == len(sentences) and any(summaries)


def test_a_copy_head_is_nothing_for_ctranslate2(copying):
    with pytest.raises(InputError, match="CTranslate2 has no copy head, and this model has one"):
        export_engine(copying, "ctranslate2")
    assert not (copying / "ctranslate2").exists()


# The files ------------------------------------------------------------------------------------------------


def test_files_of_other_weights_are_not_used(
    copying, tiny_vocabulary, build_model, tmp_path, caplog, sentences
):
    folder = tmp_path / "model"
    shutil.copytree(copying, folder)
    assert loaded(folder, "onnx").summarize(sentences[:1]) == loaded(copying).summarize(sentences[:1])
    build_model(tiny_vocabulary, seed=1).save_pretrained(folder)
    with pytest.raises(InputError, match=r"belong to other weights than .*; write them anew"):
        loaded(folder, "onnx")
    assert loaded(folder, "auto").summarize(sentences) == loaded(folder).summarize(sentences)
    assert "The engine onnx is left out" in caplog.text


def test_what_was_not_exported_or_is_damaged_is_refused(copying, tmp_path, tiny_model):
    folder = tmp_path / "model"
    TextAutoencoder.from_pretrained(copying).save_pretrained(folder)
    with pytest.raises(InputError, match=r"nothing is exported for the engine onnx; write it with"):
        loaded(folder, "onnx")
    with pytest.raises(InputError, match="this model: nothing is exported"):
        tiny_model.use_engine("onnx")
    with pytest.raises(InputError, match='engine "onyx" is unknown; take one of auto, torch, onnx'):
        tiny_model.use_engine("onyx")
    with exporting(folder, "onnx") as target:
        (target / "read.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"read.onnx: this graph cannot be read .*; export the model again"):
        loaded(folder, "onnx")
    (folder / "onnx" / "export.json").write_text("{}")
    with pytest.raises(InputError, match=r"export\.json is missing or damaged"):
        loaded(folder, "onnx")


def test_an_export_that_fails_leaves_what_was_there(copying, tmp_path):
    folder = tmp_path / "model"
    TextAutoencoder.from_pretrained(copying).save_pretrained(folder)
    with exporting(folder, "onnx") as target:
        (target / "first").touch()
    with pytest.raises(ZeroDivisionError), exporting(folder, "onnx"):
        _ = 1 / 0
    assert [file.name for file in sorted((folder / "onnx").iterdir())] == ["export.json", "first"]
    assert not list(folder.glob(".onnx*"))


# The command line -----------------------------------------------------------------------------------------


def test_export_and_summarize(copying, tmp_path, capsys):
    target, text = tmp_path / "fast", tmp_path / "text.txt"
    text.write_text("a heron landed on the weather mast at noon\n", encoding="utf-8")
    assert main(["export", "--model", str(copying), "--output", str(target), "--engine", "onnx"]) == 0
    lines = []
    for engine in ("auto", "onnx", "torch"):
        words = ["summarize", "--model", str(target), "--input", str(text), "--engine", engine]
        capsys.readouterr()
        assert main(words) == 0
        lines.append(capsys.readouterr().out)
    assert lines[0] == lines[1] == lines[2] != "\n"
    words = ["export", "--model", str(copying), "--output", str(target), "--quantization", "int8"]
    assert main(words) == 2
    assert "--quantization is for --engine ctranslate2" in capsys.readouterr().err


# What all of them rest on ---------------------------------------------------------------------------------


def test_texts_that_leave_the_batch_early_change_nothing(tiny_model, sentences):
    vocabulary, encoder = tiny_model.vocabulary, tiny_model.encoder
    rows = tiny_model.read_documents(sentences)
    lengths = [Lengths(max_tokens=2 + 3 * (number % 4), min_words=0) for number in range(len(rows))]
    for how in (Decoding(whole_words=True), Decoding(num_beams=3, whole_words=True, no_stutter=True)):
        with torch.no_grad():
            source = encoder.read(pad_texts(rows, vocabulary, tiny_model.device))
            together = decode(encoder, source, None, vocabulary, how, lengths)
            alone = [
                decode(encoder, source.select(torch.tensor([row])), None, vocabulary, how, [lengths[row]])[0]
                for row in range(len(rows))
            ]
        assert together == alone
