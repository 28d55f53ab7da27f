"""The result files of tiny runs: what they tell, that nothing is written twice, what is refused."""

import json
import shlex
from pathlib import Path

import pytest
import yaml
from matplotlib.image import imread

from textae import commands
from textae.cli import main
from textae.data.newswire import pairs
from textae.errors import InputError
from textae.evaluation.baselines import equal_length, lead_words
from textae.evaluation.report import evaluate_model
from textae.models.autoencoder import TextAutoencoder
from textae.results_runs import read_runs
from textae.results_text import results_text
from textae.settings import load_config

pytestmark = pytest.mark.slow

RECIPE = {
    "data": {
        "documents": ["newswire:200"],
        "human": ["newswire:200"],
        "valid": ["newswire:valid:6"],
        "max_document_tokens": 40,
        "max_human_tokens": 24,
    },
    "tokenizer": {"vocabulary_size": 400},
    "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16},
    "reconstructor": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16},
    "discriminator": {"width": 8},
    "length": {"minimum_words": 3, "maximum_words": 6, "summary_words": 4, "maximum_tokens": 16},
    "decoding": {"num_beams": 1},
    "warmup": {"steps": 4, "documents_per_batch": 4, "warmup_steps": 2},
    "adversarial": {"steps": 2, "documents_per_batch": 2, "samples": 2, "discriminator_first_steps": 1},
    "run": {"log_every": 1, "evaluate_every": 4, "save_every": 4, "trackers": []},
}
CODES = Path(__file__).resolve().parents[1] / "configs" / "codes"
# One more than a hundred, so that the rule of samples has two rows.
ROWS, DATA = 101, "newswire:test:101"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A recipe and the folders of two runs of it."""
    folder = tmp_path_factory.mktemp("results")
    recipe = folder / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    runs = [folder / f"seed-{seed}" for seed in (0, 1)]
    for seed, run in enumerate(runs):
        words = ["--run.output", str(run), "--run.seed", str(seed)]
        assert main(["train", "--config", str(recipe), *words]) == 0
    return recipe, runs


@pytest.fixture(scope="module")
def written(trained, tmp_path_factory):
    """The command's words without the place of its files, and what it wrote: a folder."""
    recipe, runs = trained
    folder = tmp_path_factory.mktemp("written")
    # A system that has every other row, and writes the lead of five words.
    documents = [document for document, _ in pairs(ROWS, split="test")]
    lines = [
        json.dumps({"id": f"newswire-test-{row + 1}", "output": text}) + "\n"
        for row, text in enumerate(lead_words(documents, 5))
        if row % 2 == 0
    ]
    (folder / "five_outputs.jsonl").write_text("".join(lines), encoding="utf-8")
    words = ["results", "--config", str(recipe), "--runs", *map(str, runs), "--data", DATA]
    words += ["--published-all", str(folder), "--words", "4", "--lengths", "3", "4", "--with-reconstructions"]
    assert main([*words, "--output", str(folder / "tiny")]) == 0
    return words, folder, json.loads((folder / "tiny.json").read_text(encoding="utf-8"))


def test_every_system_has_its_row(trained, written):
    _, runs = trained
    *_, content = written
    systems = content["systems"]
    leads = {
        f"lead-{equal_length(systems[f'trained, seed {seed}']['mean_words'])}": None for seed in (0, 1)
    }.keys() | {"lead-4", "lead-8", "lead-10", "lead-half"}
    models = {f"{phase}, {seed}" for phase in ("warm-up", "trained") for seed in ("seed 0", "seed 1")}
    means = {"warm-up, mean of 2 seeds", "trained, mean of 2 seeds"}
    asked = {
        f"{phase}, seed 0, {wish}" for phase in ("warm-up", "trained") for wish in ("4 words", "ratio 0.5")
    }
    assert systems.keys() == models | means | asked | leads | {"five"}
    assert content["ranges"].keys() == means
    assert systems["five"]["count"] == 51 and systems["five"]["mean_words"] == 5.0
    assert systems["lead-4"]["mean_words"] == 4.0

    # Figures are those of textae evaluate.
    report = evaluate_model(TextAutoencoder.from_pretrained(runs[0]), [DATA], words=4)["systems"]
    for name, same in (("trained, seed 0, 4 words", "model"), ("lead-8", "lead-8")):
        assert systems[name]["intervals"] == report[same].pop("intervals")
        figures = {key: value for key, value in systems[name].items() if key != "intervals"}
        assert figures == pytest.approx(report[same], rel=1e-6)
    for key in ("rouge1", "mean_words", "reconstruction_loss"):
        first, second = (systems[f"trained, seed {seed}"][key] for seed in (0, 1))
        assert systems["trained, mean of 2 seeds"][key] == pytest.approx((first + second) / 2)
        assert content["ranges"]["trained, mean of 2 seeds"][key] == pytest.approx(abs(first - second))


def test_comparisons_are_between_rows_that_both_have(written):
    *_, content = written
    found = {(one["system"], one["against"]): one for one in content["comparisons"]}
    assert len(found) == len(content["comparisons"])
    systems = content["systems"]
    against = {"lead-4", "lead-8", "lead-10", "lead-half", "five"}
    for name in ("seed 0", "seed 1", "mean of 2 seeds"):
        assert against | {f"warm-up, {name}"} <= {b for a, b in found if a == f"trained, {name}"}
    assert ("trained, seed 0, 4 words", "lead-4") in found
    assert ("warm-up, seed 0, ratio 0.5", "lead-half") in found
    for (system, other), one in found.items():
        assert one["count"] == (51 if other == "five" else ROWS)
        for kind in ("rouge1", "rouge2", "rougeL") if other != "five" else ():
            difference = systems[system][kind] - systems[other][kind]
            assert one[kind]["difference"] == pytest.approx(difference, abs=1e-9)


def test_lengths_and_samples(trained, written):
    _, runs = trained
    _, folder, content = written
    assert [row["words"] for row in content["lengths"]] == [3, 4]
    four = content["systems"]["trained, seed 0, 4 words"]
    for key in ("length_error", "mean_words", "rouge1"):
        assert content["lengths"][1][key] == pytest.approx(four[key])
    assert content["lengths"][1]["lead_rouge1"] == pytest.approx(content["systems"]["lead-4"]["rouge1"])

    samples, every = content["samples"], list(pairs(ROWS, split="test"))
    assert [sample["row"] for sample in samples] == [0, 100]
    assert [sample["id"] for sample in samples] == [f"newswire-test-{number}" for number in (1, 101)]
    model = TextAutoencoder.from_pretrained(runs[0])
    assert [sample["summary"] for sample in samples] == model.summarize([every[i][0] for i in (0, 100)])
    assert samples[0].keys() == {"row", "id", "summary", "reconstruction"}
    # Text that may not be free is in no file.
    for document, reference in every:
        for name in ("tiny.json", "tiny.table.md"):
            told = (folder / name).read_text(encoding="utf-8")
            assert document not in told and f"references:     {reference}" not in told


def test_how_it_was_made(trained, written):
    recipe, runs = trained
    *_, content = written
    for seed, run in enumerate(content["how"]["runs"]):
        assert (run["seed"], run["warmup_steps"], run["adversarial_steps"]) == (seed, 4, 2)
        assert run["seconds"] == run["parts"][0]["seconds"] > 0
        assert run["parts"][0].keys() >= {"commit", "textae", "processor", "threads"}
        program, action, option, file, *overrides = shlex.split(run["command"])
        assert (program, action, option, file) == ("textae", "train", "--config", str(recipe))
        assert len(overrides) == 1 + seed  # run.output, and of the second run.seed
        assert load_config(recipe, overrides) == load_config(runs[seed] / "config.yaml")


def test_the_files_are_a_table_and_a_picture(written):
    _, folder, content = written
    text = (folder / "tiny.table.md").read_text(encoding="utf-8")
    for title in ("# tiny: figures", "## Systems", "## Differences", "## Lengths in words", "## Samples"):
        assert f"{title}\n" in text
    table = [line for line in text.splitlines() if line.startswith("| five (51 examples)")]
    low, high = content["systems"]["five"]["intervals"]["rouge2"]
    assert f"{content['systems']['five']['rouge2']:.2f} ± {(high - low) / 2:.2f}" in table[0]
    assert "| trained, highest less lowest of 2 seeds" in text
    assert "![Learning curves](tiny.png)" in text
    picture = imread(folder / "tiny.png")
    assert picture.shape[:2] == (800, 1200)
    assert 0.005 < float((picture[:, :, :3].mean(axis=2) < 0.9).mean()) < 0.5


def test_nothing_is_written_twice(trained, written, tmp_path, monkeypatch):
    _, (first, _) = trained
    words, _, content = written
    loaded = []

    def load(path):
        loaded.append(path)
        return TextAutoencoder.from_pretrained(path)

    monkeypatch.setattr(commands, "load_model", load)
    assert main([*words, "--output", str(tmp_path / "again")]) == 0
    assert loaded == []
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8")) == content

    (lost,) = (first / "results").glob("trained-summaries-words-3-*")
    before = lost.read_text(encoding="utf-8")
    lost.unlink()
    assert main([*words, "--output", str(tmp_path / "third")]) == 0
    assert loaded == [str(first)]
    assert lost.read_text(encoding="utf-8") == before
    assert json.loads((tmp_path / "third.json").read_text(encoding="utf-8")) == content


def test_a_limited_run_shows_documents_where_asked(trained, tmp_path):
    recipe, (first, _) = trained
    words = ["results", "--config", str(recipe), "--runs", str(first), "--data", DATA, "--limit", "3"]
    words += ["--words", "--ratio", "--lengths", "--with-documents", "--output", str(tmp_path / "few")]
    assert main(words) == 0
    content = json.loads((tmp_path / "few.json").read_text(encoding="utf-8"))
    assert content["protocol"]["count"] == 3 and content["ranges"] == {} and content["lengths"] == []
    ((document, reference), *_) = pairs(ROWS, split="test")
    (sample,) = content["samples"]
    assert (sample["document"], sample["references"]) == (document, [reference])
    text = (tmp_path / "few.table.md").read_text(encoding="utf-8")
    assert f"  document:       {document}\n" in text
    assert "## Lengths" not in text and "3 rows spread evenly" in text
    del content["systems"]["lead-8"]["reconstruction_loss"]  # a loss that was not finite is left blank
    assert results_text(content, "few.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--runs": ["FIRST", "FIRST"]}, "both have seed 0; give runs whose run.seed differs"),
        ({"--runs": ["nowhere"]}, "nowhere: there is no such folder"),
        ({"--lengths": ["5"]}, "--lengths wants the shortest and the longest, such as 5 15, or nothing"),
        ({"--lengths": ["7", "5"]}, "--lengths wants the shortest and the longest"),
        ({"--published-all": ["nowhere"]}, "there is no NAME_outputs.jsonl or .jsonl.gz"),
        ({"--published": ["lead-8=OTHER"]}, '"lead-8" is the name of a row of the table'),
        ({"--published": ["x=OTHER"]}, "No id of"),
    ],
)
def test_what_cannot_be_is_refused_before_any_model_is_asked(
    trained, tmp_path, monkeypatch, capsys, change, message
):
    recipe, (first, _) = trained
    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "a", "output": "x"}\n')
    monkeypatch.setattr(commands, "load_model", lambda path: pytest.fail("a model was loaded"))
    options = {"--config": [str(recipe)], "--runs": [str(first)], "--data": ["newswire:test:5"]}
    options |= {"--output": [str(tmp_path / "out")], **change}
    words = [word for option, values in options.items() for word in (option, *values)]
    places = {"FIRST": str(first), "OTHER": str(other)}
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    assert main(["results", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))


def test_runs_of_different_settings_have_no_mean(trained, tmp_path):
    recipe, (first, _) = trained
    other = tmp_path / "other"
    other.mkdir()
    for name in ("config.json", "model.safetensors"):
        (other / name).write_bytes((first / name).read_bytes())
    values = {**RECIPE, "warmup": {**RECIPE["warmup"], "steps": 5}, "run": {**RECIPE["run"], "seed": 7}}
    (other / "config.yaml").write_text(yaml.safe_dump(values))
    (run,) = read_runs(recipe, [other])
    assert run.parts == [] and run.warm is None
    assert shlex.split(run.command)[4:] == ["--warmup.steps=5", "--run.seed=7"]
    with pytest.raises(InputError, match=r"other: warmup\.steps is not that of .*seed-0"):
        read_runs(recipe, [first, other])
    (other / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json: this is damaged"):
        read_runs(recipe, [other])


@pytest.mark.parametrize("recipe", sorted(CODES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_of_other_codes_are_told_what_measures_them(recipe, tmp_path, capsys):
    kind = load_config(recipe).code.kind
    words = ["--config", str(recipe), "--runs", str(tmp_path), "--data", DATA]
    assert main(["results", *words, "--output", str(tmp_path / "codes")]) == 2
    assert capsys.readouterr().err == (
        f"textae: error: {recipe}: its code is numbers (code.kind is {kind}), and results are of summaries; "
        "measure the trained model with python scripts/measure_codes.py, whose --help tells what of it\n"
    )
    assert list(tmp_path.iterdir()) == []
