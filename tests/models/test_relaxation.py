"""Summaries that gradients flow through, against computations by hand and the plain forward pass."""

import math

import pytest
import torch

from textae.data.batches import TokenBatch, pad_rows
from textae.data.tokenizer import vocabulary_of
from textae.model_config import DiscriminatorConfig
from textae.models.backbone import Backbone, build_network
from textae.models.discriminator import Discriminator
from textae.models.inputs import RelaxedInputs
from textae.models.relaxation import (
    RelaxedText,
    frozen,
    gradient_norms,
    gumbel_noise,
    read_relaxed,
    sample_relaxed,
    scale_gradient,
    sentence_scores,
    straight_through,
)

DOCUMENTS = ["snow closed the upper road , so the baker went down", "a heron landed on the mast"]
LONGEST = 7


@pytest.fixture
def documents(tiny_vocabulary):
    rows = [tiny_vocabulary.as_source(row) for row in tiny_vocabulary.encode(DOCUMENTS)]
    return pad_rows(rows, tiny_vocabulary.pad)


@pytest.fixture
def hints(tiny_vocabulary):
    return torch.tensor([tiny_vocabulary.hint(3), tiny_vocabulary.hint(4)])


@pytest.fixture
def noise(tiny_vocabulary):
    uniforms = torch.rand(2, LONGEST, len(tiny_vocabulary), generator=torch.Generator().manual_seed(3))
    noise = gumbel_noise(uniforms)
    noise[1, 2, tiny_vocabulary.end] = 1e4  # the second summary ends with its third token
    noise[:, :2, tiny_vocabulary.end] = noise[0, :, tiny_vocabulary.end] = -1e4
    return noise


def sampled(model, documents, hints, noise, temperature=0.5, soft=False):
    return sample_relaxed(model.encoder, model.encoder.read(documents), hints, noise, temperature, soft)


# Parts ---------------------------------------------------------------------------------------------


def test_gumbel_noise_by_hand():
    noise = gumbel_noise(torch.tensor([math.exp(-1.0), math.exp(-math.e)]))
    torch.testing.assert_close(noise, torch.tensor([0.0, -1.0]))
    assert gumbel_noise(torch.tensor([0.0, 1.0])).isfinite().all()


def test_the_largest_with_gumbel_noise_is_a_sample():
    probabilities = torch.tensor([0.6, 0.3, 0.1])
    uniforms = torch.rand(20_000, 3, generator=torch.Generator().manual_seed(1))
    one_hot = straight_through(probabilities.log() + gumbel_noise(uniforms), 0.5)
    torch.testing.assert_close(one_hot.mean(0), probabilities, atol=0.01, rtol=0)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_straight_through_is_one_hot_with_the_gradient_of_the_softmax(temperature):
    logits = torch.tensor([1.0, 3.0, 2.0], requires_grad=True)
    values = torch.tensor([5.0, -1.0, 2.0])
    one_hot = straight_through(logits, temperature)
    assert one_hot.tolist() == [0.0, 1.0, 0.0]
    (gradient,) = torch.autograd.grad((one_hot * values).sum(), logits)
    exponentials = [math.exp(logit / temperature) for logit in (1, 3, 2)]
    soft = [value / sum(exponentials) for value in exponentials]
    mean = sum(p * v for p, v in zip(soft, values.tolist(), strict=True))
    expected = [p * (v - mean) / temperature for p, v in zip(soft, values.tolist(), strict=True)]
    torch.testing.assert_close(gradient, torch.tensor(expected))


def test_scale_gradient():
    values = torch.tensor([1.5, -2.0], requires_grad=True)
    scaled = scale_gradient(values, 3.0)
    assert torch.equal(scaled, values)
    (gradient,) = torch.autograd.grad((scaled * torch.tensor([1.0, 2.0])).sum(), values)
    assert gradient.tolist() == [3.0, 6.0]


def test_sentence_scores_leave_padding_out():
    scores = torch.tensor([[1.0, 3.0, 99.0], [2.0, 4.0, 6.0]])
    assert sentence_scores(scores, torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()).tolist() == [2.0, 4.0]


def test_the_gradient_norm_of_a_linear_critic_is_that_of_its_weights():
    weights = torch.tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)  # norm 5
    points = torch.rand(2, 3, 2, 2)
    norms = gradient_norms(
        lambda x: (x * weights).sum((1, 2)), points[:, 0], points[:, 1], points[:, 2, 0, 0]
    )
    torch.testing.assert_close(norms, torch.tensor([5.0, 5.0]))
    (gradient,) = torch.autograd.grad((norms - 1).square().mean(), weights)
    torch.testing.assert_close(gradient, 2 * (5 - 1) * weights.detach() / 5)


def test_the_gradient_is_taken_between_human_and_generated():
    human, generated = torch.tensor([[[4.0, 0.0]]]), torch.tensor([[[0.0, 8.0]]])
    norms = gradient_norms(lambda x: x.square().sum((1, 2)), human, generated, torch.tensor([0.25]))
    torch.testing.assert_close(norms, torch.tensor([2 * math.hypot(1.0, 6.0)]))


@pytest.mark.parametrize("architecture", ["gru", "transformer"])
def test_the_penalty_of_a_real_critic_can_be_differentiated(architecture):
    torch.manual_seed(0)
    config = DiscriminatorConfig(architecture=architecture, width=8, heads=2, dropout=0.0)
    reader = Discriminator(config, 12, 16)

    def critic(weights):
        return reader.judge_embedded(weights @ reader.embedding.weight)[0].mean(dim=1)

    human, generated = torch.rand(2, 3, 5, 12).softmax(-1)
    norms = gradient_norms(critic, human, generated, torch.rand(3))
    gradients = torch.autograd.grad(norms.sum(), [reader.embedding.weight, reader.score.weight])
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    # The same norm by finite differences, along the gradient's own direction.
    point = human.clone().requires_grad_(True)
    (direction,) = torch.autograd.grad(critic(point).sum(), point)
    exact = gradient_norms(critic, human, generated, torch.ones(3))
    step = 1e-2 * direction / direction.flatten(1).norm(dim=1)[:, None, None]
    with torch.no_grad():
        slope = (critic(human + step) - critic(human - step)) / 2e-2
    torch.testing.assert_close(exact.detach(), slope, atol=1e-4, rtol=1e-2)


def test_frozen_lets_gradients_through_and_none_in():
    layer = torch.nn.GRU(2, 2, batch_first=True)
    values = torch.rand(1, 3, 2, requires_grad=True)
    with frozen(layer):
        layer(values)[0].sum().backward()
    assert values.grad.abs().sum() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in layer.parameters())


# Sampling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy_head", [True, False])
def test_tokens_and_distributions_are_those_of_the_plain_pass(
    build_model, build_network_config, tiny_vocabulary, documents, hints, noise, copy_head
):
    model = build_model(tiny_vocabulary, encoder=build_network_config(copy_head=copy_head))
    encoder = model.encoder
    text = sampled(model, documents, hints, noise)
    source = encoder.read(documents)
    plain = encoder.log_distributions(source, text.tokens, hints)
    torch.testing.assert_close(plain.exp().sum(-1), torch.ones(2, LONGEST))
    kept = text.tokens.mask
    torch.testing.assert_close(text.log_distributions[kept], plain[kept], atol=1e-4, rtol=1e-4)
    assert torch.equal((plain + noise).argmax(-1)[kept], text.tokens.ids[kept])
    # The scoring pass of REINFORCE computes the mixture without a tensor of vocabulary size.
    chosen = text.log_distributions.gather(-1, text.tokens.ids[..., None]).squeeze(-1)
    scored = encoder.log_probabilities(source, text.tokens, hints)
    torch.testing.assert_close(chosen[kept], scored[kept], atol=1e-4, rtol=1e-4)


def test_a_summary_stops_behind_its_end(tiny_model, tiny_vocabulary, documents, hints, noise):
    text = sampled(tiny_model, documents, hints, noise)
    assert text.tokens.mask.sum(1).tolist() == [LONGEST, 3]
    assert text.tokens.ids[1, 2] == tiny_vocabulary.end
    assert (text.tokens.ids[1, 3:] == tiny_vocabulary.pad).all()
    assert (text.weights[1, 3:] == 0).all()
    noise[0, 1, tiny_vocabulary.end] = 1e5  # both end now: nobody writes on
    assert sampled(tiny_model, documents, hints, noise).tokens.ids.shape == (2, 3)


@pytest.mark.parametrize("soft", [False, True])
def test_weights_are_one_hot_or_the_distribution(tiny_model, documents, hints, noise, soft):
    text = sampled(tiny_model, documents, hints, noise, soft=soft)
    kept, size = text.tokens.mask, noise.shape[-1]
    if soft:
        assert torch.equal(text.weights[kept], text.log_distributions.exp()[kept])
    else:
        assert torch.equal(
            text.weights[kept], torch.nn.functional.one_hot(text.tokens.ids, size)[kept].float()
        )


@pytest.mark.parametrize("soft", [False, True])
def test_gradients_flow_through_earlier_tokens_and_not_through_later_ones(
    tiny_model, documents, hints, noise, soft
):
    noise = noise.clone().requires_grad_(True)
    text = sampled(tiny_model, documents, hints, noise, temperature=1.0, soft=soft)
    values = torch.rand(noise.shape[-1])
    (gradient,) = torch.autograd.grad((text.weights[0, 1] * values).sum(), noise)
    assert gradient[0, 0].abs().sum() > 0
    assert (gradient[0, 2:] == 0).all() and (gradient[1] == 0).all()


# Reading -------------------------------------------------------------------------------------------


def one_hot_text(rows, vocabulary):
    """The text that the encoder would have sampled: ``rows`` with end tokens."""
    tokens = pad_rows([[*row, vocabulary.end] for row in rows], vocabulary.pad)
    weights = torch.nn.functional.one_hot(tokens.ids, len(vocabulary)) * tokens.mask[..., None]
    return RelaxedText(tokens, weights.float(), torch.zeros(weights.shape))


@pytest.mark.parametrize("kind", ["ours", "t5", "bert"])
def test_one_hot_summaries_read_as_their_tokens(kind, build_model, build_tokenizer, tiny_vocabulary):
    vocabulary = tiny_vocabulary if kind == "ours" else vocabulary_of(build_tokenizer(kind))
    assert bool(vocabulary.source_prefix) == (kind == "bert")  # whose texts begin with a special token
    model = build_model(vocabulary)
    rows = [*vocabulary.encode(["baker reaches lake by sledge", "heron stops"]), []]
    text = one_hot_text(rows, vocabulary)
    plain = model.reconstructor.read(pad_rows([vocabulary.as_source(row) for row in rows], vocabulary.pad))
    read = read_relaxed(model.reconstructor, vocabulary, text, text.weights)
    assert torch.equal(read.ids, plain.ids) and torch.equal(read.mask, plain.mask)
    torch.testing.assert_close(read.states, plain.states)


def test_a_mixture_is_read_as_the_mean_of_embeddings(tiny_model, tiny_vocabulary):
    (row,) = tiny_vocabulary.encode(["heron stops"])
    text = one_hot_text([row], tiny_vocabulary)
    mixed = text.weights.clone()
    mixed[0, 0] = 0.0
    mixed[0, 0, row[0]], mixed[0, 0, row[1]] = 0.25, 0.75
    network = tiny_model.reconstructor
    table = network.backbone.encoder_embeddings()
    source = pad_rows([tiny_vocabulary.as_source(row)], tiny_vocabulary.pad)
    embedded = table[source.ids].clone()
    embedded[0, 0] = 0.25 * table[row[0]] + 0.75 * table[row[1]]
    expected = network.read(source, embedded).states
    read = read_relaxed(network, tiny_vocabulary, text, mixed).states
    torch.testing.assert_close(read, expected)
    assert not torch.allclose(read, network.read(source).states, atol=1e-2)


def embeds_as_ids(backbone, vocabulary):
    """Assert that encoder and decoder make of given embeddings what they make of the tokens."""
    rows = vocabulary.encode(["a heron landed", "snow"])
    batch = pad_rows([vocabulary.as_source(row) for row in rows], vocabulary.pad)
    plain = backbone.encode(batch.ids, batch.mask)
    given = backbone.encode(batch.ids, batch.mask, backbone.encoder_embeddings()[batch.ids])
    torch.testing.assert_close(given, plain)
    inputs = torch.full((2, 3), vocabulary.start)
    inputs[:, 1:] = batch.ids[:, :2]
    table = backbone.decoder_embeddings()
    decoded = backbone.decode(inputs, plain, batch.mask)
    torch.testing.assert_close(backbone.decode(inputs, plain, batch.mask, None, table[inputs]), decoded)
    # What is given is what counts, and nothing of it stays behind.
    other = backbone.decode(inputs, plain, batch.mask, None, table[inputs].flip(0) + 1.0)
    assert not torch.allclose(other, decoded, atol=1e-3)
    assert torch.equal(backbone.decode(inputs, plain, batch.mask), decoded)


@pytest.mark.parametrize("architecture", ["mbart", "bart", "t5", "pegasus"])
def test_given_embeddings_from_scratch(architecture, build_network_config, tiny_vocabulary):
    overrides = {} if architecture == "t5" else {"scale_embedding": True}
    config = build_network_config(architecture, overrides=overrides)
    torch.manual_seed(0)
    embeds_as_ids(Backbone(build_network(config, tiny_vocabulary, 40)).eval(), tiny_vocabulary)


@pytest.mark.parametrize("kind", ["t5-spare", "mbart", "bert", "roberta2roberta"])
def test_given_embeddings_of_checkpoints(kind, checkpoints, build_tokenizer, build_network_config):
    name = {"t5-spare": "t5", "roberta2roberta": "roberta"}.get(kind, kind)
    vocabulary = vocabulary_of(build_tokenizer(name))
    config = build_network_config(checkpoint=str(checkpoints(kind)))
    embeds_as_ids(Backbone(build_network(config, vocabulary, 40)).eval(), vocabulary)


# The whole pass ------------------------------------------------------------------------------------


@pytest.fixture
def make_inputs(tiny_vocabulary, documents, hints, noise):
    def make(**values):
        rows = [[*row, tiny_vocabulary.end] for row in tiny_vocabulary.encode(DOCUMENTS)]
        human = tiny_vocabulary.encode(["baker reaches lake by sledge", "heron stops"])
        settings = {
            "encoder_source": documents,
            "hints": hints,
            "noise": noise,
            "temperature": 0.5,
            "soft": False,
            "reconstructor_target": pad_rows(rows, tiny_vocabulary.pad),
            "human": pad_rows([[*row, tiny_vocabulary.end] for row in human], tiny_vocabulary.pad),
            "reconstruction_weight": 1.0,
            "interpolation": torch.tensor([0.3, 0.6]),
        }
        return RelaxedInputs(**{**settings, **values})

    return make


@pytest.mark.parametrize("soft", [False, True])
def test_who_learns_from_what(tiny_model, make_inputs, soft):
    outputs = tiny_model(make_inputs(soft=soft))
    losses = {
        "reconstruction": -outputs.document_log_probabilities.sum(),
        "told": -outputs.reader_scores.sum(),
        "critic": outputs.scores.sum() + outputs.gradient_norms.sum() + outputs.endings.sum(),
        "policy": outputs.log_distributions[outputs.summaries.mask].exp().square().sum(),
    }
    learners = {
        "reconstruction": {"encoder", "reconstructor"},
        "told": {"encoder"},
        "critic": {"discriminator"},
        "policy": {"encoder"},
    }
    for name, loss in losses.items():
        tiny_model.zero_grad()
        loss.backward(retain_graph=True)
        found = {
            network
            for network in ("encoder", "reconstructor", "discriminator")
            if any(
                p.grad is not None and p.grad.abs().sum() > 0
                for p in getattr(tiny_model, network).parameters()
            )
        }
        assert found == learners[name], name


def test_the_weight_scales_what_the_encoder_hears_of_the_reconstruction_alone(tiny_model, make_inputs):
    gradients = {}
    for weight in (0.0, 1.0, 2.0):
        tiny_model.zero_grad()
        outputs = tiny_model(make_inputs(reconstruction_weight=weight))
        (-outputs.document_log_probabilities.sum()).backward()
        gradients[weight] = {n: p.grad for n, p in tiny_model.named_parameters() if p.grad is not None}
    for name, gradient in gradients[1.0].items():
        factor = 2.0 if name.startswith("encoder") else 1.0
        torch.testing.assert_close(gradients[2.0][name], factor * gradient, atol=1e-5, rtol=1e-3)
        if name.startswith("encoder"):
            assert (gradients[0.0][name] == 0).all()


def test_one_hot_summaries_are_judged_and_restored_as_their_tokens(tiny_model, tiny_vocabulary, make_inputs):
    inputs = make_inputs()
    outputs = tiny_model(inputs)
    summaries = outputs.summaries
    told = tiny_model.discriminator(summaries)[summaries.mask]
    torch.testing.assert_close(outputs.reader_scores[summaries.mask], told)
    scores, endings = tiny_model.discriminator.judge(outputs.sentences)
    kept = outputs.sentences.mask
    torch.testing.assert_close(outputs.scores[kept], scores[kept])
    torch.testing.assert_close(outputs.endings[kept], endings[kept])
    codes = [row[:-1] if row[-1] == tiny_vocabulary.end else row for row in summaries.rows()]
    source = pad_rows([tiny_vocabulary.as_source(row) for row in codes], tiny_vocabulary.pad)
    plain = tiny_model.reconstructor.document_log_probabilities(source, inputs.reconstructor_target)
    torch.testing.assert_close(outputs.document_log_probabilities, plain, atol=1e-5, rtol=1e-4)
    assert TokenBatch(outputs.sentences.ids[2:], kept[2:]).rows() == summaries.rows()


def test_several_samples_of_one_document(tiny_model, make_inputs, hints, noise):
    """Two samples of each document, of whom the first of each is looked at for the penalty."""
    inputs = make_inputs()
    target = inputs.reconstructor_target.repeat(2)
    twice = make_inputs(hints=hints.repeat_interleave(2), noise=noise.repeat_interleave(2, 0),
                        reconstructor_target=target)  # fmt: skip
    once, doubled = tiny_model(inputs), tiny_model(twice)
    assert doubled.summaries.rows() == [row for row in once.summaries.rows() for _ in range(2)]
    torch.testing.assert_close(doubled.gradient_norms, once.gradient_norms)
    torch.testing.assert_close(doubled.document_log_probabilities[::2], once.document_log_probabilities)
