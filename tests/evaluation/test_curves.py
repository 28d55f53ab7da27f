import json
import sys

import pytest
from matplotlib.image import imread

from textae.cli import main
from textae.config import TrainingConfig
from textae.errors import InputError
from textae.evaluation.curves import draw_curves, read_curves
from textae.settings import save_config

LENGTHS = [
    {"words": count, "mean_words": count + 0.5, "length_error": 0.75, "rouge1": 30.0 + count}
    | {"rouge2": 10.0, "rougeL": 25.0}
    for count in (5, 6, 7)
]


def write_run(folder, shift=0.0):
    """A run of 20 and 30 steps, invented."""
    config = TrainingConfig()
    config.warmup.steps, config.adversarial.steps = 20, 30
    save_config(config, folder / "config.yaml")
    lines = []
    for step in range(10, 60, 10):
        values = {"step": step, "phase": "any", "loss/reconstructor": 7 - step / 10 + shift}
        values["discriminator/accuracy"] = 0.5 + step / 200
        if step > 20:
            values |= {
                "reward/reconstruction": step / 50,
                "reward/reader": -0.5,
                "summary/words": 8.0 + shift,
            }
        lines.append(values)
        if step in (20, 30, 40, 50):
            rouge = {20: 30.0, 30: 28.0, 40: 33.0, 50: 33.0}[step]
            scores = {"rouge1": rouge, "rouge2": rouge / 3, "rougeL": rouge / 2, "mean_words": 7.5}
            lines.append(
                {"step": step, "valid/score": rouge, **{f"valid/{name}": x for name, x in scores.items()}}
            )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


def dark_share(picture):
    """Share of pixels that are not nearly white."""
    return float((picture[:, :, :3].mean(axis=2) < 0.9).mean())


def test_curves_are_what_the_run_wrote(run):
    curves = read_curves(run)
    assert curves.warmup_steps == 20
    assert curves.get("loss/reconstructor") == ([10, 20, 30, 40, 50], [6.0, 5.0, 4.0, 3.0, 2.0])
    assert curves.get("reward/reader") == ([30, 40, 50], [-0.5] * 3)
    assert curves.get("phase") == ([], [])
    assert curves.best_step() == 40  # the first of two that are equal


def test_the_last_line_may_be_half_written_and_no_other(run):
    file = run / "metrics.jsonl"
    whole = file.read_text()
    file.write_text(whole + '{"step": 60, "loss/rec')
    assert read_curves(run).get("loss/reconstructor")[0][-1] == 50
    file.write_text('{"step"\n' + whole)
    with pytest.raises(InputError, match=r"metrics\.jsonl, line 1: this is no line of metrics"):
        read_curves(run)


@pytest.mark.parametrize("lengths", [(), LENGTHS])
def test_the_picture_is_one(run, tmp_path, lengths):
    other = write_run(tmp_path / "other", shift=0.5)
    files = [tmp_path / "one.png", tmp_path / "two.png"]
    draw_curves({"seed 0": run}, files[0], lengths=lengths, title="an invented run")
    draw_curves({"seed 0": run, "seed 1": other}, files[1], lengths=lengths)
    one, two = (imread(file) for file in files)
    assert one.shape[:2] == two.shape[:2] == (800, 1200)
    for picture in (one, two):
        # Lines and letters on white: neither blank nor filled.
        assert 0.005 < dark_share(picture) < 0.5
    # The second run has a colour of its own, vermilion.
    vermilion = [
        (abs(picture[:, :, :3] - [0.835, 0.369, 0]).max(axis=2) < 0.02).sum() for picture in (one, two)
    ]
    assert vermilion[0] == 0 and vermilion[1] > 100


def test_a_user_draws_runs_of_their_own(run, tmp_path, capsys):
    picture = tmp_path / "pictures" / "curves.png"
    assert main(["plot", f"mine={run}", str(run), "-o", str(picture)]) == 0
    assert capsys.readouterr().out == f"curves: {picture}\n"
    assert imread(picture).shape[:2] == (800, 1200)
    svg = tmp_path / "curves.svg"
    assert main(["plot", str(run), "-o", str(svg)]) == 0
    assert "<svg" in svg.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "-o", "curves.bmp"], "the picture's name must end in one of .png, .svg, .pdf"),
        (["nowhere", "-o", "curves.png"], "nowhere: this is no folder of a run, metrics.jsonl is missing"),
        (["a=RUN", "a=RUN", "-o", "curves.png"], 'RUN: "a" is given twice'),
        (["RUN"], "required: -o/--output"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(run, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    given = [word.replace("RUN", str(run)) for word in words]
    assert main(["plot", *given]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("curves*"))


def test_a_run_without_metrics_and_a_missing_matplotlib_are_told(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(InputError, match=r'drawing needs matplotlib: pip install "textae\[plots\]"'):
            draw_curves({"run": run}, tmp_path / "curves.png")
    (run / "metrics.jsonl").write_text("")
    with pytest.raises(InputError, match="there is nothing to draw yet"):
        read_curves(run)
