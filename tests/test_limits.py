"""Impossible recipes are refused with the setting's name and what to do."""

import pytest

from textae.config import CustomRewardConfig, TrainingConfig
from textae.errors import InputError
from textae.limits import validate
from textae.settings import settings


def changed(**values):
    """Return the default recipe with dotted settings changed (``__`` for the dot)."""
    config = TrainingConfig()
    for name, value in values.items():
        *path, last = name.split("__")
        owner = config
        for part in path:
            owner = getattr(owner, part)
        assert hasattr(owner, last)
        setattr(owner, last, value)
    return config


def own(function, **values):
    return CustomRewardConfig(function=function, **values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"warmup__steps": -1}, "warmup.steps = -1 must be at least 0"),
        ({"warmup__reconstructor_every": 0}, "warmup.reconstructor_every = 0 must be at least 1"),
        ({"adversarial__steps": -1}, "adversarial.steps = -1 must be at least 0"),
        ({"code__vectors": 0}, "code.vectors = 0 must be at least 1"),
        ({"code__kl_weight": -1.0}, "code.kl_weight = -1.0 must not be below 0"),
        ({"code__codebook_decay": 1.0}, "code.codebook_decay = 1.0 must be at least 0 and below 1"),
        (
            {"noise__document_delete": 0.5, "noise__document_mask": 0.5},
            "noise.document_delete = 0.5 must leave some tokens as they are, together with "
            "document_mask and document_replace",
        ),
        ({"warmup__documents_per_batch": 0}, "warmup.documents_per_batch = 0 must be at least 1"),
        ({"run__keep_checkpoints": 0}, "run.keep_checkpoints = 0 must be at least 1"),
        ({"run__seed": -1}, "run.seed = -1 must be at least 0"),
        ({"run__collapse_window": 1}, "run.collapse_window = 1 must be at least 2"),
        ({"run__seed": 2**32}, "run.seed = 4294967296 must be below 4294967296"),
        ({"run__output": " "}, "run.output =   must name a folder"),
        ({"tokenizer__vocabulary_size": 200}, "tokenizer.vocabulary_size = 200 must be at least 300"),
        ({"warmup__learning_rate": 0.0}, "warmup.learning_rate = 0.0 must be above 0"),
        (
            {"warmup__reconstructor_learning_rate": 0.0},
            "warmup.reconstructor_learning_rate = 0.0 must be above 0",
        ),
        ({"adversarial__learning_rate": -1.0}, "adversarial.learning_rate = -1.0 must be above 0"),
        (
            {"adversarial__rewards__kl__weight": -0.1},
            "adversarial.rewards.kl.weight = -0.1 must not be below 0",
        ),
        ({"warmup__pair_share": 1.5}, "warmup.pair_share = 1.5 must lie between 0 and 1"),
        ({"adversarial__warm_share": 1.1}, "adversarial.warm_share = 1.1 must lie between 0 and 1"),
        ({"adversarial__pair_share": -0.1}, "adversarial.pair_share = -0.1 must lie between 0 and 1"),
        ({"adversarial__pair_weight": -1.0}, "adversarial.pair_weight = -1.0 must not be below 0"),
        ({"adversarial__replay_size": -1}, "adversarial.replay_size = -1 must be at least 0"),
        ({"adversarial__replay_share": 1.0}, "adversarial.replay_share = 1.0 must be at least 0 and below 1"),
        (
            {"adversarial__discriminator_hold_accuracy": 0.5},
            "adversarial.discriminator_hold_accuracy = 0.5 must be above 0.5 and below 1",
        ),
        ({"adversarial__rollback_patience": 0}, "adversarial.rollback_patience = 0 must be at least 1"),
        ({"adversarial__rollback_window": 0}, "adversarial.rollback_window = 0 must be at least 1"),
        ({"adversarial__rollback_limit": -1}, "adversarial.rollback_limit = -1 must be at least 0"),
        (
            {"adversarial__rollback_rate_factor": 0.0},
            "adversarial.rollback_rate_factor = 0.0 must be above 0",
        ),
        (
            {"adversarial__rollback_rate_factor": 1.5},
            "adversarial.rollback_rate_factor = 1.5 must be at most 1",
        ),
        (
            {"adversarial__rollback_drop": -1.0, "data__valid": ["newswire:valid"]},
            "adversarial.rollback_drop = -1.0 must not be below 0",
        ),
        (
            {"adversarial__rollback_drop": 2.0},
            "adversarial.rollback_drop needs data.valid when adversarial.rollback_signal = valid; "
            "name pairs there or take the signal reward",
        ),
        ({"encoder__dropout": 1.0}, "encoder.dropout = 1.0 must be at least 0 and below 1"),
        ({"decoding__candidates": 0}, "decoding.candidates = 0 must be at least 1"),
        (
            {"decoding__candidates": 4, "decoding__num_beams": 3},
            "decoding.candidates = 4 is above decoding.num_beams = 3; beam search finds no more",
        ),
        ({"decoding__reader_weight": -1.0}, "decoding.reader_weight = -1.0 must not be below 0"),
        ({"decoding__ending_weight": -0.1}, "decoding.ending_weight = -0.1 must not be below 0"),
        ({"decoding__length_slack": -1}, "decoding.length_slack = -1 must be at least 0"),
        ({"data__share": 0.0}, "data.share = 0.0 must be above 0 and at most 1"),
        ({"noise__graft_share": 1.5}, "noise.graft_share = 1.5 must lie between 0 and 1"),
        ({"tokenizer__held_out": 1.0}, "tokenizer.held_out = 1.0 must be at least 0 and below 1"),
        ({"decoding__fluency_weight": -1.0}, "decoding.fluency_weight = -1.0 must not be below 0"),
        (
            {"decoding__fluency_weight": 0.5},
            "decoding.fluency_weight = 0.5 needs discriminator.language_model = true",
        ),
        ({"decoding__similarity_weight": -1.0}, "decoding.similarity_weight = -1.0 must not be below 0"),
        (
            {"decoding__similarity_weight": 20.0},
            "decoding.similarity_weight = 20.0 needs decoding.similarity_encoder, a folder or Hub name of a "
            "network that embeds sentences",
        ),
        (
            {"adversarial__rewards__fluency__weight": 0.5},
            "adversarial.rewards.fluency.weight = 0.5 needs discriminator.language_model = true",
        ),
        (
            {"adversarial__rewards__encoder__weight": 0.5},
            "adversarial.rewards.encoder.weight = 0.5 needs adversarial.similarity_encoder, a folder or "
            "Hub name of a network that embeds sentences",
        ),
        (
            {"adversarial__custom_rewards": {"topic": own("a:b")}},
            "adversarial.custom_rewards.topic has the name of a reward that there is; choose another",
        ),
        *(
            (
                {"adversarial__custom_rewards": {name: own("a:b")}},
                f'adversarial.custom_rewards: "{name}" must be a name of letters, digits and underscores '
                "that does not end in _weighted",
            )
            for name in ("", "my/own", "a.b", "kl_weighted")
        ),
        *(
            (
                {"adversarial__custom_rewards": {"own": own(function)}},
                f'adversarial.custom_rewards.own.function = "{function}" must be written as '
                "package.module:callable",
            )
            for function in ("", "my.rewards", "my.rewards:", ":own", "a:b:c", "a b:c", "../a:b", ".a:b")
        ),
        (
            {"adversarial__custom_rewards": {"own": own("a:b", weight=-1.0)}},
            "adversarial.custom_rewards.own.weight = -1.0 must not be below 0",
        ),
        (
            {"data__normalization__replacements": {"": "x"}},
            "data.normalization.replacements: '' to 'x' must be text for text that is not empty",
        ),
        (
            {"data__normalization__replacements": {"x": 1}},
            "data.normalization.replacements: 'x' to 1 must be text for text that is not empty",
        ),
        ({"noise__drop": -0.1}, "noise.drop = -0.1 must be at least 0 and below 1"),
        ({"warmup__pseudo_summary_share": 1.5}, "warmup.pseudo_summary_share = 1.5 must lie between 0 and 1"),
        ({"data__documents": []}, "data.documents = [] must name at least one"),
        ({"data__human": [""]}, "data.human = [''] must name at least one"),
        ({"encoder__layers": 0}, "encoder.layers = 0 must be at least 1"),
        ({"discriminator__width": 0}, "discriminator.width = 0 must be at least 1"),
        (
            {"encoder__width": 130},
            "encoder.heads = 4 does not divide encoder.width = 130; change one of them",
        ),
        (
            {"discriminator__architecture": "transformer", "discriminator__heads": 3},
            "discriminator.heads = 3 does not divide discriminator.width = 128; change one of them",
        ),
        (
            {"length__minimum_words": 13},
            "length.minimum_words = 13 is above length.maximum_words = 12; swap or change them",
        ),
        (
            {"length__summary_words": 13},
            "length.summary_words = 13 must lie between length.minimum_words = 6 "
            "and length.maximum_words = 12",
        ),
        (
            {"noise__fragment_words": [3, 2]},
            "noise.fragment_words = [3, 2] must be two numbers, fewest and most, of at least 1",
        ),
        (
            {"noise__inserted_fragments": [1]},
            "noise.inserted_fragments = [1] must be two numbers, fewest and most, of at least 0",
        ),
        ({"adversarial__real_label": 0.5}, "adversarial.real_label = 0.5 must be above 0.5 and at most 1"),
        (
            {"adversarial__reconstructor_samples": 0},
            "adversarial.reconstructor_samples = 0 must lie between 1 and adversarial.samples = 4",
        ),
        (
            {"adversarial__reconstructor_samples": 5},
            "adversarial.reconstructor_samples = 5 must lie between 1 and adversarial.samples = 4",
        ),
        (
            {"adversarial__samples": 1},
            "adversarial.samples = 1 leaves nothing to compare with when adversarial.baseline = "
            "leave_one_out; take at least 2 samples or the baseline self_critical",
        ),
        (
            {
                "adversarial__samples": 1,
                "adversarial__documents_per_batch": 1,
                "adversarial__baseline": "batch_mean",
            },
            "adversarial.samples times adversarial.documents_per_batch must be at least 2 when "
            "adversarial.baseline = batch_mean",
        ),
        ({"adversarial__gumbel_temperature": 0.0}, "adversarial.gumbel_temperature = 0.0 must be above 0"),
        (
            {"adversarial__gumbel_final_temperature": 0.0},
            "adversarial.gumbel_final_temperature = 0.0 must be above 0",
        ),
        (
            {"adversarial__wgan_gradient_penalty": -1.0},
            "adversarial.wgan_gradient_penalty = -1.0 must not be below 0",
        ),
        (
            {"adversarial__estimator": "gumbel", "adversarial__rewards__repetition__weight": 1.0},
            "adversarial.rewards.repetition.weight = 1.0 cannot be used by adversarial.estimator = gumbel, "
            "as this reward has no gradient; set it to 0 or leave it out",
        ),
        (
            {"adversarial__estimator": "wgan", "adversarial__rewards__length__weight": 0.5},
            "adversarial.rewards.length.weight = 0.5 cannot be used by adversarial.estimator = wgan, "
            "as this reward has no gradient; set it to 0 or leave it out",
        ),
        (
            {
                "adversarial__estimator": "gumbel",
                "discriminator__language_model": True,
                "adversarial__rewards__fluency__weight": 0.5,
            },
            "adversarial.rewards.fluency.weight = 0.5 cannot be used by adversarial.estimator = gumbel, "
            "as this reward has no gradient; set it to 0 or leave it out",
        ),
        (
            {"adversarial__estimator": "gumbel", "adversarial__reconstructor_samples": 2},
            "adversarial.reconstructor_samples = 2 says nothing to adversarial.estimator = gumbel; "
            "leave it out",
        ),
        (
            {"adversarial__estimator": "wgan", "adversarial__baseline": "self_critical"},
            "adversarial.baseline = self_critical says nothing to adversarial.estimator = wgan; leave it out",
        ),
        (
            {"adversarial__estimator": "wgan", "adversarial__real_label": 1.0},
            "adversarial.real_label = 1.0 says nothing to adversarial.estimator = wgan; leave it out",
        ),
    ],
)
def test_impossible_values(values, sentence):
    with pytest.raises(InputError) as caught:
        validate(changed(**values))
    assert str(caught.value) == sentence


def test_an_unknown_tracker_names_the_nearest():
    with pytest.raises(InputError, match='there is no tracker "tensorbord"; did you mean "tensorboard"'):
        validate(changed(run__trackers=["tensorbord"]))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"warmup__steps": 0},
        {"adversarial__samples": 1, "adversarial__baseline": "self_critical"},
        {"encoder__width": 130, "encoder__checkpoint": "org/tiny"},
        {"discriminator__width": 30, "discriminator__heads": 4},
        {"noise__inserted_fragments": [0, 0]},
        {"adversarial__reader_discount": 1.0},
        {"adversarial__reconstructor_samples": 4},
        {"run__trackers": []},
        {"adversarial__rewards__encoder__weight": 1.0, "adversarial__similarity_encoder": "org/tiny"},
        {"adversarial__similarity_encoder": "org/tiny"},
        {"adversarial__custom_rewards": {"own": own("my.rewards:Names.share", weight=0.0)}},
        {"adversarial__estimator": "gumbel", "adversarial__samples": 1, "adversarial__real_label": 1.0},
        {"adversarial__estimator": "wgan", "adversarial__rewards__repetition__weight": 0.0},
    ],
)
def test_unusual_values_that_work_are_let_through(values):
    validate(changed(**values))


def test_every_number_is_watched():
    """A number that nobody checks would be found out only after hours; -1 is never right."""
    unchecked = []
    for name, setting in settings().items():
        if type(setting.default) in (int, float):
            try:
                validate(changed(**{name.replace(".", "__"): -1}))
            except InputError as error:
                assert name in str(error)
            else:
                unchecked.append(name)
    assert unchecked == []
