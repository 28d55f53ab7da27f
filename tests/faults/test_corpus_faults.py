"""Corpora through faults: after each, the same command ends in the same bytes, or in one clear sentence."""

import os
import subprocess
import sys
import time

import pytest
from conftest import SURVIVED, TRIED

KILLS = 25
DOCUMENTS = 600
HOW = ("--beams", "1", "--candidates", "1", "--batch-size", "16")


@pytest.fixture(scope="module")
def model(tmp_path_factory, nursery, write_recipe):
    """A model that has learned nothing: what it writes is as exact as what a better one would."""
    folder = tmp_path_factory.mktemp("model")
    recipe = write_recipe(folder)
    finished = nursery.run("train", "--config", recipe, "--warmup.steps", "0", "--adversarial.steps", "0")
    assert finished.code == 0, finished.written
    return folder / "run"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Documents with a few records that cannot be used."""
    from textae.data import newswire

    path = tmp_path_factory.mktemp("source") / "documents.jsonl"
    lines = [f'{{"id": {i}, "document": "{text}"}}' for i, text in enumerate(newswire.documents(DOCUMENTS))]
    lines[100], lines[333] = '{"id": 100', '{"id": 333, "document": 1}'
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def summarize(nursery, model, source, output, **options):
    return nursery.run("summarize", "--model", model, "--input", source, "--output", output, *HOW, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, nursery, model, source):
    folder = tmp_path_factory.mktemp("unbroken")
    begin = time.monotonic()
    finished = summarize(nursery, model, source, f"{folder}/")
    assert finished.code == 0, finished.written
    return time.monotonic() - begin, contents(folder)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, nursery, model, source, unbroken, chance):
    seconds, whole = unbroken
    killed = run = 0
    while killed < KILLS:
        run += 1
        folder = tmp_path / f"run-{run}"
        while True:
            moment = chance.uniform(0, seconds) if killed < KILLS else None
            finished = summarize(nursery, model, source, f"{folder}/", kill_after=moment)
            assert finished.is_clear(), finished.written
            if finished.code == 0:
                break
            killed += 1
            TRIED["summarising killed"] += 1
        assert contents(folder) == whole
        assert [path.name for path in folder.glob(".*")] == []
        SURVIVED["summarising killed"] = killed


@pytest.mark.slow
def test_a_full_disk(tmp_path, nursery, model, source, unbroken):
    _, whole = unbroken
    disk = tmp_path / "disk"
    disk.mkdir()
    needed = sum(map(len, whole.values())) // 1024
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={needed}k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        TRIED["disk full in summarising"] += 1
        finished = summarize(nursery, model, source, f"{disk}/out/")
        assert finished.code == 2 and finished.is_clear(), finished.written
        assert "No space left on device" in finished.told
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert summarize(nursery, model, source, f"{disk}/out/").code == 0
        assert contents(disk / "out") == whole
        SURVIVED["disk full in summarising"] += 1
    finally:
        subprocess.run(["umount", str(disk)], capture_output=True)


@pytest.mark.slow
def test_input_that_goes_away_and_comes_back(tmp_path, nursery, model, source, unbroken):
    seconds, whole = unbroken
    TRIED["input removed from summarising"] += 1
    folder, hidden = tmp_path / "out", source.with_suffix(".hidden")
    work = folder / ".parts.partial"
    while len(list(work.glob("*/segment-*"))) < 2:
        summarize(nursery, model, source, f"{folder}/", kill_after=seconds * 0.6)
    os.replace(source, hidden)
    try:
        finished = summarize(nursery, model, source, f"{folder}/")
        assert finished.code == 2 and "does not exist" in finished.told
        assert len(list(work.glob("*/segment-*"))) >= 2  # what was done is not lost
    finally:
        os.replace(hidden, source)
    assert summarize(nursery, model, source, f"{folder}/").code == 0
    assert contents(folder) == whole
    SURVIVED["input removed from summarising"] += 1


@pytest.mark.slow
def test_standard_output_that_is_closed_early(model, source):
    TRIED["standard output closed"] += 1
    words = ["summarize", "--model", str(model), "--input", "newswire:3000", *HOW]
    words = [sys.executable, "-m", "textae", *words]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().strip()
        process.stdout.close()
        told = process.stderr.read()
    assert process.returncode == 141 and "Traceback" not in told and "Exception" not in told, told
    SURVIVED["standard output closed"] += 1
