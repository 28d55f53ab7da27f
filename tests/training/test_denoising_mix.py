"""The encoder goes on restoring noisy sentences beside the rewards."""

import pytest
import torch

from textae.training.denoising import NoisySentences
from textae.training.warmup import WarmupBatches, WordWeights

CPU = torch.device("cpu")


@pytest.fixture
def batches(config, small_vocabulary, documents):
    texts = [example.text for example in documents]
    noisy = NoisySentences.from_texts(config.noise, texts, lambda: [])
    return WarmupBatches(config, small_vocabulary, WordWeights.from_texts(texts), noisy)


def test_targets_are_the_sentences_and_sources_are_not(batches, small_vocabulary, documents, human):
    inputs = batches.denoising(9, range(4), documents, human, CPU)
    assert inputs.target.rows() == [[*example.ids, small_vocabulary.end] for example in human[:4]]
    plain = [small_vocabulary.as_source(example.ids) for example in human[:4]]
    assert all(noisy != row for noisy, row in zip(inputs.source.rows(), plain, strict=True))
    words = [len(example.text.split()) for example in human[:4]]
    assert inputs.hints.tolist() == [small_vocabulary.hint(count) for count in words]


def test_rows_are_the_same_whoever_makes_them(batches, documents, human):
    whole = batches.denoising(9, range(4), documents, human, CPU).source.rows()
    parts = [batches.denoising(9, rows, documents, human, CPU) for rows in (range(1), range(1, 4))]
    assert [row for part in parts for row in part.source.rows()] == whole
    assert batches.denoising(10, range(4), documents, human, CPU).source.rows() != whole


def test_the_step_adds_its_weighted_cross_entropy(step, config, model, sampled, batches, documents, human):
    config.adversarial.discriminator_first_steps = 2
    plain, metrics = step.losses(sampled, model(sampled.inputs), 2)
    assert "loss/denoising" not in metrics
    sampled.inputs.denoising = noisy = batches.denoising(9, range(4), documents, human, CPU)
    config.adversarial.denoising_weight = 0.5
    with torch.no_grad():
        read = model.encoder.read(noisy.source)
        restored = model.encoder.log_probabilities(read, noisy.target, noisy.hints)
    expected = -restored.sum().item() / noisy.target.mask.sum().item()
    total, metrics = step.losses(sampled, model(sampled.inputs), 2)
    assert metrics["loss/denoising"] == pytest.approx(expected, abs=1e-5)
    assert total.item() - plain.item() == pytest.approx(0.5 * expected, abs=1e-4)
    # In the first steps the encoder stands still.
    early, _ = step.losses(sampled, model(sampled.inputs), 1)
    sampled.inputs.denoising = None
    without, _ = step.losses(sampled, model(sampled.inputs), 1)
    assert early.item() == pytest.approx(without.item(), abs=1e-4)
