import numpy as np
import pytest

from textae.evaluation.scoring import RougeProtocol
from textae.evaluation.systems import compare_scores, length_row, pool_seeds, sample_rows, score_system

PROTOCOL = RougeProtocol().resolve([["words"]])
FIRST = np.array([[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]])
SECOND = np.array([[0.0, 0.5, 0.0], [1.0, 0.5, 0.0]])


def test_seeds_are_pooled_as_the_mean_of_each_example():
    rows = [
        {"rouge1": 50.0, "rouge2": 50.0, "rougeL": 50.0, "mean_words": 8.0, "reconstruction_loss": 2.0},
        {"rouge1": 50.0, "rouge2": 50.0, "rougeL": 0.0, "mean_words": 9.0, "reconstruction_loss": None},
    ]
    rows = [{**row, "count": 2} for row in rows]
    scores, means, ranges = pool_seeds([FIRST, SECOND], rows, PROTOCOL)
    assert scores.tolist() == [[0.5, 0.5, 0.0], [0.5, 0.5, 0.5]]
    assert [means[kind] for kind in ("rouge1", "rouge2", "rougeL")] == [50.0, 50.0, 25.0]
    # Each seed has an interval from 0 to 100; of their means both examples have one half.
    assert means["intervals"]["rouge1"] == [50.0, 50.0]
    assert means["intervals"]["rougeL"] == [0.0, 50.0]
    assert (means["mean_words"], means["reconstruction_loss"], means["count"]) == (8.5, 2.0, 2)
    assert ranges == {
        "rouge1": 0.0, "rouge2": 0.0, "rougeL": 50.0, "mean_words": 1.0, "reconstruction_loss": 0.0,
    }  # fmt: skip


def test_pooled_seeds_are_compared_example_by_example():
    pooled, *_ = pool_seeds([FIRST, SECOND], [{}, {}], PROTOCOL)
    lead = np.array([[0.25, 0.5, 0.0], [0.25, 0.5, 0.0]])
    found = compare_scores(pooled, lead, PROTOCOL)
    assert found["rouge1"] == {"difference": 25.0, "interval": [25.0, 25.0], "p_value": 2 / 1001}
    assert found["rouge2"] == {"difference": 0.0, "interval": [0.0, 0.0], "p_value": 1.0}
    assert (found["rougeL"]["difference"], found["rougeL"]["interval"]) == (25.0, [0.0, 50.0])


def test_a_system_has_its_scores_and_its_row():
    documents = ["rain fell on the old town", "snow closed the pass"]
    scores, row = score_system(["rain town", "sun"], documents, [["rain town"], ["snow"]], PROTOCOL)
    assert scores.tolist() == [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    assert (row["rouge1"], row["mean_words"], row["count"], row["distinct"]) == (50.0, 1.5, 2, 1.0)
    assert row["novelty"] == pytest.approx(1 / 3)
    assert "stemmer" not in row


def test_how_lengths_were_kept():
    scores = np.array([[1.0, 0.0, 0.5], [0.5, 0.0, 0.5], [0.0, 0.0, 0.5]])
    row = length_row(3, ["a b c", "a b c d e", "a"], scores, PROTOCOL)
    assert (row["words"], row["mean_words"], row["rouge1"], row["rougeL"]) == (3, 3.0, 50.0, 50.0)
    assert row["length_error"] == pytest.approx(4 / 3)
    assert row["share_over"] == pytest.approx(1 / 3)
    # Characters are the words of Chinese.
    assert length_row(3, ["北山桥关"] * 3, scores, PROTOCOL)["length_error"] == 1.0


def test_samples_go_by_a_rule():
    assert sample_rows(201, 10) == [0, 100, 200]
    assert sample_rows(200, 10) == [0, 100]
    assert sample_rows(5000, 4) == [0, 100, 200, 300]
    assert sample_rows(5000, 0) == []
