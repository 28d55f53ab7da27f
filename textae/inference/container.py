"""The file of codes: a header in JSON and sections of bytes, none of which is believed before it is checked.

Whoever made the file also made its checksum, which only tells of accidents. So what the header claims is
bounded, and a section is never unpacked beyond what is to be in it.
"""

import hashlib
import itertools
import json
import lzma
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textae.errors import InputError

MAGIC, VERSION = b"textae\x00\x01", 1
MOST_DOCUMENTS = 2**22
# Documents at a time: memory grows with them.
LARGEST_BATCH = 4096
# Bytes of texts that are kept as they are.
MOST_ODD = 2**28
# A text in so many, each of no more than the window, has to take a byte; before that, some are for free.
_PIECES_A_BYTE, _FREE_PIECES = 1024, 2**16
_LARGEST_HEADER = 2**16
# Of unpacking itself, ten times what a section as we pack it takes.
_UNPACKING_MEMORY = 2**27
_DAMAGED = "This file of codes is damaged"


def write_container(header: dict[str, Any], sections: Sequence[bytes]) -> tuple[bytes, dict[str, Any]]:
    """The bytes of a file, and its whole header."""
    payload = b"".join(sections)
    header = {
        "version": VERSION,
        **header,
        "sections": [len(section) for section in sections],
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    head = json.dumps(header).encode("utf-8")
    return MAGIC + struct.pack("<I", len(head)) + head + payload, header


def read_container(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Header and sections of a file.

    Raises:
        InputError: if it is none, is damaged, or claims what is not so.
    """
    if not data.startswith(MAGIC):
        raise InputError("This is no file of codes; textae compress writes one.")
    begin = len(MAGIC) + 4
    try:
        (size,) = struct.unpack_from("<I", data, len(MAGIC))
        header = json.loads(data[begin : begin + min(size, _LARGEST_HEADER)])
        version, wanted = header["version"], header["sha256"]
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{_DAMAGED}: its header cannot be read.") from error
    if version != VERSION:
        raise InputError(f"This file of codes has the version {version}, and not {VERSION}.")
    payload = data[begin + size :]
    if hashlib.sha256(payload).hexdigest() != wanted:
        raise InputError(f"{_DAMAGED}: its checksum does not fit; take another copy.")
    _check(header, len(payload))
    ends = itertools.accumulate(header["sections"], initial=0)
    return header, [payload[begin:end] for begin, end in itertools.pairwise(ends)]


def _check(header: dict[str, Any], size: int) -> None:
    lossless, sections = header.get("lossless"), header.get("sections")
    kinds = (
        isinstance(lossless, bool)
        and isinstance(header.get("model"), str)
        and isinstance(sections, list)
        and len(sections) == (4 if lossless else 2)
        and all(type(length) is int and length >= 0 for length in sections)
        and sum(sections) == size
    )
    numbers = (("documents", 0, MOST_DOCUMENTS), ("batch_size", 1, LARGEST_BATCH))
    if not kinds or not all(
        type(header.get(name)) is int and least <= header[name] <= most for name, least, most in numbers
    ):
        raise InputError(f"{_DAMAGED}: its header claims what is not so.")


def check_size(documents: int, batch_size: int) -> None:
    """Refuse to write what :func:`read_container` would refuse to read.

    Raises:
        InputError: if there are too many documents, or too many at a time.
    """
    if documents > MOST_DOCUMENTS:
        raise InputError(f"A file of codes holds at most {MOST_DOCUMENTS:,} documents; write several files.")
    if batch_size > LARGEST_BATCH:
        raise InputError(f"batch_size is {batch_size}; set it to at most {LARGEST_BATCH}.")


def pack(content: bytes) -> bytes:
    """A section whose content is well compressed by ordinary means."""
    return lzma.compress(content, format=lzma.FORMAT_ALONE)


def unpack(section: bytes, most: int) -> bytes:
    """What :func:`pack` was given, at most so many bytes; no more than that is ever unpacked.

    Raises:
        InputError: if it is damaged or would be larger.
    """
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_UNPACKING_MEMORY)
    try:
        content = unpacker.decompress(section, max_length=most + 1)
    except lzma.LZMAError as error:
        raise InputError(f"{_DAMAGED}: a section cannot be unpacked.") from error
    if len(content) > most:
        raise InputError(f"{_DAMAGED}: a section unpacks to more than {most:,} bytes.")
    if not unpacker.eof or unpacker.unused_data:
        raise InputError(f"{_DAMAGED}: a section cannot be unpacked.")
    return content


def check_pieces(count: int, code_bytes: int) -> None:
    """Refuse codes of so many texts in so few bytes, each of which would take the network its time.

    Raises:
        InputError: if there are too many.
    """
    most = _FREE_PIECES + _PIECES_A_BYTE * code_bytes
    if count > most:
        raise InputError(
            f"{count:,} texts in {code_bytes:,} bytes of codes are more than they can tell apart."
        )


def read_header(data: bytes) -> dict[str, Any]:
    """What a file of codes says of itself.

    Raises:
        InputError: if it is none, or damaged.
    """
    return read_container(data)[0]


def read_file(path: str | Path) -> bytes:
    """The bytes of a file of codes.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path") from error
