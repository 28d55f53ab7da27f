"""Files of codes: whatever they hold or claim, there are documents, or one sentence."""

import hashlib
import json
import lzma
import struct

import pytest
import torch
from fuzzing import TOKENS, damaged, explore, json_values, refused
from hypothesis import strategies as st

from textae.inference.compression import compress, decompress
from textae.inference.container import MAGIC, read_container
from textae.model_config import AutoencoderConfig, CodeConfig
from textae.models.code_autoencoder import CodeAutoencoder

TEXTS = ["a heron landed on the mast", "", "odd \x00 \udcff \u202e", "snow closed the road " * 8]


@pytest.fixture(scope="module")
def model(tiny_vocabulary):
    """A model of discrete codes, as small as can be, with random weights."""
    from textae.model_config import NetworkConfig

    torch.manual_seed(0)
    network = NetworkConfig(architecture="mbart", width=16, layers=1, heads=2, feed_forward=16, dropout=0.0)
    code = CodeConfig(kind="vq", vectors=2, width=4, slots=2, codebook_size=4)
    config = AutoencoderConfig(encoder=network, code=code, max_document_tokens=12, sources=["a"])
    model = CodeAutoencoder(config, tiny_vocabulary).eval()
    model.code.counts.copy_(torch.arange(8.0).reshape(2, 4))
    return model


@pytest.fixture(scope="module")
def files(model, tiny_vocabulary, build_model):
    """By model, whose code is numbers or text, a file without and one with corrections."""
    made = []
    for writer in (model, build_model(tiny_vocabulary, max_document_tokens=12)):
        for lossless in (False, True):
            made.append((writer, compress(writer, TEXTS, lossless=lossless, batch_size=3).data))
    return made


def sealed(header, sections, lengths=True):
    """A file whose checksum fits, whatever else does."""
    payload = b"".join(sections)
    header = {**header, "sha256": hashlib.sha256(payload).hexdigest()}
    if lengths:
        header["sections"] = [len(section) for section in sections]
    head = json.dumps(header).encode()
    return MAGIC + struct.pack("<I", len(head)) + head + payload


def test_damaged_files(files):
    def check(pair):
        return refused(lambda: decompress(*pair))

    pairs = [st.tuples(st.just(model), damaged([data])) for model, data in files]
    explore("damaged files of codes", check, pair=st.one_of(*pairs))


def test_headers(files):
    names = ["version", "lossless", "model", "documents", "batch_size", "sections", "sha256", "more"]
    values = json_values(4) | st.sampled_from([0, 1, 4, 4096, 2**22, 2**31, [1, 2], [-1, 5], True])

    def check(pair, changes):
        model, file = pair
        header, sections = read_container(file)
        return refused(lambda: decompress(model, sealed({**header, **changes}, sections, lengths=False)))

    changes = st.dictionaries(st.sampled_from(names), values, max_size=2)
    explore("headers of files of codes", check, pair=st.sampled_from(files), changes=changes)


def test_sections(files):
    parts = [
        struct.pack(f"<{len(counts)}I", *counts)
        for counts in ([], [0], [1, 0, 1, 4], [2**32 - 1] * 4, [0, 0, 0, 90_000], [2**31, 2**31, 0, 0])
    ]
    packed = [lzma.compress(content, format=lzma.FORMAT_ALONE) for content in [*parts, b"\x00" * 10**6]]
    kinds = [lzma.compress(parts[1]), lzma.compress(parts[1], format=lzma.FORMAT_ALONE, preset=9)]
    every = [section for _, file in files for section in read_container(file)[1]]
    section = damaged([*every, *packed, *kinds, *(token[:60] for token in TOKENS)])

    def check(pair, place, content):
        model, file = pair
        header, sections = read_container(file)
        if place < len(sections):
            sections[place] = content
        return refused(lambda: decompress(model, sealed(header, sections)))

    explore(
        "sections of files of codes",
        check,
        pair=st.sampled_from(files),
        place=st.integers(0, 4),
        content=section,
    )
