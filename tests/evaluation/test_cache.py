import json
import shutil

import pytest

from textae.errors import InputError
from textae.evaluation.cache import CachedModel
from textae.models.autoencoder import TextAutoencoder

DOCUMENTS = ["snow closed the upper road , so the baker went down", "a heron landed on the mast at noon"]


@pytest.fixture
def model(tiny_model, tmp_path):
    """The folder of a saved model, and the list of folders that were loaded."""
    folder, loaded = tmp_path / "model", []
    tiny_model.save_pretrained(folder)

    def load(path):
        loaded.append(path)
        return TextAutoencoder.from_pretrained(path)

    return lambda place=folder: CachedModel(place, load, place / "results", "trained"), loaded, folder


def test_a_model_is_asked_once(model, tiny_model):
    cached, loaded, folder = model
    first = cached()
    summaries = first.summarize(DOCUMENTS, ["a", None], "words 4", words=4)
    assert summaries == tiny_model.summarize(DOCUMENTS, words=4)
    figures = first.judge(DOCUMENTS, summaries, 8)
    restored = first.reconstruct(summaries)
    assert loaded == [str(folder)]
    (file,) = (folder / "results").glob("trained-summaries-words-4-*.jsonl")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert rows == [{"id": "a", "output": summaries[0]}, {"output": summaries[1]}]

    again = cached()
    assert again.summarize(DOCUMENTS, ["a", None], "words 4", words=4) == summaries
    assert again.judge(DOCUMENTS, summaries, 8) == figures
    assert again.reconstruct(summaries) == restored
    assert loaded == [str(folder)]
    again.summarize(DOCUMENTS, ["a", None], "words 5", words=5)  # another question
    assert len(loaded) == 2
    again.release()
    again.summarize(DOCUMENTS[:1], ["a"], "words 5", words=5)  # other documents
    assert len(loaded) == 3


def test_a_moved_folder_keeps_its_answers_and_a_changed_model_does_not(model, tmp_path):
    cached, loaded, folder = model
    cached().summarize(DOCUMENTS, ["a", "b"], "words 4", words=4)
    moved = tmp_path / "moved"
    shutil.move(folder, moved)
    cached(moved).summarize(DOCUMENTS, ["a", "b"], "words 4", words=4)
    assert len(loaded) == 1
    configuration = moved / "config.json"
    configuration.write_text(configuration.read_text() + "\n")
    cached(moved).summarize(DOCUMENTS, ["a", "b"], "words 4", words=4)
    assert len(loaded) == 2


def test_a_damaged_file_is_named(model):
    cached, _, folder = model
    cached().reconstruct(["heron stops"])
    (file,) = (folder / "results").iterdir()
    file.write_text('{"document": "snow')
    with pytest.raises(InputError, match=f"{file.name}: this file is damaged; remove it"):
        cached().reconstruct(["heron stops"])
