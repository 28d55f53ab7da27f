"""Training through faults: after each, resuming gives what an unbroken run gives, or one clear sentence."""

import os
import shutil
import subprocess
import time

import pytest
from conftest import SURVIVED, TRIED
from safetensors.torch import load_file

KILLS = 25


def outcome(output):
    """What a run leaves that must not depend on what happened on the way, to the last bit."""
    weights = load_file(output / "model.safetensors")
    metrics = (output / "metrics.jsonl").read_text(encoding="utf-8")
    return metrics, {name: tensor.numpy().tobytes() for name, tensor in weights.items()}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, nursery, write_recipe):
    """The seconds that a run takes, and what it leaves."""
    folder = tmp_path_factory.mktemp("unbroken")
    recipe = write_recipe(folder)
    begin = time.monotonic()
    finished = nursery.run("train", "--config", recipe)
    assert finished.code == 0, finished.written
    return time.monotonic() - begin, folder / "run"


def go_on(nursery, recipe, **options):
    """Resume where there is a checkpoint, else start; as a person would who has just read the screen."""
    output = recipe.parent / "run"
    resume = ["--resume"] if list(output.glob("checkpoints/step-*/manifest.json")) else []
    return nursery.run("train", "--config", recipe, *resume, **options)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, nursery, write_recipe, unbroken, chance):
    seconds, whole = unbroken
    killed = run = 0
    while killed < KILLS:
        run += 1
        recipe = write_recipe(tmp_path / f"run-{run}")
        while True:
            # Anywhere from the first imports to the last file, if nothing had been done before.
            moment = chance.uniform(0, seconds) if killed < KILLS else None
            finished = go_on(nursery, recipe, kill_after=moment)
            assert finished.is_clear(), finished.written
            if finished.code == 0:
                break
            killed += 1
            TRIED["training killed"] += 1
        assert outcome(recipe.parent / "run") == outcome(whole)
        left = [path for path in recipe.parent.rglob(".*") if path.name != ".lock"]
        assert left == []
        SURVIVED["training killed"] = killed
    assert killed == KILLS


def damage(path, chance):
    """Cut a file short, or turn a bit of it over."""
    data = bytearray(path.read_bytes())
    if chance.random() < 0.5:
        path.write_bytes(data[: chance.randrange(len(data))])
    else:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


@pytest.mark.slow
def test_damaged_checkpoints(tmp_path, nursery, write_recipe, unbroken, chance):
    seconds, whole = unbroken
    # Killed where some checkpoints are there, the last of them after warm-up: only then is "warm" read.
    recipe = write_recipe(tmp_path / "broken")
    output = recipe.parent / "run"
    while not any(
        path.parent.name > "step-000015" for path in output.glob("checkpoints/step-*/manifest.json")
    ):
        go_on(nursery, recipe, kill_after=seconds * 0.7)
    kept = tmp_path / "kept"
    shutil.copytree(output, kept)
    # One that was being written at that moment has no manifest, and is none.
    latest = max(path.parent.name for path in (kept / "checkpoints").glob("step-*/manifest.json"))
    files = sorted(path.name for path in (kept / "checkpoints" / latest).iterdir())
    for name in [*files, *files]:
        shutil.rmtree(output)
        shutil.copytree(kept, output)
        damage(output / "checkpoints" / latest / name, chance)
        TRIED["checkpoint damaged"] += 1
        finished = nursery.run("train", "--config", recipe, "--resume")
        assert finished.code == 0, finished.written
        # A manifest that is cut to nothing is no manifest; anything else is said aloud.
        assert f"{latest} is left out" in finished.written
        assert outcome(output) == outcome(whole)
        SURVIVED["checkpoint damaged"] += 1
    for part in ("tokenizer/tokenizer.json", "warm/model.safetensors"):
        shutil.rmtree(output)
        shutil.copytree(kept, output)
        damage(output / part, chance)
        TRIED["other file damaged"] += 1
        finished = nursery.run("train", "--config", recipe, "--resume")
        assert finished.code == 2 and finished.is_clear(), finished.written
        assert part in finished.told and "start again without --resume" in finished.told
        SURVIVED["other file damaged"] += 1


@pytest.fixture
def small_disk(tmp_path):
    """``small_disk(KiB)``: a folder that holds so much and no more."""
    mounted = []

    def make(kibibytes):
        folder = tmp_path / f"disk-{kibibytes}"
        folder.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder)]
        try:
            done = subprocess.run(words, capture_output=True)
        except FileNotFoundError:
            pytest.skip("there is no mount")
        if done.returncode:
            pytest.skip("only root can mount a small disk")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], capture_output=True)


def used(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1024


@pytest.mark.slow
def test_a_full_disk(tmp_path, nursery, write_recipe, unbroken, small_disk):
    _, whole = unbroken
    needed = used(whole)
    for share in (0.05, 0.2, 0.35, 0.5, 0.65, 0.8):
        disk = small_disk(int(needed * share) // 4 * 4 + 4)
        recipe, output = write_recipe(tmp_path / f"recipe-{share}"), disk / "run"
        text = recipe.read_text(encoding="utf-8")
        recipe.write_text(text.replace(str(recipe.parent / "run"), str(output)), encoding="utf-8")
        TRIED["disk full in training"] += 1
        finished = nursery.run("train", "--config", recipe)
        assert finished.code == 2 and finished.is_clear(), finished.written
        assert "o space left" in finished.told
        # Room is made, and the run goes on.
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        resume = ["--resume"] if list(output.glob("checkpoints/step-*/manifest.json")) else []
        finished = nursery.run("train", "--config", recipe, *resume)
        assert finished.code == 0, finished.written
        assert outcome(output) == outcome(whole)
        SURVIVED["disk full in training"] += 1


@pytest.mark.slow
def test_input_that_goes_away(tmp_path, nursery, write_recipe, unbroken):
    from textae.data import newswire

    seconds, _ = unbroken
    files = {"documents": tmp_path / "documents.txt", "human": tmp_path / "human.txt"}
    for name, texts in (("documents", newswire.documents(30)), ("human", newswire.headlines(30))):
        files[name].write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    data = {name: [str(path)] for name, path in files.items()} | {"streaming": True}
    whole = write_recipe(tmp_path / "whole", **data)
    assert nursery.run("train", "--config", whole).code == 0
    recipe = write_recipe(tmp_path / "broken", **data)
    TRIED["input removed from training"] += 1
    while not list(recipe.parent.glob("run/checkpoints/step-*/manifest.json")):
        assert go_on(nursery, recipe, kill_after=seconds * 0.7).is_clear()
    hidden = tmp_path / "hidden.txt"
    os.replace(files["documents"], hidden)
    finished = go_on(nursery, recipe)
    assert finished.code == 2 and f"{files['documents']} does not exist" in finished.told
    os.replace(hidden, files["documents"])
    assert go_on(nursery, recipe).code == 0
    assert outcome(recipe.parent / "run") == outcome(whole.parent / "run")
    SURVIVED["input removed from training"] += 1
