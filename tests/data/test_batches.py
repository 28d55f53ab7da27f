import json
import random
from collections import Counter
from itertools import islice

import datasets
import pytest
import torch

from textae.data.batches import NOTHING_LEFT, BatchStream, Example, TokenBatch, cut_batches, pad_rows
from textae.errors import InputError

ALPHABET = ["heron", "lock", "ossel", "barges", "snow", "lake", "baker"]
TEXT = {"text": datasets.Value("string")}


def make_texts(count: int, longest: int = 12) -> list[str]:
    """Different texts of 1 to ``longest`` words and a number."""
    generator = random.Random(4)
    return [
        " ".join([str(i), *generator.choices(ALPHABET, k=generator.randint(0, longest - 1))])
        for i in range(count)
    ]


def dataset(texts: list[str], streaming: bool) -> datasets.Dataset | datasets.IterableDataset:
    held = datasets.Dataset.from_dict({"text": texts})
    return held.to_iterable_dataset() if streaming else held


def make_stream(texts, vocabulary, streaming=False, **values) -> BatchStream:
    settings = {"batch_size": 8, "max_tokens": 100, "seed": 3, "pool_batches": 4}
    return BatchStream(dataset(texts, streaming), vocabulary, **{**settings, **values})


def texts_of(batches) -> list[list[str]]:
    return [[example.text for example in batch] for batch in batches]


def examples(*lengths: int) -> list[Example]:
    return [Example(str(length), [7] * length) for length in lengths]


def lengths_of(batches) -> list[list[int]]:
    return [[len(example.ids) for example in batch] for batch in batches]


# Padding ---------------------------------------------------------------------------------------------


def test_rows_are_padded_on_the_right_and_come_back():
    batch = pad_rows([[5, 6, 7], [], [0]], 0)
    assert batch.ids.tolist() == [[5, 6, 7], [0, 0, 0], [0, 0, 0]]
    assert batch.ids.dtype == torch.long
    assert batch.mask.tolist() == [[True] * 3, [False] * 3, [True, False, False]]
    assert batch.rows() == [[5, 6, 7], [], [0]]


def test_padding_of_nothing_is_one_column_wide():
    assert pad_rows([[]], 9).ids.tolist() == [[9]]
    assert pad_rows([[]], 9).mask.tolist() == [[False]]


def test_copies_stand_side_by_side():
    batch = pad_rows([[1, 2], [3]], 0, torch.device("cpu")).repeat(2)
    assert batch.rows() == [[1, 2], [1, 2], [3], [3]]


def test_moving_a_batch_moves_ids_and_mask():
    moved = TokenBatch(torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3).bool()).to(torch.device("meta"))
    assert (moved.ids.device.type, moved.mask.device.type) == ("meta", "meta")


# Cutting ---------------------------------------------------------------------------------------------


def test_both_limits_are_kept():
    batches = list(cut_batches(examples(1, 2, 2, 3, 4, 4, 5, 9), 3, 10))
    # 3 of length at most 2 fill the size; 3 * 4 tokens would pass 10; so would 2 * 9.
    assert lengths_of(batches) == [[1, 2, 2], [3, 4], [4, 5], [9]]


def test_a_text_over_the_budget_has_a_batch_of_its_own():
    assert lengths_of(cut_batches(examples(3, 12, 13), 4, 10)) == [[3], [12], [13]]
    assert lengths_of(cut_batches(examples(12), 4, 10)) == [[12]]


def test_without_a_budget_only_the_size_counts():
    assert lengths_of(cut_batches(examples(1, 50, 60), 2, None)) == [[1, 50], [60]]
    assert list(cut_batches([], 2, None)) == []


# The stream ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [False, True])
def test_limits_hold_in_the_stream(streaming, tiny_vocabulary):
    stream = make_stream(make_texts(100), tiny_vocabulary, streaming, tokens_per_batch=60, max_tokens=30)
    sizes = Counter()
    for batch in islice(stream, 60):
        longest = max(len(example.ids) for example in batch)
        assert longest <= 30
        assert len(batch) <= 8
        assert len(batch) == 1 or len(batch) * longest <= 60
        sizes[len(batch)] += 1
        for example in batch:
            assert example.ids == tiny_vocabulary.encode([example.text], 30)[0]
    assert len(sizes) > 2


@pytest.mark.parametrize("streaming", [False, True])
def test_every_text_comes_once_an_epoch(streaming, tiny_vocabulary):
    texts = make_texts(64)
    stream = make_stream(texts, tiny_vocabulary, streaming)
    epochs = [[text for batch in texts_of(islice(stream, 8)) for text in batch] for _ in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == sorted(texts)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] != texts


@pytest.mark.parametrize("streaming", [False, True])
def test_pools_that_do_not_divide_the_corpus_lose_nothing(streaming, tiny_vocabulary):
    texts = make_texts(50)
    stream = make_stream(texts, tiny_vocabulary, streaming)
    seen = Counter(text for batch in texts_of(islice(stream, 100)) for text in batch)
    # 800 texts are 16 times 50.
    assert seen == Counter(texts * 16)


@pytest.mark.parametrize("streaming", [False, True])
def test_fewer_texts_than_a_batch_fill_it_by_coming_again(streaming, tiny_vocabulary):
    texts = make_texts(3)
    batches = texts_of(islice(make_stream(texts, tiny_vocabulary, streaming), 6))
    assert [len(batch) for batch in batches] == [8] * 6
    assert {text for batch in batches for text in batch} == set(texts)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_seed_decides_the_order(streaming, tiny_vocabulary):
    texts = make_texts(60)

    def first(seed):
        return texts_of(islice(make_stream(texts, tiny_vocabulary, streaming, seed=seed), 10))

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("position", [0, 1, 3, 4, 5, 7, 8, 17, 23])
def test_a_restored_stream_goes_on_exactly(streaming, position, tiny_vocabulary):
    # A pool is 4 batches or more, an epoch about 5: positions in, at the end of and after both.
    texts = make_texts(43)
    settings = {"streaming": streaming, "tokens_per_batch": 80}
    whole = texts_of(islice(make_stream(texts, tiny_vocabulary, **settings), position + 20))

    stream = make_stream(texts, tiny_vocabulary, **settings)
    list(islice(stream, position))
    state = json.loads(json.dumps(stream.state_dict()))
    resumed = make_stream(texts, tiny_vocabulary, **settings)
    resumed.load_state_dict(state)
    assert texts_of(islice(resumed, 6)) == whole[position : position + 6]
    # Taking the state changes nothing, and a second interruption is survived as well.
    assert texts_of(islice(stream, 20)) == whole[position:]
    again = make_stream(texts, tiny_vocabulary, **settings)
    again.load_state_dict(resumed.state_dict())
    assert texts_of(islice(again, 14)) == whole[position + 6 :]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_stream_can_be_sent_back(streaming, tiny_vocabulary):
    stream = make_stream(make_texts(43), tiny_vocabulary, streaming)
    start = stream.state_dict()
    first = texts_of(islice(stream, 15))
    stream.load_state_dict(start)
    assert texts_of(islice(stream, 15)) == first


def test_bucketing_reduces_padding(tiny_vocabulary):
    texts = make_texts(200, longest=30)

    def padding(pool_batches):
        stream = make_stream(texts, tiny_vocabulary, pool_batches=pool_batches)
        batches = [pad_rows([example.ids for example in batch], 0) for batch in islice(stream, 75)]
        return sum(int((~batch.mask).sum()) for batch in batches) / sum(b.mask.numel() for b in batches)

    assert padding(25) < 0.15 < 0.35 < padding(1)


def test_batches_of_a_pool_are_not_in_order_of_length(tiny_vocabulary):
    lengths = [
        len(batch[0].ids) for batch in islice(make_stream(make_texts(64), tiny_vocabulary, pool_batches=8), 8)
    ]
    assert lengths != sorted(lengths)


@pytest.mark.parametrize("streaming", [False, True])
def test_long_texts_are_cut_or_left_out(streaming, tiny_vocabulary):
    texts = make_texts(40)
    full = {text: row for text, row in zip(texts, tiny_vocabulary.encode(texts), strict=True)}
    short = {text for text, row in full.items() if len(row) <= 9}
    assert 0 < len(short) < 40
    cut = list(islice(make_stream(texts, tiny_vocabulary, streaming, max_tokens=9), 8))
    assert {example.text for batch in cut for example in batch} == set(texts)
    assert all(example.ids == full[example.text][:9] for batch in cut for example in batch)
    kept = islice(make_stream(texts, tiny_vocabulary, streaming, max_tokens=9, drop_long=True), 12)
    assert {text for batch in texts_of(kept) for text in batch} == short


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("texts", [[], ["", ""], ["heron " * 30]])
def test_nothing_left_is_an_error(streaming, texts, tiny_vocabulary):
    def rows():
        yield from ({"text": text} for text in texts)

    data = datasets.Dataset.from_dict({"text": texts}, datasets.Features(TEXT))
    if streaming:
        data = datasets.IterableDataset.from_generator(rows)
    with pytest.raises(InputError) as caught:
        next(BatchStream(data, tiny_vocabulary, batch_size=4, max_tokens=5, seed=0, drop_long=True))
    assert str(caught.value) == NOTHING_LEFT


def test_empty_texts_are_left_out(tiny_vocabulary):
    stream = make_stream(["", "heron", "", "lock"], tiny_vocabulary)
    assert {text for batch in texts_of(islice(stream, 2)) for text in batch} == {"heron", "lock"}


def test_a_stream_is_its_own_iterator(tiny_vocabulary):
    stream = make_stream(make_texts(20), tiny_vocabulary)
    assert iter(stream) is stream


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 2), (2, 5)])
def test_any_number_of_processes_sees_each_text_once(streaming, before, after, tiny_vocabulary):
    """Each takes its rows of one global batch; another number of them goes on in the middle of an epoch."""
    count, texts = 96, make_texts(96)

    def own(batch, index, processes):  # as Training.own_rows, for batches of at least a row for each
        return batch[len(batch) * index // processes : len(batch) * (index + 1) // processes]

    streams = [make_stream(texts, tiny_vocabulary, streaming) for _ in range(before)]
    seen = Counter()
    for _ in range(5):  # 40 of the 96
        for index, stream in enumerate(streams):
            seen.update(example.text for example in own(next(stream), index, before))
    state = streams[0].state_dict()
    assert all(stream.state_dict() == state for stream in streams)
    streams = [make_stream(texts, tiny_vocabulary, streaming) for _ in range(after)]
    for stream in streams:
        stream.load_state_dict(state)
    for _ in range(7):
        for index, stream in enumerate(streams):
            seen.update(example.text for example in own(next(stream), index, after))
    assert len(seen) == count and set(seen.values()) == {1}
