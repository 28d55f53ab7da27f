import os

import pytest

from textae.evaluation.rouge import Rouge
from textae.evaluation.scoring import RougeProtocol, rouge


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No sockets, and a home in which nothing may appear."""

    def refuse(*arguments, **options):
        raise AssertionError("the metric reached for the network")

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", str(home / "metrics"))
    yield home
    assert list(home.iterdir()) == []


def test_metric_agrees_with_the_plain_function(offline):
    predictions, references = ["rain in paris", "snow falls"], ["rain over paris", "snow falling"]
    result = Rouge().compute(predictions=predictions, references=references, seed=5)
    assert result == rouge(predictions, [[row] for row in references], RougeProtocol(seed=5))
    assert result["rouge2"] == 50.0


def test_metric_takes_several_references_and_settings(offline):
    references = [["rain", "snow rain"], ["sun"]]
    settings = {"multiple": "best", "byte_limit": 4}
    result = Rouge().compute(predictions=["rainy", "sun"], references=references, **settings)
    assert result == rouge(["rainy", "sun"], references, RougeProtocol(**settings))
    assert result["rouge1"] == 100.0


def test_metric_gathers_batches_as_evaluate_does(offline):
    metric = Rouge()
    metric.add_batch(predictions=["rain"], references=["rain"])
    metric.add(prediction="snow", reference="sun")
    assert metric.compute()["rouge1"] == 50.0
    assert metric.compute(predictions=["rain"], references=["rain"])["count"] == 1


def test_metric_leaves_no_folder_behind(offline):
    metric = Rouge()
    assert "textae-rouge-" in metric.data_dir
    assert not os.path.exists(metric.data_dir)


def test_metric_writes_where_it_is_told(offline, tmp_path):
    metric = Rouge(keep_in_memory=False, cache_dir=str(tmp_path / "cache"))
    assert metric.compute(predictions=["rain"], references=["rain"])["rouge1"] == 100.0
    assert metric.data_dir.startswith(str(tmp_path / "cache"))
