"""The demo's recipe, shortened, through the command line: train, summarise, reconstruct, evaluate."""

import json
from pathlib import Path

import pytest

from textae.cli import main
from textae.data.newswire import pairs

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "newswire.yaml"
DATA = [
    "--data.documents",
    "newswire:2000",
    "--data.human",
    "newswire:2000",
    "--data.valid",
    "newswire:valid:30",
]
SHORT = {
    "tokenizer.vocabulary_size": 2000,
    "warmup.steps": 40,
    "warmup.documents_per_batch": 24,
    "warmup.warmup_steps": 10,
    "adversarial.steps": 10,
    "adversarial.documents_per_batch": 8,
    "adversarial.discriminator_first_steps": 5,
    "run.log_every": 5,
    "run.evaluate_every": 50,
    "run.sample_every": 50,
    "run.save_every": 25,
}


def train(output, **changes):
    settings = {**SHORT, "run.output": output, **changes}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    assert main(["train", "--config", str(RECIPE), *DATA, *words]) == 0
    return output


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "newswire")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    nothing = {"warmup.steps": 0, "adversarial.steps": 0}
    return train(tmp_path_factory.mktemp("runs") / "untrained", **nothing)


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    """Stories of the test split as plain text, one in the middle empty."""
    file = tmp_path_factory.mktemp("text") / "stories.txt"
    texts = [document for document, _ in pairs(6, split="test")]
    texts[2] = ""
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


def metrics(run, name):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line[name] for line in lines if name in line]


def test_training_learns(trained, untrained):
    losses = metrics(trained, "loss/reconstructor")
    assert len(losses) == 50 / 5
    assert sum(losses[-3:]) / 3 < losses[0] - 0.4  # nats per token
    encoder = metrics(trained, "loss/encoder")
    assert encoder[-1] < encoder[0] - 1.0
    ending = metrics(trained, "loss/ending")
    assert len(ending) == len(losses)  # the discriminator learns it in both phases
    assert ending[-1] < ending[0] - 0.1
    assert len(metrics(trained, "valid/rougeL")) == 2  # at the end of each phase
    for phase in ("warm-up", "adversarial"):
        assert phase in metrics(trained, "phase")


def test_evaluate_prints_a_table_in_which_training_wins_clearly(trained, untrained, tmp_path, capsys):
    models = [f"untrained={untrained}", f"warm-up={trained / 'warm'}", f"trained={trained}"]
    file = tmp_path / "figures.json"
    words = ["evaluate", "--model", *models, "--data", "newswire:test:30", "--json", str(file)]
    capsys.readouterr()
    assert main(words) == 0
    table = capsys.readouterr().out
    for name in ("untrained", "warm-up", "trained", "lead-8", "lead-10", "R-1"):
        assert name in table
    systems = json.loads(file.read_text(encoding="utf-8"))["systems"]
    # Untrained, the copy head already copies runs of words: that is no small score.
    before, after = systems["untrained"], systems["trained"]
    assert {before["count"], after["count"]} == {30}
    for name, margin in (("rouge1", 3.0), ("rouge2", 3.0), ("rougeL", 3.0)):
        assert after[name] > before[name] + margin
    assert after["reconstruction_loss"] < before["reconstruction_loss"] - 0.7
    assert f"{after['rouge1']:.2f}" in table


def test_evaluate_writes_the_same_figures_to_standard_output(trained, capsys):
    words = ["evaluate", "--model", str(trained), "--data", "newswire:test:20", "--json", "-"]
    capsys.readouterr()
    assert main(words) == 0
    output = capsys.readouterr()
    row = json.loads(output.out)["systems"]["model"]
    assert row["count"] == 20
    low, high = row["intervals"]["rouge1"]
    assert low <= row["rouge1"] <= high
    assert "R-1" in output.err


def test_audit_starts_from_the_loss_that_evaluate_prints(trained, tmp_path, capsys):
    files = tmp_path / "evaluated.json", tmp_path / "audited.json"
    words = ["--model", str(trained), "--data", "newswire:test:20"]
    assert main(["evaluate", *words, "--json", str(files[0])]) == 0
    capsys.readouterr()
    fresh = ["--train", "newswire:60", "--steps", "6", "--batch-size", "16"]
    assert main(["audit", *words, *fresh, "--json", str(files[1])]) == 0
    printed = capsys.readouterr().out
    evaluated, audited = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    assert (audited["protocol"]["held_out"], audited["protocol"]["trained_on"]) == (20, 60)
    row, trained_reader = evaluated["systems"]["model"], audited["losses"]["summary"]["trained"]
    assert trained_reader["written"] == pytest.approx(row["reconstruction_loss"], abs=1e-4)
    assert audited["collapse"]["figures"]["novelty"] == pytest.approx(row["novelty"])
    # What six steps teach is no match for training.
    assert audited["losses"]["summary"]["fresh"]["written"] > trained_reader["written"] + 1.0
    assert audited["verdict"]["name"] == "undecided"
    assert audited["verdict"]["sentences"][-1] in printed


def test_summaries_keep_the_order_and_can_be_reconstructed(trained, stories, tmp_path, capsys):
    summaries, restored = tmp_path / "summaries.txt", tmp_path / "restored.txt"
    words = ["--model", str(trained), "--input", str(stories), "--output", str(summaries)]
    assert main(["summarize", *words, "--max-words", "8"]) == 0
    lines = summaries.read_text(encoding="utf-8").split("\n")
    assert len(lines) == 7 and lines[6] == "" and lines[2] == ""
    assert all(1 <= len(line.split()) <= 8 for line in lines[:2] + lines[3:6])
    words = ["--model", str(trained), "--input", str(summaries), "--output", str(restored)]
    assert main(["reconstruct", *words]) == 0
    again = restored.read_text(encoding="utf-8").split("\n")
    assert len(again) == 7 and again[2] == ""
    assert all(again[:2] + again[3:6])
    assert "empty" in capsys.readouterr().err


def test_what_evaluate_saves_scores_the_same_as_predictions(trained, tmp_path, capsys):
    predictions, references = tmp_path / "predictions.jsonl", tmp_path / "references.jsonl"
    rows = [
        {"id": str(number), "document": document, "summary": summary}
        for number, (document, summary) in enumerate(pairs(20, split="test"))
    ]
    references.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words = ["--data", str(references), "--save-predictions", str(predictions), "--json", "-"]
    capsys.readouterr()
    assert main(["evaluate", "--model", str(trained), *words]) == 0
    model = json.loads(capsys.readouterr().out)["systems"]["model"]
    words = ["--predictions", str(predictions), "--references", str(references), "--json", "-"]
    assert main(["evaluate", *words]) == 0
    scored = json.loads(capsys.readouterr().out)
    for name in ("rouge1", "rouge2", "rougeL", "mean_words"):
        assert scored[name] == pytest.approx(model[name])
