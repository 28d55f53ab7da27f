import json
import logging
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from textae.cli import main
from textae.errors import InputError
from textae.model_config import NetworkConfig, NormalizationConfig
from textae.models.autoencoder import TextAutoencoder
from textae.models.model_card import model_card
from textae.models.saving import model_folder

FILES = {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


@pytest.fixture
def saved(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def fails(name, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        TextAutoencoder.from_pretrained(name)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_saved_model_comes_back(tiny_model, saved, sentences):
    again = TextAutoencoder.from_pretrained(saved)
    assert again.config == tiny_model.config
    assert not again.training
    state = again.state_dict()
    for name, tensor in tiny_model.state_dict().items():
        assert torch.equal(state[name], tensor)
    assert again.summarize(sentences, num_beams=2) == tiny_model.summarize(sentences, num_beams=2)
    assert again.reconstruct(sentences[:2]) == tiny_model.reconstruct(sentences[:2])
    assert again.readability(sentences) == tiny_model.readability(sentences)
    assert again.vocabulary.hints == tiny_model.vocabulary.hints
    assert TextAutoencoder.from_pretrained(str(saved), device="meta").device.type == "meta"


def test_the_folder_holds_no_pickle_and_nothing_is_left_beside_it(saved):
    assert {file.name for file in saved.iterdir()} == FILES
    assert list(saved.parent.iterdir()) == [saved]
    for file in saved.iterdir():
        content = file.read_bytes()
        # Neither a pickle's first bytes nor a zip archive, which torch.save writes.
        assert not content.startswith((b"\x80", b"PK"))
    assert set(load_file(saved / "model.safetensors"))
    assert json.loads((saved / "config.json").read_text(encoding="utf-8"))["model_type"] == "textae"


def test_loading_is_silent(saved, caplog, capfd):
    libraries = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    for library in libraries:
        library.addHandler(caplog.handler)
    try:
        TextAutoencoder.from_pretrained(saved)
    finally:
        for library in libraries:
            library.removeHandler(caplog.handler)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")


def test_a_model_is_saved_over_another_and_into_the_working_folder(
    saved, tiny_vocabulary, build_model, monkeypatch
):
    other = build_model(tiny_vocabulary, seed=3, max_document_tokens=20)
    other.save_pretrained(saved)
    again = TextAutoencoder.from_pretrained(saved)
    assert again.config.max_document_tokens == 20
    assert torch.equal(again.discriminator.score.weight, other.discriminator.score.weight)
    folder = saved.parent / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    other.save_pretrained(".")
    assert {file.name for file in folder.iterdir()} == FILES
    other.save_pretrained("new/deep")
    assert TextAutoencoder.from_pretrained("new/deep").config == other.config


@pytest.mark.parametrize(
    ("dtype", "tenth"), [(torch.float16, 0.0999755859375), (torch.bfloat16, 0.10009765625)]
)
def test_half_precision_rounds_every_weight(tiny_vocabulary, build_model, tmp_path, sentences, dtype, tenth):
    model = build_model(tiny_vocabulary, seed=1)
    # 11 and 8 significant bits: 0.1 is nearest to 1638/16384 and to 205/2048.
    torch.nn.init.constant_(model.discriminator.score.bias, 0.1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "half", dtype=dtype)
    again = TextAutoencoder.from_pretrained(tmp_path / "half")
    state = again.state_dict()
    assert state.keys() == before.keys()
    for name, tensor in before.items():
        assert torch.equal(model.state_dict()[name], tensor)
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor.to(dtype).to(tensor.dtype))
    assert state["discriminator.score.bias"].tolist() == [pytest.approx(tenth, rel=1e-9)]
    whole, half = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "half"))
    # What networks share is written once in both.
    assert half.keys() == whole.keys() < before.keys()
    assert {tensor.dtype for tensor in half.values()} == {dtype}
    assert all(again.summarize(sentences))


def test_weights_that_a_dtype_cannot_hold_are_refused(tiny_vocabulary, build_model, tmp_path):
    model = build_model(tiny_vocabulary)
    torch.nn.init.constant_(model.discriminator.score.bias, 65520.0)  # the least that float16 rounds to inf
    with pytest.raises(InputError) as caught:
        model.save_pretrained(tmp_path / "model", dtype=torch.float16)
    name = "discriminator.score.bias has a weight that is too large for torch.float16"
    assert str(caught.value) == f"{name}; save it in bfloat16."
    with pytest.raises(InputError, match=r"dtype is torch\.int8; a model is saved in float32, float16, bf"):
        model.save_pretrained(tmp_path / "model", dtype=torch.int8)
    assert list(tmp_path.iterdir()) == []
    model.save_pretrained(tmp_path / "model", dtype=torch.bfloat16)
    assert TextAutoencoder.from_pretrained(tmp_path / "model").discriminator.score.bias.item() == 65536


def test_export_keeps_the_model_card(saved, tmp_path, sentences):
    card = "---\nlanguage: xx\n---\n\n# Mine\n"
    (saved / "README.md").write_text(card, encoding="utf-8")
    assert main(["export", "--model", str(saved), "--output", str(tmp_path / "small")]) == 0
    assert {file.name for file in (tmp_path / "small").iterdir()} == FILES
    assert (tmp_path / "small" / "README.md").read_text(encoding="utf-8") == card
    weights = load_file(tmp_path / "small" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    (tmp_path / "small" / "README.md").unlink()
    words = ["--model", str(tmp_path / "small"), "--output", str(saved), "--dtype", "float32"]
    assert main(["export", *words]) == 0
    small, again = map(TextAutoencoder.from_pretrained, (tmp_path / "small", saved))
    assert again.summarize(sentences) == small.summarize(sentences)
    written = (saved / "README.md").read_text(encoding="utf-8")
    assert written == model_card(again.config, sum(p.numel() for p in again.parameters()))


def test_a_file_in_the_way_is_left_alone(tiny_model, tmp_path):
    for path in (tmp_path / "file", tmp_path / "file" / "model"):
        (tmp_path / "file").write_text("mine", encoding="utf-8")
        with pytest.raises(InputError) as caught:
            tiny_model.save_pretrained(path)
        assert str(caught.value).startswith(f"{path}: the model cannot be written there (")
        assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
        assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_save_that_fails_half_way_leaves_the_old_model(saved, tiny_vocabulary, build_model, monkeypatch):
    before = {file.name: file.read_bytes() for file in saved.iterdir()}
    other = build_model(tiny_vocabulary, seed=3)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("textae.models.base.save_model", full)
    with pytest.raises(InputError, match=r"cannot be written there \(No space left on device\)\.$"):
        other.save_pretrained(saved)
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == before
    assert list(saved.parent.iterdir()) == [saved]


def test_weights_come_last(tiny_model, tmp_path, monkeypatch):
    order = []
    replace = os.replace

    def noted(source, target):
        order.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", noted)
    tiny_model.save_pretrained(tmp_path / "model")
    assert set(order) == FILES
    assert order[-1] == "model.safetensors"


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_folder_without_one_of_the_files(file, saved):
    (saved / file).unlink()
    fails(saved, f"{saved}: this is no trained model, {file} is missing; name a saved folder.")


def test_folders_and_names_that_are_not_there(tmp_path):
    for name in (tmp_path / "missing", "nobody/has-this-model", "no such name at all"):
        fails(name, f"{name}: there is no such folder, and no such model on the Hub.")
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "config.json is missing")


def test_a_hub_name_is_downloaded_without_anything_that_could_run(saved, monkeypatch):
    asked = []

    def snapshot_download(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(saved)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert model_folder("somebody/model") == saved
    assert asked == [("somebody/model", ["*.json", "*.safetensors", "*.txt", "*.model"])]


@pytest.mark.parametrize(
    "change",
    [
        "{",
        "[]",
        "{}",
        '{"model_type": "bert"}',
        b"\xff\xfe",
        lambda values: values["textae"].pop("encoder"),
        lambda values: values["textae"].update(unknown=1),
        lambda values: values["textae"]["length"].update(unknown=1),
        lambda values: values.pop("networks"),
        lambda values: values["networks"]["encoder"].update(model_type="no such type"),
    ],
)
def test_a_broken_configuration(change, saved):
    path = saved / "config.json"
    if callable(change):
        values = json.loads(path.read_text(encoding="utf-8"))
        change(values)
        change = json.dumps(values)
    path.write_bytes(change.encode() if isinstance(change, str) else change)
    fails(saved, f"{path}: this is no configuration of textae (")


def test_damaged_weights(saved):
    path = saved / "model.safetensors"
    # Copies: loaded tensors live in the file, which is about to be cut off.
    whole, tensors = path.read_bytes(), {name: tensor.clone() for name, tensor in load_file(path).items()}
    message = f"{path}: the weights do not fit or are damaged ("
    for content in (b"", b"{}", whole[:-50], b"\xff" * 100):
        path.write_bytes(content)
        fails(saved, message)
    name = "discriminator.score.weight"
    save_file({**tensors, name: torch.zeros(1, 9)}, path)
    fails(saved, message)
    del tensors[name]
    save_file(tensors, path)
    fails(saved, message)


def test_a_damaged_tokenizer(saved):
    (saved / "tokenizer.json").write_text("{", encoding="utf-8")
    fails(saved, f"{saved}: no tokenizer can be loaded from there (")


def test_pushing_uploads_a_whole_model(tiny_model, monkeypatch):
    calls = []

    class Api:
        def create_repo(self, name, private, exist_ok):
            calls.append((name, private, exist_ok))
            return f"https://hub.example/{name}"

        def upload_folder(self, repo_id, folder_path):
            calls.append((repo_id, {file.name for file in Path(folder_path).iterdir()}))

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    assert tiny_model.push_to_hub("me/model", private=True) == "https://hub.example/me/model"
    assert calls == [("me/model", True, True), ("me/model", FILES)]


def test_the_model_card_says_what_the_model_is(tiny_model, saved, build_config):
    card = (saved / "README.md").read_text(encoding="utf-8")
    assert card == model_card(tiny_model.config, sum(p.numel() for p in tiny_model.parameters()))
    assert "## Results" not in card
    assert "mbart, from scratch" in card
    assert "| longest document | 30 tokens; of longer ones the most central sentences are read |" in card
    assert "| length of summaries | 4 words unless asked otherwise (2 to 6 in training) |" in card
    assert "| text normalisation | unicode_nfkc |" in card
    config = build_config(
        encoder=NetworkConfig(checkpoint="somebody/network"),
        normalization=NormalizationConfig(unicode_nfkc=False),
    )
    card = model_card(config, 1234567, "| R-1 |")
    assert "| parameters of all three networks | 1,234,567 |" in card
    assert "| encoder | somebody/network |" in card
    assert "| text normalisation | none |" in card
    assert card.endswith("## Results\n\n| R-1 |\n")
