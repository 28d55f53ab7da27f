"""Real, tiny runs that are paid by learned embeddings, a pretrained encoder and the user's own function."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file

from textae.training import loop
from textae.training.run import train
from textae.training.topic import TOPIC

FUNCTION = "textae_test_rewards:starts"
MODULE = """
import torch


def starts(rollout):
    pairs = zip(rollout.texts, rollout.documents, strict=True)
    return torch.tensor([float(text[:1] == document[:1]) for text, document in pairs])
"""


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


class Stopped(Exception):
    pass


@pytest.fixture
def sections(tmp_path, monkeypatch, build_tokenizer):
    """Sections of a recipe with every reward that needs something besides the three networks."""
    tokenizer = build_tokenizer("bert")
    torch.manual_seed(7)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
    )
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    (tmp_path / "textae_test_rewards.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return {
        "data": {"valid": []},
        "warmup": {"steps": 2},
        "adversarial": {
            "steps": 3,
            "relative_reconstruction": True,
            "similarity_encoder": str(tmp_path / "bert"),
            "rewards": {"topic": {"weight": 1.0}, "encoder": {"weight": 0.5}},
            "custom_rewards": {"starts": {"function": FUNCTION, "weight": 0.2}},
        },
        "run": {"save_every": 1, "sample_every": 100},
    }


def test_every_reward_is_logged_and_a_broken_run_resumes_exactly(
    tmp_path, make_config, monkeypatch, sections
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(make_config(whole, **sections))
    paid = [line for line in lines(whole) if line["phase"] == "adversarial"]
    assert len(paid) == 3
    for line in paid:
        assert -1.0 <= line["reward/topic"] <= 1.0 and line["reward/topic"] != 0.0
        assert -1.0 <= line["reward/encoder"] <= 1.0 and line["reward/encoder"] != 0.0
        assert 0.0 <= line["reward/starts"] <= 1.0
        # Little is known of documents after two steps, and a summary tells next to nothing more.
        assert abs(line["reward/reconstruction"]) < 1.0 < line["loss/reconstructor"]
    assert sum(line["reward/topic_weighted"] for line in paid) > 0
    assert sum(line["reward/encoder_weighted"] for line in paid) > 0

    original = loop.Training.train_step

    def train_step(self):
        result = original(self)
        if self.step == 4:
            raise Stopped
        return result

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "train_step", train_step)
        with pytest.raises(Stopped):
            train(make_config(broken, **sections))
    changed = (broken / TOPIC).stat().st_mtime_ns
    train(make_config(broken, **sections), "latest")
    assert (broken / TOPIC).stat().st_mtime_ns == changed  # read, and not learned again
    assert lines(broken) == lines(whole)
    assert torch.equal(load_file(broken / TOPIC)["embeddings"], load_file(whole / TOPIC)["embeddings"])

    # Only the recipe names the function, and nothing that is loaded as a model or a checkpoint does.
    naming = [file for file in whole.rglob("*") if file.is_file() and FUNCTION.encode() in file.read_bytes()]
    assert naming == [whole / "config.yaml"]

    # A fresh run without these rewards leaves nothing for a later one to mistake for its own.
    plain = {**sections, "warmup": {"steps": 1}, "adversarial": {"steps": 0}}
    train(make_config(whole, **plain))
    assert not (whole / TOPIC).exists()
    assert "reward/starts" not in lines(whole)[-1]


def test_a_similarity_that_is_not_paid_for_loads_and_learns_nothing(tmp_path, make_config, sections):
    adversarial = {"steps": 1, "similarity_encoder": str(tmp_path / "none"), "rewards": {}}
    output = tmp_path / "run"
    train(make_config(output, **{**sections, "warmup": {"steps": 0}, "adversarial": adversarial}))
    (line,) = lines(output)
    assert line["reward/topic"] == line["reward/encoder"] == line["reward/topic_weighted"] == 0.0
    assert not (output / TOPIC).exists()


def test_the_new_settings_do_not_change_the_networks_a_run_begins_with(tmp_path, make_config, sections):
    """What they load and learn draws no random number that networks would have got."""
    plain = {**sections, "warmup": {"steps": 1}, "adversarial": {"steps": 0}}
    paid = {**plain, "adversarial": {**sections["adversarial"], "steps": 0}}
    for name, chosen in (("plain", plain), ("paid", paid)):
        train(make_config(tmp_path / name, **chosen))
    assert lines(tmp_path / "plain") == lines(tmp_path / "paid")
