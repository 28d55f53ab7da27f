"""Lengths of the adversarial phase's summaries, and the sentences that stand beside them."""

import logging
from collections import Counter

from textae.data.words import count_words
from textae.model_config import LengthConfig
from textae.training.lengths import (
    human_lengths,
    matching_sentences,
    uniform_lengths,
    unlearned_lengths,
)
from textae.training.run import train

LIMITS = LengthConfig(minimum_words=4, maximum_words=6)


def test_lengths_of_sentences_are_brought_within_bounds():
    assert human_lengths([3, 4, 6, 9], LIMITS) == [4, 4, 6, 6]


def test_lengths_are_drawn_evenly():
    drawn = Counter(uniform_lengths(3000, LIMITS, "seed"))
    assert set(drawn) == {4, 5, 6}
    assert min(drawn.values()) > 900  # 1000 are expected, with a deviation of 26


def test_each_length_gets_the_nearest_sentence_the_least_taken_first():
    #        wanted        sentences of       0  1  2  3
    assert matching_sentences([4, 4, 4, 9], [4, 7, 4, 8]) == [0, 2, 0, 3]
    assert matching_sentences([6, 5], [4, 8]) == [0, 0]  # 6 is as far from both: the first
    assert matching_sentences([6, 6, 6], [4, 8]) == [0, 1, 0]


def test_uniform_lengths_and_their_sentences(step, model, config, sampled, documents, human):
    config.adversarial.length_sampling = "uniform"
    config.length.minimum_words, config.length.maximum_words = 3, 6
    whole = step.sample(model, 7, range(4), documents, human)
    wanted = uniform_lengths(4, config.length, f"lengths {config.run.seed} 7")
    assert whole.wanted_words[::3].tolist() == wanted
    assert len(set(wanted)) > 1
    assert whole.inputs.hints.tolist() == [model.vocabulary.hint(c) for c in wanted for _ in range(3)]
    # The batch has one sentence of each length from 3 to 6.
    real = model.vocabulary.decode(whole.inputs.sentences.rows()[: whole.real])
    assert [count_words(text) for text in real] == wanted
    assert whole.texts != sampled.texts
    parts = [step.sample(model, 7, rows, documents, human) for rows in (range(0, 1), range(1, 4))]
    assert whole.texts == parts[0].texts + parts[1].texts
    assert whole.wanted_words.tolist() == [w for part in parts for w in part.wanted_words.tolist()]
    rows = [row for part in parts for row in part.inputs.sentences.rows()[: part.real]]
    assert whole.inputs.sentences.rows()[:4] == rows
    assert step.sample(model, 8, range(4), documents, human).wanted_words.tolist() != wanted


def test_lengths_that_warmup_never_shows_are_found(config, small_vocabulary):
    config.length.minimum_words, config.length.maximum_words = 1, 4
    texts = ["goats", "fog delays", "the fog delays ferry"]
    assert unlearned_lengths(config, small_vocabulary, texts) == [3]
    config.data.max_human_tokens = 3
    assert unlearned_lengths(config, small_vocabulary, texts)[-1] == 4  # that sentence is left out
    config.warmup.pseudo_summary_share = 0.1  # first words of documents are of all lengths
    assert unlearned_lengths(config, small_vocabulary, texts) == []


def test_training_warns_of_them_and_runs(tmp_path, make_config):
    sections = {
        "length": {"minimum_words": 1, "maximum_words": 6},
        "warmup": {"steps": 1},
        "adversarial": {"steps": 2, "length_sampling": "uniform"},
        "data": {"valid": []},
    }
    train(make_config(tmp_path / "run", **sections))
    log = (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
    assert "No human sentence has 1, 2" in log and "warmup.pseudo_summary_share" in log
    logging.getLogger("textae").handlers.clear()
