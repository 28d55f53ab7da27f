"""run.json: which code made a run, on what, in how many seconds."""

import json

import pytest
import torch

from textae import provenance
from textae.training import record
from textae.training.record import RunRecord


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(record.time, "monotonic", lambda: now[0])
    return now


def parts(folder):
    return json.loads((folder / "run.json").read_text())["parts"]


def test_a_resumed_run_has_a_part_for_each_time_it_ran(tmp_path, clock):
    first = RunRecord(tmp_path, 0, 1)
    for clock[0], step in ((107.5, 20), (115.0, 40)):
        first.write(step)
    # Cut at step 60 or so, of which there is no checkpoint.
    second = RunRecord(tmp_path, 40, 2)
    clock[0] += 5.0
    second.write(80)
    told = [
        [part[key] for key in ("from_step", "to_step", "seconds", "processes")] for part in parts(tmp_path)
    ]
    assert told == [[0, 40, 15.0, 1], [40, 80, 5.0, 2]]
    # Going back to an earlier checkpoint takes what came after it out of the record.
    third = RunRecord(tmp_path, 20, 1)
    third.write(30)
    assert [part["from_step"] for part in parts(tmp_path)] == [0, 20]
    fresh = RunRecord(tmp_path, 0, 1)
    fresh.write(10)
    assert [part["from_step"] for part in parts(tmp_path)] == [0]


def test_a_record_that_is_damaged_is_begun_anew(tmp_path):
    (tmp_path / "run.json").write_text("{")
    RunRecord(tmp_path, 40, 1).write(50)
    assert len(parts(tmp_path)) == 1


def test_what_is_told_of_code_and_machine(monkeypatch, tmp_path):
    told = provenance.provenance()
    assert told.keys() == {"textae", "commit", "torch", "processor", "threads", "accelerator"}
    assert told["torch"] == torch.__version__ and told["threads"] == torch.get_num_threads()
    assert told["processor"]
    # A package that is installed elsewhere has no commit of its own, whatever checkout it is run in.
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "textae" / "provenance.py"))
    assert provenance.commit() is None
    (tmp_path / ".git").mkdir()
    assert provenance.commit() is None  # that is no checkout


def test_the_commit_says_when_files_were_changed(monkeypatch, tmp_path):
    def git(*words):
        provenance.subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", str(tmp_path), *words],
            check=True,
            capture_output=True,
        )

    git("init")
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-m", "m")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "textae" / "provenance.py"))
    clean = provenance.commit()
    assert clean is not None and len(clean) == 7
    (tmp_path / "file").write_text("b")
    assert provenance.commit() == f"{clean}-dirty"
