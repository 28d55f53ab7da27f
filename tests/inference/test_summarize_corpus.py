import csv
import gzip
import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import parquet

from textae.errors import InputError
from textae.inference import corpus, reconstruct_corpus, summarize_corpus
from textae.inference.places import writing


class FirstWordModel:
    """Stands in for a model: the summary is the first word over two lines, the document all words twice."""

    def __init__(self, max_document_tokens=5, long_documents="cut"):
        decoding = SimpleNamespace(long_documents=long_documents)
        code = SimpleNamespace(is_text=True)
        self.config = SimpleNamespace(max_document_tokens=max_document_tokens, decoding=decoding, code=code)
        self.engines = ["FirstWord"]
        self.calls = []

    def count_tokens(self, texts):
        assert all(text.strip() for text in texts)
        return [len(text.split()) for text in texts]

    def summarize(self, documents, batch_size, **decoding):
        self.calls.append((len(documents), batch_size, decoding))
        return [f"<{document.split()[0]}\n>" for document in documents]

    def reconstruct(self, summaries, batch_size, **decoding):
        return [f"{summary} {summary}" for summary in summaries]


@pytest.fixture
def model():
    return FirstWordModel()


@pytest.fixture(autouse=True)
def identities(monkeypatch):
    """What stands in for a model has no weights that could tell it from another."""
    monkeypatch.setattr(corpus, "model_identity", lambda model: type(model).__name__)


@pytest.fixture
def rows(tmp_path):
    """A file of JSON lines: an id that is a number, a record without one, an empty document."""
    lines = [{"id": 7, "document": "rain fell"}, {"text": "Dürre, überall"}, {"id": "x", "document": " "}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("rain fell\n\nsun shone\n", encoding="utf-8")
    return str(path)


def give_standard_input(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def content(path):
    data = Path(path).read_bytes()
    return (gzip.decompress(data) if str(path).endswith(".gz") else data).decode("utf-8")


@pytest.mark.parametrize("compression", ["", ".gz"])
@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        (".txt", "<rain >\n<Dürre, >\n\n"),
        (
            ".jsonl",
            '{"id": 7, "summary": "<rain >"}\n{"summary": "<Dürre, >"}\n{"id": "x", "summary": ""}\n',
        ),
        (".csv", 'id,summary\n7,<rain >\n,"<Dürre, >"\nx,\n'),
        (".tsv", "id\tsummary\n7\t<rain >\n\t<Dürre, >\nx\t\n"),
    ],
)
def test_every_output_format(model, rows, tmp_path, extension, expected, compression):
    output = str(tmp_path / "new" / f"out{extension}{compression}")
    assert summarize_corpus(model, rows, output) == {
        "records": 3,
        "empty": 1,
        "condensed": 0,
        "cut": 0,
        "rejected": 0,
    }
    assert content(output) == expected
    assert os.listdir(tmp_path / "new") == [f"out{extension}{compression}"]


def test_parquet_output(model, rows, lines, tmp_path):
    output = str(tmp_path / "out.parquet")
    summarize_corpus(model, rows, output)
    assert parquet.read_table(output).to_pylist() == [
        {"id": "7", "summary": "<rain >"},
        {"id": None, "summary": "<Dürre, >"},
        {"id": "x", "summary": ""},
    ]
    summarize_corpus(model, lines, output)
    assert parquet.read_table(output).to_pydict() == {"summary": ["<rain >", "", "<sun >"]}


def test_text_gives_no_ids(model, lines, tmp_path):
    for name, expected in [
        ("out.txt", "<rain >\n\n<sun >\n"),
        ("out.jsonl", '{"summary": "<rain >"}\n{"summary": ""}\n{"summary": "<sun >"}\n'),
        ("out.csv", 'summary\n<rain >\n""\n<sun >\n'),
    ]:
        summarize_corpus(model, lines, str(tmp_path / name))
        assert content(tmp_path / name) == expected


def test_tables_are_read_and_a_table_written_is_read_again(model, rows, tmp_path):
    table, again = str(tmp_path / "a.csv"), str(tmp_path / "b.jsonl")
    summarize_corpus(model, rows, table)
    with open(table, encoding="utf-8", newline="") as stream:
        assert len(list(csv.reader(stream))) == 4
    reconstruct_corpus(model, table, again)
    assert content(again).splitlines()[1] == '{"id": "", "document": "<Dürre, > <Dürre, >"}'


def test_reconstruct_reads_summaries_or_outputs_and_writes_documents(model, tmp_path, caplog):
    source = tmp_path / "a.jsonl"
    source.write_text('{"id": 1, "summary": "one"}\n{"output": "two"}\n{"summary": ""}\n{"text": ""}\n')
    output = str(tmp_path / "b.jsonl")
    counts = reconstruct_corpus(model, str(source), output)
    assert counts == {"records": 4, "empty": 2, "condensed": 0, "cut": 0, "rejected": 0}
    expected = [
        '{"id": 1, "document": "one one"}',
        '{"document": "two two"}',
        '{"document": ""}',
        '{"document": ""}',
    ]
    assert content(output).splitlines() == expected
    assert caplog.messages == ["2 summaries were empty and got an empty document"]


def test_standard_input_to_standard_output(model, monkeypatch, capfdbinary):
    give_standard_input(monkeypatch, "Dürre kam\n\n".encode())
    summarize_corpus(model, "-", "-")
    assert capfdbinary.readouterr().out == "<Dürre >\n\n".encode()
    give_standard_input(monkeypatch, b'{"document": "rain", "id": 1}\n')
    summarize_corpus(model, "-", "-")
    assert capfdbinary.readouterr().out == b'{"id": 1, "summary": "<rain >"}\n'


def test_columns_batch_size_and_decoding_are_passed_on(model, tmp_path):
    source = tmp_path / "a.jsonl"
    source.write_text('{"document": "x", "body": "y"}\n')
    output = str(tmp_path / "b.txt")
    summarize_corpus(model, str(source), output, columns=["body"], batch_size=3, beams=4)
    assert content(output) == "<y >\n"
    assert model.calls == [(1, 3, {"beams": 4})]


def test_documents_are_read_in_chunks_and_order_is_kept(model, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "CHUNK", 4)
    source = tmp_path / "a.txt"
    source.write_text("".join(f"{number}\n" for number in range(10)))
    output = str(tmp_path / "b.csv")
    summarize_corpus(model, str(source), output, batch_size=2)
    assert content(output).split("\n") == ["summary", *(f"<{number} >" for number in range(10)), ""]
    assert [count for count, *_ in model.calls] == [4, 4, 2]


def test_a_stream_is_not_read_ahead_of_the_model(model, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "CHUNK", 2)
    read = []

    def endless(_source, strict):
        for number in range(10**9):
            read.append(number)
            yield corpus.Record({"text": "x"}, f"{number}", plain=True)

    def summarize(documents, batch_size):
        if len(read) > 5:
            raise KeyboardInterrupt
        return documents

    monkeypatch.setattr(corpus, "read_records", endless)
    monkeypatch.setattr(model, "summarize", summarize)
    with pytest.raises(KeyboardInterrupt):
        summarize_corpus(model, "newswire", str(tmp_path / "out.txt"), batch_size=1)
    assert len(read) == 6
    assert os.listdir(tmp_path) == [".out.txt.partial"]


def test_empty_and_long_documents_are_counted_and_warned_about(tmp_path, caplog):
    source = tmp_path / "a.txt"
    source.write_text("a b\n\na b c\n \na b c d\n")
    output = str(tmp_path / "b.txt")
    counts = summarize_corpus(FirstWordModel(2), str(source), output)
    assert counts == {"records": 5, "empty": 2, "condensed": 0, "cut": 2, "rejected": 0}
    assert caplog.messages == [
        "2 documents were empty and got an empty summary",
        "2 documents were longer than 2 tokens and cut there",
    ]
    caplog.clear()
    source.write_text("a b c\n")
    summarize_corpus(FirstWordModel(2), str(source), output)
    assert caplog.messages == ["1 document was longer than 2 tokens and cut there"]


def test_documents_that_are_condensed_and_those_that_are_cut_are_told_apart(tmp_path, caplog):
    source, output = tmp_path / "a.txt", str(tmp_path / "b.txt")
    source.write_text("aa bb.\naa. bb cc\naa bb. cc dd.\naa bb cc\n")
    model = FirstWordModel(2, "select")
    counts = summarize_corpus(model, str(source), output)
    assert counts == {"records": 4, "empty": 0, "condensed": 2, "cut": 1, "rejected": 0}
    assert caplog.messages == [
        "2 documents were longer than 2 tokens and condensed to the most central sentences",
        "1 document was longer than 2 tokens and cut there",
    ]
    # Summaries to restore are cut in any case.
    counts = reconstruct_corpus(model, str(source), output, columns=["text"])
    assert (counts["condensed"], counts["cut"]) == (0, 3)


def test_only_empty_documents_need_no_model(model, tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("\n\n")
    summarize_corpus(model, str(source), str(tmp_path / "b.txt"))
    assert content(tmp_path / "b.txt") == "\n\n"
    assert model.calls == []


def test_a_progress_bar_only_on_a_terminal(model, lines, tmp_path, capsys, monkeypatch):
    summarize_corpus(model, lines, str(tmp_path / "b.txt"))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    summarize_corpus(model, lines, str(tmp_path / "b.txt"))
    assert "3 records" in capsys.readouterr().err


def test_a_failure_leaves_the_old_file_and_what_was_done(model, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "CHUNK", 1)
    source, output = tmp_path / "a.jsonl", tmp_path / "b.parquet"
    source.write_text('{"text": "x"}\n{"text": \n')
    output.write_text("old")
    with pytest.raises(InputError, match=r"a\.jsonl:2 is not valid JSON"):
        summarize_corpus(model, str(source), str(output), batch_size=1)
    assert len(model.calls) == 1
    assert output.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == [".b.parquet.partial", "a.jsonl", "b.parquet"]


def test_a_link_keeps_pointing_to_the_file_that_is_replaced(model, lines, tmp_path):
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "real.txt")
    summarize_corpus(model, lines, str(link))
    assert link.is_symlink()
    assert content(tmp_path / "real.txt") == "<rain >\n\n<sun >\n"


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("lines.txt/deep/out.txt", "cannot be written"),
        ("lines.txt/out.txt", "cannot be written"),
        ("out.doc", "has no extension that tells its format"),
        ("folder.txt", "is no regular file"),
        ("lines.txt", "is the input itself"),
        ("x" * 300 + ".txt", "cannot be written (File name too long)"),
    ],
)
def test_outputs_that_cannot_be_written_are_refused_before_any_work(model, lines, tmp_path, output, part):
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(InputError) as caught:
        summarize_corpus(model, lines, str(tmp_path / output))
    assert part in str(caught.value)
    assert output in str(caught.value)
    assert model.calls == []
    assert sorted(os.listdir(tmp_path)) == ["folder.txt", "lines.txt"]
    assert content(lines) == "rain fell\n\nsun shone\n"


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("a.csv", "id,document\n", "a.csv holds no records"),
        ("a.txt", "", "a.txt is empty"),
        ("a.jsonl", '{"documnet": "x"}\n', 'a.jsonl:1 has no column "document" or "text"'),
    ],
)
def test_bad_input(model, tmp_path, name, text, part):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        summarize_corpus(model, str(tmp_path / name), str(tmp_path / "out.txt"))
    assert part in str(caught.value)
    assert os.listdir(tmp_path) == [name]


def test_a_missing_input_is_refused(model, tmp_path):
    for output in ("-", str(tmp_path / "out.txt")):
        with pytest.raises(InputError, match=r"none\.txt does not exist"):
            summarize_corpus(model, str(tmp_path / "none.txt"), output)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_one_sentence_and_a_closed_pipe_is_nobodys_mistake():
    for error, expected in [
        (OSError(28, "No space left on device"), InputError),
        (BrokenPipeError(), BrokenPipeError),
    ]:
        with pytest.raises(expected) as caught, writing("out.txt"):
            raise error
        if expected is InputError:
            assert str(caught.value).startswith("out.txt cannot be written (No space left on device)")


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs a device file")
def test_a_device_is_never_replaced(model, lines, tmp_path):
    link = tmp_path / "null.txt"
    link.symlink_to("/dev/null")
    with pytest.raises(InputError, match="is no regular file"):
        summarize_corpus(model, lines, str(link))
    assert not os.path.isfile("/dev/null")
