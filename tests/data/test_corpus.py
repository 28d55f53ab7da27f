import gzip
import io
import json
import sys
import types
from pathlib import Path

import datasets
import pytest

from textae.data.corpus import Pair, expand_sources, read_columns, read_pairs, read_records, read_texts
from textae.data.formats import Record
from textae.errors import InputError
from textae.model_config import NormalizationConfig

PLAIN = NormalizationConfig()
ROWS = [{"id": "a", "document": "Rain fell."}, {"id": "b", "document": "Dürre, überall"}]


def write(path: Path, content: str | bytes) -> str:
    content = content.encode("utf-8") if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def json_lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def give_standard_input(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


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
    return list(read_records(source))


def test_globs_are_sorted_and_may_be_recursive(tmp_path):
    (tmp_path / "deep" / "folder.txt").mkdir(parents=True)
    names = [write(tmp_path / name, name) for name in ("b.txt", "a.txt", "deep/c.txt")]
    assert expand_sources([str(tmp_path / "*.txt")]) == [names[1], names[0]]
    assert expand_sources([str(tmp_path / "**" / "*.txt")]) == [names[1], names[0], names[2]]
    assert [record.fields["text"] for record in read(str(tmp_path / "?.txt"))] == ["a.txt", "b.txt"]


def test_a_file_whose_own_name_looks_like_a_pattern_is_read(tmp_path):
    assert read(write(tmp_path / "a[1].txt", "x"))[0].fields == {"text": "x"}


def test_standard_input_is_text_or_json_lines(monkeypatch):
    give_standard_input(monkeypatch, b"one\n\ntwo\n")
    assert [record.fields["text"] for record in read("-")] == ["one", "", "two"]
    give_standard_input(monkeypatch, b'\xef\xbb\xbf {"document": "one"}\n')
    assert [(record.fields, record.where) for record in read("-")] == [
        ({"document": "one"}, "standard input:1")
    ]


def test_bad_standard_input(monkeypatch):
    give_standard_input(monkeypatch, b"")
    fails(lambda: read("-"), "standard input is empty")
    give_standard_input(monkeypatch, b'{"a": 1}\nnothing\n')
    fails(lambda: read("-"), "standard input:2 is not valid JSON")
    fails(lambda: expand_sources(["-", "-"]), "given twice")


def test_missing_files_and_folders(tmp_path, monkeypatch):
    write(tmp_path / "train.jsonl", "{}")
    fails(
        lambda: read(str(tmp_path / "trian.jsonl")),
        "trian.jsonl does not exist",
        'did you mean "train.jsonl"',
    )
    fails(lambda: read(str(tmp_path / "x" / "y.txt")), "y.txt does not exist: check the path")
    fails(lambda: read(str(tmp_path)), "is a folder", "*.jsonl")
    fails(lambda: read(str(tmp_path / "*.txt")), "*.txt matches no file")
    monkeypatch.chdir(tmp_path)
    fails(lambda: read("newswir"), 'did you mean "newswire"')


@pytest.mark.parametrize("streaming", [False, True])
def test_texts_are_normalised_and_empty_ones_dropped(tmp_path, streaming):
    sources = [
        write(tmp_path / "1.txt", "One  Two\n\n  \nthree\n"),
        write(tmp_path / "2.jsonl", '{"body": " Four "}\n{"body": null}\n{"body": "x", "article": "five"}\n'),
    ]
    settings = NormalizationConfig(lowercase=True)
    texts = read_texts(
        sources, ["article", "body"], kind="documents", streaming=streaming, normalization=settings
    )
    assert isinstance(texts, datasets.IterableDataset if streaming else datasets.Dataset)
    assert texts.column_names == ["text", "source"]
    assert [example["text"] for example in texts] == ["one two", "three", "four", "five"]
    assert [example["text"] for example in texts] == ["one two", "three", "four", "five"]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_share_of_each_source_is_spread_evenly_and_part_of_larger_ones(tmp_path, streaming):
    # the empty line is no text, so that it does not count
    sources = [
        write(tmp_path / "1.txt", "\n".join("01234567")), write(tmp_path / "2.txt", "a\n\nb\nc\nd\ne\n"),
    ]  # fmt: skip

    def kept(share):
        texts = read_texts(
            sources, ["text"], kind="human", streaming=streaming, normalization=PLAIN, share=share
        )
        return "".join(example["text"] for example in texts)

    assert kept(1.0) == "01234567abcde"
    assert kept(0.5) == "1357bd"
    assert kept(0.25) == "37d"
    fails(lambda: kept(0.1), "hold no text of which data.share = 0.1 leaves any: data.human needs some")


@pytest.mark.parametrize("seen", [1, 3, 4])
def test_the_position_of_a_stream_can_be_restored_twice(tmp_path, seen):
    expected = [f"text {number}" for number in range(9)]
    sources = [
        write(tmp_path / f"{part}.txt", "\n\n".join(expected[3 * part : 3 * part + 3])) for part in range(3)
    ]

    def stream():
        return read_texts(sources, ["text"], kind="human", streaming=True, normalization=PLAIN)

    texts = stream()
    rest = iter(texts)
    got = [next(rest)["text"] for _ in range(seen)]
    for _ in range(2):
        state = json.loads(json.dumps(texts.state_dict()))
        texts = stream()
        texts.load_state_dict(state)
        rest = iter(texts)
        got += [next(rest)["text"] for _ in range(2)]
    assert got + [example["text"] for example in rest] == expected
    assert texts.num_shards == 3


@pytest.mark.parametrize("streaming", [False, True])
def test_each_text_says_which_source_it_came_from(tmp_path, streaming):
    for name in ("a1.txt", "a2.txt", "b.txt"):
        (tmp_path / name).write_text(f"of {name}\n", encoding="utf-8")
    sources = [str(tmp_path / "a*.txt"), str(tmp_path / "b.txt")]
    texts = read_texts(
        sources, ["text"], kind="documents", streaming=streaming, normalization=NormalizationConfig()
    )
    assert [(row["text"], row["source"]) for row in texts] == [
        ("of a1.txt", 0),
        ("of a2.txt", 0),
        ("of b.txt", 1),
    ]


def test_a_human_sentence_may_be_a_list(tmp_path):
    source = write(
        tmp_path / "a.jsonl", '{"titles": ["one", "", "two"]}\n{"titles": []}\n{"titles": "three"}\n'
    )
    texts = read_texts([source], ["titles"], kind="human", streaming=False, normalization=PLAIN)
    assert texts["text"][:] == ["one", "two", "three"]
    read_list = lambda: read_texts(  # noqa: E731
        [source], ["titles"], kind="documents", streaming=False, normalization=PLAIN
    )
    fails(read_list, "a.jsonl:1", "holds a list")


@pytest.mark.parametrize("streaming", [False, True])
def test_sources_without_text(tmp_path, streaming):
    blank, header = write(tmp_path / "a.txt", "\n \n"), write(tmp_path / "b.csv", "text\n")

    def load(*sources):
        return lambda: read_texts(
            list(sources), ["text"], kind="documents", streaming=streaming, normalization=PLAIN
        )

    fails(load(blank), "a.txt holds no text: data.documents")
    fails(load(blank, header), "a.txt and ", "b.csv hold no text")
    fails(load(), "no source is given: set data.documents")
    fails(load(blank, str(tmp_path / "c.txt")), "c.txt does not exist")


def test_standard_input_in_memory_but_not_as_a_stream(monkeypatch):
    give_standard_input(monkeypatch, b"one\ntwo\n")
    texts = read_texts(["-"], ["document"], kind="documents", streaming=False, normalization=PLAIN)
    assert texts["text"][:] == ["one", "two"]
    stream = lambda: read_texts(  # noqa: E731
        ["-"], ["document"], kind="documents", streaming=True, normalization=PLAIN
    )
    fails(stream, "standard input can be read only once", "data.streaming")
    give_standard_input(monkeypatch, b"\n")
    empty = lambda: read_texts(["-"], ["text"], kind="human", streaming=False, normalization=PLAIN)  # noqa: E731
    fails(empty, "standard input holds no text")


@pytest.fixture
def newswire(monkeypatch):
    """Stand in for the embedded corpus, whose texts are tested elsewhere."""
    module = types.ModuleType("textae.data.newswire")
    module.documents = lambda count, seed=0: [f"story {number}" for number in range(count)]
    module.headlines = lambda count, seed=0: [f"headline {number}" for number in range(count)]
    module.pairs = lambda count, seed=0, split="valid": [(f"{split} {n}", f"short {n}") for n in range(count)]
    monkeypatch.setitem(sys.modules, "textae.data.newswire", module)
    monkeypatch.setattr("textae.data.newswire", module, raising=False)


@pytest.mark.parametrize(("kind", "word"), [("documents", "story"), ("human", "headline")])
def test_the_embedded_corpus_gives_stories_or_headlines(newswire, kind, word):
    texts = read_texts(["newswire:2"], ["any"], kind=kind, streaming=False, normalization=PLAIN)
    assert texts["text"][:] == [f"{word} 0", f"{word} 1"]
    assert len(list(read_records("newswire", kind=kind))) == 20000


def test_the_embedded_corpus_gives_pairs(newswire):
    pairs = read_pairs(["newswire:test:2"], ["document"], ["summaries", "summary"], PLAIN)
    assert pairs == [
        Pair("newswire-test-1", "test 0", ["short 0"]),
        Pair("newswire-test-2", "test 1", ["short 1"]),
    ]
    assert len(read_pairs(["newswire:valid"], ["document"], ["summary"], PLAIN)) == 500
    (pair,) = read_pairs(["newswire:train:1"], ["document"], ["summary"], PLAIN)
    assert pair == Pair("newswire-train-1", "train 0", ["short 0"])
    fails(
        lambda: read_pairs(["newswire:5"], ["document"], ["summary"], PLAIN),
        "newswire:5 holds no pairs",
        "valid",
    )


def test_the_real_embedded_corpus_has_this_interface():
    stories = read_texts(["newswire:3"], [], kind="documents", streaming=True, normalization=PLAIN)
    titles = read_texts(["newswire:3"], [], kind="human", streaming=False, normalization=PLAIN)
    pairs = read_pairs(["newswire:test:3"], ["document"], ["summary"], PLAIN)
    assert len({example["text"] for example in stories}) == len(set(titles["text"])) == len(pairs) == 3
    assert all(len(pair.document) > len(pair.references[0]) > 0 for pair in pairs)


@pytest.mark.parametrize(
    "source", ["newswire:0", "newswire:tset", "newswire:test:x", "newswire:1:2", "newswire:"]
)
def test_malformed_newswire_sources(source):
    fails(lambda: expand_sources([source]), f"{source} is no source", "newswire:test[:COUNT]")


def test_pairs_have_one_or_several_references(tmp_path, caplog):
    rows = [
        {"id": 7, "document": "A  b", "summaries": ["One", " "]},
        {"document": "c", "summary": "two"},
        {"document": " ", "summary": "three"},
        {"document": "d", "summary": None},
    ]
    source = write(tmp_path / "a.jsonl", json_lines(rows))
    pairs = read_pairs([source], ["document"], ["summaries", "summary"], NormalizationConfig(lowercase=True))
    assert pairs == [Pair("7", "a b", ["one"]), Pair(None, "c", ["two"])]
    assert caplog.messages == ["2 pairs without a document or a summary are left out"]


def test_bad_pairs(tmp_path):
    columns = (["document"], ["summaries", "summary"], PLAIN)
    text, half = write(tmp_path / "a.txt", "x\n"), write(tmp_path / "b.jsonl", '{"document": "x"}\n')
    none = write(tmp_path / "c.jsonl", '{"document": "", "summary": "x"}\n')
    fails(lambda: read_pairs([text], *columns), "a.txt:1 is plain text", '"document" and "summaries"')
    fails(
        lambda: read_pairs([half], *columns), 'b.jsonl:1 has no column "summaries" or "summary"', '"document"'
    )
    fails(lambda: read_pairs([none], *columns), "c.jsonl holds no pair")
    fails(lambda: read_pairs([], *columns), "the empty list of sources holds no pair")


def test_columns_keep_every_record_and_its_id(tmp_path):
    rows = [{"id": 1, "output": "a  b"}, {"output": None}, {"id": "x", "summaries": ["c", "d"], "output": ""}]
    source = write(tmp_path / "a.jsonl.gz", json_lines(rows))
    assert read_columns(source, ["summaries", "output"]) == [("1", "a  b"), (None, ""), ("x", ["c", "d"])]
    assert read_columns(write(tmp_path / "a.txt", "a\n\n"), ["output"]) == [(None, "a"), (None, "")]
    header = write(tmp_path / "b.csv", "id,output\n")
    fails(lambda: read_columns(header, ["output"]), "b.csv holds no records")


def test_the_hub_is_asked_for_name_configuration_and_split(monkeypatch):
    asked = []

    def load(name, configuration, *, split, streaming):
        asked.append((name, configuration, split, streaming))
        return [{"document": "one"}, {"document": "two"}]

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert [record.where for record in read("hub:some/name")] == ["hub:some/name:1", "hub:some/name:2"]
    texts = read_texts(
        ["hub:name:small@train[:10%]"], ["document"], kind="documents", streaming=False, normalization=PLAIN
    )
    assert texts["text"][:] == ["one", "two"]
    assert asked == [("some/name", None, "train", True), ("name", "small", "train[:10%]", False)]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_folder_as_datasets_knows_it_is_read_offline(tmp_path, monkeypatch, streaming):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "test.jsonl", json_lines(ROWS))
    source = f"hub:{tmp_path / 'data'}@test"
    texts = read_texts([source], ["document"], kind="documents", streaming=streaming, normalization=PLAIN)
    assert [example["text"] for example in texts] == ["Rain fell.", "Dürre, überall"]


def test_every_failure_of_the_hub_is_one_sentence(monkeypatch):
    def load(*_args, **_named):
        raise ConnectionError("no route:\nmany more lines")

    monkeypatch.setattr(datasets, "load_dataset", load)
    fails(lambda: read("hub:some/name"), "hub:some/name cannot be loaded", "(ConnectionError: no route)")
    fails(lambda: expand_sources(["hub:@test"]), "hub:@test names no data set")


def test_a_column_missing_from_a_hub_record_is_named(monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda *_args, **_named: [{"highlights": "x"}])
    load = lambda: read_texts(  # noqa: E731
        ["hub:name"], ["highlight"], kind="human", streaming=True, normalization=PLAIN
    )
    fails(load, 'hub:name:1 has no column "highlight"', 'did you mean "highlights"')
