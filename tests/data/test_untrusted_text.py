"""Readers and what anybody may have put in a file: bombs, endless records, control characters, numbers."""

import gzip
import io
import json
import sys
import time
import tracemalloc

import pyarrow
import pytest
from pyarrow import parquet

from textae.data import formats
from textae.data.corpus import expand_sources
from textae.data.formats import read_file, read_standard_input
from textae.data.json_text import MOST_NESTED
from textae.data.normalization import normalize
from textae.errors import InputError, nearest, reason
from textae.model_config import NormalizationConfig

MIB = 2**20


@pytest.fixture
def small(monkeypatch):
    """A record may have a MiB, so that bombs are small here."""
    monkeypatch.setattr(formats, "LONGEST_RECORD", MIB)


def write(path, content):
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return str(path)


def refusal(source):
    with pytest.raises(InputError) as caught:
        list(read_file(source))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def peak(call):
    """Bytes that Python holds at most during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "a.txt.gz",
            b"x\n" + b"x" * 30 * MIB,
            "a.txt.gz:2 is longer than 64 MiB: break it into several lines",
        ),
        ("a.jsonl.gz", b'{"a": "' + b"x" * 30 * MIB, "a.jsonl.gz:1 is longer than 64 MiB"),
        ("a.json.gz", b'\n[{"a": 1},\n{"a": "' + b"x" * 30 * MIB, "a.json.gz is not valid JSON at line 3"),
        (
            "a.csv.gz",
            b"a,b\n" + b'"x\n",' * 6 * MIB,
            "a.csv.gz:2 begins a row of more than 64 MiB: is a quote",
        ),
        ("a.tsv.gz", b"a\n" + b"x" * 30 * MIB, "a.tsv.gz:2 is longer than 64 MiB"),
    ],
)
def test_a_bomb_is_refused_in_little_memory(tmp_path, small, name, content, sentence):
    source = write(tmp_path / name, content)
    assert len(content) > 50 * (tmp_path / name).stat().st_size
    # The content has at least 30 MiB; a record that is refused may be held several times over.
    assert peak(lambda: refusal(source)) < 20 * MIB
    assert sentence in refusal(source)


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("a.txt.gz", b"\n" * 200_000, 200_000),
        ("a.jsonl.gz", b" \n" * 200_000 + b'{"a": 1}\n', 1),
        ("a.json.gz", b"\n" * 200_000 + b'{"a": 1}\n', 1),
        ("a.json.gz", b"\n" * 200_000 + b"[" + b" \n" * 200_000 + b'{"a": 1}]', 1),
        ("a.csv.gz", b"\n" * 100_000 + b"a\n" + b"\n" * 100_000 + b"1\n", 1),
        ("a.json.gz", json.dumps([{"text": "x" * 400}] * 20_000).encode(), 20_000),
        ("a.jsonl.gz", (json.dumps({"text": "x" * 400}) + "\n").encode() * 20_000, 20_000),
    ],
)
def test_a_stream_takes_the_memory_of_a_record(tmp_path, name, content, count):
    source = write(tmp_path / name, content)
    assert peak(lambda: sum(1 for _ in read_file(source))) < 3 * MIB
    assert sum(1 for _ in read_file(source)) == count


def test_a_line_of_many_mebibytes_is_read(tmp_path):
    text = "snow " * (6 * MIB)
    assert [record.fields["text"] for record in read_file(write(tmp_path / "a.txt", text))] == [text]
    source = write(tmp_path / "a.json", json.dumps([{"text": text}, {"text": "x"}]))
    assert [record.fields["text"] for record in read_file(source)] == [text, "x"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_numbers_that_are_none_are_null_and_endless_ones_are_refused(tmp_path, name):
    source = write(
        tmp_path / name, '{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1e300, "e": 123456789012345678}'
    )
    fields = next(read_file(source)).fields
    assert fields == {"a": None, "b": None, "c": None, "d": 1e300, "e": 123456789012345678}
    source = write(tmp_path / name, '{"a": 1}\n{"a": ' + "9" * 5000 + "}")
    assert (
        refusal(source)
        == f"{source}:2 is not valid JSON (a number has too many digits): correct or remove it"
    )
    source = write(tmp_path / "b.json", '[{"a": 1},\n{"a": ' + "9" * 5000 + "}]")
    assert refusal(source).startswith(f"{source} is not valid JSON at line 2 (a number has too many digits)")


def test_deep_nesting_is_refused_at_a_depth_that_does_not_depend_on_the_stack(tmp_path):
    def nested(depth):
        return '{"a": ' + "[" * (depth - 1) + r'"\ud800"' + "]" * (depth - 1) + "}"

    source = write(tmp_path / "a.jsonl", nested(MOST_NESTED))
    assert list(read_file(source))
    for depth in (MOST_NESTED + 1, 700, 100_000):
        source = write(tmp_path / "a.jsonl", "\n" + nested(depth))
        assert refusal(source) == f"{source}:2 is not valid JSON (too deeply nested): correct or remove it"
        source = write(tmp_path / "a.json", f"[{nested(depth)}]")
        assert "is not valid JSON (too deeply nested)" in refusal(source)


def test_an_array_in_pieces_is_read_as_a_whole(tmp_path):
    rows = [{"text": f"{'wörter ' * (number * 900)}\n"} for number in range(30)]
    for indent in (None, 2):
        source = write(tmp_path / "a.json", "\ufeff" + json.dumps(rows, indent=indent, ensure_ascii=False))
        assert [record.fields for record in read_file(source)] == rows
    assert list(read_file(write(tmp_path / "a.json", " [ ] \n"))) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[{"a": 1}', "(Expecting ',' delimiter)"),
        ('[{"a": 1},', "(Expecting value)"),
        ('[{"a": 1} {"a": 1}]', "(Expecting ',' delimiter)"),
        ('[{"a": 1}]\n\nx', "at line 3 (Extra data)"),
        ('[{"a": 1}]]', "(Extra data)"),
        ("[", "(Expecting value)"),
        ("\n\n[\n{]", "at line 4 (Expecting property name"),
    ],
)
def test_broken_arrays(tmp_path, content, reason):
    source = write(tmp_path / "a.json", content)
    assert refusal(source).startswith(f"{source} is not valid JSON {reason}")


def test_an_array_that_is_no_utf_8_names_the_line(tmp_path):
    source = write(tmp_path / "a.json", b'[{"a": 1},\n{"a": "\xff"}]')
    assert refusal(source) == f"{source}:2 is not valid UTF-8: convert it to UTF-8"
    source = write(tmp_path / "a.json", b'[{"a": 1}]\xc3')
    assert refusal(source) == f"{source}:1 is not valid UTF-8: convert it to UTF-8"


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b\x1b[31m", "\u202egnirts\u202c", "\x85\u2028x", "\ufffe\uffff", "\r"]
)
def test_control_characters_pass_through_every_format(tmp_path, text):
    for name, content in (
        ("a.txt", text + "x\n"),
        ("a.jsonl", json.dumps({"text": text + "x"})),
        ("a.csv", f'text\n"{text}x"\n'),
    ):
        records = list(read_file(write(tmp_path / name, content)))
        assert [record.fields["text"] for record in records] == [text + "x"]


def test_what_a_message_quotes_cannot_command_a_terminal(tmp_path):
    source = write(tmp_path / "a.jsonl", json.dumps({"\x1b[2J\n\u202e": 1, "naïve \u200d北": 2}))
    with pytest.raises(InputError) as caught:
        next(read_file(source)).text(["document"])
    assert r'its columns are "\x1b[2J\n\u202e", "naïve ' in str(caught.value)
    assert "\u200d北" in str(caught.value)


def test_a_message_stays_short(tmp_path):
    source = write(tmp_path / "a.jsonl", json.dumps({f"column {number}" * 9: 1 for number in range(20_000)}))
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        next(read_file(source)).text(["document"])
    assert len(str(caught.value)) < 4100
    assert str(caught.value).endswith("correct the data")
    assert nearest("x" * 10**6, ["x" * 10**6]) == ""
    assert time.monotonic() - started < 10


def test_a_library_that_says_nothing_is_quoted_by_the_name_of_its_error():
    assert reason(KeyError()) == "KeyError"
    assert reason(ValueError("two\nlines")) == "two"
    assert reason(AssertionError(" . ")) == "AssertionError"


def test_a_count_of_thousands_of_digits_is_no_source():
    with pytest.raises(InputError, match=r"is no source: use newswire, newswire:COUNT"):
        expand_sources(["newswire:" + "9" * 5000])


def test_standard_input_without_an_end_of_line_is_bounded(monkeypatch, small):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x" * 3 * MIB)))
    with pytest.raises(InputError, match="standard input:1 is longer than"):
        list(read_standard_input())


@pytest.mark.parametrize("marks", ["\u0315\u0300", "\u0300\uff9e"])
def test_a_hundred_thousand_marks_on_a_letter_are_normalised_in_no_time(marks):
    config = NormalizationConfig(unicode_nfkc=True)
    started = time.monotonic()
    text = normalize("x" + marks * 150_000 + "y", config)
    # Sorting them all takes more than ten seconds.
    assert time.monotonic() - started < 5
    assert text[0] == "x" and text[-1] == "y" and len(text) <= 32
    assert normalize(text, config) == text


def test_as_many_marks_as_a_script_has_stay():
    config, rest = NormalizationConfig(unicode_nfkc=True), "é" * 6000
    text = rest + "e" + "\u0315\u0300" * 15
    assert normalize(text, config) == rest + "\u00e8" + "\u0300" * 14 + "\u0315" * 15
    assert normalize(f"{rest} \u0344" + "\u0344" * 40, config) == f"{rest} " + "\u0308\u0301" * 15


def test_a_parquet_file_that_repeats_a_long_text_takes_the_memory_of_some_rows(tmp_path):
    rows, path = 600, tmp_path / "a.parquet"
    texts = pyarrow.array(["x" * MIB]).dictionary_encode().take(pyarrow.array([0] * rows))
    table = pyarrow.table({"text": texts})
    packed = {"compression": "zstd", "dictionary_pagesize_limit": 2**28, "store_schema": False}
    parquet.write_table(table, path, **packed)
    assert path.stat().st_size < 10_000
    before, most, count = pyarrow.total_allocated_bytes(), 0, 0
    for record in read_file(str(path)):
        most, count = max(most, pyarrow.total_allocated_bytes() - before), count + 1
        assert len(record.fields["text"]) == MIB
    assert count == rows
    # Twice what 32 rows take, as a buffer doubles while it grows; all of them take 600 MiB.
    assert most < 80 * MIB


def test_half_a_surrogate_pair_is_a_question_mark_to_a_tokenizer(tiny_vocabulary):
    rows = tiny_vocabulary.encode(["a \ud83d heron", "\U0001f600"])
    assert rows == tiny_vocabulary.encode(["a ? heron", "\U0001f600"])
