"""Sentence vectors of tiny checkpoints on disk against one text at a time, by hand."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, BertForMaskedLM, T5EncoderModel

from textae.errors import InputError
from textae.models.sentence_encoder import BATCH_SIZE, SentenceEncoder, sentence_encoder


def refusal(folder):
    with pytest.raises(InputError) as caught:
        SentenceEncoder.from_pretrained(folder)
    sentence = str(caught.value)
    assert sentence.startswith(f"{folder}: ") and "\n" not in sentence
    return sentence


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "t5"])
def test_a_vector_is_the_mean_of_the_last_states_over_tokens(checkpoints, sentences, kind):
    folder = checkpoints(kind)
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    if kind == "t5":
        network = network.get_encoder()
    texts = [*sentences, "fog", ""]
    expected = []
    for text in texts:
        states = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        expected.append(states.sum(dim=0) / len(states))
    found = SentenceEncoder.from_pretrained(folder).embed(texts)
    torch.testing.assert_close(found, torch.stack(expected).detach(), atol=1e-5, rtol=1e-4)
    assert not found.requires_grad


def test_more_texts_than_go_through_at_once_keep_their_order(checkpoints, sentences):
    encoder = SentenceEncoder.from_pretrained(checkpoints("bert"))
    many = (sentences * BATCH_SIZE)[: 2 * BATCH_SIZE + 3]
    found, once = encoder.embed(many), encoder.embed(sentences)
    expected = once[torch.arange(len(many)) % len(sentences)]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_texts_of_one_length_go_through_together(checkpoints, monkeypatch):
    encoder, shapes = SentenceEncoder.from_pretrained(checkpoints("bert")), []
    forward = encoder.network.forward
    monkeypatch.setattr(
        encoder.network,
        "forward",
        lambda **given: shapes.append(given["input_ids"].shape) or forward(**given),
    )
    encoder.embed(["snow", "snow " * 20] * BATCH_SIZE)
    short, long = (len(encoder.tokenizer(text)["input_ids"]) for text in ("snow", "snow " * 20))
    assert shapes == [(BATCH_SIZE, short), (BATCH_SIZE, long)]


def test_an_encoder_is_loaded_once(checkpoints):
    name, device = str(checkpoints("bert")), torch.device("cpu")
    assert sentence_encoder(name, device) is sentence_encoder(name, device)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_longer_texts_are_cut_to_the_network_s_positions(checkpoints, kind):
    encoder = SentenceEncoder.from_pretrained(checkpoints(kind))
    assert encoder.max_tokens == 62
    texts = ["snow " * 400, "snow " * 200]
    longer, shorter = encoder.embed(texts)
    torch.testing.assert_close(longer, shorter)


def test_the_tokenizer_s_own_limit_counts_too(checkpoints, tmp_path):
    AutoModel.from_pretrained(checkpoints("bert")).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(checkpoints("bert"))
    tokenizer.model_max_length = 8
    tokenizer.save_pretrained(tmp_path)
    encoder = SentenceEncoder.from_pretrained(tmp_path)
    assert encoder.max_tokens == 8
    AutoModel.from_pretrained(checkpoints("t5")).save_pretrained(tmp_path / "t5")
    AutoTokenizer.from_pretrained(checkpoints("t5")).save_pretrained(tmp_path / "t5")
    assert SentenceEncoder.from_pretrained(tmp_path / "t5").max_tokens is None


def test_it_is_frozen_and_without_dropout(checkpoints):
    network = SentenceEncoder.from_pretrained(checkpoints("bert")).network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert network.config.hidden_dropout_prob > 0


def test_the_language_model_s_head_that_a_checkpoint_has_besides_does_no_harm(
    tmp_path, checkpoints, sentences
):
    tokenizer = AutoTokenizer.from_pretrained(checkpoints("bert"))
    whole = BertForMaskedLM(AutoModel.from_pretrained(checkpoints("bert")).config)
    whole.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ids = tokenizer(sentences[0], return_tensors="pt")
    expected = whole.eval().bert(**ids).last_hidden_state[0].mean(dim=0)
    found = SentenceEncoder.from_pretrained(tmp_path).embed(sentences[:1])[0]
    torch.testing.assert_close(found, expected.detach(), atol=1e-5, rtol=1e-4)


def test_a_checkpoint_of_an_encoder_alone_is_enough(tmp_path, checkpoints, sentences):
    T5EncoderModel.from_pretrained(checkpoints("t5")).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(checkpoints("t5")).save_pretrained(tmp_path)
    found, whole = (SentenceEncoder.from_pretrained(folder) for folder in (tmp_path, checkpoints("t5")))
    torch.testing.assert_close(found.embed(sentences), whole.embed(sentences))


# Refusals ----------------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path, checkpoints):
    """A copy of the tiny BERT that may be spoilt."""
    AutoModel.from_pretrained(checkpoints("bert")).save_pretrained(tmp_path / "bert")
    AutoTokenizer.from_pretrained(checkpoints("bert")).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def test_an_empty_folder(tmp_path):
    assert "no tokenizer can be loaded" in refusal(tmp_path)


def test_no_weights_but_a_pickle(copied):
    weights = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    torch.save(weights, copied / "pytorch_model.bin")
    assert "no sentence encoder can be loaded" in refusal(copied)


def test_damaged_weights(copied):
    file = copied / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    assert "no sentence encoder can be loaded" in refusal(copied)


@pytest.mark.parametrize("kind", ["bert", "t5"])
def test_missing_weights(tmp_path, checkpoints, kind):
    AutoModel.from_pretrained(checkpoints(kind)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(checkpoints(kind)).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in weights if name.startswith("encoder.") and name.endswith("weight"))
    del weights[gone]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert f'weights are missing, such as "{gone}"' in refusal(tmp_path)


def test_code_in_the_folder_is_never_run(copied, tmp_path):
    config = json.loads((copied / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Evil", "AutoConfig": "evil.EvilConfig"}
    config["model_type"] = "evil"
    (copied / "config.json").write_text(json.dumps(config))
    mark = tmp_path / "mark"
    (copied / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    refusal(copied)
    assert not mark.exists()


def test_a_tokenizer_that_cannot_pad(copied):
    file = copied / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config["pad_token"] = None
    file.write_text(json.dumps(config))
    assert "no padding token" in refusal(copied)
