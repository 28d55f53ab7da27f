"""Batches and losses of the warm-up."""

import math
import random

import pytest
import torch

from textae.data.batches import TokenBatch
from textae.data.words import split_words
from textae.models.inputs import AutoencoderInputs, AutoencoderOutputs
from textae.training.denoising import NoisySentences
from textae.training.warmup import (
    WarmupBatches,
    WordWeights,
    discriminator_loss,
    ending_loss,
    language_loss,
    pseudo_summary,
    salient_words,
    token_weights,
    warmup_losses,
)

CPU = torch.device("cpu")
WEIGHTS = WordWeights({"the": 0.1, "ferry": 2.0, "fog": 3.0, "late": 2.0}, unseen=4.0)


def log_sigmoid(score):
    return -math.log(1 + math.exp(-score))


def test_rare_words_weigh_more_and_unseen_ones_most():
    weights = WordWeights.from_texts(["the fog the fog", "the ferry", "the mill"])
    assert weights["the"] == pytest.approx(math.log(4 / 3.5))
    assert weights["fog"] == pytest.approx(math.log(4 / 1.5))  # one text, however often it stands there
    assert weights["goat"] == pytest.approx(math.log(8))


def test_salient_words_keep_their_order_and_the_earlier_of_equals():
    words = ["the", "ferry", "the", "late", "fog", "goat"]
    assert salient_words(words, 2, WEIGHTS) == ["fog", "goat"]
    assert salient_words(words, 3, WEIGHTS) == ["ferry", "fog", "goat"]
    assert salient_words(words, 9, WEIGHTS) == words


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(0.0, "the ferry"), (0.5, "late fog"), (0.9, "fog goat")],
    ids=["lead", "stretch", "salient"],
)
def test_a_pseudo_summary_is_the_lead_a_stretch_or_the_salient_words(kind, expected):
    generator = random.Random(0)
    generator.random = lambda: kind
    generator.randint = lambda least, most: most - 1
    words = ["the", "ferry", "the", "late", "fog", "goat"]
    assert pseudo_summary(words, 2, WEIGHTS, generator) == expected.split()


def test_a_document_shorter_than_the_summary_is_taken_whole():
    for seed in range(6):
        assert pseudo_summary(["fog"], 5, WEIGHTS, random.Random(seed)) == ["fog"]


@pytest.fixture
def batches(config, small_vocabulary, documents):
    weights = WordWeights.from_texts([d.text for d in documents])
    return WarmupBatches(config, small_vocabulary, weights, NoisySentences(config.noise, None))


def test_a_batch_does_not_depend_on_how_many_processes_share_it(batches, documents, human):
    whole = batches.make(3, range(0, 4), documents, human, CPU)
    parts = [batches.make(3, rows, documents, human, CPU) for rows in (range(0, 2), range(2, 4))]
    for name in ("encoder_source", "encoder_target", "reconstructor_source", "reconstructor_target"):
        assert getattr(whole, name).rows() == [row for part in parts for row in getattr(part, name).rows()]
    assert whole.hints.tolist() == [hint for part in parts for hint in part.hints.tolist()]
    sentences = whole.sentences.rows()
    assert sentences[:4] == [row for part in parts for row in part.sentences.rows()[:2]]
    assert sentences[4:] == [row for part in parts for row in part.sentences.rows()[2:]]
    inputs = whole.reconstructor_inputs
    for part, first in zip(parts, (0, 2), strict=True):
        width = part.reconstructor_inputs.shape[1]
        kept = part.reconstructor_target.mask
        assert torch.equal(inputs[first : first + 2, :width][kept], part.reconstructor_inputs[kept])


def test_the_reconstructor_may_learn_from_some_documents_only(batches, config, documents, human):
    whole = batches.make(3, range(4), documents, human, CPU)
    config.warmup.reconstructor_every = 2
    half = batches.make(3, range(4), documents, human, CPU)
    for name in ("encoder_source", "encoder_target", "sentences"):
        assert getattr(half, name).rows() == getattr(whole, name).rows()
    for name in ("reconstructor_source", "reconstructor_target"):
        assert getattr(half, name).rows() == getattr(whole, name).rows()[::2]
    kept, width = half.reconstructor_target.mask, half.reconstructor_target.ids.shape[1]
    assert torch.equal(half.reconstructor_inputs[kept], whole.reconstructor_inputs[::2, :width][kept])
    # On two processes the same two documents; a process that would have none takes its first.
    parts = [batches.make(3, rows, documents, human, CPU) for rows in (range(0, 2), range(2, 4))]
    assert [row for part in parts for row in part.reconstructor_target.rows()] == (
        half.reconstructor_target.rows()
    )
    alone = batches.make(3, range(1, 2), documents, human, CPU)
    assert alone.reconstructor_target.rows() == whole.reconstructor_target.rows()[1:2]


def test_another_step_is_another_batch(batches, documents, human):
    first, second = (batches.make(step, range(4), documents, human, CPU) for step in (3, 4))
    assert first.encoder_source.rows() != second.encoder_source.rows()
    assert not torch.equal(first.reconstructor_inputs, second.reconstructor_inputs)


def test_without_pseudo_summaries_every_target_is_the_human_sentence(
    batches, config, small_vocabulary, documents, human
):
    config.warmup.pseudo_summary_share = 0.0
    inputs = batches.make(0, range(4), documents, human, CPU)
    assert inputs.encoder_target.rows() == [[*example.ids, small_vocabulary.end] for example in human]
    assert inputs.hints.tolist() == [small_vocabulary.hint(len(e.text.split())) for e in human]
    read = small_vocabulary.decode(inputs.encoder_source.rows())
    for text, example, other in zip(read, human, [*documents[1:], documents[0]], strict=True):
        foreign = set(text.split()) - set(example.text.split())
        assert foreign and foreign <= set(other.text.split())


def test_with_pseudo_summaries_alone_every_target_is_the_documents_lead(
    batches, config, small_vocabulary, documents, human
):
    config.warmup.pseudo_summary_share = 1.0
    inputs = batches.make(0, range(4), documents, human, CPU)
    sources = small_vocabulary.decode(inputs.encoder_source.rows())
    targets = small_vocabulary.decode(inputs.encoder_target.rows())
    for source, target, document, hint in zip(sources, targets, documents, inputs.hints, strict=True):
        assert document.text.startswith(source) or source == document.text
        assert document.text.startswith(target)
        assert 4 <= len(target.split()) <= 5
        assert hint == small_vocabulary.hint(len(target.split()))


def test_the_reconstructor_reads_words_of_its_own_document(batches, small_vocabulary, documents, human):
    inputs = batches.make(5, range(4), documents, human, CPU)
    codes = small_vocabulary.decode(inputs.reconstructor_source.rows())
    assert inputs.reconstructor_target.rows() == [[*d.ids, small_vocabulary.end] for d in documents]
    for code, document in zip(codes, documents, strict=True):
        assert 4 <= len(code.split()) <= 5
        assert set(code.split()) <= set(document.text.split())


@pytest.mark.parametrize(("rate", "least", "most"), [(0.0, 0.0, 0.0), (0.3, 0.2, 0.4), (0.99, 0.95, 1.0)])
def test_words_are_masked_in_the_reconstructors_inputs_only(
    batches, config, small_vocabulary, documents, human, rate, least, most
):
    config.noise.reconstructor_word_dropout = rate
    inputs = batches.make(5, range(4), documents, human, CPU)
    target, given = inputs.reconstructor_target, inputs.reconstructor_inputs
    masked = given == small_vocabulary.mask
    assert not (masked & ~target.mask).any()
    assert torch.equal(given[~masked], target.ids[~masked])
    assert least <= masked[target.mask].float().mean() <= most


def test_the_discriminator_sees_human_sentences_first_and_as_many_others(
    batches, small_vocabulary, documents, human
):
    sentences = batches.make(1, range(4), documents, human, CPU).sentences.rows()
    assert sentences[:4] == [[*example.ids, small_vocabulary.end] for example in human]
    assert len(sentences) == 8
    for row, document, example in zip(sentences[4:], documents, human, strict=True):
        words = set(split_words(small_vocabulary.decode([row])[0]))
        assert words <= set(document.text.split()) or words <= set(example.text.split())


def batch(mask):
    mask = torch.tensor(mask, dtype=torch.bool)
    return TokenBatch(mask.long(), mask)


@pytest.fixture
def inputs():
    return AutoencoderInputs(
        encoder_source=batch([[1]]),
        encoder_target=batch([[1, 1], [1, 0]]),
        hints=torch.tensor([0, 0]),
        reconstructor_source=batch([[1]]),
        reconstructor_target=batch([[1, 1, 1], [1, 0, 0]]),
        reconstructor_inputs=None,
        sentences=batch([[1, 1], [1, 0]]),
    )


def outputs(smooth=None):
    return AutoencoderOutputs(
        summary_log_probabilities=torch.tensor([[-1.0, -2.0], [-6.0, 0.0]], requires_grad=True),
        summary_mean_log_probabilities=smooth,
        document_log_probabilities=torch.tensor([[-1.0, -1.0, -2.0], [-4.0, 0.0, 0.0]], requires_grad=True),
        scores=torch.tensor([[1.0, -1.0], [2.0, 50.0]], requires_grad=True),
        endings=torch.tensor([[0.5, 70.0], [60.0, 50.0]], requires_grad=True),
    )


def test_warmup_losses_by_hand(inputs, reduce):
    given = outputs()
    loss, metrics = warmup_losses(inputs, given, 0.0, reduce)
    discriminator = 0.5 * -(log_sigmoid(1.0) + log_sigmoid(-1.0)) / 2 + 0.5 * -log_sigmoid(-2.0)
    assert metrics == pytest.approx(
        {
            "loss/encoder": 3.0,  # 9 nats over 3 tokens
            "loss/reconstructor": 2.0,  # 8 over 4
            "loss/discriminator": discriminator,
            "loss/ending": -log_sigmoid(0.5),  # the first sentence is a word and the end token
            "discriminator/accuracy": 0.5 * 0.5 + 0.5 * 0.0,
        }
    )
    assert loss.item() == pytest.approx(3.0 + 2.0 + discriminator - log_sigmoid(0.5))
    loss.backward()
    assert given.summary_log_probabilities.grad[0].tolist() == pytest.approx([-1 / 3, -1 / 3])
    assert given.document_log_probabilities.grad[1, 0].item() == -0.25
    assert given.scores.grad[1, 1].item() == 0.0  # padding, however wild the score there


def test_label_smoothing_mixes_in_the_mean_over_the_vocabulary_but_the_metric_stays_plain(inputs, reduce):
    smooth = torch.tensor([[-5.0, -5.0], [-8.0, 0.0]])
    plain, _ = warmup_losses(inputs, outputs(), 0.0, reduce)
    loss, metrics = warmup_losses(inputs, outputs(smooth), 0.1, reduce)
    assert loss.item() - plain.item() == pytest.approx(0.9 * 3.0 + 0.1 * 6.0 - 3.0, abs=1e-6)
    assert metrics["loss/encoder"] == pytest.approx(3.0)


def test_ends_are_learned_from_human_sentences_before_their_end_tokens(reduce):
    endings = torch.tensor([[-1.0, 2.0, 9.0, 9.0], [0.5, -0.5, 1.5, 9.0], [9.0] * 4], requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]], dtype=torch.bool)
    loss = ending_loss(endings, mask, 2, reduce)
    # Two words, of which the second is the last, and three.
    wanted = [log_sigmoid(1.0), log_sigmoid(2.0), log_sigmoid(-0.5), log_sigmoid(0.5), log_sigmoid(1.5)]
    assert loss.item() == pytest.approx(-sum(wanted) / 5)
    loss.backward()
    assert (endings.grad != 0).tolist() == [
        [True, True, False, False],
        [True, True, True, False],
        [False] * 4,
    ]


def test_both_kinds_of_sentences_count_the_same_however_many_tokens_they_have(reduce):
    scores = torch.tensor([[0.0, 9.0, 9.0], [-3.0, -3.0, -3.0], [-3.0, -3.0, -3.0]])
    mask = torch.tensor([[1, 0, 0], [1, 1, 1], [1, 1, 1]], dtype=torch.bool)
    loss, accuracy = discriminator_loss(scores, mask, 1, 1.0, reduce)
    assert loss.item() == pytest.approx(0.5 * math.log(2) + 0.5 * -log_sigmoid(3.0))
    assert accuracy == pytest.approx(0.5 * 0.0 + 0.5 * 1.0)  # a score of 0 is no "human"


def test_one_sided_smoothing_changes_the_target_of_human_sentences_only(reduce):
    scores, mask = torch.tensor([[2.0], [-1.0]]), torch.ones(2, 1, dtype=torch.bool)
    loss, accuracy = discriminator_loss(scores, mask, 1, 0.9, reduce)
    human = -(0.9 * log_sigmoid(2.0) + 0.1 * log_sigmoid(-2.0))
    assert loss.item() == pytest.approx(0.5 * human + 0.5 * -log_sigmoid(1.0))
    assert accuracy == 1.0


def test_a_batch_whose_networks_smooth_says_so(batches, config, documents, human):
    assert batches.make(0, range(2), documents, human, CPU).smoothing
    config.warmup.label_smoothing = 0.0
    assert not batches.make(0, range(2), documents, human, CPU).smoothing


def test_tokens_of_many_texts_weigh_less_and_running_text_weighs_one_on_average(small_vocabulary):
    texts = ["the rain", "the sun", "the the fog"]
    weights = token_weights(small_vocabulary, texts)
    ids = [token for row in small_vocabulary.encode(texts) for token in row]
    assert weights[ids].mean().item() == pytest.approx(1.0)
    the = small_vocabulary.encode(["the"])[0][0]
    seldom = [token for token in ids if ids.count(token) == 1]
    # log(4 / 3) in each of the three texts, log(4 / 1) in one
    ratio = math.log(4 / 3) / math.log(4)
    assert weights[the].item() == pytest.approx(ratio * weights[seldom[0]].item(), rel=1e-5)
    assert weights[small_vocabulary.special].abs().sum() == 0


def test_the_language_model_s_loss_is_a_mean_over_human_tokens(inputs, reduce):
    mask = torch.tensor([[True, True], [True, False]])
    log_probabilities = torch.tensor([[-1.0, -2.0], [-6.0, 0.0]], requires_grad=True)
    assert language_loss(log_probabilities, mask, reduce).item() == pytest.approx(9 / 3)
    without = warmup_losses(inputs, outputs(), 0.0, reduce)
    given = outputs()
    given.human_log_probabilities = torch.tensor([[-5.0, -2.0]])  # two tokens of the one human sentence
    total, metrics = warmup_losses(inputs, given, 0.0, reduce)
    assert metrics["loss/language"] == pytest.approx(3.5)
    assert "loss/language" not in without[1]
    assert total.item() == pytest.approx(without[0].item() + 3.5)
