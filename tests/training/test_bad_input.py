"""Whatever is wrong with the input of `textae train`: one sentence, exit code 2, no traceback."""

import json

import pytest
import yaml
from transformers import BartConfig

from textae.cli import main
from textae.data.tokenizer import train_tokenizer
from textae.manifest import write_manifest


@pytest.fixture
def train(tmp_path, make_recipe, capsys):
    """Run `textae train` with a recipe and return its one line of complaint."""

    def run(*words, output=tmp_path / "run", **sections):
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump(make_recipe(output, **sections)), encoding="utf-8")
        capsys.readouterr()
        assert main(["train", "--config", str(file), *words]) == 2
        complaint = capsys.readouterr().err
        assert complaint.startswith("textae: error: ") and complaint.endswith("\n")
        assert complaint.count("\n") == 1 and "Traceback" not in complaint
        return complaint

    return run


@pytest.mark.parametrize("kind", ["documents", "human", "valid"])
def test_a_missing_file(train, tmp_path, kind):
    assert str(tmp_path / "gone.txt") in train(data={kind: [str(tmp_path / "gone.txt")]})


@pytest.mark.parametrize("content", ["", "\n  \n"])
@pytest.mark.parametrize("streaming", [False, True])
def test_an_empty_file(train, tmp_path, content, streaming):
    file = tmp_path / "empty.txt"
    file.write_text(content, encoding="utf-8")
    assert str(file) in train(data={"documents": [str(file)], "streaming": streaming})


@pytest.mark.parametrize("streaming", [False, True])
def test_a_wrong_column(train, tmp_path, streaming):
    file = tmp_path / "stories.jsonl"
    file.write_text('{"story": "fog over the sea"}\n', encoding="utf-8")
    complaint = train(data={"documents": [str(file)], "streaming": streaming})
    assert str(file) in complaint and "document" in complaint and "story" in complaint


def test_a_wrong_column_of_the_reference_summaries(train, tmp_path):
    file = tmp_path / "valid.jsonl"
    file.write_text('{"document": "fog over the sea", "headline": "fog"}\n', encoding="utf-8")
    complaint = train(data={"valid": [str(file)]})
    assert str(file) in complaint and "headline" in complaint


@pytest.mark.parametrize("kind", ["documents", "human", "valid"])
@pytest.mark.parametrize("streaming", [False, True])
def test_broken_json_on_a_line(train, tmp_path, kind, streaming):
    row = {"document": "fog over the sea", "text": "fog", "summary": "fog"}
    file = tmp_path / "broken.jsonl"
    file.write_text(2 * (json.dumps(row) + "\n") + '{"document": "half a\n', encoding="utf-8")
    complaint = train(data={kind: [str(file)], "streaming": streaming})
    assert f"{file}:3 " in complaint


@pytest.mark.parametrize("streaming", [False, True])
def test_invalid_utf8(train, tmp_path, streaming):
    file = tmp_path / "latin.txt"
    file.write_bytes(b"fog over the sea\ncaf\xe9 closed\n")
    complaint = train(data={"human": [str(file)], "streaming": streaming})
    assert f"{file}:2 is not valid UTF-8" in complaint


def test_sentences_that_are_all_too_long(train, tmp_path):
    file = tmp_path / "long.txt"
    file.write_text("an endless sentence " * 30 + "\n", encoding="utf-8")
    for streaming in (False, True):
        complaint = train(data={"human": [str(file)], "streaming": streaming}, warmup={"steps": 1})
        assert "data.max_human_tokens" in complaint


def test_a_typo_in_the_recipe_or_on_the_command_line(train):
    assert 'did you mean "warmup.learning_rate"' in train(warmup={"lerning_rate": 1.0})
    assert 'did you mean "--adversarial.samples"' in train("--adversarial.sample", "3")


def test_a_recipe_that_is_not_there(tmp_path, capsys):
    assert main(["train", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml: there is no such configuration file" in capsys.readouterr().err


def test_a_checkpoint_folder_without_weights(train, tmp_path):
    folder = tmp_path / "bart"
    tokenizer = train_tokenizer(["fog over the sea"], 300)
    tokenizer.save_pretrained(folder)
    BartConfig(vocab_size=300, d_model=16).save_pretrained(folder)
    assert str(folder) in train(encoder={"checkpoint": str(folder)})


def test_a_checkpoint_folder_without_anything(train, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert str(tmp_path / "nothing") in train(encoder={"checkpoint": str(tmp_path / "nothing")})


def test_a_sentence_encoder_that_is_not_there(train, tmp_path):
    rewards = {"encoder": {"weight": 1.0}}
    assert "adversarial.similarity_encoder" in train(adversarial={"rewards": rewards})
    (tmp_path / "nothing").mkdir()
    complaint = train(
        adversarial={"rewards": rewards, "similarity_encoder": str(tmp_path / "nothing")},
        data={"documents": ["gone.txt"]},  # told before the corpus is read
    )
    assert str(tmp_path / "nothing") in complaint


def test_a_custom_reward_that_is_not_there(train):
    own = {"own": {"function": "no_such_package.rewards:own"}}
    complaint = train(adversarial={"custom_rewards": own}, data={"documents": ["gone.txt"]})
    assert "adversarial.custom_rewards.own.function = no_such_package.rewards:own: the module" in complaint
    assert "PYTHONPATH" in complaint
    own["own"]["function"] = "math:pi"
    assert "no function but a float" in train(adversarial={"custom_rewards": own})
    # A number, but not for each summary: found out when the first is paid.
    own["own"]["function"] = "builtins:id"
    complaint = train(adversarial={"custom_rewards": own}, warmup={"steps": 0}, data={"valid": []})
    assert "adversarial.custom_rewards.own returned an int; it must return a tensor" in complaint


def test_resuming_from_nothing(train, tmp_path):
    assert "start without --resume" in train("--resume")
    assert not (tmp_path / "run").exists()


def test_resuming_from_a_folder_that_is_no_checkpoint_or_has_no_weights(train, tmp_path):
    folder = tmp_path / "run" / "checkpoints" / "step-000002"
    folder.mkdir(parents=True)
    assert f"{folder}: this is no checkpoint" in train("--resume", str(folder))
    (folder / "state.json").write_text('{"step": 2}', encoding="utf-8")
    assert "there is no checkpoint to resume from" in train("--resume")
    assert f"{folder}/manifest.json is missing or damaged; resume from another" in train(
        "--resume", str(folder)
    )
    write_manifest(folder)
    for word in (["--resume"], ["--resume", str(folder)]):
        complaint = train(*word)
        assert f"{folder}: the checkpoint is incomplete" in complaint


@pytest.mark.parametrize("below", ["", "/deeper/run"])
def test_an_output_folder_that_cannot_be_written(train, tmp_path, below):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    complaint = train(output=f"{tmp_path}/file{below}")
    assert f"{tmp_path}/file" in complaint
