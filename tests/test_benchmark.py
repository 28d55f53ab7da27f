"""What the benchmark's figures rest on."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from benchmarks.reading import FILES, measure_reading, reading, write_stories  # noqa: E402
from benchmarks.scaling import fitted_exponent, sized_recipe  # noqa: E402
from benchmarks.tables import memory_table, reading_table, training_table  # noqa: E402
from benchmarks.timing import Contender, Measured, ratio, take_turns  # noqa: E402
from benchmarks.training import Breakdown, compare_losses, shipped_recipe  # noqa: E402

from textae.data import newswire  # noqa: E402


def test_exponents_of_a_power_law_are_found_and_told_from_what_is_none():
    assert fitted_exponent((1, 2, 4, 8), [3.0, 12.0, 48.0, 192.0]) == pytest.approx(
        {"exponent": 2.0, "r_squared": 1.0}
    )
    # log2 costs 0, 1, 0 at log2 sizes 0, 1, 2: flat, and nothing of the variance is told.
    law = fitted_exponent((1, 2, 4), [1.0, 2.0, 1.0])
    assert law["exponent"] == pytest.approx(0.0) and law["r_squared"] == pytest.approx(0.0)


def test_ratios_are_taken_round_by_round():
    slow, fast = Measured([2.0, 30.0, 8.0], None), Measured([1.0, 10.0, 2.0], None)
    assert ratio(slow, fast) == {"median": 3.0, "least": 2.0, "greatest": 4.0}
    assert slow.median == 8.0


def wait(seconds):
    return lambda: time.sleep(seconds) or seconds


def fail():
    raise ValueError("no such thing")


def test_contenders_take_turns_in_processes_of_their_own():
    contenders = [Contender(f"{ms}", wait, {"seconds": ms / 1000}) for ms in (10, 60)]
    measured = take_turns(contenders, 3, 1)
    assert [len(found.seconds) for found in measured.values()] == [3, 3]
    assert measured["10"].result == 0.01
    assert measured["10"].median >= 0.01 and measured["60"].median >= 0.06
    with pytest.raises(RuntimeError, match="broken: ValueError: no such thing"):
        take_turns([Contender("broken", fail)], 1, 1)


def test_parts_of_a_breakdown_add_up_and_none_counts_twice():
    parts = Breakdown()

    class Worker:
        def inner(self):
            time.sleep(0.02)

        def outer(self):
            time.sleep(0.01)
            self.inner()

    worker = Worker()
    parts.watch(worker, "inner", "inside")
    parts.watch(worker, "outer", "outside")
    begin = time.perf_counter()
    with parts.part("all the rest"):
        worker.outer()
    assert 0.03 <= sum(parts.seconds.values()) <= time.perf_counter() - begin
    assert parts.seconds["inside"] >= 0.02 and parts.seconds["outside"] >= 0.01


def test_the_shipped_model_has_the_losses_of_the_straightforward_implementation():
    compared = compare_losses(shipped_recipe(documents=4, samples=2))
    assert {"loss/policy", "loss/reconstructor", "loss/discriminator", "reward/reader"} <= set(compared)
    assert all(pair["textae"] == pytest.approx(pair["plain"], rel=1e-3) for pair in compared.values())


def test_sizes_are_what_the_recipe_says(tmp_path):
    recipe = sized_recipe(tmp_path, source=32, width=64, samples=2)
    assert recipe["data"]["max_document_tokens"] == 32 and recipe["adversarial"]["samples"] == 2
    lines = (tmp_path / "documents.txt").read_text(encoding="utf-8").splitlines()
    assert min(len(line.split()) for line in lines) > 150


def test_every_reader_gives_the_same_stories(tmp_path):
    files = write_stories(tmp_path, 1500)  # more than are written at a time
    assert list(files) == list(FILES)
    written = {"records": 1500, "characters": sum(map(len, newswire.documents(1500)))}
    assert [reading(str(file))() for file in files.values()] == [written] * 5


def test_readers_are_measured_and_shown():
    report = measure_reading(rounds=1, threads=1, documents=20)
    assert report["records"] == 20 and list(report["readers"]) == list(FILES)
    for found in report["readers"].values():
        assert found["least"] == found["records_per_second"] == found["greatest"] > 0 and found["bytes"] > 0
    by = {"median": 2.5, "least": 2.0, "greatest": 3.0}
    found = {"bytes": 2_500_000, "records_per_second": 1234.5, "least": 1e3, "greatest": 2e3}
    readers = {"JSON lines": {**found, "times_as_fast": by}, "text": {**found, "times_as_fast": by}}
    lines = [" ".join(line.split()) for line in reading_table({"records": 1500, "readers": readers})]
    assert lines[0] == "| 1,500 stories | MB | records/s | least to greatest | times as fast |"
    assert lines[2] == "| JSON lines | 2.5 | 1,234 | 1,000 to 2,000 | |"
    assert lines[3] == "| text | 2.5 | 1,234 | 1,000 to 2,000 | 2.50 (2.00 to 3.00) |"


def test_tables_show_what_was_measured():
    described = {
        "plain": {
            "documents_per_second": 2.0,
            "times_as_fast": {"median": 1.0, "least": 1.0, "greatest": 1.0},
        },
        "textae": {
            "documents_per_second": 6.0,
            "times_as_fast": {"median": 3.0, "least": 2.5, "greatest": 4.0},
        },
    }
    report = {
        "documents": 8,
        "samples": 4,
        **dict.fromkeys(("step", "step of textae", "rollout", "reconstructor"), described),
        "breakdown": {"sampling": {"seconds": 0.5, "share": 1.0}},
    }
    lines = training_table(report)
    assert any("step: textae" in line and "6.00" in line and "3.00 (2.50 to 4.00)" in line for line in lines)
    assert any("sampling" in line and "100.0%" in line for line in lines)
    case = {"width": 64, "documents": 8, "samples": 4, "rows_at_once": None, "bytes": 2**21, "seconds": 0.5}
    assert "| all |" in " ".join(memory_table({"cases": [case]})[-1].split())


def test_the_command_explains_itself():
    ran = subprocess.run(
        [sys.executable, str(SCRIPTS / "benchmark.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert "--rounds" in ran.stdout and "training" in ran.stdout
    ran = subprocess.run(
        [sys.executable, str(SCRIPTS / "benchmark.py"), "--rounds", "0"], capture_output=True, text=True
    )
    assert ran.returncode == 2 and "--rounds must be at least 1" in ran.stderr
