"""Pairs to learn from: what is kept of them, and in which rows and order they come."""

import pytest

from textae.data.corpus import Pair
from textae.data.pairs import PairExample, PairStream, pair_examples
from textae.data.tokenizer import train_tokenizer, vocabulary_of
from textae.errors import InputError


@pytest.fixture(scope="module")
def vocabulary():
    return vocabulary_of(train_tokenizer(["the fog came in the night"], 300))


def stream(counts, share=0.5, seed=0):
    """Documents of so many summaries each: the second summary of document 0 is ``0.1``."""
    return PairStream(
        [[PairExample(f"{n}", f"{n}.{k}", [n], [k]) for k in range(count)] for n, count in enumerate(counts)],
        share=share,
        seed=seed,
    )


def test_documents_are_cut_and_long_summaries_left_out(vocabulary, caplog):
    (short, long), (document,) = vocabulary.encode(["fog", "fog and fog"]), vocabulary.encode(["the night"])
    assert len(short) < len(long) and len(document) > 3
    pairs = [
        Pair("1", "the night", ["fog", "fog and fog"]),
        Pair("2", "the night", ["fog and fog"]),
        Pair("3", "the night", ["fog", "fog"]),
    ]
    examples = pair_examples(pairs, vocabulary, 3, len(short))
    kept = PairExample("the night", "fog", document[:3], short)
    assert examples == [[kept], [kept, kept]]
    assert "2 summaries of more than" in caplog.text


def test_no_usable_summary_is_an_error_and_no_pairs_are_none(vocabulary):
    with pytest.raises(InputError, match=r"no summary has at most data.max_human_tokens = 1 tokens; raise"):
        pair_examples([Pair(None, "the night", ["fog and fog"])], vocabulary, 9, 1)
    assert pair_examples([], vocabulary, 9, 1) == []


def test_a_share_of_the_rows_evenly_spread_gets_a_pair():
    for step in range(20):
        rows = sorted(stream([1] * 9, share=0.25).for_rows(step, 8))
        assert len(rows) == 2 and rows[1] - rows[0] == 4
    assert len(stream([1] * 9, share=1.0).for_rows(3, 8)) == 8
    assert stream([1] * 9, share=0.0).for_rows(3, 8) == stream([]).for_rows(3, 8) == {}


def test_batches_that_are_too_small_for_a_pair_get_one_now_and_then():
    counts = [len(stream([1] * 9, share=0.1).for_rows(step, 4)) for step in range(1000)]
    assert set(counts) == {0, 1}
    assert 350 < sum(counts) < 450  # 0.4 a batch


def test_every_epoch_has_every_document_once_in_an_order_of_its_own():
    pairs = stream([1] * 6, share=1.0)
    epochs = [[int(pair.document) for pair in pairs.for_rows(step, 6).values()] for step in range(3)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    again = [int(pair.document) for pair in stream([1] * 6, share=1.0).for_rows(0, 6).values()]
    assert again == epochs[0]


def test_the_summaries_of_a_document_take_turns():
    pairs = stream([2, 1], share=1.0)
    seen = [sorted(pair.summary for pair in pairs.for_rows(step, 2).values()) for step in range(3)]
    assert seen == [["0.0", "1.0"], ["0.1", "1.0"], ["0.0", "1.0"]]


def test_a_restored_stream_goes_on():
    first, second = stream([1] * 5), stream([1] * 5)
    for step in range(7):
        first.for_rows(step, 6)
    second.load_state_dict(first.state_dict())
    assert [first.for_rows(step, 6) for step in (7, 8)] == [second.for_rows(step, 6) for step in (7, 8)]
