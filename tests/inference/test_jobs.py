"""Corpora in parts: killed and continued, shared by processes, with records that cannot be used."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import fsspec
import pytest
from pyarrow import parquet

from textae.data.corpus import read_records
from textae.errors import InputError
from textae.inference import corpus, job, summarize_corpus
from textae.inference.job import Job, Processes, Segment, describe_source
from textae.inference.places import Place
from textae.inference.results import Result


class Shouting:
    """Stands in for a model: a summary is the document in capitals. It can be made to fail."""

    def __init__(self, fail_at=None):
        decoding, code = SimpleNamespace(long_documents="cut"), SimpleNamespace(is_text=True)
        self.config = SimpleNamespace(max_document_tokens=9, decoding=decoding, code=code)
        self.engines = ["Shouting"]
        self.fail_at, self.calls = fail_at, 0

    def count_tokens(self, texts):
        return [len(text.split()) for text in texts]

    def summarize(self, documents, batch_size):
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        return [document.upper() for document in documents]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(corpus, "CHUNK", 3)
    monkeypatch.setattr(corpus, "model_identity", lambda model: type(model).__name__)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.jsonl"
    rows = [{"id": number, "document": f"rain fell on day {number}"} for number in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(source, output, model=None, **options):
    return summarize_corpus(model or Shouting(), str(source), str(output), batch_size=2, **options)


@pytest.mark.parametrize("name", ["o.jsonl", "o.jsonl.gz", "o.txt", "o.csv.gz", "o.tsv", "o.parquet"])
@pytest.mark.parametrize("fail_at", [1, 2, 4])
def test_an_interrupted_run_continues_to_the_same_bytes(source, tmp_path, name, fail_at, caplog):
    run(source, tmp_path / "whole" / name)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / name, Shouting(fail_at))
    assert not (tmp_path / name).exists()
    again = Shouting()
    counts = run(source, tmp_path / name, again)
    assert counts["records"] == 10
    assert again.calls == 4 - (fail_at - 1)  # what was done is not done again
    assert (tmp_path / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list(tmp_path.glob(".*"))
    assert ("goes on from there" in caplog.text) == (fail_at > 1)


def jobs(output):
    """Folders of unfinished jobs of a result."""
    return sorted(path.parent for path in output.parent.glob(f".{output.name}.partial/*/job.json"))


def stop(source, output, model=None, **options):
    """Interrupt a job in its third window; gives the folder that it leaves."""
    before = jobs(output)
    model = model or Shouting()
    model.fail_at = 3
    with pytest.raises(KeyboardInterrupt):
        run(source, output, model, **options)
    (left,) = set(jobs(output)) - set(before)
    return left


class Whispering(Shouting):
    """Another model, of the same kind."""

    def summarize(self, documents, batch_size):
        return [text.lower() for text in super().summarize(documents, batch_size)]


def test_what_another_input_model_or_setting_left_is_not_used_and_stays(source, tmp_path, caplog):
    caplog.set_level("INFO")
    output = tmp_path / "o.txt"
    run(source, tmp_path / "whole.txt")
    first = stop(source, output)
    other = Shouting()
    other.engines = ["Other"]
    second = stop(source, output, other)
    third = stop(source, output, Whispering())
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace("day 0", "day X"), encoding="utf-8")  # of the same size
    fourth = stop(source, output)
    assert len({first, second, third, fourth}) == 4
    told = ", ".join(str(place) for place in sorted([first, second, third]))
    assert caplog.messages[-2:] == [
        f"Beginning anew: the unfinished work in {told} is of another model, input or setting.",
        f"What was done is kept in {fourth}; the same command goes on from there.",
    ]
    source.write_text(text, encoding="utf-8")

    model = Whispering()
    run(source, output, model)
    assert model.calls == 2 and output.read_text(encoding="utf-8").startswith("rain fell on day 0\n")
    assert jobs(output) == sorted([first, second, fourth])
    told = ", ".join(str(place) for place in jobs(output))
    assert caplog.messages[-1] == (
        f"Unfinished work of another model, input or setting stays in {told}: the command that began it goes "
        "on from there; delete it if that is not wanted."
    )
    model = Shouting()
    run(source, output, model)
    assert model.calls == 2 and output.read_bytes() == (tmp_path / "whole.txt").read_bytes()
    other.fail_at, other.calls = None, 0
    run(source, output, other)
    assert other.calls == 2 and jobs(output) == [fourth]
    source.write_text(text.replace("day 0", "day X"), encoding="utf-8")
    run(source, output)
    assert "DAY X" in output.read_text(encoding="utf-8")
    assert not list(tmp_path.glob(".*"))


def test_a_job_whose_description_is_damaged_begins_anew(source, tmp_path):
    output = tmp_path / "o.txt"
    (stop(source, output) / "job.json").write_text("{", encoding="utf-8")
    model = Shouting()
    run(source, output, model)
    assert model.calls == 4
    # Nobody can continue one of other settings, either.
    (stop(source, output) / "job.json").write_text("[]", encoding="utf-8")
    run(source, output, Whispering())
    assert not list(tmp_path.glob(".*"))


def test_a_part_that_another_job_has_written_since_is_written_again(source, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    run(source, tmp_path / "whole.jsonl")

    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Result, "_write_manifest", fail)
        with pytest.raises(KeyboardInterrupt):
            run(source, f"{folder}/")
    assert len(list(folder.glob(".parts.partial/*/*.done"))) == 1
    run(source, f"{folder}/", Whispering())
    model = Shouting()
    run(source, f"{folder}/", model)
    assert model.calls == 0
    part = folder / "part-00000-of-00001.jsonl"
    assert part.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["parts"][0]["sha256"] == hashlib.sha256(part.read_bytes()).hexdigest()
    assert not list(folder.glob(".*"))


def test_standard_input_is_never_continued(tmp_path, monkeypatch):
    import io

    def give():
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\nc\nd\n")))

    give()
    with pytest.raises(KeyboardInterrupt):
        run("-", tmp_path / "o.txt", Shouting(2))
    assert os.listdir(tmp_path) == []
    give()
    with monkeypatch.context() as patch:
        patch.setattr(Job, "remove", lambda job: None)  # as if killed
        with pytest.raises(KeyboardInterrupt):
            run("-", tmp_path / "o.txt", Shouting(2))
    assert len(jobs(tmp_path / "o.txt")) == 1
    give()
    model = Shouting()
    run("-", tmp_path / "o.txt", model)
    assert model.calls == 2 and (tmp_path / "o.txt").read_text() == "A\nB\nC\nD\n"
    assert os.listdir(tmp_path) == ["o.txt"]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data.replace(b"RAIN", b"PAIN"), bytes.lower]
)
def test_a_damaged_segment_is_made_again(source, tmp_path, damage, caplog):
    segment = stop(source, tmp_path / "o.txt") / "segment-00000001"
    segment.write_bytes(damage(segment.read_bytes()))
    model = Shouting()
    run(source, tmp_path / "o.txt", model)
    assert model.calls == 3 and "segment-00000001 is damaged and is made again" in caplog.text
    lines = (tmp_path / "o.txt").read_text().splitlines()
    assert lines == [f"RAIN FELL ON DAY {number}" for number in range(10)]


BAD = [
    b'{"id": 0, "document": "good"}',
    b'{"id": 1, "document": ',
    b'{"id": 2, "document": "caf\xe9"}',
    b'{"id": 3, "document": 7}',
    b'{"id": 4, "documnet": "x"}',
    b"[1]",
    b'{"id": 6, "document": "also good"}',
]
REASONS = [
    "not valid JSON",
    "not valid UTF-8 (byte 27",
    "holds a number",
    "has no column",
    "JSON but no object",
]


def test_bad_records_are_rejected_with_position_and_reason(tmp_path, caplog):
    source, output, rejects = tmp_path / "in.jsonl", tmp_path / "o.jsonl", tmp_path / "bad.jsonl"
    source.write_bytes(b"\n".join(BAD) + b"\n")
    with pytest.raises(InputError, match=r"in\.jsonl:2 is not valid JSON"):
        run(source, output)
    counts = run(source, output, rejects=str(rejects))
    assert (counts["records"], counts["rejected"], counts["empty"]) == (7, 5, 0)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["summary"] for row in rows] == ["GOOD", "", "", "", "", "", "ALSO GOOD"]
    told = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [line["position"] for line in told] == [2, 3, 4, 5, 6]
    assert [line["where"] for line in told] == [f"{source}:{number}" for number in range(2, 7)]
    assert all(part in line["reason"] for part, line in zip(REASONS, told, strict=True))
    assert f"5 documents were rejected, as {rejects} tells, and got an empty summary" in caplog.text


def test_bad_rows_of_tables_and_lines_of_text_are_rejected(tmp_path):
    table = tmp_path / "in.csv"
    table.write_bytes(b'id,document\n1,one\n2,two,too many\n3,"open"quote\n4,caf\xe9\n5,five\n')
    records = list(read_records(str(table), strict=False))
    assert [record.error is not None for record in records] == [False, True, True, True, False]
    assert records[4].fields == {"id": "5", "document": "five"} and records[4].where.endswith("in.csv:6")
    lines = tmp_path / "in.txt"
    lines.write_bytes(b"one\n\xff\nthree\n")
    counts = run(lines, tmp_path / "o.txt", rejects=str(tmp_path / "bad.jsonl"))
    assert counts["rejected"] == 1 and (tmp_path / "o.txt").read_text() == "ONE\n\nTHREE\n"


def test_a_document_that_is_no_document_is_refused(tmp_path, monkeypatch):
    from textae.inference import window

    monkeypatch.setattr(window, "MOST_CHARACTERS", 5)
    source = tmp_path / "in.txt"
    source.write_text("short\nlonger\n")
    with pytest.raises(InputError, match=r"in\.txt:2 has a document of 6 characters, more than 5: split it"):
        run(source, tmp_path / "o.txt")


def parts(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_folder_gets_a_part_and_a_manifest(source, tmp_path, suffix):
    folder = tmp_path / "out"
    counts = run(source, f"{folder}/", part_format=suffix)
    names = ["manifest.json", f"part-00000-of-00001.{suffix}", "rejects-00000-of-00001.jsonl"]
    assert parts(folder) == names
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    data = (folder / names[1]).read_bytes()
    (part,) = manifest["parts"]
    assert part == {
        "name": names[1],
        "counts": counts,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert manifest["counts"] == counts and manifest["made_with"]["input"] == describe_source(str(source))
    if suffix == "parquet":
        assert parquet.read_table(folder / names[1]).num_rows == 10


SHOUT = """
import sys
sys.path.insert(0, sys.argv[1])
import test_jobs
from textae.inference import corpus

corpus.CHUNK, corpus.model_identity = 3, lambda model: "same"
fail_at = int(sys.argv[4]) or None
corpus.summarize_corpus(test_jobs.Shouting(fail_at), sys.argv[2], sys.argv[3], batch_size=2)
"""


def launch(source, output, count, fail_at=0):
    """Start processes as a launcher does; the exit codes."""
    words = [sys.executable, "-c", SHOUT, str(Path(__file__).parent), str(source), str(output), str(fail_at)]
    started = [
        subprocess.Popen(
            words, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(count)}, stderr=subprocess.DEVNULL
        )
        for rank in range(count)
    ]
    codes = []
    for process in started:
        try:
            codes.append(process.wait(timeout=5 if fail_at else 120))
        except subprocess.TimeoutExpired:  # it waits for one that has failed: the launcher would end it
            process.kill()
            codes.append(process.wait())
    return codes


def test_processes_share_the_work_and_their_parts_follow_each_other(source, tmp_path):
    run(source, tmp_path / "whole.jsonl")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-00002-of-00003.jsonl").write_text("of an earlier result\n")
    (tmp_path / "out" / ".part-00001-of-00003.jsonl.tmp").write_text("of a process that was killed\n")
    (tmp_path / "out" / "part-a.jsonl").write_text("not ours\n")
    assert any(launch(source, f"{tmp_path}/out/", 2, fail_at=2))  # both are stopped in their second window
    assert "manifest.json" not in parts(tmp_path / "out")
    assert launch(source, f"{tmp_path}/out/", 2) == [0, 0]
    assert parts(tmp_path / "out") == [
        "manifest.json",
        "part-00000-of-00002.jsonl",
        "part-00001-of-00002.jsonl",
        "part-a.jsonl",
        "rejects-00000-of-00002.jsonl",
        "rejects-00001-of-00002.jsonl",
    ]
    joined = b"".join((tmp_path / "out" / f"part-0000{i}-of-00002.jsonl").read_bytes() for i in range(2))
    assert joined == (tmp_path / "whole.jsonl").read_bytes()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert [part["counts"]["records"] for part in manifest["parts"]] == [6, 4]
    assert manifest["counts"]["records"] == 10
    # Several processes can write one file as well; the first joins it.
    assert launch(source, tmp_path / "one.jsonl", 2) == [0, 0]
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_another_number_of_processes_goes_on(source, tmp_path):
    assert any(launch(source, f"{tmp_path}/out/", 3, fail_at=2))
    assert launch(source, f"{tmp_path}/out/", 1) == [0]
    run(source, tmp_path / "whole.jsonl")
    joined = (tmp_path / "out" / "part-00000-of-00001.jsonl").read_bytes()
    assert joined == (tmp_path / "whole.jsonl").read_bytes()


def test_processes_do_not_take_a_part_of_another_format_for_theirs(source, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "model_identity", lambda model: "same")  # as in those processes
    with pytest.raises(KeyboardInterrupt):
        run(source, f"{tmp_path}/out/", Shouting(3))
    (job,) = [path.parent for path in tmp_path.glob("out/.parts.partial/*/job.json")]
    about = {"name": "part-00001-of-00002.parquet", "counts": {"records": 4}}
    for mark in ("part-00001-of-00002.parquet.done", "part-00001-of-00002.done"):
        (job / mark).write_text(json.dumps(about))
    assert launch(source, f"{tmp_path}/out/", 2) == [0, 0]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert [part["name"] for part in manifest["parts"]] == [f"part-0000{i}-of-00002.jsonl" for i in range(2)]


@pytest.mark.parametrize("name", ["out.jsonl", "out/"])
def test_a_process_that_comes_when_all_is_done_goes(source, tmp_path, monkeypatch, name):
    output = f"{tmp_path}/{name}"
    run(source, output)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    written = sorted(tmp_path.rglob("*"))
    assert run(source, output) == {}
    assert sorted(tmp_path.rglob("*")) == written
    # One from before its launch is no sign of that: the first process is only slower.
    last = tmp_path / "out" / "manifest.json" if name == "out/" else tmp_path / name
    os.utime(last, (0, 0))
    monkeypatch.setattr(job.time, "sleep", waits := Mock(side_effect=[None, KeyboardInterrupt]))
    with pytest.raises(KeyboardInterrupt):
        run(source, output)
    assert waits.call_count == 2


def test_a_format_of_parts_that_is_none_is_refused(source, tmp_path):
    with pytest.raises(InputError, match="part_format is doc; take one of jsonl, parquet, "):
        run(source, f"{tmp_path}/out/", part_format="doc")
    assert not (tmp_path / "out").exists()


def test_standard_input_and_several_processes_exclude_each_other(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="standard input reaches one process"):
        run("-", tmp_path / "o.txt")


def test_a_result_that_another_process_is_writing_is_refused(tmp_path):
    for setting in (1, 2):  # of the same job, and of another
        first, second = (Job(Place(str(tmp_path / "jobs")), {"a": a}, Processes()) for a in (1, setting))
        with (
            first.begun(),
            pytest.raises(InputError, match="another process is writing this result"),
            second.begun(),
        ):
            pass
        first.save(0, Segment())
        assert first.has(0)


def test_storage_elsewhere(tmp_path, source):
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pipe("/corpus/a.jsonl", source.read_bytes())
    memory.pipe("/corpus/b.jsonl.gz", gzip.compress(b'{"id": "b", "document": "hail"}\n'))
    run(source, tmp_path / "whole.jsonl")
    url = "memory://corpus/*.jsonl*"
    run(url, "memory://result/o.jsonl")
    expected = (tmp_path / "whole.jsonl").read_bytes() + b'{"id": "b", "summary": "HAIL"}\n'
    assert memory.cat("/result/o.jsonl") == expected
    with pytest.raises(KeyboardInterrupt):
        run(url, "memory://parts/", Shouting(3))
    assert memory.glob("/parts/.parts.partial/*/segment-00000001")
    model = Shouting()
    with pytest.raises(KeyboardInterrupt):
        run(url, "memory://parts/", Whispering(3))
    run(url, "memory://parts/", Whispering())
    run(url, "memory://parts/", model)
    assert model.calls == 2
    assert memory.cat("/parts/part-00000-of-00001.jsonl") == expected
    assert not memory.exists("/parts/.parts.partial")
    # A table, and files of this machine as URLs.
    run(f"file://{source}", f"file://{tmp_path}/u.parquet")
    run(f"file://{tmp_path}/u.parquet", f"file://{tmp_path}/v.csv", columns=["summary"])
    assert (tmp_path / "v.csv").read_text(encoding="utf-8").splitlines()[1] == "0,RAIN FELL ON DAY 0"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://corpus/none.jsonl", "does not exist: check the address"),
        ("memory://corpus/*.csv", "matches no file"),
        ("nosuch://corpus/a.jsonl", "cannot be reached"),
        ("memory://corpus/a.doc", "has no extension that tells its format"),
    ],
)
def test_storage_that_does_not_answer_is_told(tmp_path, url, said):
    with pytest.raises(InputError, match=said):
        run(url, tmp_path / "o.txt")
    assert os.listdir(tmp_path) == []


def test_segments_come_back_as_they_were():
    segment = Segment([(1, "ä"), (None, "\u2028"), ("x", "")], {"records": 3}, [{"position": 2}], True, False)
    assert Segment.decode(segment.encode()) == segment
    assert Segment.decode(b"") is None and Segment.decode(b"\n{}") is None


@pytest.mark.parametrize(("name", "comma"), [("o.csv", ","), ("o.tsv", "\t")])
def test_what_a_spreadsheet_would_run_is_text_in_tables(tmp_path, name, comma):
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": "@x", "document": "=1+1"}\n{"id": -5, "document": "rain"}\n', encoding="utf-8")
    run(source, tmp_path / name)
    lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
    assert lines == [f"id{comma}summary", f"'@x{comma}'=1+1", f"-5{comma}RAIN"]
    run(source, tmp_path / "o.jsonl")  # no spreadsheet reads it
    assert '"=1+1"' in (tmp_path / "o.jsonl").read_text(encoding="utf-8")
