import random

import pytest
import torch

from textae.data.batches import pad_rows
from textae.data.words import count_words
from textae.errors import InputError
from textae.model_config import DiscriminatorConfig, LengthConfig, NormalizationConfig
from textae.models.autoencoder import TextAutoencoder
from textae.models.inputs import AutoencoderInputs

LONG = "the keeper of the lock counted barges and went home . " * 20


def make_inputs(vocabulary, **values) -> AutoencoderInputs:
    """Two documents, two summaries of each, three codes and five sentences of several lengths."""

    def rows(*lengths):
        return pad_rows([[40 + i] * length + [vocabulary.end] for i, length in enumerate(lengths)], 0)

    documents = rows(6, 9, 4)
    settings = {
        "encoder_source": rows(5, 8),
        "encoder_target": rows(3, 2, 4, 1),
        "hints": torch.tensor([vocabulary.hint(3)] * 4),
        "reconstructor_source": rows(2, 3, 1),
        "reconstructor_target": documents,
        "reconstructor_inputs": None,
        "sentences": rows(2, 3, 5, 1, 4),
    }
    return AutoencoderInputs(**{**settings, **values})


def test_one_forward_pass_gives_what_the_three_networks_give_alone(tiny_model, tiny_vocabulary):
    inputs = make_inputs(tiny_vocabulary)
    with torch.no_grad():
        outputs = tiny_model(inputs)
        encoder, reconstructor = tiny_model.encoder, tiny_model.reconstructor
        summaries = encoder.log_probabilities(
            encoder.read(inputs.encoder_source), inputs.encoder_target, inputs.hints
        )
        documents = reconstructor.log_probabilities(
            reconstructor.read(inputs.reconstructor_source), inputs.reconstructor_target
        )
        scores = tiny_model.discriminator(inputs.sentences)
        endings = tiny_model.discriminator.judge(inputs.sentences)[1]
    assert outputs.summary_log_probabilities.shape == (4, 5)
    assert outputs.document_log_probabilities.shape == (3, 10)
    assert outputs.scores.shape == (5, 6)
    assert torch.equal(outputs.summary_log_probabilities, summaries)
    assert torch.equal(outputs.document_log_probabilities, documents)
    assert torch.equal(outputs.scores, scores)
    assert torch.equal(outputs.endings, endings)
    assert not torch.equal(scores, endings)
    assert outputs.summary_mean_log_probabilities is None


def test_human_sentences_are_predicted_where_there_is_a_language_model(tiny_vocabulary, build_model):
    reader = DiscriminatorConfig(width=8, heads=2, language_model=True)
    model = build_model(tiny_vocabulary, discriminator=reader)
    inputs = make_inputs(tiny_vocabulary, human=2)
    with torch.no_grad():
        predicted = model(inputs).human_log_probabilities
        expected = model.discriminator.log_probabilities(inputs.sentences)
    assert predicted.shape == (2, 6)
    assert torch.equal(predicted, expected[:2])


def test_smoothing_and_dropped_words_reach_the_networks(tiny_model, tiny_vocabulary):
    inputs = make_inputs(tiny_vocabulary)
    target = inputs.reconstructor_target
    dropped = torch.zeros_like(target.mask)
    dropped[0, 1] = dropped[2, 7] = True
    masked = target.ids.masked_fill(dropped & target.mask, tiny_vocabulary.mask)
    assert (masked != target.ids).nonzero().tolist() == [[0, 1]]
    with torch.no_grad():
        plain = tiny_model(inputs)
        changed = tiny_model(make_inputs(tiny_vocabulary, reconstructor_inputs=masked, smoothing=True))
    assert changed.summary_mean_log_probabilities.shape == (4, 5)
    difference = (plain.document_log_probabilities - changed.document_log_probabilities).abs() > 1e-7
    assert difference[0].tolist() == [False, False] + [True] * 5 + [False] * 3
    assert not difference[1:].any()


def test_the_reconstructor_learns_from_the_rows_it_is_told_and_judges_all(tiny_model, tiny_vocabulary):
    learned = torch.tensor([True, False, True])
    masked = make_inputs(tiny_vocabulary).reconstructor_target.ids.clone()
    masked[1, 2] = masked[2, 1] = tiny_vocabulary.mask
    whole = tiny_model(make_inputs(tiny_vocabulary, reconstructor_inputs=masked)).document_log_probabilities
    inputs = make_inputs(tiny_vocabulary, reconstructor_inputs=masked, reconstructor_learned=learned)
    parts = tiny_model(inputs).document_log_probabilities
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)
    parameters = list(tiny_model.reconstructor.parameters())
    gradients = torch.autograd.grad(parts.sum(), parameters, allow_unused=True)
    expected = torch.autograd.grad(whole[learned].sum(), parameters, allow_unused=True, retain_graph=True)
    others = torch.autograd.grad(whole.sum(), parameters, allow_unused=True)
    for gradient, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted, atol=1e-4, rtol=1e-4)
    assert any(
        not torch.allclose(gradient, other, atol=1e-2)
        for gradient, other in zip(gradients, others, strict=True)
        if gradient is not None
    )


def test_the_hint_and_the_device(tiny_model, tiny_vocabulary):
    with torch.no_grad():
        three = tiny_model(make_inputs(tiny_vocabulary)).summary_log_probabilities
        hints = torch.tensor([tiny_vocabulary.hint(7)] * 4)
        seven = tiny_model(make_inputs(tiny_vocabulary, hints=hints)).summary_log_probabilities
    assert ((three - seven).abs() > 1e-6).any(dim=1).all()
    assert tiny_model.device == torch.device("cpu")


# Summaries -------------------------------------------------------------------------------------------


def test_the_order_of_documents_is_kept(tiny_model, sentences):
    documents = [*sentences, "", "  \n ", LONG, "a"]
    expected = {document: tiny_model.summarize([document])[0] for document in documents}
    assert len(set(expected.values())) > 5
    shuffled = random.Random(1).sample(documents, len(documents))
    for batch_size in (1, 3, 64):
        assert tiny_model.summarize(shuffled, batch_size=batch_size) == [expected[text] for text in shuffled]


def test_empty_documents_give_empty_summaries_and_none_gives_none(tiny_model):
    assert tiny_model.summarize([]) == []
    assert tiny_model.summarize(["", " \t"], min_words=3) == ["", ""]
    assert tiny_model.reconstruct([""]) == [""]
    assert tiny_model.readability([]) == []
    assert tiny_model.reconstruction_loss([]) == []


def test_long_documents_are_cut_at_the_window_if_the_model_says_so(tiny_model, tiny_vocabulary):
    tiny_model.config.decoding.long_documents = "cut"
    kept = tiny_vocabulary.encode([LONG], 30)[0]
    (cut,) = tiny_vocabulary.decode([kept])
    assert tiny_vocabulary.encode([cut])[0] == kept
    assert tiny_model.count_tokens([LONG, "", "a"])[0] > 30
    assert tiny_model.count_tokens([LONG, "", "a"])[1:] == [0, 1]
    assert tiny_model.summarize([LONG]) == tiny_model.summarize([cut])


def test_of_long_documents_the_central_sentences_are_read_and_others_as_they_are(tiny_model, tiny_vocabulary):
    sentence = "the keeper of the lock at ossel counted forty barges ."
    fillers = [
        "a heron left .",
        "snow fell .",
        "bakers slept .",
        "it rained .",
        "we ate ice .",
        "dogs ran by .",
    ]
    fillers += ["time flew .", "he sang .", "she wrote .", "two cats hid .", "mice fled .", "ants dug ."]
    long = " ".join([*fillers, sentence, "barges pass ossel lock .", "the lock keeper counted forty ."])
    short = "  A heron landed.  It would not leave. "
    assert tiny_model.count_tokens([long])[0] > 30 >= tiny_model.count_tokens([short])[0]
    read = tiny_model.read_documents([short, long, ""])
    assert [read[0], read[2]] == [tiny_model.prepare([short])[0], []]
    assert 15 < len(read[1]) <= 30
    (told,) = tiny_vocabulary.decode([read[1]])
    assert sentence in told and not long.startswith(told)
    # Summaries, losses and ratios are of what is read.
    assert tiny_model.summarize([short, long]) == tiny_model.summarize([short, told])
    losses = tiny_model.reconstruction_loss([long, told], ["heron", "heron"])
    assert losses[0] == losses[1] > 0
    (summary,) = tiny_model.summarize([long], ratio=1.0)
    assert abs(count_words(summary) - count_words(told)) <= 1 < count_words(long) - count_words(told)


def test_a_wanted_length_is_the_hint(tiny_model, sentences):
    free = {"min_words": 0, "max_words": 30}
    default = tiny_model.summarize(sentences, **free)
    assert tiny_model.summarize(sentences, words=4, **free) == default
    assert tiny_model.summarize(sentences, words=9, **free) != default
    # A greatest length lowers the wanted one; the hints end at 32 words.
    short = tiny_model.summarize(sentences, words=9, max_words=2)
    assert short == tiny_model.summarize(sentences, words=2, max_words=2)
    free["max_words"] = 60
    hinted = [tiny_model.summarize(sentences[:2], words=words, **free) for words in (33, 34)]
    assert hinted[0] == hinted[1]


@pytest.mark.parametrize("way", [{}, {"num_beams": 3}, {"num_beams": 3, "candidates": 3}], ids=str)
@pytest.mark.parametrize("words", [1, 3, 8, 20, 40])
def test_a_wanted_length_is_kept_to_within_a_word(words, way, tiny_vocabulary, build_model, sentences):
    for seed in range(2):
        model = build_model(tiny_vocabulary, seed)
        model.config.decoding.length_slack = 2
        counts = {count_words(text) for text in model.summarize(sentences[2:6], words=words, **way)}
        assert counts <= {max(1, words - 1), words, words + 1}


def test_a_ratio_is_kept_to_document_by_document_in_any_company(tiny_model, sentences):
    documents = [*sentences, "", "a"]
    for way in ({}, {"num_beams": 3, "candidates": 3}):
        summaries = tiny_model.summarize(documents, ratio=0.5, **way)
        for document, summary in zip(documents, summaries, strict=True):
            wanted = max(1, int(count_words(document) * 0.5 + 0.5))
            assert not document or max(1, wanted - 1) <= count_words(summary) <= wanted + 1
            assert tiny_model.summarize([document], ratio=0.5, **way) == [summary]
        assert tiny_model.summarize(documents, ratio=0.5, batch_size=3, **way) == summaries
    assert tiny_model.summarize([], ratio=0.5) == []


def test_any_length_may_be_asked_for(tiny_model, sentences):
    positions = tiny_model.encoder.backbone.positions
    assert positions == 2 * 30 + 16
    for words in (1, 40, positions - 8):
        assert len(tiny_model.summarize(sentences[:2], words=words)) == 2
    (summary,) = tiny_model.summarize(sentences[:1], min_words=positions - 8)
    assert count_words(summary) == positions - 8


def test_networks_with_relative_positions_write_as_much_as_is_asked_for(
    tiny_vocabulary, build_model, build_network_config, sentences
):
    model = build_model(tiny_vocabulary, encoder=build_network_config("t5"))
    assert model.encoder.backbone.positions is None
    (summary,) = model.summarize(sentences[:1], min_words=120)
    assert count_words(summary) >= 120


def test_an_odd_count_by_token_is_put_right_in_the_text(tiny_model, tiny_vocabulary, monkeypatch):
    written, short = tiny_vocabulary.encode(["桥北 heron 山", "桥"])
    monkeypatch.setattr("textae.models.engines.writer.decode", lambda *arguments: [written, short])
    assert tiny_model.summarize(["a", "b"], max_words=3) == ["桥北 heron", "桥"]
    assert tiny_model.summarize(["a", "b"], max_words=4) == ["桥北 heron 山", "桥"]


def test_sampling_has_a_seed_and_beams_find_something_else(tiny_model, sentences):
    first = tiny_model.summarize(sentences, do_sample=True, seed=1)
    assert tiny_model.summarize(sentences, do_sample=True, seed=1) == first
    assert tiny_model.summarize(sentences, do_sample=True, seed=2) != first
    greedy = tiny_model.summarize(sentences)
    assert tiny_model.summarize(sentences, do_sample=True, temperature=1e-5) == greedy
    assert tiny_model.summarize(sentences, num_beams=4) != greedy


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"words": 0}, "words is 0; set it to at least 1."),
        ({"words": 69}, "words is 69; set it to at most 68."),
        ({"ratio": 0.0}, "ratio is 0.0; set it to above 0 and at most 1."),
        ({"ratio": 1.5}, "ratio is 1.5; set it to above 0 and at most 1."),
        ({"words": 3, "ratio": 0.5}, "words and ratio exclude each other; give one of them."),
        ({"num_beams": 0}, "num_beams is 0; set it to at least 1."),
        ({"batch_size": 0}, "batch_size is 0; set it to at least 1."),
        ({"max_words": 0}, "max_words is 0; set it to at least 1."),
        ({"max_words": 3, "min_words": 4}, "max_words is 3; set it to at least 4."),
        ({"temperature": 0.0}, "temperature is 0.0; set it to above 0."),
        ({"length_penalty": -1.0}, "length_penalty is -1.0; set it to at least 0."),
        ({"do_sample": True, "num_beams": 2}, "num_beams is 2; set it to 1 when sampling."),
        ({"min_words": 69}, "min_words is 69; set it to at most 68."),
    ],
)
def test_settings_that_make_no_sense(settings, message, tiny_model):
    with pytest.raises(InputError) as caught:
        tiny_model.summarize(["a heron"], **settings)
    assert str(caught.value) == message


def test_texts_are_normalised_as_the_settings_say(tiny_vocabulary, build_model):
    cleaning = NormalizationConfig(lowercase=True, digits_to_hash=True)
    model = build_model(tiny_vocabulary, normalization=cleaning)
    assert model.prepare(["A  Heron 12"]) == tiny_vocabulary.encode(["a heron ##"])
    assert model.prepare(["A Heron 12"], 2) == [tiny_vocabulary.encode(["a heron ##"])[0][:2]]


def test_dropout_is_off_inside_and_the_mode_comes_back(tiny_vocabulary, build_model, build_network_config):
    noisy = build_network_config(dropout=0.5)
    model = build_model(tiny_vocabulary, encoder=noisy, reconstructor=noisy).train()
    text = ["the keeper counted forty barges"]
    assert model.summarize(text) == model.summarize(text)
    assert model.reconstruction_loss(text, ["barges"]) == model.reconstruction_loss(text, ["barges"])
    assert model.training
    assert model.encoder.training
    model.eval()
    model.readability(text)
    assert not model.training


# Reconstructions, readability ------------------------------------------------------------------------


def test_reconstructions_keep_the_order(tiny_model, sentences):
    summaries = [*sentences[2:], ""]
    alone = [tiny_model.reconstruct([summary])[0] for summary in summaries]
    assert tiny_model.reconstruct(summaries, batch_size=2) == alone
    assert alone[-1] == ""
    assert len(set(alone)) > 3
    assert tiny_model.reconstruct(summaries, num_beams=4) == alone
    assert tiny_model.reconstruct(summaries, num_beams=1) != alone
    for settings in ({"num_beams": 0}, {"batch_size": 0}):
        with pytest.raises(InputError, match="set it to at least 1"):
            tiny_model.reconstruct(summaries, **settings)


def test_readability_is_the_mean_probability_over_prefixes(tiny_model, tiny_vocabulary, sentences):
    texts = [*sentences, "", LONG]
    values = tiny_model.readability(texts, batch_size=3)
    assert all(0.0 <= value <= 1.0 for value in values)
    assert values[-2] == 0.0
    for text, value in zip(sentences, values, strict=False):
        row = [*tiny_vocabulary.encode([text], 30)[0], tiny_vocabulary.end]
        with torch.no_grad():
            scores = tiny_model.discriminator(pad_rows([row], 0))[0]
        assert value == pytest.approx(scores.sigmoid().mean().item(), abs=1e-6)


def test_reconstruction_loss_by_hand(tiny_model, tiny_vocabulary, sentences):
    documents, summaries = sentences[:4], ["heron", "", "forty barges", "snow , sledge"]
    losses = tiny_model.reconstruction_loss(documents, summaries, batch_size=3)
    reconstructor = tiny_model.reconstructor
    for document, summary, loss in zip(documents, summaries, losses, strict=True):
        source = pad_rows(
            [tiny_vocabulary.as_source(row) for row in tiny_vocabulary.encode([summary])], tiny_vocabulary.pad
        )
        total, written = 0.0, [reconstructor.start]
        target = [*tiny_vocabulary.encode([document], 30)[0], tiny_vocabulary.end]
        with torch.no_grad():
            read = reconstructor.read(source)
            for token in target:
                hidden = reconstructor.backbone.decode(torch.tensor([written]), read.states, read.mask)
                total -= float(reconstructor.next_log_probabilities(hidden[:, -1], read)[0, token])
                written.append(token)
        assert loss == pytest.approx(total / len(target), abs=1e-4)


def test_reconstruction_loss_of_the_models_own_summaries(tiny_model, sentences):
    documents = [*sentences, ""]
    own = tiny_model.summarize(documents)
    losses = tiny_model.reconstruction_loss(documents)
    assert losses == pytest.approx(tiny_model.reconstruction_loss(documents, own), abs=1e-6)
    assert losses[-1] == 0.0
    assert all(loss > 0 for loss in losses[:-1])


def test_numbers_of_documents_and_summaries_must_agree(tiny_model):
    with pytest.raises(InputError) as caught:
        tiny_model.reconstruction_loss(["a", "b"], ["c"])
    assert str(caught.value) == "There are 2 documents but 1 summaries; give one for each."
    with pytest.raises(InputError, match="batch_size is 0"):
        tiny_model.reconstruction_loss(["a"], ["c"], batch_size=0)


def test_a_transformer_reads_sentences_of_any_length(tiny_vocabulary, build_config):
    config = build_config(length=LengthConfig(maximum_tokens=6))
    config.discriminator.architecture = "transformer"
    model = TextAutoencoder(config, tiny_vocabulary).eval()
    assert 0.0 <= model.readability([LONG])[0] <= 1.0
