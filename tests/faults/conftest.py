"""Faults of every kind, counted: how many were tried, how many a run survived."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

TRIED: Counter[str] = Counter()
SURVIVED: Counter[str] = Counter()


def pytest_terminal_summary(terminalreporter):
    """Print the counts."""
    for kind, count in sorted(TRIED.items()):
        terminalreporter.write_line(f"faults: {kind}: {count} tried, {SURVIVED[kind]} survived")


@dataclass
class Finished:
    """How a command ended."""

    code: int
    written: str

    @property
    def told(self):
        """The last line, which is what a person reads."""
        return self.written.strip().splitlines()[-1] if self.written.strip() else ""

    def is_clear(self):
        """Done, killed, or one clear sentence: never a traceback."""
        clear = self.code in (0, -9, 141) or (self.code == 2 and "textae: error: " in self.told)
        return clear and "Traceback" not in self.written


class Nursery:
    """Command lines in processes of their own that can be killed at any moment."""

    def __init__(self):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        words = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, *words, kill_after=None, chunk=64):
        """Run ``textae`` with these words."""
        asked = {"words": [str(word) for word in words], "kill_after": kill_after, "chunk": chunk}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return Finished(**json.loads(self.process.stdout.readline()))

    def close(self):
        """End it."""
        self.process.stdin.close()
        self.process.wait(timeout=30)


@pytest.fixture(scope="session")
def nursery():
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def chance(request):
    """Random numbers of the test's own, the same each time."""
    return random.Random(request.node.name)


@pytest.fixture(scope="session")
def write_recipe():
    """``write_recipe(folder)``: a recipe of thirty small steps with its output there; gives the file."""

    def write(folder, **data):
        network = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16}
        recipe = {
            "data": {
                "documents": ["newswire:200"],
                "human": ["newswire:200"],
                "valid": ["newswire:valid:4"],
                "max_document_tokens": 40,
                "max_human_tokens": 24,
                **data,
            },
            "tokenizer": {"vocabulary_size": 400},
            "encoder": network,
            "reconstructor": network,
            "discriminator": {"width": 8},
            "length": {"minimum_words": 3, "maximum_words": 6, "summary_words": 4, "maximum_tokens": 10},
            "warmup": {"steps": 15, "documents_per_batch": 4, "warmup_steps": 2},
            "adversarial": {
                "steps": 15,
                "documents_per_batch": 4,
                "samples": 2,
                "discriminator_first_steps": 1,
            },
            "run": {
                "output": str(folder / "run"),
                "log_every": 1,
                "sample_every": 100,
                "evaluate_every": 10,
                "save_every": 3,
                "keep_checkpoints": 3,
                "trackers": [],
            },
        }
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "recipe.yaml"
        file.write_text(yaml.safe_dump(recipe), encoding="utf-8")
        return file

    return write
