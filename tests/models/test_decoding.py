import itertools
from types import SimpleNamespace

import pytest
import torch

from textae.data.batches import pad_rows
from textae.data.tokenizer import vocabulary_of
from textae.models.constraints import Lengths
from textae.models.decoding import Decoding, decode, mask_after_end, pad_texts, sample, search
from textae.models.seq2seq import Source, Writing

CPU = torch.device("cpu")
PAD, START, END, A, B, C = range(6)


def test_the_mask_reaches_to_the_first_end():
    tokens = torch.tensor([[5, 2, 5, 2], [2, 2, 2, 2], [5, 5, 5, 5], [5, 5, 5, 2]])
    assert mask_after_end(tokens, 2).tolist() == [
        [True, True, False, False],
        [True, False, False, False],
        [True, True, True, True],
        [True, True, True, True],
    ]


# A network whose distributions are a table ----------------------------------------------------------------


class TableCache:
    """Holds what each row has written, as a key/value cache does in its own way."""

    def __init__(self):
        self.written = None
        self.self_attention_cache = self

    def reorder_cache(self, origins):
        self.written = self.written[origins]

    batch_select_indices = reorder_cache


class TableNetwork:
    """Random next-token probabilities for every source and every prefix of six tokens."""

    def __init__(self, seed: int, sharpness: float = 1.5, end_bonus: float = 0.0):
        self.seed, self.sharpness, self.end_bonus = seed, sharpness, end_bonus
        self.pad, self.start, self.end = PAD, START, END
        self.backbone = SimpleNamespace(decode=self._decode, new_cache=TableCache)
        self.known = {}

    def begin(self, source):
        return Writing(self, source)

    def prefix(self, rows, hints, device):
        return torch.full((rows, 1), START)

    def log_probabilities_after(self, document: int, prefix: tuple[int, ...]) -> torch.Tensor:
        if (document, prefix) not in self.known:
            number = int("1" + "".join(map(str, (document, *prefix))))
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
            logits = self.sharpness * torch.randn(6, generator=generator)
            logits[END] += self.end_bonus
            self.known[document, prefix] = logits.log_softmax(0)
        return self.known[document, prefix]

    def _decode(self, inputs, states, mask, cache):
        cache.written = inputs if cache.written is None else torch.cat([cache.written, inputs], 1)
        scores = [
            self.log_probabilities_after(int(document), tuple(row[1:]))
            for document, row in zip(states[:, 0, 0], cache.written.tolist(), strict=True)
        ]
        return torch.stack(scores)[:, None, :]

    def next_log_probabilities(self, hidden, source):
        return hidden

    def source(self, documents: int) -> Source:
        ids = torch.arange(documents)[:, None]
        mask = torch.ones_like(ids, dtype=torch.bool)
        return Source(ids[:, :, None].float(), ids, mask, None, mask)


def table_vocabulary():
    """Every token but the first three is a word."""
    special = torch.tensor([True, True, True, False, False, False])
    words = (~special).long()
    return SimpleNamespace(
        end=END,
        special=special,
        words_of_token=words,
        blank=torch.zeros(6, dtype=torch.bool),
        words=lambda ids: words[ids].sum(1),
        decode=lambda rows: [" ".join("x" for token in row if token > END) for row in rows],
    )


def run(network, documents=3, **settings):
    return decode(network, network.source(documents), None, table_vocabulary(), Decoding(**settings))


def total(network, document, row):
    return sum(
        float(network.log_probabilities_after(document, tuple(row[:i]))[token]) for i, token in enumerate(row)
    )


@pytest.mark.parametrize("length_penalty", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("min_words", [0, 2])
def test_beams_that_hold_everything_find_the_best_of_all_texts(length_penalty, min_words):
    lengths = set()
    for seed in range(6):
        network = TableNetwork(seed)
        found = run(network, max_tokens=4, num_beams=110, length_penalty=length_penalty, min_words=min_words)
        for document in range(3):
            texts = [
                [*words, END]
                for count in range(min_words, 4)
                for words in itertools.product((A, B, C), repeat=count)
            ]
            best = max(texts, key=lambda row: total(network, document, row) / len(row) ** length_penalty)
            assert found[document] == best[:-1]
            lengths.add(len(best))
    assert len(lengths) > 1 or length_penalty > 1


def reference_beam_search(network, document, beams, max_tokens, length_penalty):
    """Beam search as one would write it on paper, without stopping early."""
    alive, finished = [(0.0, [])], []
    for _ in range(max_tokens):
        grown = [
            (score + float(network.log_probabilities_after(document, tuple(row))[token]), [*row, token])
            for score, row in alive
            for token in (END, A, B, C)
        ]
        grown.sort(key=lambda candidate: -candidate[0])
        finished += [candidate for candidate in grown[:beams] if candidate[1][-1] == END]
        alive = [candidate for candidate in grown[: 2 * beams] if candidate[1][-1] != END][:beams]
    if not finished:
        return alive[0][1]
    return max(finished, key=lambda candidate: candidate[0] / len(candidate[1]) ** length_penalty)[1][:-1]


@pytest.mark.parametrize("beams", [2, 3, 5])
@pytest.mark.parametrize(("length_penalty", "end_bonus"), [(0.0, 0.0), (1.0, 1.0), (1.0, -6.0), (2.0, 0.0)])
def test_beam_search_is_the_one_on_paper(beams, length_penalty, end_bonus):
    for seed in range(8):
        network = TableNetwork(seed, end_bonus=end_bonus)
        found = run(network, max_tokens=7, num_beams=beams, length_penalty=length_penalty)
        expected = [reference_beam_search(network, i, beams, 7, length_penalty) for i in range(3)]
        assert found == expected


def test_candidates_are_the_best_texts_best_first():
    for seed in range(6):
        network = TableNetwork(seed)
        settings = Decoding(max_tokens=4, num_beams=110, candidates=5, length_penalty=0.5)
        found = search(network, network.source(3), None, table_vocabulary(), settings)
        for document, candidates in enumerate(found):
            texts = [
                [*words, END] for count in range(4) for words in itertools.product((A, B, C), repeat=count)
            ]
            texts.sort(key=lambda row: -total(network, document, row) / len(row) ** 0.5)
            assert [candidate.tokens for candidate in candidates] == [row[:-1] for row in texts[:5]]
            for candidate, row in zip(candidates, texts[:5], strict=True):
                assert candidate.log_probability == pytest.approx(total(network, document, row), abs=1e-4)


def test_there_are_no_more_candidates_than_beams_end():
    network = TableNetwork(0, end_bonus=-60.0)
    settings = Decoding(max_tokens=5, num_beams=3, candidates=3)
    found = search(network, network.source(2), None, table_vocabulary(), settings)
    assert [len(candidates) for candidates in found] == [1, 1]


def test_a_beam_that_never_ends_is_cut_off():
    network = TableNetwork(0, end_bonus=-60.0)
    found = run(network, max_tokens=5, num_beams=3)
    assert [len(row) for row in found] == [5, 5, 5]
    assert found == [reference_beam_search(network, i, 3, 5, 1.0) for i in range(3)]


def test_greedy_takes_the_most_probable_token_and_goes_on_until_its_end():
    lengths = set()
    for seed in range(10):
        network = TableNetwork(seed)
        for document, row in enumerate(run(network, max_tokens=6)):
            lengths.add(len(row))
            for step in range(min(len(row) + 1, 6)):
                scores = network.log_probabilities_after(document, tuple(row[:step]))[2:]
                token = row[step] if step < len(row) else END
                assert int(scores.argmax()) + 2 == token
    assert len(lengths) > 3


def test_sampling_without_limits_follows_the_table_and_the_temperature():
    network = TableNetwork(3, sharpness=1.0)
    source = network.source(1).repeat(4000)
    for temperature in (1.0, 0.5):
        settings = Decoding(max_tokens=1, do_sample=True, temperature=temperature, seed=5)
        rows = decode(network, source, None, table_vocabulary(), settings)
        counts = torch.bincount(torch.tensor([row[0] if row else END for row in rows]), minlength=6) / 4000
        # Special tokens are never written, and their share goes to the others.
        expected = (network.log_probabilities_after(0, ())[2:] / temperature).softmax(0)
        assert (counts[2:] - expected).abs().max() < 0.025
    cold = Decoding(max_tokens=6, do_sample=True, temperature=1e-4)
    assert decode(network, network.source(4), None, table_vocabulary(), cold) == run(network, 4, max_tokens=6)


def test_a_seed_gives_the_same_sample_again():
    def drawn(seed):
        return run(TableNetwork(1), 20, max_tokens=6, do_sample=True, seed=seed)

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


@pytest.mark.parametrize("way", [{}, {"num_beams": 3}, {"num_beams": 3, "length_penalty": 0.0}], ids=str)
def test_a_row_is_written_as_it_is_alone_whatever_its_neighbours_may(way):
    limits = [Lengths(3, 1, 2), Lengths(7, 4, 6), Lengths(5, 0, None)]
    for seed in range(6):
        network = TableNetwork(seed)
        source, vocabulary = network.source(3), table_vocabulary()
        together = decode(network, source, None, vocabulary, Decoding(**way), limits)
        for row, lengths in enumerate(limits):
            alone = source.select(torch.tensor([row]))
            own = Decoding(lengths.max_tokens, lengths.min_words, lengths.max_words, **way)
            assert together[row] == decode(network, alone, None, vocabulary, own)[0]


# Samples for training -------------------------------------------------------------------------------------


@pytest.fixture(params=["copy head", "plain"])
def ending_model(request, tiny_vocabulary, build_model, build_network_config):
    """A model whose encoder ends a text after a few tokens."""
    settings = build_network_config(copy_head=request.param == "copy head")
    model = build_model(tiny_vocabulary, encoder=settings)
    model.encoder.backbone.network.final_logits_bias[0, tiny_vocabulary.end] = 6.0
    return model


def drawn(model, sentences, samples=4, length=12):
    vocabulary = model.vocabulary
    documents = pad_texts(vocabulary.encode(sentences), vocabulary, model.device)
    hints = torch.tensor([vocabulary.hint(2 + i % 5) for i in range(len(sentences) * samples)])
    uniforms = torch.rand(len(hints), length, 2, generator=torch.Generator().manual_seed(1))
    return documents, hints, uniforms


def test_samples_stop_after_their_end(ending_model, sentences):
    documents, hints, uniforms = drawn(ending_model, sentences)
    batch = ending_model.encoder.rollout(documents, hints, uniforms)
    end, pad = ending_model.vocabulary.end, ending_model.vocabulary.pad
    lengths = set()
    for ids, mask in zip(batch.ids.tolist(), batch.mask.tolist(), strict=True):
        length = sum(mask)
        lengths.add(length)
        assert mask == [True] * length + [False] * (len(mask) - length)
        assert ids.index(end) == length - 1 if end in ids else length == 12
        assert ids[length:] == [pad] * (len(ids) - length)
    assert len(lengths) > 3
    assert batch.ids.shape == (len(hints), max(lengths))


def test_samples_are_those_of_each_row_alone_without_a_cache(ending_model, sentences):
    documents, hints, uniforms = drawn(ending_model, sentences)
    encoder, end = ending_model.encoder, ending_model.vocabulary.end
    batch = encoder.rollout(documents, hints, uniforms)
    with torch.no_grad():
        source = encoder.read(documents)
        for row, tokens in enumerate(batch.rows()):
            alone = source.select(torch.tensor([row // 4]))
            written = []
            while len(written) < 12 and end not in written:
                inputs = torch.tensor([[encoder.start, int(hints[row]), *written]])
                hidden = encoder.backbone.decode(inputs, alone.states, alone.mask)[:, -1]
                step = uniforms[row, len(written)][None]
                written.append(int(encoder.next_sample(hidden, alone, step)))
            assert tokens == written


def test_sampling_ends_with_the_last_text(ending_model, sentences):
    documents, hints, uniforms = drawn(ending_model, sentences, length=40)
    steps, rows = [], []
    inner = ending_model.encoder.backbone.decode

    def counted(inputs, states, mask, cache=None):
        steps.append(inputs.shape[1])
        rows.append(len(inputs))
        return inner(inputs, states, mask, cache)

    ending_model.encoder.backbone.decode = counted
    batch = ending_model.encoder.rollout(documents, hints, uniforms)
    longest = int(batch.mask.sum(1).max())
    assert longest < 40
    assert steps == [2] + [1] * (longest - 1)
    # Finished texts are dropped on the way.
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < rows[0]


def test_a_text_without_an_end_is_cut_off(tiny_model, sentences):
    documents, _, uniforms = drawn(tiny_model, sentences[:2], samples=1, length=3)
    tiny_model.encoder.backbone.network.final_logits_bias[0, tiny_model.vocabulary.end] = -100.0
    tiny_model.encoder.copy_head.gate.bias.data.fill_(100.0)
    batch = sample(tiny_model.encoder, tiny_model.encoder.read(documents), None, uniforms)
    assert batch.mask.all()
    assert batch.ids.shape == (2, 3)


def test_sources_have_the_special_tokens_of_the_tokenizer(build_tokenizer):
    vocabulary = vocabulary_of(build_tokenizer("bert"))
    batch = pad_texts([[7, 8], [9]], vocabulary, CPU)
    first, last = vocabulary.source_prefix[0], vocabulary.source_suffix[0]
    expected = pad_rows([[first, 7, 8, last], [first, 9, last]], vocabulary.pad)
    assert torch.equal(batch.ids, expected.ids)
    assert torch.equal(batch.mask, expected.mask)
