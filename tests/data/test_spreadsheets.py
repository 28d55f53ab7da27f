"""Cells of tables: what a spreadsheet would run becomes text, everything else stays."""

import csv
import datetime
import io

import pytest

from textae.data.spreadsheets import safe_cell


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-1+1",
        "-5 degrees in ossel",
        "@SUM(A1:A9)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1+1",
        "\uff20SUM(A1)",
        "=",
        "- a list",
        "+49 123 456",
        "-5\n",
    ],
)
def test_what_begins_like_a_formula_gets_an_apostrophe(text):
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize(
    "value",
    ["", "rain fell", " =1", "a=b", "'=1", "1-2", "-5", "+3.25", "-1e-3", -5, 0.5, None, True, "\u2212 5"],
)
def test_everything_else_stays(value):
    assert safe_cell(value) is value


def test_other_values_stay_what_they_are():
    day = datetime.date(2026, 1, 2)
    assert safe_cell(day) is day


def test_no_cell_of_a_written_table_begins_like_a_formula():
    texts = ["=A1", "-x", 'a "quoted" =A1', "two\n=lines", "a,=b"]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([[safe_cell(text)] for text in texts])
    written = [row[0] for row in csv.reader(io.StringIO(buffer.getvalue()))]
    assert not any(text[0] in "=+-@\t\r" for text in written)
    assert [text.removeprefix("'") for text in written] == texts
