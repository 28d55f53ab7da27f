import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from textae.data import remote
from textae.data.formats import Record, read_file
from textae.errors import InputError

ROWS = [{"id": "a", "document": "Rain fell."}, {"id": "b", "document": "Dürre, überall"}]


def write(path: Path, content: str | bytes) -> str:
    content = content.encode("utf-8") if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def json_lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def table(rows, delimiter: str) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def fails(call, *parts: str) -> str:
    """Check that ``call`` raises an InputError of one line that holds all ``parts``."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


def read(source: str) -> list[Record]:
    return list(read_file(source))


@pytest.mark.parametrize("compression", ["", ".gz"])
@pytest.mark.parametrize(
    ("extension", "content"),
    [
        (".jsonl", json_lines(ROWS)),
        (".ndjson", json_lines(ROWS)),
        (".json", json_lines(ROWS)),
        (".json", "\n" + json.dumps(ROWS, indent=1)),
        (".csv", table(ROWS, ",")),
        (".tsv", table(ROWS, "\t")),
        (".JSONL", json_lines(ROWS)),
    ],
)
def test_every_format_gives_the_same_records(tmp_path, extension, content, compression):
    source = write(tmp_path / f"rows{extension}{compression}", content)
    assert [record.fields for record in read(source)] == ROWS


def test_parquet_gives_the_same_records(tmp_path):
    source = str(tmp_path / "rows.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), source)
    assert [(record.fields, record.where) for record in read(source)] == [
        (ROWS[0], f"{source}:row 1"),
        (ROWS[1], f"{source}:row 2"),
    ]


def test_text_keeps_blank_lines_and_drops_the_byte_order_mark_and_carriage_returns(tmp_path):
    source = write(tmp_path / "a.txt", b"\xef\xbb\xbfone\r\n\n two\xe2\x80\xa8lines\nlast")
    assert [record.fields["text"] for record in read(source)] == ["one", "", " two\u2028lines", "last"]
    assert read(source)[2].where == f"{source}:3"
    assert all(record.plain and record.id is None for record in read(source))


def test_lines_are_counted_through_blank_json_lines_and_quoted_newlines(tmp_path):
    source = write(tmp_path / "a.jsonl", '{"text": "x"}\n\n{"text": "y"}\n')
    assert [record.where for record in read(source)] == [f"{source}:1", f"{source}:3"]
    source = write(tmp_path / "a.csv", 'id,text\n1,"two\nlines"\n\n2,x\n')
    assert [(record.fields["text"], record.where) for record in read(source)] == [
        ("two\nlines", f"{source}:2"),
        ("x", f"{source}:5"),
    ]


def test_json_of_blank_lines_has_no_records(tmp_path):
    assert read(write(tmp_path / "a.json", "\n \n")) == []


def test_a_csv_field_may_be_longer_than_the_default_limit(tmp_path):
    source = write(tmp_path / "a.csv", "text\n" + "x" * 200_000 + "\n")
    assert len(read(source)[0].fields["text"]) == 200_000


def test_half_a_surrogate_pair_becomes_a_question_mark_and_a_whole_one_stays(tmp_path):
    source = write(tmp_path / "a.jsonl", r'{"text": ["a\ud800b", "\ud83d\ude00"]}')
    assert read(source)[0].fields == {"text": ["a?b", "😀"]}


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("empty.txt", b"", ["empty.txt is empty"]),
        ("empty.txt.gz", b"", ["empty.txt.gz is empty"]),
        ("empty.parquet", b"", ["empty.parquet is empty"]),
        ("a.doc", b"x", ["a.doc has no extension that tells its format", ".txt", ".ndjson", ".parquet"]),
        ("a.parquet.gz", b"x", ["a.parquet.gz has no extension that tells its format"]),
        ("a.txt", b"good\nb\xffd\n", ["a.txt:2 is not valid UTF-8", "byte 2"]),
        ("a.csv", b"text\nb\xffd\n", ["a.csv:2 is not valid UTF-8"]),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', ["a.jsonl:2 is not valid JSON (Expecting value)"]),
        ("a.jsonl", b'{"a": 1}\n\n[1]\n', ["a.jsonl:3 is JSON but no object"]),
        ("a.jsonl", b"[" * 100_000, ["a.jsonl:1 is not valid JSON (too deeply nested)"]),
        ("a.json", b'[{"a": 1},\n {"a": }]', ["a.json is not valid JSON at line 2"]),
        ("a.json", b'[{"a": 1}, "x"]', ["a.json:item 2 is JSON but no object"]),
        ("a.csv", b"a,b\n1,2\n3\n", ["a.csv:3 has 1 fields but the header names 2 columns"]),
        ("a.tsv", b"a\tb\n1\t2\t3\n", ["a.tsv:2 has 3 fields but the header names 2 columns"]),
        ("a.csv", b"a,,b\n", ["a.csv:1 is no header"]),
        ("a.csv", b"a,a\n", ["a.csv:1 is no header"]),
        ("a.csv", b'a,b\n1,2\n3,"x"y\n', ["a.csv:3 is not valid CSV"]),
        ("a.tsv", b'a\tb\n1\t"open\n', ["a.tsv:2 is not valid TSV"]),
        ("a.parquet", b"PAR1 and then nothing", ["a.parquet is no readable Parquet file"]),
    ],
)
def test_broken_files_are_named_with_their_line(tmp_path, name, content, parts):
    source = write(tmp_path / name, content)
    fails(lambda: read(source), *parts)


def test_broken_gzip(tmp_path):
    whole = gzip.compress(b"some text\n" * 1000)
    for content in (b"plain text", whole[: len(whole) // 2], whole[:20] + b"\x00\x01\x02" + whole[23:]):
        path = tmp_path / "a.txt.gz"
        path.write_bytes(content)
        fails(lambda: read(str(path)), "a.txt.gz is not a complete gzip file")  # noqa: B023


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (PermissionError(13, "no"), "cannot be read: you lack the permission"),
        (OSError(5, "I/O error"), "I/O error"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.parquet"])
def test_files_that_cannot_be_opened(tmp_path, monkeypatch, name, error, part):
    source = write(tmp_path / name, "x")

    def refuse(*_args, **_named):
        raise error

    monkeypatch.setattr(remote, "open", refuse, raising=False)
    monkeypatch.setattr(parquet, "ParquetFile", refuse)
    fails(lambda: read(source), name, part)


def test_a_record_gives_the_first_column_that_is_filled():
    record = Record({"title": None, "text": "x", "body": "y"}, "a.jsonl:1")
    assert record.text(["article", "title", "body", "text"]) == "y"
    assert record.text(["title"]) == ""
    assert Record({"text": "x"}, "a.txt:1", plain=True).text(["document"]) == "x"


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        (
            {"documnet": "x", "z": 1},
            ['a:1 has no column "document"', '"documnet", "z"', 'did you mean "documnet"'],
        ),
        ({}, ['a:1 has no column "document"', "none"]),
        ({"document": 3}, ['a:1: column "document" holds a number where text is expected']),
        ({"document": ["x"]}, ["holds a list"]),
        ({"document": {}}, ["holds an object"]),
        ({"document": True}, ["holds true or false"]),
        ({"document": b""}, ["holds a bytes"]),
    ],
)
def test_records_without_text_say_what_they_have(fields, parts):
    fails(lambda: Record(fields, "a:1").text(["document"]), *parts)


def test_lists_of_texts_hold_only_texts():
    fails(lambda: Record({"summaries": ["x", None]}, "a:1").texts(["summaries"]), "holds null")
