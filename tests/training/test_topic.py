"""Embeddings learned on a corpus small enough to be worked out by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from textae.data.batches import TokenBatch, pad_rows
from textae.errors import InputError
from textae.training.topic import (
    TOPIC,
    TopicEmbeddings,
    embed,
    mutual_information,
    topic_embeddings,
)

CPU = torch.device("cpu")


def batch(*rows):
    return pad_rows([list(row) for row in rows], 0)


@pytest.fixture
def by_hand():
    """Tokens 1 and 2 point the same way, 3 across; 4 is a function word, 0 special."""
    embeddings = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    return TopicEmbeddings(embeddings, torch.tensor([0.0, 2.0, 1.0, 2.0, 0.0]))


@pytest.fixture
def texts(sentences):
    return sentences * 2


# Learning ----------------------------------------------------------------------------------------


def test_mutual_information_of_neighbours():
    # Pairs, both ways: 0 1 twice, 0 2 once; of 6 in all, 0 has 3, 1 has 2, 2 has 1.
    matrix = mutual_information([[0, 1], [1, 0], [0, 2]], 4, window=1).to_dense()
    first, second = math.log(2 * 6 / (3 * 2)), math.log(1 * 6 / (3 * 1))
    expected = [[0, first, second, 0], [first, 0, 0, 0], [second, 0, 0, 0], [0, 0, 0, 0]]
    torch.testing.assert_close(matrix, torch.tensor(expected, dtype=torch.float32))


def test_pairs_that_are_rarer_than_chance_have_none():
    # 0 0: 2 of 8 pairs where 4 * 4 / 8 are expected; 0 1: 2 of 8, as many as expected; 1 1: likewise 0 0.
    rows = [[0, 0], [0, 1], [1, 1], [1, 0]]
    assert mutual_information(rows, 2, window=1).to_dense().tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_the_window_ends_and_no_pair_crosses_texts():
    near = mutual_information([[0, 1, 2], [3]], 4, window=1).to_dense() > 0
    assert near.tolist() == [
        [False, True, False, False],
        [True, False, True, False],
        [False, True, False, False],
        [False, False, False, False],
    ]
    # Of six pairs, 0 2 has one each way: log(1 * 6 / (2 * 2)).
    wide = mutual_information([[0, 1, 2], [3]], 4, window=2).to_dense()
    assert wide[0, 2].item() == wide[2, 0].item() == pytest.approx(math.log(1.5))


def test_embeddings_of_a_matrix_whose_decomposition_is_known():
    """Its singular vectors are (1, 0, 0) and (0, 1, 1): what has the same company is the same."""
    matrix = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 0]])
    vectors = embed(matrix.to_sparse(), 2)
    products = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 1.0, 0], [0, 1.0, 1.0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(vectors @ vectors.T, products, atol=1e-5, rtol=0)


def test_embeddings_are_those_of_the_exact_decomposition():
    generator = torch.Generator().manual_seed(1)
    factors = torch.rand(60, 5, generator=generator)
    matrix = factors @ factors.T
    left, values, _ = torch.linalg.svd(matrix)
    exact = torch.nn.functional.normalize(left[:, :5] * values[:5].sqrt(), dim=1)
    found = embed(matrix.to_sparse(), 5)
    torch.testing.assert_close(found @ found.T, exact @ exact.T, atol=1e-4, rtol=0)


def test_weights_are_inverse_document_frequencies(small_vocabulary):
    learned = TopicEmbeddings.learn(small_vocabulary, ["the rain", "the sun", "the the fog"], 10)
    the, fog = (small_vocabulary.encode([word])[0][0] for word in ("the", "fog"))
    assert learned.weights[the].item() == pytest.approx(math.log(4 / 3))
    assert learned.weights[fog].item() == pytest.approx(math.log(4 / 1))
    assert (learned.weights[small_vocabulary.special] == 0).all()


def test_learning_is_repeatable_and_draws_no_global_random_numbers(tiny_vocabulary, texts):
    torch.manual_seed(3)
    first = TopicEmbeddings.learn(tiny_vocabulary, texts, 20)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), drawn)
    second = TopicEmbeddings.learn(tiny_vocabulary, texts, 20)
    assert torch.equal(first.embeddings, second.embeddings)
    used = first.embeddings.norm(dim=1) > 0
    torch.testing.assert_close(first.embeddings[used].norm(dim=1), torch.ones(int(used.sum())))


def test_a_text_is_nearer_to_words_of_its_own_company(tiny_vocabulary, texts):
    learned = TopicEmbeddings.learn(tiny_vocabulary, texts, 30)
    rows = tiny_vocabulary.encode(["forty barges before breakfast", "the baker by sledge"])
    document = tiny_vocabulary.encode(["the keeper of the lock at ossel"])
    near, far = learned.similarity(pad_rows(rows, tiny_vocabulary.pad), batch(document[0])).tolist()
    assert near > far + 0.1


# Similarity --------------------------------------------------------------------------------------


def test_similarity_by_hand(by_hand):
    documents = batch([1, 3, 4], [2])
    summaries = batch([2], [3, 0, 4], [1, 4], [3])
    # The first document points to (2, 2), the second to (1, 0).
    expected = [math.sqrt(0.5), math.sqrt(0.5), 1.0, 0.0]
    assert by_hand.similarity(summaries, documents).tolist() == pytest.approx(expected)


def test_padding_counts_for_nothing(by_hand):
    documents = batch([1])
    padded = TokenBatch(torch.tensor([[1, 3, 3]]), torch.tensor([[True, False, False]]))
    assert by_hand.similarity(padded, documents).tolist() == [1.0]


def test_a_summary_that_says_nothing_has_no_similarity(by_hand):
    assert by_hand.similarity(batch([4], [0]), batch([1, 3])).tolist() == [0.0, 0.0]


# The file ----------------------------------------------------------------------------------------


def test_it_comes_back_as_it_went(tmp_path, by_hand):
    by_hand.save(tmp_path / TOPIC)
    # cpu:0 is what a process of several on a CPU has.
    loaded = TopicEmbeddings.load(tmp_path / TOPIC, 5, torch.device("cpu", 0))
    assert torch.equal(loaded.embeddings, by_hand.embeddings)
    assert torch.equal(loaded.weights, by_hand.weights)
    assert [path.name for path in tmp_path.iterdir()] == [TOPIC]


def test_a_damaged_file_and_one_of_another_vocabulary_are_refused(tmp_path, by_hand):
    file = tmp_path / TOPIC
    by_hand.save(file)
    with pytest.raises(InputError, match=r"topic\.safetensors: damaged, or of another vocabulary; remove it"):
        TopicEmbeddings.load(file, 6, CPU)
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(InputError, match="damaged"):
        TopicEmbeddings.load(file, 5, CPU)
    with pytest.raises(InputError, match="damaged"):
        TopicEmbeddings.load(tmp_path / "gone", 5, CPU)


@pytest.fixture
def alone():
    """A launch of one process."""
    return SimpleNamespace(is_main_process=True, device=CPU, wait_for_everyone=lambda: None)


def test_they_are_learned_once_and_taken_from_the_run_that_is_resumed(
    tmp_path, tiny_vocabulary, texts, alone
):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    learned = topic_embeddings(tiny_vocabulary, lambda: texts, 20, first, None, alone)
    # Other texts would give others, but nobody asks for them.
    for output in (first, second):
        again = topic_embeddings(tiny_vocabulary, lambda: pytest.fail("read"), 20, output, first, alone)
        assert torch.equal(again.embeddings, learned.embeddings)
        assert (output / TOPIC).is_file()
    fresh = topic_embeddings(tiny_vocabulary, lambda: texts[:3], 20, first, None, alone)
    assert not torch.equal(fresh.embeddings, learned.embeddings)


def test_a_resumed_run_without_them_learns_them(tmp_path, tiny_vocabulary, texts, alone):
    learned = topic_embeddings(tiny_vocabulary, lambda: texts, 20, tmp_path, tmp_path, alone)
    assert torch.equal(learned.embeddings, TopicEmbeddings.learn(tiny_vocabulary, texts, 20).embeddings)
