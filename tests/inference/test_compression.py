"""Files of codes: everything comes back that shall, and nothing else is taken for one."""

import math
import random

import numpy as np
import pytest
import torch

from textae.errors import InputError
from textae.inference import compression
from textae.inference.coding import Reader, Writer
from textae.inference.compression import compress, decompress, identity, read_header
from textae.model_config import AutoencoderConfig, CodeConfig
from textae.models.code_autoencoder import CodeAutoencoder

ODD = [
    "",
    " ",
    "  two spaces, a tab\tand\nlines\r\n",
    "plain words",
    " a space before",
    "Größe, 北山的桥, \u202eright to left\u202c, 👩‍🚀, \x00 \x1b[31m",
    "</s> <mask> <words-3>",
    "a lone surrogate \ud83d in the middle",
    "\ufeffa mark at the beginning",
    "e\u0301 and \u00e9 are two",
    "long " * 60,
]


def number_model(vocabulary, network, kind="vq", seed=0):
    """A model of discrete codes with random weights, whose codebook has been used unevenly."""
    torch.manual_seed(seed)
    code = CodeConfig(kind=kind, vectors=3, width=4, slots=2, codebook_size=5)
    config = AutoencoderConfig(encoder=network, code=code, max_document_tokens=30, sources=["a", "b"])
    model = CodeAutoencoder(config, vocabulary).eval()
    if kind == "vq":
        model.code.counts.copy_(torch.arange(15.0).reshape(3, 5))
    return model


@pytest.fixture
def discrete(tiny_vocabulary, build_network_config):
    return number_model(tiny_vocabulary, build_network_config())


def fuzzed(count):
    """Texts of characters from all over Unicode, the same in every run."""
    generator = random.Random(7)
    ranges = [(32, 127), (0, 32), (0xA0, 0x250), (0x4E00, 0x4F00), (0x1F600, 0x1F640), (0x600, 0x6FF)]
    texts = []
    for _ in range(count):
        length = generator.randrange(12)
        picked = [generator.randrange(*generator.choice(ranges)) for _ in range(length)]
        texts.append("".join(map(chr, picked)))
    return texts


def test_symbols_take_the_bits_that_their_probabilities_give_them():
    probabilities = np.tile(np.array([0.5, 0.25, 0.25], dtype=np.float32), (4000, 1))
    symbols = np.random.default_rng(0).choice(3, size=4000, p=probabilities[0])
    writer = Writer()
    writer.put(symbols, probabilities)
    data = writer.bytes()
    wanted = sum(1 if symbol == 0 else 2 for symbol in symbols)
    assert abs(8 * len(data) - wanted) < 64
    assert (Reader(data).put(np.zeros(4000), probabilities) == symbols).all()


def test_every_character_comes_back(discrete):
    packed = compress(discrete, ODD, lossless=True, batch_size=4)
    assert decompress(discrete, packed.data) == ODD
    assert packed.header["documents"] == len(ODD)
    assert read_header(packed.data)["lossless"] is True


def test_every_character_comes_back_by_a_code_of_text(tiny_model):
    assert decompress(tiny_model, compress(tiny_model, ODD, lossless=True).data) == ODD


def test_a_thousand_texts_of_any_characters_come_back(discrete):
    texts = fuzzed(1000)
    assert decompress(discrete, compress(discrete, texts, lossless=True).data) == texts


@pytest.mark.parametrize("kind", ["t5", "bert"])
def test_a_tokenizer_that_is_not_byte_level_keeps_texts_as_bytes(kind, build_tokenizer, build_network_config):
    from textae.data.tokenizer import vocabulary_of

    vocabulary = vocabulary_of(build_tokenizer(kind))
    model = number_model(vocabulary, build_network_config())
    assert decompress(model, compress(model, ODD, lossless=True).data) == ODD


def test_what_codes_alone_give_is_what_they_are_decoded_to(discrete, sentences):
    packed = compress(discrete, [*sentences, ""], batch_size=3)
    assert decompress(discrete, packed.data) == [*discrete.reconstruct(sentences), ""]
    # Three codes of five, at their own frequencies: some bits a document, whole words of the coder.
    bits = -torch.log2(discrete.code.frequencies())
    wanted = sum(
        float(bits[place, number])
        for row in discrete.indices(sentences).tolist()
        for place, number in enumerate(row)
    )
    assert 8 * packed.code_bytes == pytest.approx(wanted, abs=64)


def test_codes_of_text_are_what_the_summaries_say(tiny_model, sentences):
    english = sentences[:6]  # of the others random weights write bytes that are no characters
    packed = compress(tiny_model, english)
    assert decompress(tiny_model, packed.data) == tiny_model.reconstruct(tiny_model.summarize(english))


def test_a_longer_text_takes_more_bits(tiny_model, discrete, sentences):
    short, long = (compress(tiny_model, sentences[:6], words=words).code_bytes for words in (2, 8))
    assert short < long
    with pytest.raises(InputError, match="words are for a code that is text; this one is vq"):
        compress(discrete, sentences, words=3)


def test_a_likelier_text_takes_fewer_bits(discrete, sentences):
    """The correction takes about the bits that the network's loss says."""
    packed = compress(discrete, sentences * 8, lossless=True)
    rows = discrete.vocabulary.encode(sentences)
    codes = discrete.code.look_up(discrete.indices(sentences))
    target = discrete.sentences(rows)
    nats = -float(discrete.network.log_probabilities(discrete.memory(codes), target).sum().detach())
    spent = 8 * packed.header["sections"][2]
    assert spent == pytest.approx(8 * nats / math.log(2), rel=0.02)


def test_what_is_no_file_of_this_model_is_refused(discrete, tiny_vocabulary, build_network_config, sentences):
    data = compress(discrete, sentences).data
    other = number_model(tiny_vocabulary, build_network_config(), seed=1)
    assert identity(other) != identity(discrete)
    for broken, reason in (
        (b"PK", "no file of codes"),
        (data[:20], "header cannot be read"),
        (data[:-1] + bytes([data[-1] ^ 1]), "checksum does not fit"),
        (data[:-4], "checksum does not fit"),
        (data.replace(b'"version": 1', b'"version": 7'), "has the version 7"),
    ):
        with pytest.raises(InputError, match=reason):
            decompress(discrete, broken)
    with pytest.raises(InputError, match="another model"):
        decompress(other, data)
    with pytest.raises(InputError, match="not discrete: it cannot be written in few bits"):
        compress(number_model(tiny_vocabulary, build_network_config(), "vector"), sentences)


def test_a_machine_that_computes_unlike_is_found_out(discrete, sentences, monkeypatch):
    monkeypatch.setattr(compression, "decompress", lambda model, data: sentences[:-1])
    with pytest.raises(InputError, match="does not compute alike twice"):
        compress(discrete, sentences, lossless=True)
