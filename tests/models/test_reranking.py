import dataclasses
import math

import pytest
import torch

from textae.errors import InputError
from textae.model_config import DecodingConfig, DiscriminatorConfig
from textae.models.constraints import Decoding, Lengths
from textae.models.decoding import Candidate, pad_texts, search
from textae.models.engines.writer import TorchWriter
from textae.models.reranking import choose, find_candidates, shorter_wishes
from textae.models.sentence_encoder import SentenceEncoder

TEXTS = ["fog delays ferry", "baker sells bread", "goats eat map", "fog"]
DOCUMENTS = ["the ferry was late because of fog .", "goats ate a map of the river ."]


@pytest.fixture
def tiny_model(tiny_vocabulary, build_model):
    """One whose reader has a language model."""
    return build_model(
        tiny_vocabulary, discriminator=DiscriminatorConfig(width=8, heads=2, language_model=True)
    )


@pytest.fixture
def documents(tiny_model):
    return tiny_model.prepare(DOCUMENTS)


@pytest.fixture
def found(tiny_model):
    """Three candidates of the first document and one of the second."""
    rows = tiny_model.prepare(TEXTS)
    nats = [-3.0, -1.0, -2.0, -9.0]
    candidates = [Candidate(row, nat) for row, nat in zip(rows, nats, strict=True)]
    return [candidates[:3], candidates[3:]]


def weights(encoder=0.0, reconstruction=0.0, reader=0.0, ending=0.0, fluency=0.0):
    return DecodingConfig(
        encoder_weight=encoder,
        reconstruction_weight=reconstruction,
        reader_weight=reader,
        ending_weight=ending,
        fluency_weight=fluency,
    )


def parts(model, document, candidate):
    """What each network says of a candidate, one at a time."""
    target = model.sentences([document])
    source = model.reconstructor.read(pad_texts([candidate.tokens], model.vocabulary, model.device))
    restored = model.reconstructor.log_probabilities(source, target).sum().item() / len(target.ids[0])
    scores, endings = (
        part[0].tolist() for part in model.discriminator.judge(model.sentences([candidate.tokens]))
    )
    fluency = model.discriminator.fluency(model.sentences([candidate.tokens]))[0].tolist()
    odds = [max(-5.0, min(5.0, score)) for score in scores]
    ends = max(-5.0, min(5.0, endings[-2]))  # after the last word, not after the end token
    return candidate.log_probability, restored, sum(odds) / len(odds), ends, sum(fluency) / len(fluency)


@pytest.mark.parametrize(
    "chosen",
    [
        (1, 0, 0, 0, 0),
        (0, 1, 0, 0, 0),
        (0, 0, 1, 0, 0),
        (0, 0, 0, 1, 0),
        (0, 0, 0, 0, 1),
        (0.5, 20, 3, 1, 2),
        (0.1, -30, 2, 3, -4),
        (0, 1, -9, 5, 7),
    ],
)
def test_the_choice_is_that_of_the_weighted_sum(tiny_model, documents, found, chosen):
    with torch.no_grad():
        sums = [
            math.fsum(w * part for w, part in zip(chosen, parts(tiny_model, documents[0], c), strict=True))
            for c in found[0]
        ]
    best = found[0][sums.index(max(sums))]
    assert choose(tiny_model, documents, found, weights(*chosen)) == [best.tokens, found[1][0].tokens]


def test_each_network_can_change_the_choice(tiny_model, documents, found):
    with torch.no_grad():
        columns = list(zip(*(parts(tiny_model, documents[0], c) for c in found[0]), strict=True))
    for place in range(5):
        for sign in (1.0, -1.0):
            one = [0.0] * 5
            one[place] = sign
            wanted = max(range(3), key=lambda at, s=sign, c=columns[place]: s * c[at])
            assert choose(tiny_model, documents, found, weights(*one))[0] == found[0][wanted].tokens


def test_of_equals_the_first_wins(tiny_model, documents, found):
    assert choose(tiny_model, documents, found, weights())[0] == found[0][0].tokens


def test_the_sentence_encoder_s_cosine_counts_beside_the_networks(tiny_model, documents, found, checkpoints):
    folder = checkpoints("bert")
    encoder, decode = SentenceEncoder.from_pretrained(folder), tiny_model.vocabulary.decode
    document = encoder.embed(decode(documents[:1]))[0]
    cosines = [
        torch.dot(text, document).item() / (text.norm() * document.norm()).item()
        for text in (encoder.embed(decode([candidate.tokens]))[0] for candidate in found[0])
    ]
    assert len(set(cosines)) == 3
    for nearness in (30.0, -30.0, 4.0):
        both = dataclasses.replace(
            weights(encoder=0.01), similarity_weight=nearness, similarity_encoder=str(folder)
        )
        sums = [0.01 * c.log_probability + nearness * near for c, near in zip(found[0], cosines, strict=True)]
        best = found[0][sums.index(max(sums))].tokens
        assert choose(tiny_model, documents, found, both) == [best, found[1][0].tokens]
    assert cosines.index(max(cosines)) != 1  # which is the encoder's own choice


def test_a_sentence_encoder_that_is_not_there_is_named_with_what_to_do(tiny_model, tmp_path):
    decoding = tiny_model.config.decoding
    decoding.num_beams, decoding.candidates = 2, 2
    decoding.similarity_weight, decoding.similarity_encoder = 1.0, str(tmp_path / "none")
    with pytest.raises(InputError) as caught:
        tiny_model.summarize(DOCUMENTS)
    sentence = str(caught.value)
    assert sentence.startswith(f"{tmp_path / 'none'}: ") and "\n" not in sentence
    assert "decoding.similarity_encoder" in sentence and "--candidates 1" in sentence
    assert len(tiny_model.summarize(DOCUMENTS, candidates=1)) == 2


def test_many_candidates_go_through_in_parts(tiny_model, documents, found, monkeypatch):
    whole = choose(tiny_model, documents, found, weights(0.3, 5, 1))
    monkeypatch.setattr("textae.models.reranking.BATCH", 2)
    assert choose(tiny_model, documents, found, weights(0.3, 5, 1)) == whole


def test_a_model_that_reranks_may_write_something_else(tiny_model):
    decoding = tiny_model.config.decoding
    decoding.num_beams, decoding.candidates = 6, 6
    decoding.encoder_weight, decoding.reconstruction_weight, decoding.reader_weight = 1.0, 0.0, 0.0
    decoding.length_penalty = 0.0
    texts = [document * 2 for document in DOCUMENTS]
    # So that several beams come to an end.
    tiny_model.encoder.backbone.network.final_logits_bias[0, tiny_model.vocabulary.end] += 8.0
    alone = tiny_model.summarize(texts, num_beams=6)
    assert tiny_model.summarize(texts, candidates=1) == alone  # the encoder alone chooses its best
    decoding.encoder_weight = -1.0
    worst = tiny_model.summarize(texts, num_beams=6)
    assert worst != alone
    assert tiny_model.summarize(texts, num_beams=1) != worst  # greedy has nothing to choose from


def test_candidates_of_several_lengths_each_text_once(tiny_model, documents):
    model, settings = tiny_model, Decoding(max_tokens=8, num_beams=3, candidates=3, length_penalty=0.0)
    with torch.no_grad():
        source = model.encoder.read(pad_texts(documents, model.vocabulary, model.device))
        alone = {
            words: search(
                model.encoder,
                source,
                torch.full((2,), model.vocabulary.hint(words)),
                model.vocabulary,
                settings,
            )
            for words in (7, 3)
        }
        writer, lengths = TorchWriter(model.encoder, model.vocabulary), [settings] * 2
        found = find_candidates(writer, source, ([7, 7], [3, 3]), settings, lengths)
        again = find_candidates(writer, source, ([7, 7], [7, 7]), settings, lengths)
        mixed = find_candidates(writer, source, ([7, 3],), settings, lengths)
    assert again == alone[7]
    assert mixed == [alone[7][0], alone[3][1]]
    assert alone[7] != alone[3]
    for row, texts in enumerate(found):
        first = alone[7][row]
        assert texts[: len(first)] == first  # a text of both lengths keeps what the first says of it
        known = [candidate.tokens for candidate in first]
        assert texts[len(first) :] == [c for c in alone[3][row] if c.tokens not in known]


def test_slack_asks_for_shorter_texts_too(tiny_model, monkeypatch):
    asked = []
    decoding = tiny_model.config.decoding
    decoding.num_beams, decoding.candidates, decoding.length_slack = 3, 3, 2

    def spy(model, source, wishes, settings, lengths):
        asked.append([words for (words,) in wishes])
        return find_candidates(model, source, wishes, settings, lengths)

    monkeypatch.setattr("textae.models.autoencoder.find_candidates", spy)
    for options in ({}, {"min_words": 3}, {"words": 6, "min_words": 0}, {"words": 3, "min_words": 4}):
        tiny_model.summarize(DOCUMENTS[:1], **options)
    # The model's own length is 4 words. What is asked for by name is kept to within a word.
    tiny_model.summarize(DOCUMENTS[:1], words=6)
    assert asked == [[4, 3, 2], [4, 3], [6, 5, 4], [3], [6, 5]]
    tiny_model.summarize(DOCUMENTS[:1], candidates=1)  # there is nothing to choose from
    assert len(asked) == 5


def test_every_row_has_its_own_shorter_wishes():
    lengths = [Lengths(), Lengths(min_words=2), Lengths(min_words=9)]
    assert shorter_wishes([6, 2, 5], lengths, 2) == [[6, 2, 5], [5, 2, 5], [4, 2, 5]]
    assert shorter_wishes([1, 2], [Lengths()] * 2, 3) == [[1, 2], [1, 1]]
    assert shorter_wishes([7], [Lengths()], 0) == [[7]]
