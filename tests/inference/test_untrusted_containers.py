"""Files of codes that anybody may have made, checksum and all: no bomb, no claim is believed."""

import hashlib
import json
import lzma
import struct
import tracemalloc

import numpy as np
import pytest
import torch

from textae.errors import InputError
from textae.inference import container
from textae.inference.compression import compress, decompress
from textae.inference.container import MAGIC, check_pieces, pack, read_container, read_header, unpack
from textae.model_config import AutoencoderConfig, CodeConfig
from textae.models.code_autoencoder import CodeAutoencoder

TEXTS = ["a heron landed", "", "odd \x00 \udcff"]


@pytest.fixture(scope="module")
def model(tiny_vocabulary, build_network_config):
    """A model of discrete codes with random weights."""
    torch.manual_seed(0)
    code = CodeConfig(kind="vq", vectors=2, width=4, slots=2, codebook_size=4)
    network = build_network_config()
    config = AutoencoderConfig(encoder=network, code=code, max_document_tokens=12, sources=["a"])
    model = CodeAutoencoder(config, tiny_vocabulary).eval()
    model.code.counts.copy_(torch.arange(8.0).reshape(2, 4))
    return model


@pytest.fixture(scope="module")
def file(model):
    """A file with everything in it."""
    return compress(model, TEXTS, lossless=True).data


def sealed(file, changes=None, replaced=None):
    """The file with another header, other sections, and a checksum that fits them."""
    header, sections = read_container(file)
    for place, section in (replaced or {}).items():
        sections[place] = section
    payload = b"".join(sections)
    header |= {"sections": [len(section) for section in sections]} | (changes or {})
    head = json.dumps({**header, "sha256": hashlib.sha256(payload).hexdigest()}).encode()
    return MAGIC + struct.pack("<I", len(head)) + head + payload


def refusal(model, data):
    with pytest.raises(InputError) as caught:
        decompress(model, data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_sealed_unchanged_comes_back(model, file):
    assert decompress(model, sealed(file)) == TEXTS


@pytest.mark.parametrize(
    "changes",
    [
        {"documents": -1},
        {"documents": 2**22 + 1},
        {"documents": "3"},
        {"documents": True},
        {"batch_size": 0},
        {"batch_size": 2**31},
        {"lossless": 1},
        {"lossless": False},
        {"model": None},
        {"sections": None},
        {"sections": [0, 0, 0, -4]},
        {"sections": [10**400, 1, 1, 1]},
        {"sections": ["1", 1, 1, 1]},
        {"sections": [[]] * 4},
    ],
)
def test_claims_that_cannot_be_true(model, file, changes):
    assert refusal(model, sealed(file, changes)) == (
        "This file of codes is damaged: its header claims what is not so."
    )


@pytest.mark.parametrize("missing", ["documents", "batch_size", "lossless", "model", "sections"])
def test_a_header_with_a_gap(model, file, missing):
    header, sections = read_container(file)
    head = json.dumps({name: value for name, value in header.items() if name != missing}).encode()
    data = MAGIC + struct.pack("<I", len(head)) + head + b"".join(sections)
    assert "its header claims what is not so" in refusal(model, data)


def test_a_header_that_never_ends(model, file):
    for head in (b"[" * 60_000, b'{"version": 1' + b" " * 70_000 + b"}", b"9" * 5000, b"\xff"):
        data = MAGIC + struct.pack("<I", len(head)) + head
        assert "its header cannot be read" in refusal(model, data)
    assert "its header cannot be read" in refusal(model, MAGIC + b"\xff\xff\xff\xff{}")


def test_a_bomb_is_not_unpacked(model, file):
    bomb = lzma.compress(b"\x00" * 40 * 2**20, format=lzma.FORMAT_ALONE)
    assert len(bomb) < 10_000
    tracemalloc.start()
    assert "unpacks to more than 12 bytes" in refusal(model, sealed(file, replaced={0: bomb}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Eight MiB are what unpacking looks back on.
    assert peak < 12 * 2**20
    monstrous = b"]" + b"\xff" * 4 + bomb[5:]  # claims a dictionary of four GiB
    assert "a section cannot be unpacked" in refusal(model, sealed(file, replaced={0: monstrous}))


def test_a_bomb_of_odd_texts_is_not_unpacked(model, file, monkeypatch):
    monkeypatch.setattr("textae.inference.compression.MOST_ODD", 1000)
    bomb = pack(b"\x00" * 2000)
    assert "unpacks to more than 1,000 bytes" in refusal(model, sealed(file, replaced={3: bomb}))
    with pytest.raises(InputError, match=r"cannot spell have more than 1,000 bytes; write several files"):
        compress(model, ["\udcff" * 1000], lossless=True)


@pytest.mark.parametrize(
    ("place", "section", "sentence"),
    [
        (0, b"", "a section cannot be unpacked"),
        (0, b"\x00" * 40, "a section cannot be unpacked"),
        (0, lzma.compress(b"\x00" * 12), "a section cannot be unpacked"),
        (0, pack(b"\x00" * 12) + b"more", "a section cannot be unpacked"),
        (0, pack(b"\x00" * 8), "it holds 2 documents and not 3"),
        (0, pack(b"\x00" * 7), "its codes cannot be read"),
        (0, pack(struct.pack("<3I", 1, 70_000, 1)), "70,002 texts in"),
        (1, b"\x00" * 3, "its codes cannot be read"),
        (3, pack(b""), "its codes cannot be read"),
        (3, pack(struct.pack("<I", 2**31)), "its codes cannot be read"),
        (3, pack(struct.pack("<I", 0)), "texts that were kept as they are do not fit"),
        (3, pack(struct.pack("<II", 1, 9) + b"x"), "texts that were kept as they are do not fit"),
        (3, pack(struct.pack("<II", 1, 1) + b"\xff"), "its codes cannot be read"),
    ],
)
def test_sections_that_hold_something_else(model, file, place, section, sentence):
    assert sentence in refusal(model, sealed(file, replaced={place: section}))


def test_more_is_not_written_than_is_read(model, monkeypatch):
    with pytest.raises(InputError, match=r"batch_size is 5000; set it to at most 4096\."):
        compress(model, TEXTS, batch_size=5000)
    monkeypatch.setattr(container, "MOST_DOCUMENTS", 2)
    with pytest.raises(InputError, match="holds at most 2 documents; write several files"):
        compress(model, TEXTS)


def test_codes_tell_only_so_many_texts_apart():
    check_pieces(2**16, 0)
    check_pieces(2**16 + 10_240, 10)
    with pytest.raises(
        InputError, match=r"65,537 texts in 0 bytes of codes are more than they can tell apart"
    ):
        check_pieces(2**16 + 1, 0)


def test_a_section_comes_back_up_to_its_bound():
    content = np.arange(1000, dtype="<u4").tobytes()
    assert unpack(pack(content), len(content)) == content
    with pytest.raises(InputError, match=r"unpacks to more than 3,999 bytes"):
        unpack(pack(content), len(content) - 1)


def test_the_header_alone_is_checked_as_well(file):
    with pytest.raises(InputError, match="claims what is not so"):
        read_header(sealed(file, {"documents": -1}))
