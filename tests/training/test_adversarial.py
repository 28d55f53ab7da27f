"""The adversarial step against computations by hand."""

import math

import pytest
import torch
from torch import nn

from textae.config import CustomRewardConfig
from textae.data.batches import TokenBatch
from textae.models.inputs import AutoencoderInputs, AutoencoderOutputs
from textae.training.adversarial import AdversarialStep, Sampled, join_rows
from textae.training.reward_models import RewardModels
from textae.training.rewards import Rollout

NAMES = ("reconstruction", "reader", "length", "repetition", "kl")


def only(config, name, weight=1.0, normalize=False):
    """Switch all rewards off but one."""
    for other in NAMES:
        getattr(config.adversarial.rewards, other).weight = 0.0
    reward = getattr(config.adversarial.rewards, name)
    reward.weight, reward.normalize = weight, normalize


# Advantages --------------------------------------------------------------------------------------


def hand_made(mask, rewards=None, scores=None, log_probabilities=None, reference=None, texts=None):
    """A rollout with given rewards of reconstruction (N,) and tokens (N, T)."""
    mask = torch.tensor(mask, dtype=torch.bool)
    zeros = torch.zeros(mask.shape)
    rows = len(mask)
    document = torch.zeros(rows) if rewards is None else torch.as_tensor(rewards)
    return Rollout(
        summaries=TokenBatch(mask.long(), mask),
        texts=texts or ["a b"] * rows,
        documents=["a b c"] * rows,
        words=torch.full((rows,), 2),
        wanted_words=torch.full((rows,), 2),
        finished=torch.ones(rows, dtype=torch.bool),
        document_log_probabilities=document[:, None],
        empty_log_probabilities=torch.zeros(rows, 1),
        document_weights=torch.ones(rows, 1),
        scores=zeros if scores is None else torch.tensor(scores),
        log_probabilities=zeros if log_probabilities is None else torch.tensor(log_probabilities),
        reference_log_probabilities=zeros if reference is None else torch.tensor(reference),
        fluency=zeros,
        topic_similarity=torch.zeros(rows),
        encoder_similarity=torch.zeros(rows),
    )


def test_leave_one_out_of_a_reward_of_the_whole_summary(step, config):
    only(config, "reconstruction", weight=2.0)
    config.adversarial.samples = 2
    rollout = hand_made([[1, 1], [1, 0], [1, 1], [1, 1]], rewards=[-1.0, -4.0, -2.0, -2.0])
    advantages, metrics = step.advantages(rollout, group=2)
    # twice -1 + 4, -4 + 1, 0, 0; nothing on padding
    assert advantages.tolist() == [[6.0, 6.0], [-6.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert metrics["reward/reconstruction"] == pytest.approx(-9 / 4)
    assert metrics["reward/reconstruction_weighted"] == pytest.approx(3.0)
    assert metrics["reward/reader_weighted"] == 0.0
    assert {f"reward/{name}" for name in NAMES} <= set(metrics)


def test_batch_mean(step, config):
    only(config, "reconstruction")
    config.adversarial.samples, config.adversarial.baseline = 2, "batch_mean"
    rollout = hand_made([[1], [1], [1], [1]], rewards=[-1.0, -4.0, -2.0, -1.0])
    advantages, _ = step.advantages(rollout, group=2)
    assert advantages[:, 0].tolist() == [1.0, -2.0, 0.0, 1.0]


def test_self_critical_compares_with_the_greedy_row_and_leaves_it_out_of_every_mean(step, config):
    only(config, "reconstruction")
    config.adversarial.samples, config.adversarial.baseline = 2, "self_critical"
    rewards = [-1.0, -4.0, -2.0, -7.0, -5.0, -6.0]  # every third is the greedy summary's
    advantages, metrics = step.advantages(hand_made([[1]] * 6, rewards=rewards), group=3)
    assert advantages[:, 0].tolist() == [1.0, -2.0, 0.0, -1.0, 1.0, 0.0]
    assert metrics["reward/reconstruction"] == pytest.approx((-1 - 4 - 7 - 5) / 4)


def test_a_reward_of_tokens_is_centred_by_position_and_discounted(step, config):
    only(config, "reader", weight=3.0)
    config.adversarial.samples, config.adversarial.reader_discount = 2, 0.5
    rollout = hand_made([[1, 1], [1, 0]], scores=[[1.0, 2.0], [-3.0, 99.0]])
    advantages, metrics = step.advantages(rollout, group=2)
    # Position means are -1 and 2: 2 + 0.5 * 0, 0 and -2.
    assert advantages.tolist() == [[6.0, 0.0], [-6.0, 0.0]]
    assert metrics["reward/reader"] == pytest.approx(0.0)  # (1 + 2 - 3) / 3, padding left out
    assert metrics["reward/reader_weighted"] == pytest.approx(12 / 3)


def test_greedy_rows_have_no_part_in_the_means_of_positions(step, config):
    only(config, "reader")
    config.adversarial.samples, config.adversarial.baseline = 2, "self_critical"
    rollout = hand_made([[1], [1], [1]], scores=[[1.0], [3.0], [5.0]])
    advantages, _ = step.advantages(rollout, group=3)
    assert advantages[:, 0].tolist() == [-1.0, 1.0, 0.0]


@pytest.mark.parametrize("name", ["reconstruction", "reader"])
def test_normalised_advantages_have_unit_root_mean_square(step, config, model, sampled, name):
    only(config, name, normalize=True)
    with torch.no_grad():
        rollout = step.rollout(sampled, model(sampled.inputs))
    advantages, _ = step.advantages(rollout, sampled.group)
    mask = rollout.summaries.mask
    judged = advantages[:, 0] if name == "reconstruction" else advantages[mask]
    assert judged.square().mean().sqrt().item() == pytest.approx(1.0, abs=1e-3)
    assert (advantages[~mask] == 0).all()


def test_normalisation_keeps_what_separates_documents(step, config):
    """One document's samples are alike, another's differ: only the second one's may get a push."""
    only(config, "reconstruction", normalize=True)
    config.adversarial.samples = 2
    rollout = hand_made([[1]] * 4, rewards=[-1.0, -1.001, -1.0, -4.0])
    advantages = step.advantages(rollout, group=2)[0][:, 0]
    assert abs(advantages[0]) < 0.001 * abs(advantages[3])


def test_advantages_of_all_rewards_add_up(step, config, model, sampled):
    with torch.no_grad():
        rollout = step.rollout(sampled, model(sampled.inputs))
    together, _ = step.advantages(rollout, sampled.group)
    weights = {name: getattr(config.adversarial.rewards, name) for name in NAMES}
    kept = {name: (reward.weight, reward.normalize) for name, reward in weights.items()}
    alone = torch.zeros_like(together)
    for name, (weight, normalize) in kept.items():
        only(config, name, weight, normalize)
        alone += step.advantages(rollout, sampled.group)[0]
        weights[name].weight = weight
    torch.testing.assert_close(together, alone)
    assert together.abs().sum() > 0


def test_a_reward_of_the_user_s_own_is_weighted_and_logged_like_the_others(
    config, small_vocabulary, model, reduce
):
    only(config, "reconstruction", weight=0.0)
    config.adversarial.samples, config.adversarial.reader_discount = 2, 0.5
    config.adversarial.custom_rewards = {
        "brevity": CustomRewardConfig(3.0, False, "a:b"),
        "places": CustomRewardConfig(2.0, False, "a:c"),
    }
    custom = {
        "brevity": lambda rollout: -torch.tensor([float(len(text)) for text in rollout.texts]),
        "places": lambda rollout: torch.tensor([[1.0, 2.0], [-3.0, 0.0]]),
    }
    step = AdversarialStep(
        config, small_vocabulary, model.encoder, torch.ones(1), reduce, RewardModels(custom=custom)
    )
    rollout = hand_made([[1, 1], [1, 0]], texts=["abcd", "a"])
    advantages, metrics = step.advantages(rollout, group=2)
    # Three times -4 + 1 and -1 + 4; twice 2 + 0.5 * 0, 0 and -2, as for the reader.
    assert advantages.tolist() == [[-9.0 + 4.0, -9.0], [9.0 - 4.0, 0.0]]
    assert metrics["reward/brevity"] == pytest.approx(-2.5)
    assert metrics["reward/brevity_weighted"] == pytest.approx(9.0)
    assert metrics["reward/places"] == pytest.approx(0.0)
    assert metrics["reward/places_weighted"] == pytest.approx(8 / 3)
    config.adversarial.custom_rewards["brevity"].weight = 0.0
    advantages, metrics = step.advantages(rollout, group=2)
    assert advantages.tolist() == [[4.0, 0.0], [-4.0, 0.0]]
    assert metrics["reward/brevity"] == pytest.approx(-2.5)


# Losses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", ["leave_one_out", "batch_mean", "self_critical"])
def test_losses_equal_those_by_hand(step, config, model, documents, human, baseline):
    only(config, "reconstruction", weight=0.7)
    config.adversarial.baseline = baseline
    sampled = step.sample(model, 7, range(4), documents, human)
    outputs = model(sampled.inputs)
    loss, metrics = step.losses(sampled, outputs, step=0)

    group, mask = sampled.group, sampled.inputs.encoder_target.mask
    document_mask = sampled.inputs.reconstructor_target.mask
    log_probabilities = outputs.summary_log_probabilities.tolist()
    documents_nats = outputs.document_log_probabilities.tolist()
    rewards = [sum(row) / int(kept.sum()) for row, kept in zip(documents_nats, document_mask, strict=True)]
    policy = tokens = 0.0
    for row, reward in enumerate(rewards):
        first, within = row - row % group, row % group
        if baseline == "leave_one_out":
            others = [rewards[first + k] for k in range(group) if k != within]
            compared = sum(others) / len(others)
        elif baseline == "batch_mean":
            compared = sum(rewards) / len(rewards)
        elif within == group - 1:
            continue
        else:
            compared = rewards[first + group - 1]
        policy -= 0.7 * (reward - compared) * sum(log_probabilities[row])
        tokens += int(mask[row].sum())
    policy /= tokens
    reconstructor = -sum(map(sum, documents_nats)) / int(document_mask.sum())
    scores, kept = outputs.scores.tolist(), sampled.inputs.sentences.mask.tolist()
    sides = {True: [], False: []}
    for row, (line, flags) in enumerate(zip(scores, kept, strict=True)):
        is_human = row < 4
        for score, flag in zip(line, flags, strict=True):
            label = 0.9 if is_human else 0.0
            nats = label * math.log1p(math.exp(-score)) + (1 - label) * math.log1p(math.exp(score))
            sides[is_human] += [nats] if flag else []
    discriminator = 0.5 * sum(sum(nats) / len(nats) for nats in sides.values())
    endings = outputs.endings.tolist()
    ends = []
    for row, example in enumerate(human):
        for place in range(len(example.ids)):  # the end token is no place to end
            sign = -1 if place == len(example.ids) - 1 else 1
            ends.append(math.log1p(math.exp(sign * endings[row][place])))
    ending = sum(ends) / len(ends)
    assert metrics["loss/ending"] == pytest.approx(ending, rel=1e-5)
    assert metrics["loss/policy"] == pytest.approx(policy, abs=1e-5)
    assert metrics["loss/reconstructor"] == pytest.approx(reconstructor, rel=1e-5)
    assert metrics["loss/discriminator"] == pytest.approx(discriminator, rel=1e-5)
    assert loss.item() == pytest.approx(policy + reconstructor + discriminator + ending, rel=1e-5)


def test_advantages_carry_no_gradient_into_what_pays_them(step, config, model, sampled):
    """Encoder, reconstructor and discriminator each learn from their own loss alone."""
    outputs = model(sampled.inputs)
    loss, _ = step.losses(sampled, outputs, step=0)
    loss.backward()
    document_mask = sampled.inputs.reconstructor_target.mask
    alone = model(sampled.inputs)
    likelihood = -alone.document_log_probabilities.sum() / document_mask.sum()
    parameters = list(model.reconstructor.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(likelihood, parameters), strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-4)


def test_the_greedy_rows_of_self_critical_get_no_gradient(step, config, model, documents, human):
    config.adversarial.baseline = "self_critical"
    sampled = step.sample(model, 7, range(4), documents, human)
    outputs = model(sampled.inputs)
    outputs.summary_log_probabilities.retain_grad()
    step.losses(sampled, outputs, step=0)[0].backward()
    gradient = outputs.summary_log_probabilities.grad
    greedy = torch.arange(len(gradient)) % 4 == 3
    assert (gradient[greedy] == 0).all()
    assert (gradient[~greedy].abs().sum(dim=1) > 0).all()


def test_in_the_first_steps_the_encoder_stands_still_but_takes_part(step, config, model, sampled):
    config.adversarial.discriminator_first_steps = 3
    for number, still in ((2, True), (3, False)):
        model.zero_grad()
        loss, metrics = step.losses(sampled, model(sampled.inputs), number)
        loss.backward()
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
        assert (metrics["loss/policy"] == 0.0) == still
        sizes = {
            name: sum(float(p.grad.abs().sum()) for p in getattr(model, name).parameters())
            for name in ("encoder", "reconstructor", "discriminator")
        }
        assert (sizes["encoder"] == 0.0) == still
        assert sizes["reconstructor"] > 0 and sizes["discriminator"] > 0


def test_the_kl_reward_is_zero_at_the_start_and_negative_once_the_policy_has_moved(
    step, config, model, documents, human
):
    sampled = step.sample(model, 7, range(4), documents, human)
    _, metrics = step.losses(sampled, model(sampled.inputs), step=0)
    assert metrics["reward/kl"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["policy/kl"] == pytest.approx(0.0, abs=1e-6)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    config.adversarial.samples = 16  # the estimate is noisy, the divergence is not negative
    sampled = step.sample(model, 7, range(4), documents, human)
    _, metrics = step.losses(sampled, model(sampled.inputs), step=0)
    assert metrics["reward/kl"] < -0.05
    assert metrics["policy/kl"] == pytest.approx(-metrics["reward/kl"])


def test_the_reference_is_frozen(step):
    assert not step.reference.training
    assert not any(p.requires_grad for p in step.reference.parameters())


def test_a_step_raises_the_probability_of_what_was_paid_better(step, config, model, sampled):
    outputs = model(sampled.inputs)
    advantages, _ = step.advantages(step.rollout(sampled, outputs), sampled.group)
    config.adversarial.discriminator_first_steps = 0
    step.losses(sampled, outputs, step=0)[0].backward()
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter -= 0.05 * parameter.grad
        moved = model(sampled.inputs).summary_log_probabilities
    change = (advantages * (moved - outputs.summary_log_probabilities)).sum()
    assert change > 0


class NoReference(nn.Module):
    """Stands for a reference that gives every token the same probability."""

    def distribution_of(self, source, targets, hints, rows_at_once=None):
        return torch.zeros(targets.ids.shape), None


def test_the_expected_gradient_is_that_of_the_expected_reward(step, config):
    """A bandit: summaries of one token, a softmax as policy, a fixed reward for each token."""
    only(config, "reconstruction")
    config.adversarial.samples = 4
    step.reference = NoReference()
    rewards = torch.tensor([-3.0, -1.0, -2.0, -0.5])
    logits = torch.tensor([0.5, -0.5, 0.0, 0.2], requires_grad=True)
    rows = 40_000
    tokens = torch.multinomial(logits.softmax(0).detach(), rows, replacement=True,
                               generator=torch.Generator().manual_seed(5))  # fmt: skip
    summaries = TokenBatch(tokens[:, None], torch.ones(rows, 1, dtype=torch.bool))
    inputs = AutoencoderInputs(
        encoder_source=summaries,
        encoder_target=summaries,
        hints=tokens,
        reconstructor_source=summaries,
        reconstructor_target=summaries,
        reconstructor_inputs=None,
        sentences=join_rows(TokenBatch(torch.zeros(1, 1).long(), torch.ones(1, 1).bool()), summaries, 0),
    )
    outputs = AutoencoderOutputs(
        summary_log_probabilities=logits.log_softmax(0)[tokens][:, None],
        summary_mean_log_probabilities=None,
        document_log_probabilities=rewards[tokens][:, None],
        scores=torch.zeros(rows + 1, 1),
        endings=torch.zeros(rows + 1, 1),
    )
    sampled = Sampled(inputs, ["a"] * rows, torch.ones(rows), 4, 1, [set()] * (rows // 4))
    step.losses(sampled, outputs, step=0)[0].backward()
    probabilities = logits.detach().softmax(0)
    expected = -probabilities * (rewards - (probabilities * rewards).sum())
    torch.testing.assert_close(logits.grad, expected, atol=0.01, rtol=0)
    assert expected.abs().min() > 0.02  # so that the tolerance means something


def test_the_reconstructor_s_loss_is_the_mean_over_the_rows_it_learns_from(step, config):
    step.reference = NoReference()
    config.adversarial.samples = 2
    ones = torch.ones(4, 2, dtype=torch.bool)
    mask = torch.tensor([[1, 1], [1, 1], [1, 0], [1, 0]]).bool()
    tokens = TokenBatch(torch.full((4, 2), 40), ones)
    documents = TokenBatch(torch.full((4, 2), 40), mask)
    sentences = TokenBatch(torch.full((5, 2), 40), torch.ones(5, 2).bool())
    restored = torch.tensor([[-1.0, -2.0], [-7.0, -9.0], [-6.0, 0.0], [-8.0, 0.0]], requires_grad=True)
    for learned, rows in ((None, [0, 1, 2, 3]), (torch.tensor([True, False, True, False]), [0, 2])):
        inputs = AutoencoderInputs(
            tokens, tokens, tokens.ids[:, 0], tokens, documents, None, sentences, learned
        )
        zeros = torch.zeros(4, 2, requires_grad=True)
        outputs = AutoencoderOutputs(zeros, None, restored, *torch.zeros(2, 5, 2))
        sampled = Sampled(inputs, ["a"] * 4, torch.ones(4), 2, 1, [set(), set()])
        loss, metrics = step.losses(sampled, outputs, step=0)
        count = int(mask[rows].sum())
        assert metrics["loss/reconstructor"] == pytest.approx(-restored[rows].sum().item() / count)
        (gradient,) = torch.autograd.grad(loss, restored)
        expected = torch.zeros(4, 2)
        expected[rows] = -mask[rows].float() / count
        torch.testing.assert_close(gradient, expected)


def test_what_a_line_of_metrics_says_of_the_summaries(step, config, small_vocabulary):
    step.reference = NoReference()
    end = small_vocabulary.end
    ids = torch.tensor([[40, 41, end], [42, 43, 44]])
    summaries = TokenBatch(ids, torch.ones(2, 3, dtype=torch.bool))
    config.adversarial.samples = 2
    log_probabilities = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]])
    outputs = AutoencoderOutputs(log_probabilities, None, torch.full((2, 3), -1.0), *torch.zeros(2, 3, 3))
    inputs = AutoencoderInputs(summaries, summaries, ids[:, 0], summaries, summaries, None,
                               TokenBatch(torch.cat([ids[:1], ids]), torch.ones(3, 3).bool()))  # fmt: skip
    texts = ["the fog", "fog fog in town"]
    sampled = Sampled(inputs, texts, torch.tensor([3, 3]), 2, 1, [{"fog", "town"}])
    _, metrics = step.losses(sampled, outputs, step=0)
    expected = {
        "summary/words": 3.0,
        "summary/unfinished": 0.5,
        "summary/length_error": 1.0,
        "summary/copied": (1 / 2 + 3 / 4) / 2,
        "summary/repetitive": 0.5,
        "policy/entropy": 3.5,
        "policy/kl": -3.5,
        "reward/kl": 3.5,
        "reward/length": (-1.0 - 4.0) / 2,
        "discriminator/accuracy": 0.5,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
