"""What the fuzz tests share: how many inputs there are, what may come of one, how valid files are damaged."""

import os
import resource
import signal
from collections import Counter
from contextlib import contextmanager

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textae.errors import InputError

# TEXTAE_FUZZ=full tries seven times as many inputs, others each time; without it they are always the same.
FULL = os.environ.get("TEXTAE_FUZZ") == "full"
FACTOR = 7 if FULL else 1
# Inputs of each exploration in a run that is not full.
PLAN = {
    "any bytes in any format": 200,
    "damaged files": 500,
    "JSON": 100,
    "tables": 60,
    "lines": 60,
    "sources": 60,
    "recipes of any text": 120,
    "damaged recipes": 120,
    "recipes of any values": 120,
    "words of a command line": 60,
    "damaged plans": 40,
    "damaged files of codes": 60,
    "headers of files of codes": 60,
    "sections of files of codes": 60,
    "manifests of engines": 40,
    "settings of models": 60,
    "damaged files of models": 40,
    "damaged checkpoints": 80,
    "states of checkpoints": 40,
    "damaged metrics": 40,
}
# Seconds for one input, and MiB that the process may grow by over all inputs of an exploration.
LONGEST, MOST_GROWTH = 20, 300
tried: Counter[str] = Counter()


class HangError(BaseException):
    """An input took too long; no Exception, so that nothing takes it for a mistake of the input."""


@contextmanager
def no_hang():
    """Stop the body after ``LONGEST`` seconds."""

    def stop(*_):
        raise HangError(f"no end after {LONGEST} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def explore(name, check, **strategies):
    """Call ``check`` with as many inputs as are planned under ``name``; it returns whether one was refused.

    Anything that is raised but an InputError of one printable line is a failure, and so is an input that
    takes too long, memory that grows, or an exploration of which nothing, or everything, is refused.
    """
    outcomes = Counter()

    @settings(
        max_examples=PLAN[name] * FACTOR,
        derandomize=not FULL,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(**strategies)
    def run(**drawn):
        with no_hang():
            outcomes[check(**drawn)] += 1

    before = _largest_mebibytes()
    run()
    tried[name] += outcomes.total()
    grown = _largest_mebibytes() - before
    assert outcomes.total() >= PLAN[name] * FACTOR, f"only {outcomes.total()} inputs were tried"
    assert grown < MOST_GROWTH, f"the process grew by {grown:.0f} MiB"
    assert outcomes[True], "nothing was refused: this explores too little"
    assert outcomes[False], "everything was refused: this explores too little"


def _largest_mebibytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def refused(call):
    """Whether ``call`` ends in an InputError, which has to be one line fit for a terminal."""
    try:
        call()
    except InputError as error:
        message = str(error)
        assert message and len(message) < 5000
        assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in message)
        message.encode("utf-8")
        return True
    return False


# What means something to some reader, or has broken one.
TOKENS = [
    *(b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xae", b"\x1b[31m", b"\r"),
    *(b"\n", b"\t", b'"', b'""', b"'", b",", b":", b"{", b"}", b"[", b"]", b"[" * 2000, b'{"a":' * 200),
    *(b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"-1", b"null", b"true", b"\\ud800", b"\\u0000", b"\\"),
    *(b"&a ", b"*a ", b"<<: ", b"!!int ", b"!!python/object:os.system ", b"? ", b"- ", b"0x" + b"f" * 300),
    *(b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"../", b"a" * 70_000),
]


@st.composite
def damaged(draw, valid):
    """One of the ``valid`` bytes with a few bytes flipped, cut, doubled, moved or put in; or as it is."""
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 4))):
        # Where something begins there is more to break than in the middle of a word.
        marks = [at + 1 for at, byte in enumerate(data[:4000]) if byte in b':,[{"\n']
        at = draw(st.integers(0, len(data)) | st.sampled_from(marks or [0]))
        length = draw(st.integers(1, 40))
        kind = draw(st.sampled_from(["flip", "token", "token", "cut", "double", "truncate", "bytes"]))
        if kind == "flip" and at < len(data):
            data[at] ^= draw(st.integers(1, 255))
        elif kind == "token":
            data[at : at + draw(st.sampled_from([0, 0, 1, length]))] = draw(st.sampled_from(TOKENS))
        elif kind == "cut":
            del data[at : at + length]
        elif kind == "double":
            data[at:at] = data[at : at + length] * draw(st.sampled_from([1, 3, 50]))
        elif kind == "truncate":
            del data[at:]
        elif kind == "bytes":
            data[at:at] = draw(st.binary(max_size=20))
    return bytes(data)


def json_values(leaves=10):
    """Whatever JSON can hold, with the texts and numbers that are hard to bear."""
    odd = [2**53, 2**63, 2**64, -1, 0, 10**400, 1e308, float("inf"), float("-inf"), float("nan")]
    numbers = st.integers() | st.floats() | st.sampled_from(odd)
    atoms = st.none() | st.booleans() | numbers | hard_texts()
    return st.recursive(
        atoms,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hard_texts(8), inner, max_size=4),
        max_leaves=leaves,
    )


def hard_texts(longest=40):
    """Texts of any characters but lone surrogates: control characters, marks, NUL, many scripts."""
    marks = st.sampled_from("\x00\x1b\x7f\x85\u200f\u202e\u2028\ufeff\uffff\u0301\r\n\t\"'=,\\")
    characters = marks | st.characters(exclude_categories=["Cs"])
    return st.text(characters, max_size=longest)
