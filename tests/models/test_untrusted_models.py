"""Folders of models that anybody may have made: no pickle, no code, no size that the weights do not have."""

import json
import pickle
import time

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import load_file, save_file

from textae.cli import main
from textae.data.tokenizer import load_tokenizer
from textae.errors import InputError
from textae.models.autoencoder import TextAutoencoder
from textae.models.backbone import build_network
from textae.models.engines.files import ABOUT, checked, fingerprint
from textae.models.engines.onnx import _session
from textae.models.sentence_encoder import SentenceEncoder
from textae.models.untrusted import PICKLES


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def saved(tiny_model, tmp_path):
    """The folder of a tiny saved model."""
    tiny_model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def refusal(folder):
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        TextAutoencoder.from_pretrained(folder)
    assert time.monotonic() - started < 20
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change(folder, path, value, file="config.json"):
    """Set one value of a JSON file, at a path of keys."""
    content = json.loads((folder / file).read_text(encoding="utf-8"))
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / file).write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("suffix", PICKLES)
def test_a_pickle_is_named_and_not_opened(saved, suffix):
    sprung = saved.parent / "sprung"
    name = f"pytorch_model{suffix}"
    (saved / name).write_bytes(pickle.dumps(Trap(sprung)))
    # Beside weights it is not looked at.
    TextAutoencoder.from_pretrained(saved)
    (saved / "model.safetensors").unlink()
    assert refusal(saved) == (
        f"{saved}: model.safetensors is missing, and {name} may be a pickle, which can run code when it is "
        "read; textae reads safetensors only."
    )
    assert not sprung.exists()


def test_a_pickle_called_safetensors_is_not_unpickled(saved):
    sprung = saved.parent / "sprung"
    (saved / "model.safetensors").write_bytes(pickle.dumps(Trap(sprung)))
    assert "the weights do not fit or are damaged" in refusal(saved)
    torch.save({"weights": Trap(sprung)}, saved / "model.safetensors")
    assert "the weights do not fit or are damaged" in refusal(saved)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        ("config.json", ["auto_map"], {"AutoModel": "modeling.Model"}),
        ("config.json", ["networks", "encoder", "auto_map"], {"AutoModel": "modeling.Model"}),
        ("config.json", ["trust_remote_code"], True),
        ("tokenizer_config.json", ["auto_map"], {"AutoTokenizer": ["tokenization.Tokenizer", None]}),
    ],
)
def test_what_asks_for_code_is_refused(saved, file, path, value):
    for name in ("modeling.py", "tokenization.py"):
        (saved / name).write_text(f"open({str(saved.parent / 'sprung')!r}, 'w')\n", encoding="utf-8")
    change(saved, path, value, file)
    assert refusal(saved) == (
        f'{saved / file}: "{path[-1]}" asks for code to be run that is no part of textae; take another model.'
    )
    assert not (saved.parent / "sprung").exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_a_kernel_is_not_downloaded(saved, key):
    change(saved, ["networks", "encoder", key], "somebody/kernel")
    assert f"\"{key}\" is 'somebody/kernel'" in refusal(saved)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (["networks", "encoder", "encoder_layers"], 10**9, "at most 1,000 can be true"),
        (["networks", "encoder", "d_model"], 10**9, "at most 16,777,216 can be true"),
        (["networks", "encoder", "max_position_embeddings"], 10**9, "at most 131,072 can be true"),
        (["networks", "encoder", "num_labels"], 10**9, "at most 10,000 can be true"),
        (["networks", "encoder", "d_model"], 2**16, "the settings want"),
        (["networks", "encoder", "vocab_size"], 2**24, "the settings want"),
        (["textae", "discriminator", "width"], 2**16, "the settings want"),
        (["textae", "decoding", "num_beams"], 10**6, "at most 256 can be true"),
        (["textae", "max_document_tokens"], 10**9, "at most 131,072 can be true"),
        (["networks", "encoder", "decoder_attention_heads"], -1, "does not work"),
        (["networks", "encoder", "decoder_attention_heads"], 0, "this is no configuration of textae"),
        (["networks", "encoder", "decoder_start_token_id"], 10**6, "does not work"),
        (["networks", "encoder", "activation_function"], "x", "this is no configuration of textae ('x')"),
        (["networks", "encoder", "dropout"], "much", "this is no configuration of textae"),
        (["networks", "encoder", "model_type"], [], "this is no configuration of textae"),
        (["networks", "encoder"], [1], "this is no configuration of textae"),
        (
            ["textae", "max_document_tokens"],
            "many",
            "textae.max_document_tokens: wants a whole number, not many",
        ),
        (["textae", "length"], 3, "textae.length is no section"),
        (["textae", "normalization", "replacements"], {"a": 1}, "replacements wants text for text"),
        (["textae", "code", "kind"], "lorem", "textae.code.kind: wants one of text,"),
        (["textae", "encoder", "overrides"], {"a": [[[]]] * 3}, None),
    ],
)
def test_settings_that_make_no_sense(saved, path, value, sentence):
    change(saved, path, value)
    if sentence is None:
        assert TextAutoencoder.from_pretrained(saved).config.encoder.overrides == value
    else:
        assert refusal(saved).startswith(f"{saved / 'config.json'}: ") or "model.safetensors: " in refusal(
            saved
        )
        assert sentence in refusal(saved)


def test_a_configuration_that_never_ends(saved):
    path = saved / "config.json"
    for text in ("[" * 100_000, '{"a":' * 200 + "1" + "}" * 200):
        path.write_text(text, encoding="utf-8")
        assert refusal(saved) == f"{path}: this is no configuration of textae (it is too deeply nested)."
    path.write_text('{"a": ' + "9" * 5000 + "}", encoding="utf-8")
    assert refusal(saved).startswith(f"{path}: this is no configuration of textae (Exceeds the limit")
    path.write_text(" " * (2**22 + 1), encoding="utf-8")
    assert "it is larger than 4,194,304 bytes" in refusal(saved)


def test_more_tokens_than_embeddings(saved):
    file = json.loads((saved / "tokenizer.json").read_text(encoding="utf-8"))
    token = {**file["added_tokens"][-1], "id": 10**6, "content": "<more>"}
    file["added_tokens"].append(token)
    (saved / "tokenizer.json").write_text(json.dumps(file), encoding="utf-8")
    assert str(saved) in refusal(saved)


def test_weights_that_are_missing_or_of_another_shape(saved):
    path = saved / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    save_file({"x": torch.ones(1)}, path)
    assert "the weights do not fit or are damaged" in refusal(saved)
    save_file({name: tensor.reshape(-1) for name, tensor in tensors.items()}, path)
    assert "the weights do not fit or are damaged" in refusal(saved)


def test_a_checkpoint_with_code_or_pickles_alone_is_refused(
    tmp_path, checkpoints, build_network_config, build_tokenizer, tiny_vocabulary
):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    build_tokenizer("bert").save_pretrained(folder)
    sprung = tmp_path / "sprung"
    (folder / "code.py").write_text(f"open({str(sprung)!r}, 'w')\n", encoding="utf-8")
    config = {
        "model_type": "unheard-of",
        "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    # What a library says goes on for lines; a sentence has the first.
    with pytest.raises(InputError, match=r"no network can be loaded from there \("):
        build_network(build_network_config(checkpoint=str(folder)), tiny_vocabulary, 32)
    with pytest.raises(InputError):
        SentenceEncoder.from_pretrained(folder)
    known = json.loads((checkpoints("bert") / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(known), encoding="utf-8")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(InputError, match=r"no network can be loaded from there \("):
        build_network(build_network_config(checkpoint=str(folder)), tiny_vocabulary, 32)
    with pytest.raises(InputError, match=r"no sentence encoder can be loaded from there \("):
        SentenceEncoder.from_pretrained(folder)
    assert not sprung.exists()


@pytest.mark.parametrize(
    "name", ["../tokenizer.5.0.0.json", "..\\tokenizer.5.0.0.json", "/elsewhere/tokenizer.5.0.0.json"]
)
def test_a_tokenizer_outside_of_the_folder_is_not_read(saved, name):
    change(saved, ["fast_tokenizer_files"], ["tokenizer.json", name], "tokenizer_config.json")
    path = saved / "tokenizer_config.json"
    assert refusal(saved) == f'{path}: "{name}" lies outside of the folder; take another model.'
    change(saved, ["fast_tokenizer_files"], ["tokenizer.json"], "tokenizer_config.json")
    TextAutoencoder.from_pretrained(saved)


def test_a_panicking_tokenizer_is_a_sentence_and_an_interruption_is_none(saved, monkeypatch):
    from textae.data import tokenizer

    def stop(error):
        def from_pretrained(*_, **__):
            raise error

        monkeypatch.setattr(tokenizer.AutoTokenizer, "from_pretrained", from_pretrained)

    # As pyo3 names it, no Exception.
    stop(type("PanicException", (BaseException,), {})("index out of bounds"))
    with pytest.raises(InputError, match=r"no tokenizer can be loaded from there \(index out of bounds\)"):
        load_tokenizer(saved)
    stop(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        load_tokenizer(saved)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "[]", "null", '{"weights": ' + "9" * 5000 + "}", "\ud800", "{}"]
)
def test_a_broken_manifest(saved, content):
    (saved / "onnx").mkdir()
    (saved / "onnx" / ABOUT).write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=r"onnx: export\.json is missing or damaged; write them anew with"):
        checked(saved, "onnx")


def test_a_manifest_of_the_right_weights_and_of_others(saved):
    (saved / "onnx").mkdir()
    (saved / "onnx" / ABOUT).write_text(json.dumps({"weights": fingerprint(saved)}), encoding="utf-8")
    assert checked(saved, "onnx") == saved / "onnx"
    (saved / "onnx" / ABOUT).write_text(json.dumps({"weights": "../other"}), encoding="utf-8")
    with pytest.raises(InputError, match="belong to other weights"):
        checked(saved, "onnx")


@pytest.mark.parametrize("location", ["../secret", "{}/secret", "sub/../../secret", "link"])
def test_a_graph_cannot_read_a_file_outside_of_its_folder(tmp_path, location):
    folder = tmp_path / "onnx"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x00" * 16)
    (folder / "link").symlink_to(secret)
    (folder / "own").write_bytes(b"\x00" * 16)

    def graph(location):
        tensor = TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
        for key, value in (("location", location), ("offset", "0"), ("length", "16")):
            tensor.external_data.add(key=key, value=value)
        ends = [helper.make_tensor_value_info(name, 1, [4]) for name in ("x", "y")]
        made = helper.make_graph(
            [helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [tensor]
        )
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, folder / "step.onnx")
        return folder / "step.onnx"

    _session(graph("own"))
    with pytest.raises(InputError, match="this graph cannot be read"):
        _session(graph(location.format(tmp_path)))


def test_the_command_line_says_it_in_one_sentence(saved, capsys):
    change(saved, ["auto_map"], {"AutoModel": "modeling.Model"})
    document = saved.parent / "a.txt"
    document.write_text("snow fell\n", encoding="utf-8")
    assert main(["summarize", "--model", str(saved), "--input", str(document), "--output", "-"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith(f'textae: error: {saved / "config.json"}: "auto_map" asks for code')
