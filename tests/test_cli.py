"""The command line: what it passes on and what it prints. Refusals and real runs are tested elsewhere."""

import json
from pathlib import Path

import pytest

from textae import loading
from textae.cli import main
from textae.config import TrainingConfig
from textae.evaluation import scoring
from textae.settings import settings


@pytest.fixture
def trained(monkeypatch):
    """Replace training; return the list of what it was called with."""
    import textae.training.run

    calls = []

    def train(config, resume, evaluate):
        assert evaluate is scoring.rouge_on_valid
        calls.append((config, resume))
        return Path("runs/here")

    monkeypatch.setattr(textae.training.run, "train", train)
    return calls


@pytest.fixture
def corpus(monkeypatch):
    """Replace loading and summarising; return the list of what was called."""
    import textae.inference.corpus
    import textae.models.base

    calls = []

    class Model(str):
        """A name that notes which engine is asked for."""

        def use_engine(self, engine):
            calls.append(("use_engine", self, engine))

    def load(path, device=None):
        return Model(f"model of {path}")

    monkeypatch.setattr(textae.models.base.Autoencoder, "from_pretrained", load)
    for name in ("summarize_corpus", "reconstruct_corpus"):

        def work(model, source, output, _name=name, **options):
            calls.append((_name, model, source, output, options))

        monkeypatch.setattr(textae.inference.corpus, name, work)
    return calls


def row(score):
    """Return the figures of one system as the report has them."""
    return {
        "rouge1": score,
        "rouge2": score / 2,
        "rougeL": score / 1.5,
        "mean_words": 8.0,
        "count": 4,
        "intervals": {"rouge1": [score - 1, score + 1]},
    }


PROTOCOL = {"measure": "f1", "stemmer": True, "multiple": "average", "byte_limit": None, "tokens": "words"}


@pytest.fixture
def scored(monkeypatch, corpus):
    """Replace the scoring; return the list of what it was called with."""
    import textae.evaluation.report

    calls = []

    def evaluate_model(model, data, **options):
        calls.append((model, data, options))
        score = 10.0 * len(calls)
        return {
            "protocol": PROTOCOL,
            "systems": {"model": row(score), "lead-8": row(score + 1)},
            "comparisons": {"lead-8": {"rouge1": score}},
        }

    def evaluate_predictions(predictions, references, **options):
        calls.append((predictions, references, options))
        return {**row(30.0), **PROTOCOL}

    monkeypatch.setattr(textae.evaluation.report, "evaluate_model", evaluate_model)
    monkeypatch.setattr(textae.evaluation.report, "evaluate_predictions", evaluate_predictions)
    return calls


def test_train_passes_the_recipe_with_overrides(recipe, trained, capsys):
    words = ["train", "--warmup.steps", "9", "--config", str(recipe), "--data.documents", "a.txt", "-"]
    assert main([*words, "--adversarial.learning_rate=1e-3"]) == 0
    expected = TrainingConfig()
    expected.warmup.steps = 9
    expected.data.documents = ["a.txt", "-"]
    expected.adversarial.learning_rate = 0.001
    assert trained == [(expected, None)]
    assert capsys.readouterr().out == "trained model: runs/here\n"


@pytest.mark.parametrize(
    ("words", "resume"),
    [(["--resume"], "latest"), (["--resume", "latest"], "latest"), (["--resume=x/y"], "x/y"), ([], None)],
)
def test_resume(recipe, trained, words, resume):
    assert main(["train", "--config", str(recipe), *words, "--data.documents=[a, b c]"]) == 0
    ((config, given),) = trained
    assert given == resume
    assert config.data.documents == ["a", "b c"]


def test_train_help_explains_every_setting(capsys):
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    for name in settings():
        assert f"\n  --{name} " in text
    assert text.startswith("usage: textae train --config FILE [--resume [latest|FOLDER]] [--section.field")


def test_only_the_main_process_prints(recipe, trained, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert main(["train", "--config", str(recipe)]) == 0
    assert len(trained) == 1
    assert capsys.readouterr().out == ""


def test_the_score_that_chooses_the_best_checkpoint():
    from textae.data.corpus import Pair

    class Model:
        def summarize(self, documents):
            return [document.upper() for document in documents]

    pairs = [Pair("1", "fire in town", ["fire in town"]), Pair("2", "rain ends early", ["the rain ends"])]
    # Second pair: 2 of 3 words, 1 of 2 bigrams, a common subsequence of 2.
    scores = scoring.rouge_on_valid(Model(), pairs)
    expected = {
        "rouge1": 250 / 3,
        "rouge2": 75,
        "rougeL": 250 / 3,
        "mean_words": 3,
        "score": (500 / 3 + 75) / 3,
    }
    assert scores == pytest.approx(expected)


def test_summarize_passes_only_what_was_given(corpus):
    assert main(["summarize", "--model", "m", "--input", "-", "--output", "o.jsonl"]) == 0
    assert corpus == [
        ("use_engine", "model of m", "auto"),
        ("summarize_corpus", "model of m", "-", "o.jsonl", {}),
    ]


@pytest.mark.parametrize("command", ["summarize", "reconstruct"])
def test_without_files_and_a_model_standard_streams_and_the_shipped_model_serve(corpus, command, capsys):
    assert main([command]) == 0
    assert corpus[-1] == (f"{command}_corpus", "model of textae-english", "-", "-", {})
    # Only summaries have engines.
    assert len(corpus) == (2 if command == "summarize" else 1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("model: textae-english, shipped with textae for short English news and ")


def test_summarize_passes_everything_that_was_given(corpus):
    words = "summarize --model m --input i --output - --words 9 --min-words 0 --max-words 12 --beams 4"
    words += " --candidates 3"
    words += " --no-repeat-ngram 0 --no-whole-words --sample --temperature 0.7 --seed 3 --batch-size 8"
    words += " --column text body --engine onnx"
    assert main(words.split()) == 0
    (engine, (_, _, source, output, options)) = corpus
    assert engine == ("use_engine", "model of m", "onnx")
    assert (source, output) == ("i", "-")
    assert options == {
        "words": 9,
        "min_words": 0,
        "max_words": 12,
        "num_beams": 4,
        "candidates": 3,
        "no_repeat_ngram_size": 0,
        "whole_words": False,
        "do_sample": True,
        "temperature": 0.7,
        "seed": 3,
        "batch_size": 8,
        "columns": ["text", "body"],
    }


def test_summarize_passes_a_ratio(corpus):
    assert main(["summarize", "--model", "m", "--input", "i", "--output", "-", "--ratio", "0.5"]) == 0
    assert corpus[-1][-1] == {"ratio": 0.5}


def test_reconstruct(corpus):
    assert main(["reconstruct", "--model", "m", "--input", "i", "--output", "o", "--batch-size", "2"]) == 0
    assert corpus == [("reconstruct_corpus", "model of m", "i", "o", {"batch_size": 2})]


@pytest.mark.parametrize("command", ["summarize", "reconstruct"])
def test_all_processes_of_a_launch_take_part(corpus, monkeypatch, command):
    monkeypatch.setenv("RANK", "1")
    words = ["--model", "m", "--input", "i", "--output", "o/", "--format", "parquet"]
    assert main([command, *words]) == 0
    assert corpus[-1] == (f"{command}_corpus", "model of m", "i", "o/", {"part_format": "parquet"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--output", "o.csv", "--format", "csv"], "--format is for parts in a folder"),
        (["--output", "o/", "--rejects", "r"], "--rejects is for a file as output"),
        (["--output", "o/", "--format", "doc"], "invalid choice: 'doc'"),
    ],
)
def test_options_of_an_output_that_do_not_go_together(corpus, capsys, words, said):
    assert main(["summarize", "--input", "i", *words]) == 2
    assert said in capsys.readouterr().err and corpus == []


def test_the_model_goes_to_the_accelerator_if_there_is_one(monkeypatch):
    import torch

    import textae.models.base

    monkeypatch.setattr(
        textae.models.base.Autoencoder, "from_pretrained", lambda path, device: (path, device)
    )
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert loading.load_model("m") == ("m", None)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    assert loading.load_model("m") == ("m", torch.device("cuda"))


def test_evaluate_predictions(scored, capsys):
    words = "evaluate --predictions p --references r --multiple best --bytes 75 --tokens words --seed 4"
    assert main([*words.split(), "--summary-column", "title", "--prediction-column", "out"]) == 0
    ((predictions, references, options),) = scored
    assert (predictions, references) == ("p", "r")
    assert options == {
        "multiple": "best",
        "byte_limit": 75,
        "tokens": "words",
        "seed": 4,
        "reference_columns": ["title"],
        "prediction_columns": ["out"],
    }
    assert "| predictions | 30.00" in capsys.readouterr().out


def test_evaluate_one_model(scored, capsys, tmp_path):
    figures = tmp_path / "figures.json"
    words = "evaluate --model m --data a b --ratio 0.5 --max-words 10 --beams 2 --limit 5 --batch-size 3"
    words += f" --save-predictions s --document-column body --summary-column title --json {figures}"
    assert main(words.split()) == 0
    ((model, data, options),) = scored
    assert (model, data) == ("model of m", ["a", "b"])
    assert options == {
        "ratio": 0.5,
        "max_words": 10,
        "num_beams": 2,
        "limit": 5,
        "batch_size": 3,
        "save_predictions": "s",
        "document_columns": ["body"],
        "summary_columns": ["title"],
        "multiple": "average",
        "byte_limit": None,
        "tokens": "auto",
        "seed": 0,
    }
    assert "| model " in capsys.readouterr().out
    assert json.loads(figures.read_text())["systems"]["model"]["rouge1"] == 10.0


def test_several_models_share_a_table(scored, capsys):
    words = "evaluate --model warm-up=runs/x/warm trained=runs/x --data d --json -"
    assert main(words.split()) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert [call[0] for call in scored] == ["model of runs/x/warm", "model of runs/x"]
    assert {name: row["rouge1"] for name, row in report["systems"].items()} == {
        "warm-up": 10.0,
        "trained": 20.0,
        "lead-8": 21.0,
    }
    assert report["comparisons"] == {
        "warm-up": {"lead-8": {"rouge1": 10.0}},
        "trained": {"lead-8": {"rouge1": 20.0}},
    }
    assert "| warm-up |" in captured.err


def test_of_several_models_the_last_alone_judges_the_baselines_and_shows_examples(scored):
    assert main(["evaluate", "--model", "a=x", "b=y", "c=z", "--data", "d", "--examples", "3"]) == 0
    chosen = [(call[2].get("judge_baselines", True), call[2]["examples"]) for call in scored]
    assert chosen == [(False, 0), (False, 0), (True, 3)]


def test_each_wanted_length_is_a_row(scored, capsys):
    words = "evaluate --model a=x b=y --data d --words 8 10 --ratio 0.5 --examples 2 --json -"
    assert main(words.split()) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    names = ["8 words", "10 words", "ratio 0.5"]
    assert list(report["systems"]) == [f"{m}, {n}" for m in "ab" for n in names] + ["lead-8"]
    assert "| b, ratio 0.5 |" in captured.err
    wishes = [(call[0], call[2].get("words"), call[2].get("ratio")) for call in scored]
    assert wishes == [(f"model of {m}", *w) for m in "xy" for w in [(8, None), (10, None), (None, 0.5)]]
    assert [call[2].get("judge_baselines", True) for call in scored] == [False] * 5 + [True]
    assert [call[2]["examples"] for call in scored] == [0] * 5 + [2]
    assert list(report["comparisons"]) == list(report["protocol"]["lengths"])


def test_models_without_a_name_are_called_by_their_path(scored, capsys):
    assert main(["evaluate", "--model", "a", "b", "--data", "d"]) == 0
    out = capsys.readouterr().out
    assert "| a " in out and "| b " in out


def test_one_named_model_keeps_its_name(scored, capsys):
    assert main(["evaluate", "--model", "best=a", "--data", "d"]) == 0
    assert "| best " in capsys.readouterr().out


def test_a_path_with_an_equals_sign_is_a_path(scored, tmp_path):
    folder = tmp_path / "rate=1"
    folder.mkdir()
    assert main(["evaluate", "--model", str(folder), "--data", "d"]) == 0
    assert scored[0][0] == f"model of {folder}"


def test_other_processes_of_a_launch_score_nothing(scored, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert main(["evaluate", "--model", "m", "--data", "d"]) == 0
    assert scored == []
