import gzip
import json
import os

import pytest

from textae.errors import InputError
from textae.evaluation.files import check_writable, write_json, write_predictions, write_text


def test_json_goes_to_a_file_whole_and_leaves_nothing_else(tmp_path):
    target = tmp_path / "new" / "figures.json"
    write_json({"rouge1": 25.5, "name": "é"}, target)
    assert json.loads(target.read_text(encoding="utf-8")) == {"rouge1": 25.5, "name": "é"}
    assert os.listdir(target.parent) == ["figures.json"]


def test_json_goes_to_standard_output(capsys):
    write_json({"a": 1}, "-")
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_predictions_carry_ids_where_there_are_some(tmp_path):
    target = tmp_path / "out.jsonl"
    write_predictions(target, ["x", None], ["雨", ""])
    lines = target.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "x", "output": "雨"}, {"output": ""}]


def test_gz_is_compressed(tmp_path):
    write_text(tmp_path / "a.jsonl.gz", "rain\n")
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == b"rain\n"


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("textae.evaluation.files.os.replace", fail)
    with pytest.raises(InputError, match="no space left on device"):
        write_text(target, "new")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_is_no_regular_file_is_written_into(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(pipe, "rain")
        assert os.read(descriptor, 100) == b"rain"
    finally:
        os.close(descriptor)
    assert pipe.is_fifo()


def test_a_special_file_that_cannot_be_written_is_named():
    with pytest.raises(InputError, match="/dev/full: cannot be written"):
        write_text("/dev/full", "rain")


@pytest.mark.parametrize("make", ["folder", "below_a_file"])
def test_impossible_places_are_refused_beforehand(tmp_path, make):
    if make == "folder":
        place, message = tmp_path, "this is a folder"
    else:
        (tmp_path / "file").write_text("")
        place, message = tmp_path / "file" / "out.json", r"out\.json: cannot be written"
    with pytest.raises(InputError, match=message):
        check_writable(place)
