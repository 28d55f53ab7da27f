"""The estimators with gradients through the summary: batches and losses against computations by hand."""

import copy
import math

import pytest
import torch

from textae.data.batches import TokenBatch
from textae.model_config import DiscriminatorConfig
from textae.models.discriminator import Discriminator
from textae.models.inputs import RelaxedOutputs
from textae.models.relaxation import gumbel_noise
from textae.training.estimators import ESTIMATORS

RELAXED = ("gumbel", "wgan")


@pytest.fixture
def make_step(config, small_vocabulary, model, reduce):
    """``make_step("gumbel")``: the estimator, two samples a document, no warm-up before it."""

    def make(name):
        config.warmup.steps = 0
        config.adversarial.estimator, config.adversarial.samples = name, 2
        weights = torch.ones(len(small_vocabulary))
        reference = copy.deepcopy(model.encoder)
        return ESTIMATORS[name](config, small_vocabulary, reference, weights, reduce)

    return make


# Batches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RELAXED)
def test_a_row_s_randomness_is_its_own(make_step, model, documents, human, name):
    step = make_step(name)
    whole = step.sample(model, 7, range(4), documents, human).inputs
    parts = [step.sample(model, 7, rows, documents, human).inputs for rows in (range(3), range(3, 4))]
    assert torch.equal(whole.noise, torch.cat([part.noise for part in parts]))
    assert torch.equal(whole.hints, torch.cat([part.hints for part in parts]))
    assert whole.noise.shape == (8, 8, len(step.vocabulary))
    if name == "wgan":
        assert torch.equal(whole.interpolation, torch.cat([part.interpolation for part in parts]))
        assert len(whole.interpolation.unique()) == 4
    else:
        assert whole.interpolation is None
    torch.rand(5)  # the global generator has no part in it
    assert torch.equal(step.sample(model, 7, range(4), documents, human).inputs.noise, whole.noise)
    assert not torch.equal(step.sample(model, 8, range(4), documents, human).inputs.noise, whole.noise)
    step.config.run.seed = 1
    assert not torch.equal(step.sample(model, 7, range(4), documents, human).inputs.noise, whole.noise)
    assert len({float(row.sum()) for row in whole.noise}) == 8  # no two samples alike


def test_noise_is_gumbel_noise_of_uniform_numbers(make_step, model, documents, human):
    noise = make_step("gumbel").sample(model, 7, range(4), documents, human).inputs.noise
    # Mean and variance of the standard Gumbel distribution.
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.03)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.06)
    assert torch.equal(gumbel_noise(torch.exp(-torch.exp(-torch.zeros(1)))), torch.zeros(1))


def test_what_is_asked_and_read(make_step, model, config, documents, human, small_vocabulary):
    batch = make_step("gumbel").sample(model, 7, range(4), documents, human)
    assert batch.request.words == [4, 5, 5, 4]  # 4, 5, 6 and 3 words, between 4 and 5
    hints = [small_vocabulary.hint(count) for count in batch.request.words]
    assert batch.inputs.hints.tolist() == [hint for hint in hints for _ in range(2)]
    target = batch.inputs.reconstructor_target.rows()
    assert target == [[*row.ids, small_vocabulary.end] for row in documents for _ in range(2)]
    assert batch.inputs.human.rows() == [[*row.ids, small_vocabulary.end] for row in human]


def test_the_temperature_falls_geometrically(make_step, model, config, documents, human):
    step = make_step("gumbel")
    config.adversarial.steps, config.adversarial.gumbel_temperature = 3, 1.0
    assert [step.temperature(at) for at in range(3)] == [1.0, 1.0, 1.0]
    config.adversarial.gumbel_final_temperature = 0.25
    assert [step.temperature(at) for at in range(3)] == pytest.approx([1.0, 0.5, 0.25])
    config.warmup.steps = 10
    assert step.sample(model, 11, range(4), documents, human).inputs.temperature == pytest.approx(0.5)


def test_what_the_readers_read(make_step, model, config, documents, human):
    for name, output, soft in (
        ("gumbel", "soft", False),
        ("wgan", "soft", True),
        ("wgan", "straight_through", False),
    ):
        config.adversarial.wgan_output = output
        assert make_step(name).sample(model, 7, range(4), documents, human).inputs.soft is soft


def test_one_text_of_each_document(make_step, model, documents, human):
    step = make_step("gumbel")
    batch = step.sample(model, 7, range(4), documents, human)
    outputs = model(batch.inputs)
    rows = outputs.summaries.rows()
    assert step.texts(batch, outputs) == step.vocabulary.decode([rows[0], rows[2], rows[4], rows[6]])


# Losses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RELAXED)
@pytest.mark.parametrize("architecture", ["gru", "transformer"])
def test_every_parameter_takes_part_in_every_backward_pass(
    make_step, model, config, documents, human, small_vocabulary, name, architecture
):
    reader = DiscriminatorConfig(
        architecture=architecture, width=8, heads=2, dropout=0.1, language_model=True
    )
    model.discriminator = Discriminator(reader, len(small_vocabulary), 96).train()
    config.adversarial.discriminator_first_steps = 1
    step = make_step(name)
    for at in (0, 1):
        model.zero_grad()
        batch = step.sample(model, at, range(4), documents, human)
        step.losses(batch, model(batch.inputs), at)[0].backward()
        for parameter_name, parameter in model.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
        moved = sum(float(parameter.grad.abs().sum()) for parameter in model.encoder.parameters())
        assert (moved > 0) == (at == 1)  # in the first step the encoder stands still


@pytest.mark.parametrize("name", RELAXED)
@pytest.mark.parametrize("reward", ["reconstruction", "reader", "kl"])
def test_each_weight_alone_moves_the_encoder(make_step, model, config, documents, human, name, reward):
    step = make_step(name)
    with torch.no_grad():  # away from the reference, where the divergence has no gradient
        for parameter in model.encoder.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    norms = {}
    for weight in (0.0, 1.0, 3.0):
        for other in ("reconstruction", "reader", "kl"):
            getattr(config.adversarial.rewards, other).weight = weight if other == reward else 0.0
        model.zero_grad()
        batch = step.sample(model, 0, range(4), documents, human)
        step.losses(batch, model(batch.inputs), 0)[0].backward()
        squares = [parameter.grad.square().sum() for parameter in model.encoder.parameters()]
        norms[weight] = float(sum(squares)) ** 0.5
    assert norms[0.0] == 0.0 < norms[1.0]
    assert norms[3.0] == pytest.approx(3 * norms[1.0], rel=1e-3)


def test_the_divergence_is_that_of_the_distributions(make_step, model, config, documents, human):
    step = make_step("gumbel")
    batch = step.sample(model, 0, range(4), documents, human)
    same = step.losses(batch, model(batch.inputs), 0)[1]
    assert same["loss/kl"] == pytest.approx(0.0, abs=1e-5)
    with torch.no_grad():
        for parameter in step.reference.parameters():
            parameter.add_(0.1)
    outputs = model(batch.inputs)
    metrics = step.losses(batch, outputs, 0)[1]
    source = step.reference.read(batch.inputs.encoder_source)
    with torch.no_grad():
        reference = step.reference.log_distributions(source, outputs.summaries, batch.inputs.hints)
    nats, tokens = 0.0, 0
    for row, kept in enumerate(outputs.summaries.mask.sum(1).tolist()):
        for place in range(kept):
            own, other = outputs.log_distributions[row, place], reference[row, place]
            nats += sum(math.exp(p) * (p - q) for p, q in zip(own.tolist(), other.tolist(), strict=True))
            tokens += 1
    assert metrics["loss/kl"] == pytest.approx(nats / tokens, rel=1e-3)
    assert metrics["loss/kl"] > 1e-3


def hand_made(scores, told, norms=None):
    """Outputs of which only what the reader says counts: one human and two other sentences."""
    mask = torch.tensor([[1, 1], [1, 0], [1, 1]]).bool()
    ids = torch.full((3, 2), 40)
    zeros = torch.zeros(2, 2)
    return RelaxedOutputs(
        summary_log_probabilities=zeros,
        summary_mean_log_probabilities=None,
        document_log_probabilities=zeros,
        scores=torch.tensor(scores),
        endings=torch.zeros(3, 2),
        summaries=TokenBatch(ids[1:], mask[1:]),
        sentences=TokenBatch(ids, mask),
        log_distributions=torch.zeros(2, 2, 3),
        reader_scores=torch.tensor(told),
        gradient_norms=None if norms is None else torch.tensor(norms),
    )


def test_wasserstein_losses_by_hand(make_step, config):
    config.adversarial.wgan_gradient_penalty = 0.5
    outputs = hand_made([[1.0, 3.0], [-1.0, 99.0], [2.0, -4.0]], [[0.5, 99.0], [1.0, 2.0]], [4.0])
    loss, told, metrics = make_step("wgan").reader_losses(outputs, real=1)
    # Means of sentences: 2 of the human one, -1 and -1 of the others; 0.5 and 1.5 of the second reading.
    assert metrics == {"critic/distance": 3.0, "critic/gradient_norm": 4.0}
    assert loss.item() == 0.5 * (4 - 1) ** 2 - 3.0
    assert told.item() == -1.0


def test_gumbel_losses_by_hand(make_step, config):
    config.adversarial.real_label = 1.0
    outputs = hand_made([[1.0, 3.0], [-1.0, 99.0], [2.0, -4.0]], [[0.5, 99.0], [1.0, 2.0]])
    loss, told, metrics = make_step("gumbel").reader_losses(outputs, real=1)
    human = sum(math.log1p(math.exp(-score)) for score in (1, 3)) / 2
    other = sum(math.log1p(math.exp(score)) for score in (-1, 2, -4)) / 3
    assert loss.item() == pytest.approx(0.5 * (human + other))
    assert told.item() == pytest.approx(sum(math.log1p(math.exp(-score)) for score in (0.5, 1, 2)) / 3)
    assert metrics == {"discriminator/accuracy": pytest.approx(0.5 * (1 + 2 / 3))}


@pytest.mark.parametrize("name", RELAXED)
def test_the_loss_is_the_sum_of_its_parts(make_step, model, config, documents, human, name):
    rewards = config.adversarial.rewards
    rewards.reconstruction.weight, rewards.reader.weight, rewards.kl.weight = 2.0, 0.5, 0.25
    step = make_step(name)
    batch = step.sample(model, 0, range(4), documents, human)
    outputs = model(batch.inputs)
    loss, metrics = step.losses(batch, outputs, 0)
    # The reconstructor's loss is the encoder's too: its weight is one on the gradient.
    networks = sum(metrics[f"loss/{part}"] for part in ("reconstructor", "discriminator", "ending"))
    told = 0.5 * metrics["loss/reader"] + 0.25 * metrics["loss/kl"]
    assert loss.item() == pytest.approx(networks + told, rel=1e-5)
    restored, kept = outputs.document_log_probabilities, batch.inputs.reconstructor_target.mask
    assert metrics["loss/reconstructor"] == pytest.approx(-restored.sum().item() / int(kept.sum()), rel=1e-5)
    means = restored.sum(1) / kept.sum(1)
    assert metrics["reward/reconstruction"] == pytest.approx(means.mean().item(), rel=1e-5)
    told_of = {"reconstruction", "length", "repetition", "kl"} | ({"reader"} if name == "gumbel" else set())
    assert {key for key in metrics if key.startswith("reward/")} == {f"reward/{reward}" for reward in told_of}
    lengths = outputs.summaries.mask.sum(1)
    ended = (outputs.summaries.ids == step.vocabulary.end).any(1)
    assert metrics["summary/unfinished"] == pytest.approx((~ended).float().mean().item())
    assert lengths.min() >= 1 and lengths.max() <= config.length.maximum_tokens
    entropy = -outputs.summary_log_probabilities.sum() / lengths.sum()
    assert metrics["policy/entropy"] == pytest.approx(entropy.item(), rel=1e-5)


@pytest.mark.parametrize("name", RELAXED)
def test_the_encoder_alone_learns_to_be_restored(make_step, model, config, documents, human, name):
    """Only the encoder moves, and only for the reconstruction: the same reconstructor restores more."""
    config.adversarial.rewards.reader.weight = config.adversarial.rewards.kl.weight = 0.0
    step = make_step(name)
    with torch.no_grad():  # a reconstructor that looks at its source more than a fresh one does
        for parameter in model.reconstructor.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3.0)
    optimizer = torch.optim.Adam(model.encoder.parameters(), lr=1e-2)
    losses = []
    for at in range(24):
        batch = step.sample(model, at, range(4), documents, human)
        loss, metrics = step.losses(batch, model(batch.inputs), at)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(metrics["loss/reconstructor"])
    assert sum(losses[-4:]) / 4 < sum(losses[:4]) / 4 - 0.1
