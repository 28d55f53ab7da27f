"""Folders of models: whatever is in one, there is a model that writes, or one sentence that names it."""

import json
import shutil

import pytest
from fuzzing import damaged, explore, json_values, refused
from hypothesis import strategies as st

from textae.models.base import Autoencoder
from textae.models.engines.files import ABOUT, checked, fingerprint

FILES = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]


@pytest.fixture
def folder(tiny_model, tmp_path):
    """The folder of a tiny saved model."""
    tiny_model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def try_out(folder):
    """Load a model and let it write, as a person would next."""
    model = Autoencoder.from_pretrained(folder)
    model.summarize(["snow closed the upper road"])


def leaves(value, path=()):
    """The places of everything in nested objects and lists."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


def changed(value, path, new):
    """A copy of ``value`` with ``new`` at the place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


def test_settings(folder):
    path = folder / "config.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    places = st.sampled_from([place for place in leaves(saved) if place])
    sizes = st.sampled_from(
        [0, -1, 1, 3, 10**5, 2**24, 2**31, 10**12, "", "x", "../x", "kernels-community/x"]
    )

    def check(places, new):
        value = saved
        for place in places:
            try:
                value = changed(value, place, new)
            except (KeyError, TypeError, IndexError):  # what was there is gone
                continue
        path.write_text(json.dumps(value), encoding="utf-8")
        return refused(lambda: try_out(folder))

    explore("settings of models", check, places=st.lists(places, max_size=2), new=sizes | json_values(3))


def test_damaged_files(folder, tmp_path):
    valid = {name: (folder / name).read_bytes() for name in FILES}
    inputs = st.one_of(*(st.tuples(st.just(name), damaged([data])) for name, data in valid.items()))
    copy = tmp_path / "copy"

    def check(pair):
        # Another folder each time: what was loaded may still be mapped from its file.
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / pair[0]).write_bytes(pair[1])
        return refused(lambda: try_out(copy))

    explore("damaged files of models", check, pair=inputs)


def test_manifests_of_engines(folder):
    manifest = folder / "onnx" / ABOUT
    manifest.parent.mkdir()
    valid = json.dumps({"engine": "onnx", "weights": fingerprint(folder)}, indent=2).encode()
    built = json_values().map(lambda value: json.dumps(value).encode())
    named = json_values(3).map(lambda value: json.dumps({"weights": value}).encode())

    def check(data):
        manifest.write_bytes(data)
        return refused(lambda: checked(folder, "onnx"))

    explore("manifests of engines", check, data=damaged([valid]) | built | named)
