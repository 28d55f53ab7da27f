import json
import logging
from types import SimpleNamespace

import pytest

from textae.data.corpus import Pair
from textae.errors import InputError
from textae.evaluation.report import (
    evaluate_model,
    evaluate_predictions,
    example_text,
    markdown_table,
    spread,
    write_json,
)
from textae.model_config import DecodingConfig, NormalizationConfig

DOCUMENTS = [
    "On Monday THE old bridge in Norwick was closed after engineers found cracks in it",
    "A storm that nobody expected flooded the harbour of Selby on Tuesday night, police said",
    "After long talks the union of bakers agreed to end its strike in nine towns",
]
REFERENCES = [
    ["Norwick bridge closed after cracks"],
    ["storm floods Selby harbour", "Selby flooded"],
    ["bakers end strike"],
]
OUTPUTS = ["norwick bridge closed", "storm floods selby harbour", "bakers end strike"]


class StandIn:
    """Answers by looking up; numbers that a test can recognise."""

    def __init__(self):
        self.config = SimpleNamespace(
            normalization=NormalizationConfig(lowercase=True), decoding=DecodingConfig(num_beams=3)
        )
        self.summarized = None

    def summarize(self, documents, **options):
        self.summarized = (documents, options)
        answers = dict(zip((document.lower() for document in DOCUMENTS), OUTPUTS, strict=True))
        return [answers[document] for document in documents]

    def reconstruction_loss(self, documents, summaries=None, *, batch_size):
        return [2.0 if summary in OUTPUTS else 3.0 for summary in summaries]

    def reconstruct(self, summaries):
        return [f"restored from: {summary}" for summary in summaries]

    def readability(self, sentences, *, batch_size):
        return [0.75 if sentence in OUTPUTS else 0.25 for sentence in sentences]


@pytest.fixture
def pairs_file(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = zip("abc", DOCUMENTS, REFERENCES, strict=True)
    path.write_text(
        "".join(json.dumps({"id": i, "document": d, "summaries": r}) + "\n" for i, d, r in rows),
        encoding="utf-8",
    )
    return str(path)


def test_model_stands_beside_the_baselines_with_every_measure(pairs_file, tmp_path):
    model = StandIn()
    saved = tmp_path / "saved" / "outputs.jsonl"
    report = evaluate_model(
        model,
        [pairs_file],
        words=4,
        max_words=6,
        num_beams=2,
        batch_size=2,
        seed=3,
        save_predictions=str(saved),
    )
    documents, options = model.summarized
    assert documents == [document.lower() for document in DOCUMENTS]
    assert options == {"batch_size": 2, "words": 4, "ratio": None, "max_words": 6, "num_beams": 2}

    assert list(report["systems"]) == ["model", "lead-8", "lead-10", "lead-half"]
    row = report["systems"]["model"]
    # 3 of 5 words; 4 of 4 and 1 of 2 words ("flooded" and "floods" share a stem); 3 of 3 words.
    first, second = 2 * 3 / (3 + 5), (1 + 2 * 2 / (4 + 2)) / 2
    assert row["rouge1"] == pytest.approx(100 * (first + second + 1) / 3)
    assert row["count"] == 3
    assert row["mean_words"] == pytest.approx(10 / 3)
    assert row["length_error"] == pytest.approx(2 / 3)  # 3, 4 and 3 words, where 4 were wanted
    # "floods" alone is not in its document, of 10 words.
    assert row["novelty"] == pytest.approx(0.1)
    assert row["compression"] == pytest.approx(10 / 45)
    assert (row["distinct"], row["reconstruction_loss"], row["readability"]) == (1.0, 2.0, 0.75)
    lead = report["systems"]["lead-8"]
    assert (lead["mean_words"], lead["novelty"], lead["copy_rate"]) == (8.0, 0.0, 1.0)
    assert (lead["reconstruction_loss"], lead["readability"]) == (3.0, 0.25)

    protocol = report["protocol"]
    assert (protocol["measure"], protocol["tokens"], protocol["seed"]) == ("f1", "words", 3)
    assert (protocol["words"], protocol["max_words"], protocol["num_beams"]) == (4, 6, 2)
    assert protocol["normalization"]["lowercase"] is True
    assert protocol["decoding"]["num_beams"] == 3
    difference = report["comparisons"]["lead-8"]["rouge1"]["difference"]
    assert difference == pytest.approx(row["rouge1"] - lead["rouge1"])

    unjudged = evaluate_model(model, [pairs_file], words=4, judge_baselines=False)["systems"]
    assert unjudged["model"] == evaluate_model(model, [pairs_file], words=4)["systems"]["model"]
    assert (unjudged["lead-8"]["reconstruction_loss"], unjudged["lead-8"]["readability"]) == (None, None)
    assert unjudged["lead-8"]["rouge1"] == lead["rouge1"]

    write_json(report, tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == report
    again = evaluate_predictions(str(saved), pairs_file)
    assert again["rouge1"] == pytest.approx(row["rouge1"])


def test_references_are_normalised_as_the_documents(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"document": DOCUMENTS[0], "summary": "NORWICK  BRIDGE\u3000CLOSED"}) + "\n")
    model = StandIn()
    model.config.normalization.digits_to_hash = True
    assert evaluate_model(model, [str(path)])["systems"]["model"]["rouge1"] == 100.0


def test_limit_takes_pairs_from_all_over_the_file(pairs_file):
    model = StandIn()
    report = evaluate_model(model, [pairs_file], limit=2)
    assert model.summarized[0] == [DOCUMENTS[0].lower(), DOCUMENTS[1].lower()]
    assert report["protocol"]["count"] == report["systems"]["model"]["count"] == 2
    pairs = [Pair(str(index), "d", ["r"]) for index in range(10)]
    assert [pair.id for pair in spread(pairs, 4)] == ["0", "2", "5", "7"]
    assert spread(pairs, 10) == spread(pairs, 11) == spread(pairs, None) == pairs


def test_byte_limit_reaches_model_and_baselines(pairs_file):
    report = evaluate_model(StandIn(), [pairs_file], byte_limit=10, multiple="best")
    assert report["protocol"]["measure"] == "recall"
    assert report["systems"]["model"]["mean_words"] == pytest.approx((2 + 2 + 2) / 3)
    assert report["systems"]["lead-8"]["mean_words"] <= 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit is 0"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"num_beams": 0}, "num_beams is 0"),
        ({"multiple": "all"}, 'multiple is "all"'),
        ({"tokens": "bytes"}, 'tokens is "bytes"'),
        ({"document_columns": ["body"]}, 'no column "body"'),
        ({"summary_columns": ["title"]}, 'no column "title"'),
    ],
)
def test_impossible_settings_are_refused(pairs_file, options, message):
    with pytest.raises(InputError, match=message):
        evaluate_model(StandIn(), [pairs_file], **options)


def test_a_place_that_cannot_be_written_is_refused_before_the_work(pairs_file, tmp_path):
    model = StandIn()
    with pytest.raises(InputError, match="this is a folder"):
        evaluate_model(model, [pairs_file], save_predictions=str(tmp_path))
    assert model.summarized is None


def test_columns_of_pairs_can_be_named(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(f'body,title\n"{DOCUMENTS[2]}",bakers end strike\n')
    report = evaluate_model(StandIn(), [str(path)], document_columns=["body"], summary_columns=["title"])
    assert report["systems"]["model"]["rougeL"] == 100.0


def test_predictions_report_has_its_figures_at_the_top(tmp_path, caplog):
    predictions, references = tmp_path / "p.jsonl", tmp_path / "r.jsonl"
    predictions.write_text('{"id": "a", "output": "rain in paris"}\n')
    references.write_text('{"id": "a", "summary": "rain in paris"}\n{"id": "b", "summary": "snow"}\n')
    with caplog.at_level(logging.WARNING, logger="textae"):
        report = evaluate_predictions(str(predictions), str(references), seed=7)
    assert (report["rouge1"], report["rouge2"], report["rougeL"]) == (100.0, 100.0, 100.0)
    assert (report["mean_words"], report["count"], report["seed"]) == (3.0, 1, 7)
    assert report["intervals"]["rouge1"] == [100.0, 100.0]
    assert (report["references_without_prediction"], report["joined_by"]) == (1, "id")
    assert "1 of 2 references have no prediction" in caplog.text


def test_settings_reach_the_score_of_predictions(tmp_path):
    predictions, references = tmp_path / "p.txt", tmp_path / "r.txt"
    predictions.write_text("companies abcdef\n")
    references.write_text("company\n")
    path = str(predictions), str(references)
    assert evaluate_predictions(*path, byte_limit=9)["rouge1"] == 100.0
    assert evaluate_predictions(*path, byte_limit=9, stemmer=False)["rouge1"] == 0.0
    assert evaluate_predictions(*path, measure="recall")["measure"] == "recall"


def test_table_is_aligned_markdown_of_terminal_width(pairs_file):
    report = evaluate_model(StandIn(), [pairs_file])
    lines = markdown_table(report).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 6
    assert len({len(line) for line in table}) == 1
    assert max(len(line) for line in lines) <= 110
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert cells[0] == [
        "system", "R-1", "R-2", "R-L", "words", "novel %", "compr.", "distinct %", "loss", "reader",
    ]  # fmt: skip
    assert set(cells[1][1]) == {"-", ":"}
    row = report["systems"]["model"]
    low, high = row["intervals"]["rouge1"]
    assert cells[2][:2] == ["model", f"{row['rouge1']:.2f} ± {(high - low) / 2:.2f}"]
    assert cells[2][4:] == ["3.3", "10.0", "0.22", "100.0", "2.000", "0.750"]
    assert "ROUGE stemmed F1, tokens: words, mean over references, 3 examples" in lines[7]


def test_the_distance_from_a_wanted_length_stands_in_the_table(pairs_file):
    # 15 words each, of which a fifth is 3; the model wrote 3, 4 and 3.
    report = evaluate_model(StandIn(), [pairs_file], ratio=0.2)
    assert report["systems"]["model"]["length_error"] == pytest.approx(1 / 3)
    assert "length_error" not in report["systems"]["lead-8"]
    assert (report["protocol"]["words"], report["protocol"]["ratio"]) == (None, 0.2)
    lines = markdown_table(report).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:4]]
    assert (cells[0][5], cells[2][5], cells[3][5]) == ("off", "0.33", "")
    assert "off: words from the wanted length" in lines[8]
    assert max(len(line) for line in lines) <= 110
    # A greatest length lowers the wanted one.
    report = evaluate_model(StandIn(), [pairs_file], words=9, max_words=3)
    assert report["systems"]["model"]["length_error"] == pytest.approx(1 / 3)
    assert "length_error" not in evaluate_model(StandIn(), [pairs_file])["systems"]["model"]


def test_table_of_predictions_has_one_row_and_only_columns_with_figures(tmp_path):
    predictions = tmp_path / "p.txt"
    predictions.write_text("上海有雨\n", encoding="utf-8")
    report = evaluate_predictions(str(predictions), str(predictions), byte_limit=6, multiple="best")
    lines = markdown_table(report).splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == [
        "system",
        "R-1",
        "R-2",
        "R-L",
        "chars",
    ]
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == [
        "predictions", "50.00 ± 0.00", "33.33", "50.00", "2.0",
    ]  # fmt: skip
    assert lines[4].startswith("ROUGE recall, first 6 bytes, tokens: characters, best reference, 1 examples")


def test_table_leaves_a_missing_figure_blank(pairs_file):
    report = evaluate_model(StandIn(), [pairs_file])
    report["systems"]["lead-8"]["readability"] = None
    row = next(line for line in markdown_table(report).splitlines() if "lead-8" in line)
    assert row.rstrip("|").rstrip().endswith("|")


def test_examples_are_spread_over_the_data_and_told_as_text(pairs_file):
    report = evaluate_model(StandIn(), [pairs_file], examples=2)
    assert [example["summary"] for example in report["examples"]] == OUTPUTS[:2]
    text = example_text(report)
    assert text.startswith(f"1. document:       {DOCUMENTS[0].lower()}\n")
    assert f"   summary:        {OUTPUTS[1]}\n" in text
    assert text.endswith(f"   reconstruction: restored from: {OUTPUTS[1]}")
    assert "\n\n2. document:" in text


def test_no_examples_unless_asked(pairs_file):
    report = evaluate_model(StandIn(), [pairs_file])
    assert report["examples"] == []
    assert example_text(report) == ""
