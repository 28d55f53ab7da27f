"""Ablations: what is run, from which warm-up, and that a stopped one goes on to the same table."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from textae import ablation
from textae.ablation import Ablation
from textae.ablation_plan import read_plan, warmup_key
from textae.ablation_table import table_text
from textae.errors import InputError, Interrupted
from textae.settings import load_config
from textae.training.run import train

ROOT = Path(__file__).resolve().parents[1]
BASE = {
    "data": {
        "documents": ["newswire:200"],
        "human": ["newswire:200"],
        "valid": ["newswire:valid:12"],
        "max_document_tokens": 40,
        "max_human_tokens": 20,
    },
    "tokenizer": {"vocabulary_size": 500},
    "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16},
    "reconstructor": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16},
    "discriminator": {"width": 8},
    "length": {"maximum_tokens": 12},
    "warmup": {"steps": 2, "documents_per_batch": 4},
    "adversarial": {"steps": 9, "documents_per_batch": 2, "samples": 2, "discriminator_first_steps": 1},
    "run": {"save_every": 1, "trackers": []},
}
PLAN = {
    "base": "base.yaml",
    "settings": {"adversarial.steps": 3},
    "evaluate_documents": 6,
    "seeds": [0, 1],
    "rows_with_all_seeds": 1,
    "rows": {
        "full": {"what": "everything"},
        "no reader": {"settings": {"adversarial.rewards.reader.weight": 0}},
        "no copying": {"settings": {"encoder.copy_head": False}},
    },
}


@pytest.fixture
def write(tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE))

    def write_plan(**changes):
        file = tmp_path / "plan.yaml"
        file.write_text(yaml.safe_dump({**PLAN, **changes}, sort_keys=False))
        return file

    return write_plan


def test_rows_and_seeds_in_the_order_in_which_they_are_run(write):
    plan = read_plan(write())
    named = [(row.name, seed) for row, seed in plan.tasks()]
    assert named == [("full", 0), ("no reader", 0), ("no copying", 0), ("full", 1)]
    assert [(row.name, seed) for row, seed in plan.tasks(["full"])] == [("full", 0), ("full", 1)]
    assert [seed for _, seed in plan.tasks(["full"], 1)] == [0]
    with pytest.raises(InputError, match='there is no row "ful" in the ablation; did you mean "full"'):
        plan.tasks(["ful"])


def test_a_row_is_the_recipe_with_the_plans_changes_and_its_own(write, tmp_path):
    plan = read_plan(write())
    config = plan.config(plan.rows[1], 7, tmp_path / "run")
    assert (config.adversarial.steps, config.adversarial.rewards.reader.weight) == (3, 0)
    assert (config.run.seed, config.run.output, config.data.valid) == (7, str(tmp_path / "run"), [])
    assert config.warmup.steps == 2


def test_rows_share_a_warm_up_where_it_would_be_the_same(write, tmp_path):
    plan = read_plan(write())
    full, reader, copying = (warmup_key(plan.config(row, 0, tmp_path / row.slug)) for row in plan.rows)
    assert full == reader != copying
    assert warmup_key(plan.config(plan.rows[0], 1, tmp_path)) != full


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": None}, '"base" is missing; an ablation has a recipe and rows'),
        ({"rows": {}}, '"rows" is missing'),
        ({"row": {}}, 'unknown entry "row"; did you mean "rows"?'),
        ({"seeds": 3}, "seeds wants a list, not 3"),
        ({"seeds": ["x"]}, "seeds are whole numbers"),
        ({"evaluate_documents": 0}, "evaluate_documents is 0; set it to at least 1"),
        ({"audit": {"learning_rate": -0.1}}, "learning_rate wants a number above 0 with a point, not -0.1"),
        ({"audit": {"num_beams": 0}}, "num_beams is 0; set it to at least 1"),
        ({"audit": {"step": 3}}, 'audit: unknown entry "step"; did you mean "steps"?'),
        (
            {"rows": {"full": {"setting": {}}}},
            'row "full": unknown entry "setting"; did you mean "settings"?',
        ),
        ({"rows": {"full": 3}}, 'row "full": wants what and settings'),
        ({"rows": {"a b": {}, "a-b": {}}}, '"a-b" gives no file name of its own'),
    ],
)
def test_a_plan_that_cannot_be_is_refused(write, changes, message):
    with pytest.raises(InputError) as refusal:
        read_plan(write(**changes))
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adversarial.sample": 3}, 'row "odd": unknown setting "adversarial.sample"; did you mean'),
        ({"adversarial": 3}, '"adversarial" is a section; set one of its fields, such as adversarial.'),
        ({"adversarial.samples": "three"}, "adversarial.samples"),
        ({"run.seed": 3}, 'row "odd": run.seed is the same for all rows; leave it out'),
        ({"data.valid": ["x"]}, 'row "odd": data.valid is the same for all rows; leave it out'),
        ({}, 'row "odd" has the same settings as row "full"; change it or leave it out'),
        ({"run.save_every": 7}, 'row "odd" has the same settings as row "full"'),
    ],
)
def test_a_wrong_setting_in_the_last_row_is_found_before_the_first_is_run(write, tmp_path, settings, message):
    plan = read_plan(write(rows={**PLAN["rows"], "odd": {"settings": settings}}))
    with pytest.raises(InputError) as refusal:
        Ablation(plan, tmp_path / "out").run()
    assert message in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_a_recipe_without_pairs_to_judge_on_is_refused(write, tmp_path):
    plan = read_plan(write())
    (tmp_path / "base.yaml").write_text("data: {valid: []}\n")
    with pytest.raises(InputError, match=r"data\.valid is empty; every row is judged on its pairs"):
        Ablation(plan, tmp_path / "out")


def test_the_plans_of_the_project_are_such():
    for file in (ROOT / "configs" / "ablations").glob("*.yaml"):
        plan = read_plan(file)
        assert all(row.what for row in plan.rows)
        plan.check()


def figures(**changes):
    audit = {"verdict": {"name": changes.pop("verdict", "readable"), "readability": 0.9}}
    found = {"rouge1": 20.0, "rouge2": 8.0, "rougeL": 18.0, "mean_words": 9.0, "novelty": 0.1}
    judge = {"reconstruction_loss": 3.5, "readability": 0.4}
    found |= {"reconstruction_loss": 3.0, "judge": judge, "seconds": 600.0, "audit": audit, "leads": {}}
    found |= {"code": {"commit": "abc1234", "processor": "a slow one", "threads": 1}}
    return {**found, **changes}


def content(rows):
    what = {"full": "everything", "less": ""}
    return {"evaluate_documents": 6, "audit": {"steps": 3}, "what": what, "warm_up": {}, "rows": rows}


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_the_table_has_means_over_seeds_and_their_ranges():
    lead = {"rouge1": 10.0, "rouge2": 4.0, "rougeL": 9.0, "mean_words": 8.0, "novelty": 0.0}
    leads = [{"lead-8": {**lead, "reconstruction_loss": loss, "readability": 0.2}} for loss in (2.0, 3.0)]
    rows = {
        "full": {
            0: figures(leads=leads[0]),
            1: figures(rouge1=22.0, leads=leads[1], judge=None, verdict="code"),
        },
        "less": {0: figures(rouge1=19.0)},
    }
    text = table_text(content(rows))
    head = ["row", "seeds", "R-1", "R-2", "R-L", "words", "novel %", "own loss", "loss", "reader"]
    full = ["2", "21.00", "8.00", "18.00", "9.0", "10.0", "3.00", "3.50", "0.40", "readable, code", "0.90"]
    assert cells(text)[0] == [*head, "audit", "read.", "min"]
    assert ["full", *full, "10.0"] in cells(text)
    # What the judges of both seeds say of the leads.
    lead_8 = ["2", "10.00", "4.00", "9.00", "8.0", "0.0", "", "2.50", "0.20", "", "", ""]
    assert ["(lead-8)", *lead_8] in cells(text)
    ranges = ["20.00 to 22.00", "8.00 to 8.00", "18.00 to 18.00", "9.0 to 9.0", "10.0 to 10.0"]
    assert ["full", *ranges, "3.00 to 3.00", "3.50 to 3.50", "0.40 to 0.40"] in cells(text)
    assert sum(row[0] == "less" for row in cells(text)) == 1
    assert text.count("Code and machine: commit abc1234, a slow one, threads: 1.") == 1
    assert text.splitlines()[-1] == "* **full**: everything"


def test_a_row_that_broke_down_stands_in_the_table_without_figures():
    code = figures()["code"]
    rows = {"full": {0: {"diverged": "it broke down", "code": code}}, "less": {0: figures()}}
    text = table_text(content(rows))
    assert ["full", "0", *[""] * 11] in cells(text)
    assert "* **full**, seed 0: it broke down\n" in text
    assert next(row for row in cells(text) if row[0] == "less")[:3] == ["less", "1", "20.00"]


def test_the_table_of_nothing_has_a_head():
    assert len(cells(table_text(content({})))[:2]) == 2


def judged(folder):
    """All figures of a table but those that tell of time and place."""
    table = json.loads((folder / "table.json").read_text())
    assert list(table["rows"]) == ["full", "no reader", "no copying"]
    return {
        name: {
            seed: {key: found[key] for key in found.keys() - {"seconds", "training", "code"}}
            for seed, found in seeds.items()
        }
        for name, seeds in {**table["rows"], "warm-up": table["warm_up"]}.items()
    }


# Runs like `textae ablate`, but SIGKILLs itself behind a training step or an audit.
KILLED = """
import os, signal, sys
from textae import ablation
from textae.cli import main
from textae.training import loop

place, at = sys.argv[1], int(sys.argv[2])
owner, name = (loop.Training, "train_step") if place == "step" else (ablation, "audit_model")
original, calls = getattr(owner, name), 0

def counted(*arguments, **options):
    global calls
    result, calls = original(*arguments, **options), calls + 1
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, counted)
main(["ablate", *sys.argv[3:]])
"""


@pytest.mark.slow
def test_a_killed_ablation_goes_on_to_the_same_table(write, tmp_path):
    plan = write(audit={"train": ["newswire:20"], "held_out": 3, "steps": 1, "num_beams": 1})

    def run(output, *start):
        command = [sys.executable, *(start or ("-m", "textae", "ablate"))]
        options = ["--config", str(plan), "--output", str(output)]
        return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=600)

    whole = run(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.endswith((tmp_path / "whole" / "table.md").read_text())
    assert re.search(r"full, seed 0 \(1 of 4\): done, \d+\.\d minutes of training, R-1 ", whole.stderr)

    broken = tmp_path / "broken"
    full, reader = (broken / "rows" / f"{name}-seed-0" for name in ("full", "no-reader"))
    # While the first row is judged.
    killed = run(broken, "-c", KILLED, "audit", "1")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (full / "model.safetensors").exists() and not (full / "figures.json").exists()
    # In the second step of the second row: the first is judged again and not trained again.
    killed = run(broken, "-c", KILLED, "step", "2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in (reader / "checkpoints").iterdir()] == ["step-000003"]
    written = (full / "figures.json").stat().st_mtime_ns
    again = run(broken)
    assert again.returncode == 0, again.stderr
    assert (full / "figures.json").stat().st_mtime_ns == written  # what was done is not run again
    assert "full, seed 0" not in again.stderr
    assert "no reader, seed 0 (2 of 4): training, from its last checkpoint" in again.stderr
    assert judged(broken) == judged(tmp_path / "whole")
    parts = json.loads((reader / "figures.json").read_text())["training"]
    assert [(part["from_step"], part["to_step"]) for part in parts] == [(2, 3), (3, 5)]

    table = json.loads((broken / "table.json").read_text())
    # The judge of all rows is the first one's networks: what they say of their own summaries is known.
    for found in table["rows"]["full"].values():
        assert found["judge"] == {
            name: pytest.approx(found[name]) for name in ("reconstruction_loss", "readability")
        }
    other = table["rows"]["no copying"]["0"]  # a reconstructor of another warm-up
    assert abs(other["judge"]["reconstruction_loss"] - other["reconstruction_loss"]) > 1e-6
    assert set(table["warm_up"]["0"]["judge"]) == {"reconstruction_loss", "readability"}

    # A row is the run that does both phases in one go.
    changes = {"adversarial.steps": 3, "data.valid": [], "run.output": str(tmp_path / "one")}
    train(load_config(tmp_path / "base.yaml", changes=changes))
    row = load_file(tmp_path / "whole" / "rows" / "full-seed-0" / "model.safetensors")
    for name, tensor in load_file(tmp_path / "one" / "model.safetensors").items():
        assert (row[name] == tensor).all(), name

    # A row whose settings have changed is run anew, and it alone.
    changed = read_plan(plan)
    changed.rows[1].settings["adversarial.rewards.kl.weight"] = 0
    ablation = Ablation(changed, tmp_path / "whole")
    open_rows = [row.name for row, seed in changed.tasks() if ablation.figures(row, seed) is None]
    assert open_rows == ["no reader"]


def test_other_judging_judges_the_model_that_there_is_anew(write, tmp_path):
    def run(**changes):
        plan = read_plan(write(seeds=[0], rows={"full": {}}, **changes))
        table = Ablation(plan, tmp_path / "out").run()
        return json.loads(table.with_suffix(".json").read_text())

    model = tmp_path / "out" / "rows" / "full-seed-0" / "model.safetensors"
    before = run()["rows"]["full"]["0"]
    written = model.stat().st_mtime_ns
    table = run(evaluate_documents=4)
    after = table["rows"]["full"]["0"]
    assert (before["count"], after["count"]) == (6, 4)
    assert model.stat().st_mtime_ns == written
    assert (after["seconds"], after["training"]) == (before["seconds"], before["training"])
    # The warm-up tells of its time, too: of its two steps, as the row of its three.
    for found, span in ((table["warm_up"]["0"], (0, 2)), (after, (2, 5))):
        assert [(part["from_step"], part["to_step"]) for part in found["training"]] == [span]
    # What training depends on does make it run anew.
    assert run(settings={"adversarial.steps": 2})["rows"]["full"]["0"]["training"][0]["to_step"] == 4
    assert model.stat().st_mtime_ns != written


def test_a_row_that_breaks_down_does_not_stop_the_others(write, tmp_path, caplog):
    wild = {"adversarial.reconstructor_learning_rate": 1e30, "optimizer.most_skipped_steps": 2}
    plan = read_plan(
        write(
            seeds=[0],
            rows={
                "full": {},
                "wild": {"settings": wild},
                "last": {"settings": {"adversarial.rewards.kl.weight": 0}},
            },
        )
    )
    table = Ablation(plan, tmp_path / "out").run(["wild", "last"])
    found = json.loads(table.with_suffix(".json").read_text())["rows"]
    assert list(found) == ["wild", "last"]
    assert "Training broke down at step" in found["wild"]["0"]["diverged"]
    assert found["last"]["0"]["rouge1"] >= 0 and found["last"]["0"]["judge"] is None
    assert "* **wild**, seed 0: Training broke down at step" in table.read_text()
    # It would break down again, so it is not tried again.
    assert Ablation(plan, tmp_path / "out").figures(plan.rows[1], 0) == found["wild"]["0"]


def test_an_interrupted_ablation_tells_its_own_command(write, tmp_path, monkeypatch):
    def interrupted(config, resume):
        raise Interrupted("interrupted at step 3, which is saved; go on with textae train", 15)

    monkeypatch.setattr(ablation, "train", interrupted)
    with pytest.raises(Interrupted, match=r"^interrupted; the same command goes on where it was$") as stopped:
        Ablation(read_plan(write(seeds=[0])), tmp_path / "out").run()
    assert stopped.value.number == 15
