"""What a rollout carries for the rewards: documents, similarities, log-probabilities given nothing."""

import math

import pytest
import torch

from textae.config import RewardConfig
from textae.data.batches import pad_rows
from textae.models.sentence_encoder import SentenceEncoder
from textae.training.rewards import REWARDS
from textae.training.topic import TopicEmbeddings


@pytest.mark.parametrize("baseline", ["leave_one_out", "self_critical", "batch_mean"])
def test_reconstruction_relative_to_an_empty_summary(
    step, config, model, documents, human, small_vocabulary, baseline
):
    """Each document's own log-probability given nothing is taken away, and read once a document."""
    for reward in vars(config.adversarial.rewards).values():
        reward.weight = 0.0
    config.adversarial.rewards.reconstruction = RewardConfig(weight=1.0, normalize=False)
    config.adversarial.baseline = baseline
    plain = step.sample(model, 7, range(4), documents, human)
    config.adversarial.relative_reconstruction = True
    read = []
    original = model.reconstructor.read
    model.reconstructor.read = lambda source: read.append(len(source.ids)) or original(source)
    sampled = step.sample(model, 7, range(4), documents, human)
    del model.reconstructor.read
    assert read == [4]
    assert sampled.texts == plain.texts and plain.empty is None

    expected = []
    with torch.no_grad():
        for document in documents:
            source = model.reconstructor.read(pad_rows([[small_vocabulary.end]], small_vocabulary.pad))
            target = pad_rows([[*document.ids, small_vocabulary.end]], small_vocabulary.pad)
            nats = model.reconstructor.log_probabilities(source, target)[0]
            expected.append(nats.mean().item())
        outputs = model(sampled.inputs)
    without = step.rollout(plain, outputs)
    rollout = step.rollout(sampled, outputs)
    group = sampled.group
    taken = torch.tensor(expected).repeat_interleave(group)
    raw = REWARDS["reconstruction"](without)
    relative = REWARDS["reconstruction"](rollout)
    torch.testing.assert_close(relative, raw - taken, atol=1e-5, rtol=0)
    assert taken.std() > 1e-3  # documents differ

    before, _ = step.advantages(without, group)
    after, metrics = step.advantages(rollout, group)
    mask = rollout.summaries.mask
    if baseline == "batch_mean":
        shift = (taken - taken.mean())[:, None] * mask
        torch.testing.assert_close(after, before - shift, atol=1e-5, rtol=0)
    else:
        torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    judged = torch.arange(len(relative)) % group < config.adversarial.samples
    assert metrics["reward/reconstruction"] == pytest.approx(relative[judged].mean().item(), abs=1e-5)


@pytest.mark.parametrize("baseline", ["leave_one_out", "self_critical"])
def test_documents_stand_beside_their_summaries(step, config, model, documents, human, baseline):
    config.adversarial.baseline = baseline
    sampled = step.sample(model, 7, range(1, 3), documents, human)
    rollout = step.rollout(sampled, model(sampled.inputs))
    assert rollout.documents == [documents[1].text] * sampled.group + [documents[2].text] * sampled.group
    assert len(rollout.documents) == len(rollout.texts)


def test_similarities_are_left_out_where_they_are_not_paid_for(step, model, sampled):
    rollout = step.rollout(sampled, model(sampled.inputs))
    for similarity in (rollout.topic_similarity, rollout.encoder_similarity):
        assert similarity.tolist() == [0.0] * 12


def test_topic_similarity_of_a_rollout(step, model, sampled, small_vocabulary, documents):
    texts = [document.text for document in documents]
    step.reward_models.topic = learned = TopicEmbeddings.learn(small_vocabulary, texts, 40)
    rollout = step.rollout(sampled, model(sampled.inputs))

    def point(ids):
        return sum(learned.weights[token] * learned.embeddings[token] for token in ids)

    expected = []
    for row, tokens in enumerate(rollout.summaries.rows()):
        summary, document = point(tokens), point(documents[row // 3].ids)
        expected.append(float(summary @ document / summary.norm() / document.norm()))
    torch.testing.assert_close(rollout.topic_similarity, torch.tensor(expected), atol=1e-4, rtol=0)
    assert rollout.topic_similarity.std() > 1e-3


class Counting(SentenceEncoder):
    """Embeds a text as the counts of three letters, and remembers how many texts it was given."""

    def __init__(self):
        self.given = []

    def embed(self, texts):
        self.given.append(len(texts))
        return torch.tensor([[float(text.count(letter)) for letter in "aeo"] for text in texts])


def test_encoder_similarity_of_a_rollout_embeds_each_document_once(step, model, sampled, documents):
    step.reward_models.encoder = Counting()
    rollout = step.rollout(sampled, model(sampled.inputs))
    assert sorted(step.reward_models.encoder.given) == [4, 12]
    for row, text in enumerate(rollout.texts):
        first = [text.count(letter) for letter in "aeo"]
        second = [documents[row // 3].text.count(letter) for letter in "aeo"]
        product = sum(one * other for one, other in zip(first, second, strict=True))
        length = math.hypot(*first) * math.hypot(*second)
        expected = product / length if length else 0.0
        assert rollout.encoder_similarity[row].item() == pytest.approx(expected, abs=1e-5)
