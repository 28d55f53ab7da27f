"""Documents to a small file of codes and back: what comes back is like them or, if asked, the same."""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from textae.errors import InputError, reason
from textae.inference.coding import Reader, Writer, code_rows
from textae.inference.container import (
    MOST_ODD,
    check_pieces,
    check_size,
    pack,
    read_container,
    read_file,
    read_header,
    unpack,
    write_container,
)
from textae.models.base import evaluating
from textae.models.decoding import pad_texts
from textae.models.seq2seq import Seq2Seq, Source

if TYPE_CHECKING:
    from textae.models.base import Autoencoder

__all__ = ["Packed", "compress", "compressed_bits", "decompress", "identity", "read_file", "read_header"]
# How a text is got from its tokens: as they are, without their first space, or from bytes of its own.
_AS_IS, _WITHOUT_SPACE, _BYTES = range(3)
_HOW = np.array([0.05, 0.9, 0.05], dtype=np.float32)
# What comes of bytes that nobody wrote, somewhere between bits and texts.
_NONSENSE = (ValueError, LookupError, ArithmeticError, AssertionError, struct.error)


@dataclass(frozen=True)
class Packed:
    """What a file of codes says of itself.

    Attributes:
        data: the whole file.
        header: version, model, number of documents, checksum.
        code_bytes: those of the codes alone; the rest are header and, if lossless, corrections.
    """

    data: bytes
    header: dict[str, Any]
    code_bytes: int


class _Codes:
    """Codes of documents in bits: discrete ones, or text."""

    def __init__(self, model: Any):
        self.model = model
        self.is_text = model.config.code.is_text
        self.window = model.config.max_document_tokens
        if self.is_text:
            self.network: Seq2Seq = model.reconstructor
        else:
            self.network = model.network
            frequencies = model.code.frequencies()
            if frequencies is None:
                raise InputError(
                    f"A {model.config.code.kind} code is not discrete: it cannot be written in few bits; "
                    "compress with a model whose code is discrete or text."
                )
            self.frequencies = frequencies.float().cpu().numpy()

    def of(self, rows: list[list[int]], words: int | None) -> list[list[int]]:
        """The codes of documents, given as token ids, as lists of numbers; a text of so many words."""
        model = self.model
        if self.is_text:
            texts = model.summarize(model.vocabulary.decode(rows), words=words)
            return [row[: self.window] for row in model.vocabulary.encode(texts)]
        source = pad_texts(rows, model.vocabulary, model.device)
        states = model.network.backbone.encode(source.ids, source.mask)
        codes: list[list[int]] = model.code.indices(states, source.mask).tolist()
        return codes

    def put(self, coder: Writer | Reader, codes: list[list[int]] | None, count: int) -> list[list[int]]:
        """Pass the codes of ``count`` documents through ``coder``; without any when it reads."""
        if self.is_text:
            # What a summary of no document at all would be: the encoder as a language model.
            nothing = self.model.encoder.read(
                pad_texts([[] for _ in range(count)], self.model.vocabulary, self.model.device)
            )
            return code_rows(coder, self.model.encoder, nothing, codes, self.window)
        places = self.frequencies.shape[0]
        given = np.zeros((count, places), dtype=np.int64) if codes is None else np.array(codes)
        probabilities = np.tile(self.frequencies, (count, 1))
        numbers: list[list[int]] = coder.put(given.reshape(-1), probabilities).reshape(count, places).tolist()
        return numbers

    def source(self, codes: list[list[int]]) -> Source:
        """What the reconstructor attends to."""
        model = self.model
        if self.is_text:
            return self.network.read(pad_texts(codes, model.vocabulary, model.device))
        return model.memory(model.code.look_up(torch.tensor(codes, device=model.device)))

    def restore(self, codes: list[list[int]]) -> list[str]:
        """What the codes alone give."""
        if self.is_text:
            return self.model.reconstruct(self.model.vocabulary.decode(codes))
        return self.model.decode(self.model.code.look_up(torch.tensor(codes, device=self.model.device)))


def compress(
    model: "Autoencoder",
    documents: list[str],
    *,
    lossless: bool = False,
    words: int | None = None,
    batch_size: int = 64,
) -> Packed:
    """Documents to a file of codes.

    Args:
        model: one whose code is discrete or text.
        documents: any Unicode texts; what is lost of long ones and of a text's form is as in training,
            unless ``lossless``.
        lossless: also store what corrects the reconstructor, so that every character comes back.
        words: length of a code that is text; the model's own if not given.
        batch_size: documents at a time; the file is read with the same.

    Raises:
        InputError: if the model's code is neither, or has no words but ``words`` are asked for, there is more
            than a file holds, or what was written does not come back the same.
    """
    check_size(len(documents), batch_size)
    codes = _Codes(model)
    if words is not None and not codes.is_text:
        raise InputError(f"words are for a code that is text; this one is {model.config.code.kind}.")
    rows, how, raw = _tokens(model, documents) if lossless else (model.read_documents(documents), [], b"")
    pieces = [list(_windows(row, codes.window)) for row in rows]
    flat = [piece for parts in pieces for piece in parts]
    writer, corrections = Writer(), Writer()
    with evaluating(model), torch.no_grad():
        for chosen in _batches(len(flat), batch_size):
            batch = flat[chosen]
            numbers = codes.put(writer, codes.of(batch, words), len(batch))
            if lossless:
                code_rows(corrections, codes.network, codes.source(numbers), batch, codes.window)
    if lossless:
        corrections.put(np.array(how), np.tile(_HOW, (len(how), 1)))
    body = writer.bytes()
    check_pieces(len(flat), len(body))
    parts = np.array([len(part) for part in pieces], dtype="<u4")
    sections = [pack(parts.tobytes()), body]
    if lossless:
        sections += [corrections.bytes(), raw]
    about = {
        "lossless": lossless,
        "model": identity(model),
        "documents": len(documents),
        "batch_size": batch_size,
    }
    data, header = write_container(about, sections)
    packed = Packed(data, header, len(body))
    if lossless and decompress(model, packed.data) != documents:
        raise InputError(
            "What was compressed does not come back the same; this machine does not compute alike twice."
        )
    return packed


def decompress(model: "Autoencoder", data: bytes) -> list[str]:
    """The documents of a file of codes.

    Raises:
        InputError: if it is none, is damaged, or belongs to another model.
    """
    header, sections = read_container(data)
    if header["model"] != identity(model):
        raise InputError("This file was compressed by another model; name that one with --model.")
    codes = _Codes(model)
    try:
        return _restored(model, codes, header, sections)
    except InputError:
        raise
    except _NONSENSE as error:
        raise InputError(
            f"This file of codes is damaged: its codes cannot be read ({reason(error)})."
        ) from error


def _restored(
    model: "Autoencoder", codes: _Codes, header: dict[str, Any], sections: list[bytes]
) -> list[str]:
    parts = np.frombuffer(unpack(sections[0], 4 * header["documents"]), dtype="<u4").tolist()
    if len(parts) != header["documents"]:
        raise ValueError(f"it holds {len(parts)} documents and not {header['documents']}")
    check_pieces(sum(parts), len(sections[1]))
    reader = Reader(sections[1])
    corrections = Reader(sections[2]) if header["lossless"] else None
    pieces: list[Any] = []
    with evaluating(model), torch.no_grad():
        for chosen in _batches(sum(parts), header["batch_size"]):
            count = chosen.stop - chosen.start
            numbers = codes.put(reader, None, count)
            if corrections is None:
                pieces += codes.restore(numbers)
            else:
                pieces += code_rows(corrections, codes.network, codes.source(numbers), None, codes.window)
    joined = iter(pieces)
    groups = [[next(joined) for _ in range(count)] for count in parts]
    if corrections is None:
        return [" ".join(group) for group in groups]
    how = corrections.put(np.zeros(len(groups), dtype=np.int64), np.tile(_HOW, (len(groups), 1)))
    rows = [[token for row in group for token in row] for group in groups]
    return _texts(model, rows, how, unpack(sections[3], MOST_ODD))


def identity(model: "Autoencoder") -> str:
    """A checksum of weights, settings and tokenizer: what must be the same to read what was written."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode("utf-8"))
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    digest.update(model.vocabulary.tokenizer.backend_tokenizer.to_str().encode("utf-8"))
    return digest.hexdigest()


def compressed_bits(documents: list[str], data: bytes) -> float:
    """Bits of ``data`` for each character of the documents."""
    return 8 * len(data) / max(1, sum(map(len, documents)))


def _batches(count: int, size: int) -> Iterator[slice]:
    for begin in range(0, count, size):
        yield slice(begin, min(begin + size, count))


def _windows(row: list[int], size: int) -> Iterator[list[int]]:
    for begin in range(0, len(row), size):
        yield row[begin : begin + size]


def _tokens(model: "Autoencoder", documents: list[str]) -> tuple[list[list[int]], list[int], bytes]:
    """Token ids of texts as they are, how each text comes of them, and the bytes of those that do not."""
    rows, how, odd = [], [], []
    for text in documents:
        encodable = text.encode("utf-8", "replace").decode("utf-8") == text
        row = model.vocabulary.encode([text])[0] if encodable else []
        spelt = _spell(model, row)
        if spelt == text.encode("utf-8", "surrogatepass"):
            kind = _AS_IS
        elif spelt == b" " + text.encode("utf-8", "surrogatepass"):
            kind = _WITHOUT_SPACE
        else:
            kind, row = _BYTES, []
            odd.append(text.encode("utf-8", "surrogatepass"))
        rows.append(row)
        how.append(kind)
    lengths = np.array([len(text) for text in odd], dtype="<u4").tobytes()
    content = struct.pack("<I", len(odd)) + lengths + b"".join(odd)
    if len(content) > MOST_ODD:
        raise InputError(
            f"Texts that the tokenizer cannot spell have more than {MOST_ODD:,} bytes; write several files."
        )
    return rows, how, pack(content)


def _texts(model: "Autoencoder", rows: list[list[int]], how: np.ndarray, content: bytes) -> list[str]:
    (count,) = struct.unpack_from("<I", content)
    lengths = np.frombuffer(content, dtype="<u4", count=count, offset=4).tolist()
    at, odd = 4 + 4 * count, []
    for length in lengths:
        odd.append(content[at : at + length])
        at += length
    if at != len(content) or len(odd) != int((how == _BYTES).sum()):
        raise ValueError("texts that were kept as they are do not fit")
    rest = iter(odd)
    texts = []
    for row, kind in zip(rows, how.tolist(), strict=True):
        spelt = next(rest) if kind == _BYTES else _spell(model, row)
        texts.append((spelt[1:] if kind == _WITHOUT_SPACE else spelt).decode("utf-8", "surrogatepass"))
    return texts


def _spell(model: "Autoencoder", row: list[int]) -> bytes:
    """The bytes that token ids stand for, none lost, where the tokenizer is of the byte-level kind."""
    tokens = model.vocabulary.tokenizer.convert_ids_to_tokens(row)
    table = _byte_table()
    try:
        return bytes(table[character] for token in tokens for character in token)
    except KeyError:  # another kind of tokenizer: the text is kept as bytes
        return b"\xff"


def _byte_table() -> dict[str, int]:
    """The characters by which byte-level BPE writes bytes (Radford et al. 2019)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    return table | {chr(256 + place): byte for place, byte in enumerate(others)}
