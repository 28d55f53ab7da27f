"""The adversarial step against the straightforward implementation that the benchmark measures it with."""

import sys
from pathlib import Path

import pytest
import torch

from textae.training.adversarial import AdversarialStep

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from benchmarks.plain import PlainAutoencoder, PlainNetwork


@pytest.mark.parametrize("learned", [None, 1])
@pytest.mark.parametrize("copy_head", [True, False])
def test_losses_and_gradients_are_those_of_separate_passes_over_the_whole_vocabulary(
    config, small_vocabulary, documents, human, reduce, request, learned, copy_head
):
    for network in (config.encoder, config.reconstructor):
        network.copy_head = copy_head
    config.discriminator.language_model = True
    config.adversarial.reconstructor_samples = learned
    config.adversarial.rewards.fluency.weight = 0.5
    model = request.getfixturevalue("model").double()
    plain = PlainAutoencoder(model).double()
    weights = torch.ones(len(small_vocabulary), dtype=torch.double)
    step = AdversarialStep(config, small_vocabulary, model.encoder, weights, reduce)
    sampled = step.sample(model, 7, range(4), documents, human)
    found = []
    for module, reference in ((model, model.encoder), (plain, PlainNetwork(model.encoder).double())):
        step.reference = reference
        loss, metrics = step.losses(sampled, module(sampled.inputs), 3)
        for parameter in module.parameters():
            parameter.requires_grad_(True)
        module.zero_grad()
        loss, metrics = step.losses(sampled, module(sampled.inputs), 3)
        loss.backward()
        found.append((metrics, module))
    for name, value in found[0][0].items():
        assert found[1][0][name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
    for part in ("encoder", "reconstructor"):
        ours, theirs = (getattr(module, part) for _, module in found)
        ours = ours.backbone.network
        for (name, own), (_, other) in zip(
            ours.named_parameters(), theirs.network.named_parameters(), strict=False
        ):
            if own.grad is not None:
                torch.testing.assert_close(own.grad, other.grad, rtol=1e-7, atol=1e-10, msg=name)
    assert sum(float(p.grad.abs().sum()) for p in model.encoder.parameters() if p.grad is not None) > 0


def test_plain_sampling_is_sampling_from_the_same_distribution(model, sampled, small_vocabulary):
    # Greedy writing has no chance in it: what both write shows that both read alike.
    from textae.models.decoding import Decoding, decode

    inputs = sampled.inputs
    hints = inputs.hints[:: len(inputs.hints) // len(inputs.encoder_source.ids)]
    ours = decode(
        model.encoder, model.encoder.read(inputs.encoder_source), hints, small_vocabulary, Decoding(8)
    )
    plain = PlainNetwork(model.encoder).eval()
    written = plain.generate(inputs.encoder_source, hints, 8, do_sample=False).tolist()
    special = small_vocabulary.special.tolist()
    for row, own in zip(written, ours, strict=True):
        begun = row[: row.index(plain.end)] if plain.end in row else row
        # Only ours never writes a special token.
        if not any(special[token] for token in begun):
            assert begun == own
    rolled = plain.rollout(inputs.encoder_source, inputs.hints, torch.zeros(len(inputs.hints), 8, 2))
    assert rolled.ids.shape[0] == len(inputs.hints) and rolled.mask[:, 0].all()
