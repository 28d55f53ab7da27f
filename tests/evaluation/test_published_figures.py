"""The scores that papers print, out of the outputs that their authors published."""

from pathlib import Path

import pytest

from textae.evaluation.report import evaluate_predictions

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def source(name: str) -> str:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"needs {name} of the shared measuring data, which is not here")
    return str(path)


@pytest.mark.parametrize(
    ("system", "figures", "words", "count"),
    [
        ("seq3", (25.41, 8.22, 22.70), 14.9, 1897),
        ("zhou_rush", (26.49, 10.06, 24.43), 9.3, 1951),
        ("msrp_sbert_10", (30.64, 12.27, 27.83), 9.8, 1951),
    ],
)
def test_gigaword(system, figures, words, count):
    report = evaluate_predictions(
        source(f"gigaword/{system}_outputs.jsonl.gz"), source("gigaword/test.jsonl.gz")
    )
    assert (report["rouge1"], report["rouge2"], report["rougeL"]) == pytest.approx(figures, abs=0.02)
    assert report["mean_words"] == pytest.approx(words, abs=0.06)
    assert (report["count"], report["references_without_prediction"]) == (count, 1951 - count)
    low, high = report["intervals"]["rouge1"]
    assert low < report["rouge1"] < high
    assert (high - low) / 2 == pytest.approx(0.95, abs=0.2)


def test_duc_2003_recall_at_75_bytes_averaged_over_four_references():
    report = evaluate_predictions(
        source("duc2003/seq3_outputs.jsonl.gz"), source("duc2003/test.jsonl.gz"), byte_limit=75
    )
    assert (report["rouge1"], report["rouge2"], report["rougeL"]) == pytest.approx(
        (21.46, 6.11, 18.79), abs=0.02
    )
    assert (report["measure"], report["multiple"], report["count"]) == ("recall", "average", 624)
