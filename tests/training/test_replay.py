"""The discriminator goes on learning from older samples; the rewards do not see them."""

import random
from types import SimpleNamespace

import pytest
import torch

from textae.training.reduce import Reduce
from textae.training.replay import Replay, without_rows
from textae.training.warmup import discriminator_loss


def filled(reduce, size=6, share=0.5):
    replay = Replay(size, share, 3, reduce)
    replay.memory = [[number] for number in range(size)]
    return replay


def test_older_samples_take_the_places_of_a_share_of_the_new_ones(reduce):
    older = filled(reduce).draw(7, range(8), 8)
    assert len(older) == 4  # half of eight
    assert set(older) <= set(range(8))
    assert len({tuple(row) for row in older.values()}) == 4  # none is drawn twice
    assert all(0 <= row[0] < 6 for row in older.values())
    assert older == filled(reduce).draw(7, range(8), 8)
    assert older != filled(reduce).draw(8, range(8), 8)


def test_processes_draw_together_what_one_draws(reduce):
    whole = filled(reduce).draw(7, range(8), 8)
    parts = {}
    for rows in (range(0, 3), range(3, 8)):
        parts |= {rows.start + row: summary for row, summary in filled(reduce).draw(7, rows, 8).items()}
    assert parts == whole


def test_a_memory_of_few_gives_only_those_and_an_empty_one_nothing(reduce):
    assert len(filled(reduce, size=2).draw(7, range(8), 8)) == 2
    assert filled(reduce, size=0).draw(7, range(8), 8) == {}


def test_a_full_memory_forgets_random_ones(reduce):
    replay = Replay(3, 0.5, 3, reduce)
    replay.add(0, [[0], [1]])
    assert replay.memory == [[0], [1]]
    replay.add(1, [[2], [3], [4]])
    generator = random.Random("replay 3 1 in")
    expected = [[0], [1], [2]]
    for number in (3, 4):
        expected[generator.randrange(3)] = [number]
    assert replay.memory == expected
    again = Replay(3, 0.5, 3, reduce)
    again.load_state_dict(replay.state_dict())
    assert again.draw(2, range(4), 4) == replay.draw(2, range(4), 4)


def test_without_a_memory_nothing_is_kept(reduce):
    replay = Replay(0, 0.5, 3, reduce)
    replay.add(0, [[1]])
    assert replay.state_dict() == []


def test_one_process_gathers_its_own_rows():
    assert Reduce(SimpleNamespace(num_processes=1)).gather([[1], [2]]) == [[1], [2]]


def test_rows_are_taken_out_of_a_mask():
    mask = torch.ones(3, 2, dtype=torch.bool)
    assert without_rows(mask, [1]).tolist() == [[True, True], [False, False], [True, True]]
    assert mask.all() and torch.equal(without_rows(mask, []), mask)


@pytest.fixture
def replaying(step, config):
    config.adversarial.replay_size = 5
    step.replay = Replay(5, 0.25, config.run.seed, step.reduce)
    step.replay.memory = [[40, 41, step.vocabulary.end], [50], [60, 61], [70], [80]]
    return step


def test_older_samples_stand_behind_the_new_ones(replaying, model, documents, human):
    sampled = replaying.sample(model, 7, range(4), documents, human)
    rows = sampled.inputs.sentences.rows()
    assert len(sampled.replaced) == 3 and len(rows) == 4 + 12 + 3  # a quarter of four times three
    known = [[40, 41, replaying.vocabulary.end], [50], [60, 61], [70], [80]]
    assert all(row in known for row in rows[16:])
    assert rows[4:16] == sampled.inputs.encoder_target.rows()
    # The first sample of each document is kept, in a memory of five in place of others.
    firsts = sampled.inputs.encoder_target.rows()[::3]
    assert all(row in firsts or row in known for row in replaying.replay.memory)
    assert sum(row in firsts for row in replaying.replay.memory) >= 1


def test_only_the_discriminator_s_loss_changes(replaying, model, documents, human):
    memory = list(replaying.replay.memory)
    sampled = replaying.sample(model, 7, range(4), documents, human)
    outputs = model(sampled.inputs)
    _, metrics = replaying.losses(sampled, outputs, step=0)

    replaying.config.adversarial.replay_size = 0
    replaying.replay.memory = []
    plain = replaying.sample(model, 7, range(4), documents, human)
    _, without = replaying.losses(plain, model(plain.inputs), step=0)
    assert memory and len(plain.inputs.sentences.rows()) == 16
    changed = {name for name in metrics if metrics[name] != pytest.approx(without[name], abs=1e-5)}
    assert changed == {"loss/discriminator"}

    learned = [row for row in range(19) if row - 4 not in sampled.replaced]
    expected, _ = discriminator_loss(
        outputs.scores[learned], sampled.inputs.sentences.mask[learned], 4, 0.9, replaying.reduce
    )
    assert metrics["loss/discriminator"] == pytest.approx(expected.item(), rel=1e-5)


def test_replaced_samples_give_the_discriminator_no_gradient(replaying, model, documents, human):
    sampled = replaying.sample(model, 7, range(4), documents, human)
    outputs = model(sampled.inputs)
    outputs.scores.retain_grad()
    replaying.losses(sampled, outputs, step=0)[0].backward()
    sizes = outputs.scores.grad.abs().sum(dim=1)
    assert {row - 4 for row in range(19) if sizes[row] == 0} == set(sampled.replaced)
