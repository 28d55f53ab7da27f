"""Readers: whatever a file holds, there are records, or one sentence that names the file."""

import csv
import gzip
import io
import json
import math

import pyarrow
import pytest
from fuzzing import FACTOR, PLAN, TOKENS, damaged, explore, hard_texts, json_values, refused
from hypothesis import strategies as st
from pyarrow import parquet

from textae.data import json_text
from textae.data.corpus import expand_sources
from textae.data.formats import FORMATS, read_file

ROWS = [
    {"id": 1, "document": 'Snow fell in ossel, "a lot" of it.', "summary": "snow"},
    {"id": -2.5, "document": "Dürre, 北山的桥 \ud83d\ude00", "summary": ["a", "b"]},
    {"id": None, "document": "", "summary": None},
]
TEXTS = [{name: json.dumps(value) for name, value in row.items()} for row in ROWS]


def table(delimiter):
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(TEXTS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(TEXTS)
    return buffer.getvalue().encode()


def parquet_bytes(**options):
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(TEXTS * 5), buffer, **options)
    return buffer.getvalue()


VALID = {
    ".txt": [b"one line\n\n another \xe2\x80\xa8 one\r\nlast", b"\xef\xbb\xbfone\n"],
    ".jsonl": ["".join(json.dumps(row) + "\n" for row in ROWS).encode()],
    ".json": [json.dumps(ROWS, indent=1).encode(), json.dumps(ROWS, ensure_ascii=True).encode()],
    ".csv": [table(",")],
    ".tsv": [table("\t")],
    ".parquet": [parquet_bytes(), parquet_bytes(compression="none", use_dictionary=False)],
}
ZIPPED = [gzip.compress(data, mtime=0) for suffix in (".txt", ".jsonl", ".csv") for data in VALID[suffix]]
SUFFIXES = [*FORMATS, ".txt.gz", ".jsonl.gz", ".json.gz", ".csv.gz"]


def read_all(path):
    """Read a file as everything that reads does, and see that what comes can be written again."""
    for record in read_file(str(path)):
        json.dumps(record.fields, ensure_ascii=False, default=str).encode("utf-8")
        refused(lambda record=record: record.text(["document", "text"]))
        refused(lambda record=record: record.texts(["summary", "document"]))


@pytest.fixture
def reads(tmp_path):
    """The function that writes bytes to a file of a suffix and tells whether reading it is refused."""

    def reads(suffix, data):
        path = tmp_path / f"input{suffix}"
        path.write_bytes(data)
        return refused(lambda: read_all(path))

    return reads


def test_any_bytes_in_any_format(reads):
    suffixes = st.sampled_from(SUFFIXES)
    explore("any bytes in any format", reads, suffix=suffixes, data=st.binary(max_size=400))


def test_damaged_files(reads):
    pairs = [st.tuples(st.just(suffix), damaged(valid)) for suffix, valid in VALID.items()]
    zipped = st.tuples(st.sampled_from([".txt.gz", ".jsonl.gz", ".csv.gz"]), damaged(ZIPPED))
    values = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=2).map(b"".join)
    objects = values.map(lambda value: b'{"a": 1}\n{"document": ' + value + b"}\n")
    lines = st.tuples(st.just(".jsonl"), objects)
    arrays = st.tuples(
        st.just(".json"), objects.map(lambda text: b"[" + text.replace(b"}\n{", b"},{") + b"]")
    )
    inputs = st.one_of(*pairs, zipped, lines, arrays)
    explore("damaged files", lambda pair: reads(*pair), pair=inputs)


def plain(value):
    """What JSON can hold of a value, as the readers give it: null for what is no finite number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def test_json_is_read_as_it_was_written_in_pieces_of_any_size(tmp_path, monkeypatch):
    def check(values, indent, chunk):
        monkeypatch.setattr(json_text, "_CHUNK", chunk)
        array, lines = tmp_path / "a.json", tmp_path / "a.jsonl"
        array.write_text(json.dumps(values, indent=indent), encoding="utf-8")
        lines.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
        if not all(isinstance(value, dict) for value in values):
            return refused(lambda: list(read_file(str(array)))) and refused(
                lambda: list(read_file(str(lines)))
            )
        wanted = [plain(value) for value in values]
        assert [record.fields for record in read_file(str(array))] == wanted
        if values:
            assert [record.fields for record in read_file(str(lines))] == wanted
        return False

    objects = st.dictionaries(hard_texts(8), json_values(), max_size=4)
    values = st.lists(objects, max_size=4) | st.lists(objects | json_values(3), min_size=1, max_size=3)
    chunks = st.integers(1, 64)
    explore("JSON", check, values=values, indent=st.sampled_from([None, 0, 3]), chunk=chunks)


def test_tables_are_read_as_they_were_written(tmp_path):
    def check(rows, suffix):
        path = tmp_path / f"a{suffix}"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="," if suffix == ".csv" else "\t", quoting=csv.QUOTE_ALL)
            writer.writerow(["a", "b"])
            writer.writerows(rows)
        if any(len(row) != 2 for row in rows):
            return refused(lambda: list(read_file(str(path))))
        assert [list(record.fields.values()) for record in read_file(str(path))] == rows
        return False

    rows = st.lists(st.lists(hard_texts(), min_size=2, max_size=2), max_size=4)
    ragged = st.lists(st.lists(hard_texts(), min_size=1, max_size=3), max_size=3)
    explore("tables", check, rows=rows | ragged, suffix=st.sampled_from([".csv", ".tsv"]))


def test_lines_are_read_as_they_were_written(tmp_path):
    def check(lines):
        path = tmp_path / "a.txt"
        path.write_bytes("".join(f"{line}\n" for line in lines).encode())
        if not lines:
            return refused(lambda: list(read_file(str(path))))
        wanted = [line.rstrip("\r\n") for text in lines for line in f"{text}\n".split("\n")[:-1]]
        # A mark at the very beginning says that this is UTF-8, and no more.
        wanted[0] = wanted[0].removeprefix("\ufeff")
        assert [record.fields["text"] for record in read_file(str(path))] == wanted
        return False

    explore("lines", check, lines=st.lists(hard_texts(), max_size=5))


def test_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("x\n", encoding="utf-8")

    def check(begin, rest):
        return refused(lambda: expand_sources([begin + rest]))

    characters = st.sampled_from("atx.*?[]!0123456789:@- \x00\n\ud800\udcff\u202e~") | st.characters()
    # Of folders only this one is looked at, whatever the pattern.
    rest = st.text(characters, max_size=30).map(lambda text: text.replace("/", ""))
    begins = st.sampled_from(
        ["", "a.txt", "newswire", "newswire:", "newswire:" + "9" * 5000, "hub:", "x" * 300]
    )
    explore("sources", check, begin=begins, rest=rest | st.just(""))


def test_there_are_ten_thousand_inputs_in_a_full_run():
    assert sum(PLAN.values()) >= 1500
    assert 7 * sum(PLAN.values()) >= 10_000
    assert FACTOR in (1, 7)
