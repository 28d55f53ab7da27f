"""What an export for an engine must not do: round weights in passing, cut documents, go unchecked."""

import json

import pytest
import torch

from textae import InputError, TextAutoencoder
from textae.cli import main
from textae.models.constraints import Decoding
from textae.models.decoding import pad_texts
from textae.models.engines import export_engine
from textae.models.engines.ctranslate2 import CTranslate2Writer
from textae.models.saving import WEIGHTS, stored_dtype

PLAIN = {"whole_words": False, "distinct_words": False}


@pytest.fixture
def save(tmp_path, tiny_vocabulary, build_model, build_network_config):
    """The function that saves a tiny model without a copy head and gives model and folder."""
    pytest.importorskip("ctranslate2")

    def save(architecture="mbart", bias=None, dtype=None, **values):
        network = build_network_config(architecture, copy_head=False)
        model = build_model(tiny_vocabulary, encoder=network, **values)
        if bias is not None:
            model.encoder.backbone.network.final_logits_bias[0, tiny_vocabulary.end] = bias
        model.save_pretrained(tmp_path / "model", dtype=dtype)
        return TextAutoencoder.from_pretrained(tmp_path / "model"), tmp_path / "model"

    return save


def test_an_export_into_the_models_own_folder_leaves_its_weights_alone(save, tmp_path):
    _, folder = save()
    before = (folder / WEIGHTS).read_bytes()
    words = ["export", "--model", str(folder), "--engine", "ctranslate2", "--output"]
    assert main([*words, str(folder)]) == 0
    assert (folder / WEIGHTS).read_bytes() == before
    # Elsewhere they are as they were, unless something else is asked for.
    assert main([*words, str(tmp_path / "other")]) == 0
    assert stored_dtype(tmp_path / "other") == "float32"
    assert main([*words, str(tmp_path / "small"), "--dtype", "float16"]) == 0
    assert stored_dtype(tmp_path / "small") == "float16"
    assert main([*words, str(folder), "--dtype", "bfloat16"]) == 0
    assert stored_dtype(folder) == "bfloat16"
    TextAutoencoder.from_pretrained(folder).use_engine("ctranslate2")


def test_weights_of_several_kinds_count_as_float32(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2), "b": torch.zeros(2).half()}, tmp_path / WEIGHTS)
    assert stored_dtype(tmp_path) == "float32"


def test_a_document_beyond_a_thousand_tokens_is_read_whole(save, sentences):
    model, folder = save("t5", max_document_tokens=3000)
    export_engine(folder, "ctranslate2")
    writer, vocabulary = (
        CTranslate2Writer(model.encoder, model.vocabulary, folder / "ctranslate2"),
        model.vocabulary,
    )
    beginning = vocabulary.encode([" ".join(sentences[:6] * 25)])[0][:1100]
    rows = [[*beginning, *tail * 60] for tail in vocabulary.encode(sentences)]
    with torch.no_grad():
        source = model.encoder.read(pad_texts(rows, vocabulary, model.device))
        hints = vocabulary.hint_ids([4] * len(rows), model.device)
        prefix = model.encoder.prefix(len(rows), hints, model.device)
        scores = model.encoder.begin(source).next_log_probabilities(prefix)
    expected = scores.masked_fill(vocabulary.special, -float("inf")).argmax(1).tolist()
    # What stands behind the first thousand tokens decides.
    assert len(set(expected)) > 1
    how = Decoding(max_tokens=1)
    found = writer.decode(writer.read(rows), [4] * len(rows), how, [how] * len(rows))
    assert [row[0] for row in found] == expected


@pytest.mark.parametrize("beams", [1, 4])
def test_an_empty_summary_is_possible(save, sentences, beams):
    model, folder = save(bias=60.0)
    export_engine(folder, "ctranslate2")
    model.use_engine("ctranslate2")
    assert model.summarize(sentences, **PLAIN, num_beams=beams) == [""] * len(sentences)


@pytest.mark.parametrize("quantization", ["float32", "int8"])
def test_a_network_that_is_converted_wrongly_is_refused(save, monkeypatch, quantization):
    """As if the library took the wrong norms for this family's."""
    from textae.models.engines import ctranslate2

    model, folder = save()
    export_engine(folder, "ctranslate2")
    before = json.loads((folder / "ctranslate2" / "export.json").read_text(encoding="utf-8"))
    monkeypatch.setitem(ctranslate2._PRE_NORM, "mbart", False)
    with pytest.raises(InputError, match=r"does not write what this network writes|cannot convert"):
        export_engine(folder, "ctranslate2", quantization)
    # What was there is there still.
    assert json.loads((folder / "ctranslate2" / "export.json").read_text(encoding="utf-8")) == before
    model.use_engine("ctranslate2")
