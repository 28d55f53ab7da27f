import gzip
import io
import json
import logging
import sys

import pytest

from textae.errors import InputError
from textae.evaluation.joining import predictions_for, read_joined


@pytest.fixture
def write(tmp_path):
    def write_file(name, records):
        path = tmp_path / name
        lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
        text = "".join(line + "\n" for line in lines).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return str(path)

    return write_file


def test_joins_on_id_in_the_order_of_the_references(write):
    predictions = write("p.jsonl.gz", [{"id": "b", "output": "B"}, {"id": "a", "output": "A"}])
    references = write("r.jsonl", [{"id": "a", "summaries": ["ra", "rb"]}, {"id": "b", "summary": "rc"}])
    joined = read_joined(predictions, references)
    assert joined.predictions == ["A", "B"]
    assert joined.references == [["ra", "rb"], ["rc"]]
    assert joined.joined_by == "id"


def test_numbers_as_ids_match_their_text(write):
    predictions = write("p.csv", ["id,prediction", "7,rain"])
    references = write("r.jsonl", [{"id": 7, "summary": "rain"}])
    assert read_joined(predictions, references).predictions == ["rain"]


def test_ids_without_partner_are_counted_in_warnings(write, caplog):
    predictions = write("p.jsonl", [{"id": "a", "output": "A"}, {"id": "z", "output": "Z"}])
    references = write("r.jsonl", [{"id": name, "summary": name} for name in "abc"])
    with caplog.at_level(logging.WARNING, logger="textae"):
        joined = read_joined(predictions, references)
    assert joined.predictions == ["A"]
    assert (joined.references_without_prediction, joined.predictions_without_reference) == (2, 1)
    assert "2 of 3 references have no prediction" in caplog.text
    assert "1 of 2 predictions have no reference" in caplog.text


def test_text_files_go_by_line_and_empty_lines_count(write, caplog):
    predictions = write("p.txt", ["rain", "", "snow"])
    references = write("r.txt", ["r1", "r2", "r3"])
    joined = read_joined(predictions, references)
    assert joined.predictions == ["rain", "", "snow"]
    assert joined.references == [["r1"], ["r2"], ["r3"]]
    assert joined.joined_by == "order"
    assert not caplog.records


def test_ids_on_one_side_only_join_by_order(write):
    references = write("r.jsonl", [{"id": "a", "text": "ra"}, {"id": "b", "text": "rb"}])
    assert read_joined(write("p.txt", ["x", "y"]), references).predictions == ["x", "y"]


def test_empty_references_are_left_out_after_joining(write, caplog):
    predictions = write("p.txt", ["a", "b", "c"])
    references = write("r.jsonl", [{"summaries": ["", "ra"]}, {"summaries": []}, {"summary": "rc"}])
    joined = read_joined(predictions, references)
    assert joined.predictions == ["a", "c"]
    assert joined.references == [["ra"], ["rc"]]
    assert joined.references_empty == 1
    assert "1 references are empty" in caplog.text


def test_columns_can_be_named(write):
    predictions = write("p.jsonl", [{"headline": "a", "output": "no"}])
    references = write("r.jsonl", [{"title": "ra", "summary": "no"}])
    joined = read_joined(predictions, references, ["headline"], ["title"])
    assert (joined.predictions, joined.references) == (["a"], [["ra"]])


def test_predictions_from_standard_input(write, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"rain\n")))
    assert read_joined("-", write("r.txt", ["r"])).predictions == ["rain"]


def test_a_list_of_one_prediction_is_a_prediction(write):
    assert read_joined(write("p.jsonl", [{"output": ["a"]}]), write("r.txt", ["r"])).predictions == ["a"]


BAD = {
    "different counts": (
        [{"output": "a"}, {"output": "b"}],
        [{"summary": "r"}],
        r"p\.jsonl has 2 predictions and .*r\.jsonl has 1 references; make the counts equal",
    ),
    "duplicate prediction": (
        [{"id": "x", "output": "a"}, {"id": "x", "output": "b"}],
        [{"id": "x", "summary": "r"}],
        r'p\.jsonl: id "x" occurs 2 times',
    ),
    "duplicate reference": (
        [{"id": "x", "output": "a"}],
        [{"id": "x", "summary": "r"}, {"id": "x", "summary": "s"}, {"id": "y", "summary": "s"}],
        r'r\.jsonl: id "x" occurs 2 times',
    ),
    "nothing in common": (
        [{"id": "x", "output": "a"}],
        [{"id": "y", "summary": "r"}],
        r'No id of .*p\.jsonl \(such as "x"\) occurs in .*r\.jsonl \(such as "y"\)',
    ),
    "some ids": (
        [{"id": "x", "output": "a"}, {"output": "b"}],
        [{"id": "x", "summary": "r"}, {"id": "y", "summary": "r"}],
        r'p\.jsonl: 1 of 2 records have no "id"',
    ),
    "no such column": (
        [{"id": "x", "ouptut": "a"}],
        [{"id": "x", "summary": "r"}],
        r'p\.jsonl:1 has no column "output" or "prediction" or "summary"',
    ),
    "two predictions in one": (
        [{"output": ["a", "b"]}],
        [{"summary": "r"}],
        r"p\.jsonl: prediction 1 is a list of 2 texts",
    ),
    "only empty references": ([{"output": "a"}], [{"summary": " "}], "No reference has any text"),
    "a number": ([{"output": 3}], [{"summary": "r"}], r'p\.jsonl:1: column "output" holds a number'),
    "broken JSON": ([{"output": "a"}], [{"summary": "r"}, "{"], r"r\.jsonl:2 is not valid JSON"),
    "empty file": ([], [{"summary": "r"}], r"p\.jsonl is empty"),
}


def test_ids_that_are_not_needed_need_not_be_right(write):
    references = write(
        "r.jsonl", [{"id": "x", "summary": "ra"}, {"id": "x", "summary": "rb"}, {"summary": "rc"}]
    )
    assert read_joined(write("p.txt", ["a", "b", "c"]), references).references == [["ra"], ["rb"], ["rc"]]


@pytest.mark.parametrize(("predictions", "references", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_its_place(write, predictions, references, message):
    places = write("p.jsonl", predictions), write("r.jsonl", references)
    with pytest.raises(InputError, match=message):
        read_joined(*places)


def test_missing_file_is_named(write):
    with pytest.raises(InputError, match=r"nowhere\.jsonl does not exist"):
        read_joined("nowhere.jsonl", write("r.txt", ["r"]))


def test_standard_input_cannot_be_both_sides():
    with pytest.raises(InputError, match="both come from standard input"):
        read_joined("-", "-")


def test_predictions_for_rows_of_which_some_have_none(write):
    source = write("p.jsonl.gz", [{"id": "c", "output": "C"}, {"id": "a", "output": ""}])
    assert predictions_for(source, ["a", "b", "c"]) == ["", None, "C"]
    plain = write("p.txt", ["x", "y"])
    assert predictions_for(plain, ["a", "b"]) == predictions_for(plain, [None, None]) == ["x", "y"]
    for identifiers, message in (
        (["d", "e"], r'No id of .* \(such as "c"\) occurs in the data \(such as "d"\)'),
        ([None] * 3, "2 predictions for 3 rows of data"),
    ):
        with pytest.raises(InputError, match=message):
            predictions_for(source, identifiers)
    several = write("s.jsonl", [{"id": "a", "output": ["x", "y"]}])
    with pytest.raises(InputError, match="prediction 1 is a list of 2 texts"):
        predictions_for(several, ["a"])
