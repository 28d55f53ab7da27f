"""Rows that go through the networks a few at a time give the same losses and gradients."""

import copy
import json

import pytest
import torch
from safetensors.torch import load_file

from textae.errors import InputError
from textae.models.chunks import in_chunks
from textae.training.run import train
from textae.training.warmup import WarmupBatches, warmup_losses


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(first, second):
    assert first.keys() == second.keys() and first
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-9, atol=1e-12, msg=name)


def test_a_chunk_is_computed_twice_and_never_more_rows_at_once():
    weight = torch.tensor(3.0, requires_grad=True)
    seen = []

    def work(rows):
        seen.append(rows.tolist())
        return (weight * rows.double() ** 2, None)

    squares, nothing = in_chunks(5, 2, work)
    assert squares.tolist() == [0.0, 3.0, 12.0, 27.0, 48.0] and nothing is None
    squares.sum().backward()
    assert weight.grad == 30.0
    assert sorted(seen) == [[0, 1], [0, 1], [2, 3], [2, 3], [4], [4]]
    assert in_chunks(2, None, work)[0].tolist() == [0.0, 3.0] and seen[-1] == [0, 1]


# One row at a time splits the three samples of a document; five are more than a document has.
@pytest.mark.parametrize("at_once", [1, 3, 5, 100])
def test_an_adversarial_step_has_the_same_gradients(step, model, sampled, at_once):
    model.double(), step.reference.double()
    found = []
    for rows in (None, at_once):
        sampled.inputs.rows_at_once = rows
        loss, metrics = step.losses(sampled, model(sampled.inputs), 3)
        found.append((gradients(model, loss), metrics))
    assert_same(found[0][0], found[1][0])
    for name, value in found[0][1].items():
        assert found[1][1][name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_rows_that_only_judge_are_chunked_too(step, model, documents, human):
    step.config.adversarial.reconstructor_samples = 1
    sampled = step.sample(model, 7, range(4), documents, human)
    model.double(), step.reference.double()
    found = []
    for rows in (None, 2):
        sampled.inputs.rows_at_once = rows
        found.append(gradients(model, step.losses(sampled, model(sampled.inputs), 3)[0]))
    assert_same(*found)


def test_a_warm_up_step_has_the_same_gradients(model, config, small_vocabulary, documents, human, reduce):
    from textae.training.denoising import NoisySentences
    from textae.training.warmup import WordWeights

    texts = [example.text for example in documents]
    noisy = NoisySentences.from_texts(config.noise, texts, lambda: [example.text for example in human])
    batches = WarmupBatches(config, small_vocabulary, WordWeights.from_texts(texts), noisy)
    inputs = batches.make(0, range(4), documents, human, torch.device("cpu"))
    model.double().train()
    found = []
    for rows in (None, 1, 3):
        inputs.rows_at_once = rows
        loss, _ = warmup_losses(inputs, model(inputs), config.warmup.label_smoothing, reduce)
        found.append(gradients(model, loss))
    assert_same(found[0], found[1])
    assert_same(found[0], found[2])


def test_dropout_is_the_same_when_a_chunk_is_computed_again(model, sampled):
    for module in model.modules():
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.3
    model.double().train()
    sampled.inputs.rows_at_once = 2
    torch.manual_seed(5)
    outputs = model(sampled.inputs)
    own = gradients(model, outputs.document_log_probabilities.sum())
    # The same random numbers without a second computation: chunk by chunk, and no checkpoint.
    torch.manual_seed(5)
    inputs, parts = sampled.inputs, []
    model.encoder.distribution_of(inputs.encoder_source, inputs.encoder_target, inputs.hints, rows_at_once=2)
    for rows in torch.arange(len(inputs.reconstructor_source.ids)).split(2):
        source, target = inputs.reconstructor_source.select(rows), inputs.reconstructor_target.select(rows)
        parts.append(model.reconstructor.document_log_probabilities(source, target))
    torch.testing.assert_close(outputs.document_log_probabilities, torch.cat(parts))
    again = gradients(model, torch.cat(parts).sum())
    assert_same(own, again)


@pytest.mark.parametrize("kind", ["vector", "gaussian", "vq", "split"])
def test_a_run_with_numbers_ends_with_the_same_weights(kind, tmp_path, make_config):
    code = {"kind": kind, "vectors": 2, "width": 8, "slots": 2, "codebook_size": 8, "style_width": 2}
    sections = {
        "code": code,
        "data": {"documents": ["newswire:60", "newswire:40"], "valid": []},
        "encoder": {"dropout": 0.0},
        "warmup": {"steps": 4},
    }
    run_both(tmp_path, make_config, sections)


def test_a_run_with_text_ends_with_the_same_weights(tmp_path, make_config):
    sections = {
        "data": {"valid": []},
        "encoder": {"dropout": 0.0},
        "reconstructor": {"dropout": 0.0},
        "discriminator": {"dropout": 0.0},
        "warmup": {"steps": 3},
        "adversarial": {"steps": 3, "denoising_weight": 1.0},
    }
    run_both(tmp_path, make_config, sections)


def run_both(tmp_path, make_config, sections):
    weights, losses = [], []
    for name, rows in (("whole", None), ("chunks", 3)):
        config = make_config(tmp_path / name, **copy.deepcopy(sections), optimizer={"rows_at_once": rows})
        train(config)
        weights.append(load_file(tmp_path / name / "model.safetensors"))
        lines = (tmp_path / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        losses.append([json.loads(line)["loss/reconstructor"] for line in lines])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for key, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][key], rtol=1e-3, atol=2e-3, msg=key)


def test_an_estimator_that_samples_in_one_pass_refuses(tmp_path, make_config):
    with pytest.raises(InputError, match=r"optimizer\.rows_at_once cannot be used by .* = gumbel"):
        make_config(tmp_path, adversarial={"estimator": "gumbel"}, optimizer={"rows_at_once": 4})
    with pytest.raises(InputError, match=r"optimizer\.rows_at_once = 0 must be at least 1"):
        make_config(tmp_path, optimizer={"rows_at_once": 0})
