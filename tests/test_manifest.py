"""Checksums: every kind of damage is found, and named."""

import json

import pytest

from textae.errors import InputError
from textae.manifest import MANIFEST, check_manifest, require_whole, write_manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)))
    (tmp_path / "empty").touch()
    (tmp_path / "deeper").mkdir()
    write_manifest(tmp_path)
    return tmp_path


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_is_whole_passes(folder):
    check_manifest(folder)
    files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    # SHA-256 of no bytes at all, as every other program gives it.
    assert files["empty"] == {
        "bytes": 0,
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    assert sorted(files) == ["empty", "weights.bin"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip, "weights.bin was altered"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "weights.bin has 255 bytes where 256"),
        (lambda path: path.unlink(), "weights.bin is missing"),
    ],
)
def test_a_damaged_file_is_named(folder, damage, said):
    damage(folder / "weights.bin")
    with pytest.raises(InputError, match=said):
        check_manifest(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 1}', '{"files": {"a": {}}}', "[" * 100_000, "\0"])
def test_a_damaged_manifest_is_told(folder, text):
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"manifest\.json is missing or damaged; do this\."):
        require_whole(folder, "do this.")


@pytest.mark.parametrize("name", ["../weights.bin", "/etc/passwd", "deeper/weights.bin", ".."])
def test_a_manifest_speaks_of_files_beside_it_only(folder, name):
    files = {"files": {name: {"bytes": 1, "sha256": "0"}}}
    (folder / MANIFEST).write_text(json.dumps(files), encoding="utf-8")
    with pytest.raises(InputError, match="no file of that folder"):
        check_manifest(folder)
