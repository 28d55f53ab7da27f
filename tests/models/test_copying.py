import math

import pytest
import torch

from textae.data.batches import TokenBatch, pad_rows
from textae.model_config import NetworkConfig
from textae.models.backbone import Backbone, build_network
from textae.models.copying import (
    LOG_ZERO,
    CopyHead,
    CopyScores,
    copied_log_mass,
    copyable_tokens,
    mixture_distribution,
    mixture_log_probability,
    next_mixture,
)
from textae.models.seq2seq import Seq2Seq

WIDTH = 6


def plain_distribution(head: CopyHead, hidden, states, ids, mask, logits):
    """Probabilities (N, T, V), straight from the definition: one row, one step, one token at a time."""
    rows, length, _ = hidden.shape
    share = rows // len(states)
    result = torch.zeros(logits.shape, dtype=logits.dtype)
    for row in range(rows):
        document = row // share
        real = [j for j in range(ids.shape[1]) if mask[document, j]]
        keys = []
        for j in real:
            key = states[document, j] @ head.key.weight.T + head.key.bias
            if j > 0:
                key = key + states[document, j - 1] @ head.key_before.weight.T
            keys.append(key)
        for step in range(length):
            query = hidden[row, step] @ head.query.weight.T + head.query.bias
            attention = torch.softmax(torch.stack([query @ key for key in keys]) / math.sqrt(WIDTH), 0)
            context = sum(a * states[document, j] for a, j in zip(attention, real, strict=True))
            seen = torch.cat([hidden[row, step], context])
            generate = torch.sigmoid(seen @ head.gate.weight[0] + head.gate.bias[0])
            mixed = generate * torch.softmax(logits[row, step], 0)
            copied = torch.zeros_like(mixed)
            for a, j in zip(attention, real, strict=True):
                copied[ids[document, j]] = copied[ids[document, j]] + a
            result[row, step] = mixed + (1 - generate) * copied
    return result


@pytest.fixture
def case():
    """Two documents with repeated tokens and padding, three decoder rows for each; vocabulary of 11."""
    torch.manual_seed(2)
    head = CopyHead(WIDTH).double()
    with torch.no_grad():
        head.key_before.weight.normal_()
    states = torch.randn(2, 5, WIDTH, dtype=torch.double, requires_grad=True)
    hidden = torch.randn(6, 4, WIDTH, dtype=torch.double, requires_grad=True)
    logits = torch.randn(6, 4, 11, dtype=torch.double, requires_grad=True)
    source = pad_rows([[4, 7, 4, 9, 7], [8, 4, 8]], 0)
    # In the source once, in it twice, absent from it, and the padding's own id.
    targets = torch.tensor([[9, 4, 5, 0], [7, 7, 10, 3], [4, 2, 9, 7]] * 2)
    return head, hidden, states, source, logits, targets


def scores_of(head, hidden, states, mask):
    return head(hidden, states, head.keys(states), mask)


def repeat(ids):
    return ids.repeat_interleave(3, dim=0)


def test_copy_head_is_the_plain_computation(case):
    head, hidden, states, source, logits, targets = case
    expected = plain_distribution(head, hidden, states, source.ids, source.mask, logits)
    assert torch.allclose(expected.sum(-1), torch.ones(6, 4, dtype=torch.double))
    scores = scores_of(head, hidden, states, source.mask)

    full = mixture_distribution(scores, logits, repeat(source.ids))
    torch.testing.assert_close(full, expected.log(), rtol=1e-12, atol=1e-12)
    for position in range(4):
        at = CopyScores(*(part[:, position : position + 1] for part in scores))
        following = next_mixture(at, logits[:, position], repeat(source.ids))
        torch.testing.assert_close(following, expected[:, position].log(), rtol=1e-12, atol=1e-12)

    generated = logits.log_softmax(-1).gather(-1, targets[..., None]).squeeze(-1)
    copied = copied_log_mass(scores.attention, repeat(source.ids), targets)
    chosen = mixture_log_probability(scores, generated, copied)
    wanted = expected.log().gather(-1, targets[..., None]).squeeze(-1)
    torch.testing.assert_close(chosen, wanted, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_the_plain_computation(case):
    head, hidden, states, source, logits, targets = case
    inputs = [hidden, states, logits, *head.parameters()]
    weights = torch.linspace(0.5, 2.0, targets.numel(), dtype=torch.double).view(targets.shape)

    plain = plain_distribution(head, hidden, states, source.ids, source.mask, logits)
    plain = plain.log().gather(-1, targets[..., None]).squeeze(-1)
    expected = torch.autograd.grad((weights * plain).sum(), inputs)

    scores = scores_of(head, hidden, states, source.mask)
    generated = logits.log_softmax(-1).gather(-1, targets[..., None]).squeeze(-1)
    copied = copied_log_mass(scores.attention, repeat(source.ids), targets)
    chosen = mixture_log_probability(scores, generated, copied)
    gradients = torch.autograd.grad((weights * chosen).sum(), inputs)
    for ours, theirs in zip(gradients, expected, strict=True):
        assert torch.isfinite(ours).all()
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)
        # A bias on all keys shifts every score alike and has no gradient.
        assert theirs.abs().max() > 1e-3 or theirs is expected[6]


def test_mass_is_summed_over_repeated_tokens_and_padding_has_none():
    attention = torch.tensor([[[0.5, 0.2, 0.3, 0.0]]]).log().clamp_min(LOG_ZERO)
    source = torch.tensor([[4, 7, 4, 0]])
    targets = torch.tensor([[4]])
    assert copied_log_mass(attention, source, targets).exp().item() == pytest.approx(0.8)
    absent = copied_log_mass(attention, source, torch.tensor([[6]]))
    assert absent.item() <= LOG_ZERO / 2
    assert copied_log_mass(attention, source, torch.tensor([[0]])).exp().item() == 0.0


def test_what_stands_in_the_padding_changes_nothing(case):
    head, hidden, states, source, _, _ = case
    before = scores_of(head, hidden, states, source.mask)
    changed = states.detach().clone()
    changed[1, 3:] = 100.0
    after = scores_of(head, hidden, changed, source.mask)
    assert torch.equal(before.attention[3:, :, :3], after.attention[3:, :, :3])
    assert torch.equal(before.log_generate, after.log_generate)
    assert (after.attention[3:, :, 3:].exp() == 0).all()


def test_the_gate_is_two_sided(case):
    head, hidden, states, source, _, _ = case
    scores = scores_of(head, hidden, states, source.mask)
    ones = torch.ones(6, 4, dtype=torch.double)
    torch.testing.assert_close(scores.log_generate.exp() + scores.log_copy.exp(), ones)
    # Half precision is too little for what follows.
    half = scores_of(head.bfloat16(), hidden.bfloat16(), states.bfloat16(), source.mask)
    assert half.attention.dtype == half.log_copy.dtype == torch.float32


def test_keys_see_the_token_before_and_start_alike_to_queries():
    torch.manual_seed(0)
    head = CopyHead(WIDTH)
    assert torch.equal(head.key_before.weight, head.query.weight)
    states = torch.randn(1, 4, WIDTH)
    keys = head.keys(states)
    changed = states.clone()
    changed[0, 1] += 1.0
    moved = (head.keys(changed) - keys).abs().sum(-1)[0] > 1e-6
    assert moved.tolist() == [False, True, True, False]


def test_without_runs_keys_see_their_own_token_only():
    torch.manual_seed(0)
    head = CopyHead(WIDTH, runs=False)
    states = torch.randn(1, 4, WIDTH)
    assert torch.equal(head.keys(states), head.key(states))


def test_special_tokens_are_no_text_to_copy_unless_there_is_no_other():
    special = torch.zeros(10, dtype=torch.bool)
    special[[0, 1, 2]] = True
    source = pad_rows([[1, 7, 4, 2], [1, 2]], 0)
    assert copyable_tokens(source, special).tolist() == [
        [False, True, True, False],
        [True, True, False, False],
    ]


# Through a whole network -----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["copy head", "plain"])
def network(request, tiny_vocabulary, build_network_config):
    torch.manual_seed(1)
    backbone = Backbone(build_network(build_network_config(), tiny_vocabulary, 60))
    config = NetworkConfig(copy_head=request.param == "copy head")
    network = Seq2Seq(backbone, config, tiny_vocabulary).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5.0)
        if network.copy_head is not None:
            network.copy_head.gate.bias.fill_(0.3)
    return network


@pytest.fixture(scope="module")
def texts(tiny_vocabulary):
    source = pad_rows([[50, 61, 50, 99, 2], [70, 71, 2]], 0)
    # Copied tokens, absent ones and several lengths; two for each source.
    targets = pad_rows([[50, 99, 2], [200, 2], [70, 399, 71, 50, 2], [2]], 0)
    hints = torch.tensor([tiny_vocabulary.hint(count) for count in (3, 2, 4, 1)])
    return source, targets, hints


def test_log_probabilities_are_the_next_token_distributions_one_after_the_other(network, texts):
    source, targets, hints = texts
    with torch.no_grad():
        read = network.read(source)
        chosen = network.log_probabilities(read, targets, hints)
        assert chosen.dtype == torch.float32
        for row in range(4):
            alone = read.select(torch.tensor([row // 2]))
            prefix = [network.start, int(hints[row])]
            for step, token in enumerate(targets.rows()[row]):
                inputs = torch.tensor([prefix + targets.rows()[row][:step]])
                hidden = network.backbone.decode(inputs, alone.states, alone.mask)[:, -1]
                distribution = network.next_log_probabilities(hidden, alone)
                assert distribution.shape == (1, 400)
                assert distribution.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
                assert chosen[row, step].item() == pytest.approx(distribution[0, token].item(), abs=1e-4)
    assert (chosen[~targets.mask] == 0).all()
    assert (chosen[targets.mask] < 0).all()


def test_the_mean_over_the_vocabulary_is_that_of_its_own_log_probabilities(network, texts):
    source, targets, hints = texts
    with torch.no_grad():
        read = network.read(source)
        chosen, mean = network.distribution_at(read, targets, hints, smoothing=True)
        unsmoothed, nothing = network.distribution_at(read, targets, hints)
        inputs = torch.cat([network.prefix(4, hints, targets.ids.device), targets.ids[:, :-1]], 1)
        repeated = read.repeat(2)
        hidden = network.backbone.decode(inputs, repeated.states, repeated.mask)[:, 1:]
        expected = network.backbone.logits(hidden).log_softmax(-1).mean(-1)
    assert nothing is None
    assert torch.equal(chosen, unsmoothed)
    assert torch.allclose(mean[targets.mask], expected[targets.mask], atol=1e-5)
    assert (mean[~targets.mask] == 0).all()


def test_given_inputs_replace_the_targets_as_decoder_input(network, texts):
    source, targets, _ = texts
    masked = TokenBatch(targets.ids.clone(), targets.mask)
    masked.ids[2, 1] = network.mask
    with torch.no_grad():
        read = network.read(source)
        plain = network.log_probabilities(read, targets)
        dropped = network.log_probabilities(read, targets, inputs=masked.ids)
    changed = (plain - dropped).abs() > 1e-6
    # Only what comes after the masked token of the third row sees it.
    assert changed[2].tolist() == [False, False, True, True, True]
    assert not changed[[0, 1, 3]].any()


def test_sampling_has_the_very_distribution_of_next_log_probabilities(network, texts):
    source, _, hints = texts
    count = 40_000
    with torch.no_grad():
        read = network.read(source)
        inputs = network.prefix(2, hints[:2], source.ids.device)
        hidden = network.backbone.decode(inputs, read.states, read.mask)[:, -1]
        distribution = network.next_log_probabilities(hidden, read).exp()
        for row in range(2):
            # Stratified uniforms: the error of the frequencies is far below that of random ones.
            generator = torch.Generator().manual_seed(row)
            steps = (torch.arange(count) + 0.5) / count
            uniforms = torch.stack([steps, steps[torch.randperm(count, generator=generator)]], 1)
            one = read.select(torch.tensor([row])).repeat(count)
            tokens = network.next_sample(hidden[row].expand(count, -1), one, uniforms)
            frequencies = torch.bincount(tokens, minlength=400) / count
            assert (frequencies - distribution[row]).abs().sum().item() / 2 < 0.02


def test_extreme_uniforms_give_tokens_that_can_be(network, texts):
    source, _, hints = texts
    with torch.no_grad():
        read = network.read(source)
        inputs = network.prefix(2, hints[:2], source.ids.device)
        hidden = network.backbone.decode(inputs, read.states, read.mask)[:, -1]
        distribution = network.next_log_probabilities(hidden, read)
        for first in (0.0, 1.0 - 2**-24):
            for second in (0.0, 1.0 - 2**-24):
                tokens = network.next_sample(hidden, read, torch.tensor([[first, second]] * 2))
                assert (distribution.gather(1, tokens[:, None]) > -60).all()


def test_copies_of_a_source_stand_side_by_side(network, texts):
    read = network.read(texts[0])
    assert read.repeat(1) is read
    assert read.repeat(2).ids.tolist() == [row for row in texts[0].ids.tolist() for _ in range(2)]
    assert torch.equal(read.repeat(2).states[2], read.states[1])
    assert (read.keys is None) == (network.copy_head is None)


def test_a_text_cannot_end_by_copying_the_end_of_its_source(network, texts):
    source, targets, _ = texts
    with torch.no_grad():
        read = network.read(source)
        hidden = network.backbone.decode(targets.ids[:, :2], read.repeat(2).states, read.repeat(2).mask)[
            :, -1
        ]
        ends = network.next_log_probabilities(hidden, read.repeat(2))[:, network.end]
        own = network.backbone.logits(hidden).log_softmax(-1)[:, network.end]
        if network.copy_head is not None:
            # All that is left is the vocabulary's own probability, times the gate.
            gate = network.copy_head(hidden[:, None], read.states, read.keys, read.copyable).log_generate
            own = own + gate[:, 0]
    assert torch.allclose(ends, own, atol=1e-5)
