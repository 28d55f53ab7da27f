"""Samples of the adversarial step: their order, lengths and random numbers, and the greedy rows."""

import torch

from textae.data.batches import TokenBatch
from textae.model_config import DiscriminatorConfig
from textae.models.discriminator import Discriminator
from textae.training.adversarial import join_rows


def test_samples_of_a_document_lie_side_by_side_with_all_that_belongs_to_them(
    step, sampled, small_vocabulary, documents, human
):
    inputs, end = sampled.inputs, small_vocabulary.end
    assert (sampled.group, sampled.real, len(sampled.texts)) == (3, 4, 12)
    sources = inputs.encoder_source.rows()
    assert sources == [small_vocabulary.as_source(document.ids) for document in documents]
    assert inputs.reconstructor_target.rows() == [[*d.ids, end] for d in documents for _ in range(3)]
    summaries = inputs.encoder_target.rows()
    assert sampled.texts == small_vocabulary.decode(summaries)
    sentences = inputs.sentences.rows()
    assert sentences[:4] == [[*example.ids, end] for example in human]
    assert sentences[4:] == summaries
    for row, code in zip(summaries, inputs.reconstructor_source.rows(), strict=True):
        bare = row[:-1] if row[-1] == end else row
        assert end not in bare and len(row) <= 8
        assert code == small_vocabulary.as_source(bare)
    assert sampled.document_words == [set(d.text.split()) for d in documents]
    assert inputs.reconstructor_inputs is None and not inputs.smoothing


def test_a_document_is_asked_for_the_length_of_its_human_sentence_within_bounds(
    sampled, small_vocabulary, human
):
    assert [len(example.text.split()) for example in human] == [4, 5, 6, 3]
    wanted = [4, 5, 5, 4]
    assert sampled.wanted_words.tolist() == [count for count in wanted for _ in range(3)]
    assert sampled.inputs.hints.tolist() == [small_vocabulary.hint(c) for c in wanted for _ in range(3)]


def test_samples_do_not_depend_on_the_number_of_processes(step, model, sampled, documents, human):
    parts = [step.sample(model, 7, rows, documents, human) for rows in (range(0, 2), range(2, 4))]
    assert sampled.texts == parts[0].texts + parts[1].texts
    rows = [row for part in parts for row in part.inputs.encoder_target.rows()]
    assert sampled.inputs.encoder_target.rows() == rows
    assert len(set(sampled.texts)) > 4  # and they differ from one another


def test_the_reconstructor_learns_from_so_many_samples_of_each_document(
    step, model, config, sampled, documents, human
):
    assert sampled.inputs.reconstructor_learned is None
    config.adversarial.reconstructor_samples = 3
    assert step.sample(model, 7, range(4), documents, human).inputs.reconstructor_learned is None
    config.adversarial.reconstructor_samples = 2
    learned = step.sample(model, 7, range(4), documents, human).inputs.reconstructor_learned
    assert learned.tolist() == [True, True, False] * 4
    config.adversarial.baseline = "self_critical"  # a fourth row, the greedy summary
    learned = step.sample(model, 7, range(4), documents, human).inputs.reconstructor_learned
    assert learned.tolist() == [True, True, False, False] * 4


def test_samples_follow_from_seed_and_step(step, model, config, sampled, documents, human):
    torch.rand(5)  # the global generator has no part in it
    assert step.sample(model, 7, range(4), documents, human).texts == sampled.texts
    assert step.sample(model, 8, range(4), documents, human).texts != sampled.texts
    config.run.seed = 1
    assert step.sample(model, 7, range(4), documents, human).texts != sampled.texts


def test_self_critical_puts_the_greedy_summary_behind_the_samples(
    step, model, config, sampled, small_vocabulary, documents, human
):
    config.adversarial.baseline = "self_critical"
    with_greedy = step.sample(model, 7, range(4), documents, human)
    assert with_greedy.group == 4
    rows = with_greedy.inputs.encoder_target.rows()
    samples = [row for i, row in enumerate(rows) if i % 4 != 3]
    assert samples == sampled.inputs.encoder_target.rows()
    wanted = with_greedy.wanted_words[::4].tolist()
    for document, words, row in zip(documents, wanted, rows[3::4], strict=True):
        model.config.length.summary_words = words  # asked for, but not held to
        (text,) = model.summarize([document.text], no_repeat_ngram_size=0, whole_words=False)
        # The model may write three times the wanted words; training stops at maximum_tokens.
        assert text.startswith(small_vocabulary.decode([row])[0])


def test_a_greedy_summary_that_ends_has_its_end_token(
    step, model, config, small_vocabulary, documents, human, monkeypatch
):
    config.adversarial.baseline = "self_critical"
    config.length.maximum_tokens = 3
    rows = [[7], [7, 8, 9], [9, 9], [8]]
    monkeypatch.setattr("textae.training.adversarial.decode", lambda *arguments: rows)
    sampled = step.sample(model, 7, range(4), documents, human)
    end = small_vocabulary.end
    assert sampled.inputs.encoder_target.rows()[3::4] == [[7, end], [7, 8, 9], [9, 9, end], [8, end]]


def test_join_rows_pads_to_the_longer():
    first = TokenBatch(torch.tensor([[5]]), torch.tensor([[True]]))
    second = TokenBatch(torch.tensor([[6, 7, 9]]), torch.tensor([[True, True, False]]))
    joined = join_rows(first, second, pad=9)
    assert joined.ids.tolist() == [[5, 9, 9], [6, 7, 9]]
    assert joined.mask.tolist() == [[True, False, False], [True, True, False]]
    assert join_rows(second, first, pad=9).ids.tolist() == [[6, 7, 9], [5, 9, 9]]


def test_fluency_is_asked_of_the_reader_without_dropout_where_it_is_paid_for(
    step, config, model, small_vocabulary, documents, human
):
    rows = range(len(documents))
    assert step.sample(model, 7, rows, documents, human).fluency is None
    config.adversarial.rewards.fluency.weight = 0.5
    assert step.sample(model, 7, rows, documents, human).fluency is None  # no language model
    reader = DiscriminatorConfig(width=8, dropout=0.5, language_model=True)
    model.discriminator = Discriminator(reader, len(small_vocabulary), 96).train()
    sampled = step.sample(model, 7, rows, documents, human)
    assert model.discriminator.training
    expected = model.discriminator.eval().fluency(sampled.inputs.encoder_target)
    assert torch.equal(sampled.fluency, expected) and expected.any()
