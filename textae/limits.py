"""Which values of settings make sense: the check that every recipe passes before anything is loaded."""

import dataclasses
from operator import attrgetter

from textae.config import CustomRewardConfig, RewardsConfig, TrainingConfig
from textae.errors import InputError, nearest
from textae.model_config import DiscriminatorConfig, NetworkConfig

# The smallest whole numbers.
_AT_LEAST = {
    "data.max_document_tokens": 2,
    "data.max_human_tokens": 2,
    # 256 bytes, so that no character is unknown, and the special tokens.
    "tokenizer.vocabulary_size": 300,
    "tokenizer.training_texts": 1,
    "length.minimum_words": 1,
    "length.maximum_tokens": 2,
    "decoding.num_beams": 1,
    "decoding.candidates": 1,
    "decoding.no_repeat_ngram_size": 0,
    "decoding.length_slack": 0,
    "code.vectors": 1,
    "code.width": 1,
    "code.slots": 1,
    "code.kl_steps": 0,
    "code.continuous_steps": 0,
    "code.codebook_size": 2,
    "code.style_width": 1,
    "warmup.steps": 0,
    "warmup.documents_per_batch": 1,
    "warmup.warmup_steps": 0,
    "warmup.reconstructor_every": 1,
    "adversarial.steps": 0,
    "adversarial.documents_per_batch": 1,
    "adversarial.samples": 1,
    "adversarial.discriminator_first_steps": 0,
    "adversarial.replay_size": 0,
    "adversarial.rollback_patience": 1,
    "adversarial.rollback_window": 1,
    "adversarial.rollback_limit": 0,
    "run.seed": 0,
    "run.log_every": 1,
    "run.sample_every": 1,
    "run.sample_documents": 0,
    "run.evaluate_every": 1,
    "run.evaluate_documents": 1,
    "run.save_every": 1,
    "run.keep_checkpoints": 1,
    "run.collapse_window": 2,  # halves of it are compared
}

_POSITIVE = (
    "warmup.learning_rate",
    "warmup.discriminator_learning_rate",
    "adversarial.gumbel_temperature",
    "adversarial.learning_rate",
    "adversarial.reconstructor_learning_rate",
    "adversarial.discriminator_learning_rate",
    "adversarial.rollback_rate_factor",
    "optimizer.maximum_gradient_norm",
)

_NOT_NEGATIVE = (
    "adversarial.wgan_gradient_penalty",
    "decoding.length_penalty",
    "decoding.encoder_weight",
    "decoding.reconstruction_weight",
    "decoding.reader_weight",
    "decoding.ending_weight",
    "decoding.fluency_weight",
    "decoding.similarity_weight",
    "noise.shuffle_distance",
    "noise.document_shuffle",
    "code.bag_weight",
    "code.kl_weight",
    "code.free_bits",
    "code.commitment_weight",
    "code.source_weight",
    "noise.late_fragments",
    "adversarial.pair_weight",
    "adversarial.denoising_weight",
    "optimizer.weight_decay",
    *(f"adversarial.rewards.{field.name}.weight" for field in dataclasses.fields(RewardsConfig)),
)

# At least 0 and below 1: at 1 nothing would be left.
_RATES = (
    "encoder.dropout",
    "reconstructor.dropout",
    "discriminator.dropout",
    "tokenizer.held_out",
    "noise.drop",
    "noise.reconstructor_word_dropout",
    "noise.document_mask",
    "noise.document_delete",
    "noise.document_replace",
    "code.codebook_decay",
    "warmup.label_smoothing",
    "adversarial.replay_share",
    "optimizer.adam_beta1",
    "optimizer.adam_beta2",
)

_SHARES = (
    "warmup.pseudo_summary_share",
    "warmup.pair_share",
    "adversarial.pair_share",
    "adversarial.warm_share",
    "noise.similar_documents",
    "noise.document_forms",
    "adversarial.reader_discount",
)

_NOT_EMPTY = (
    "data.documents",
    "data.human",
    "data.document_columns",
    "data.human_columns",
    "data.summary_columns",
)

_TRACKERS = (
    "all", "aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb",
)  # fmt: skip


def validate(config: TrainingConfig) -> None:
    """Refuse a recipe that cannot work.

    Raises:
        InputError: With the setting's name, its value and what it must be.
    """
    for name, least in _AT_LEAST.items():
        _require(config, name, attrgetter(name)(config) >= least, f"must be at least {least}")
    for name in _POSITIVE:
        _require(config, name, attrgetter(name)(config) > 0, "must be above 0")
    for name in ("warmup.reconstructor_learning_rate", "adversarial.gumbel_final_temperature"):
        value = attrgetter(name)(config)
        _require(config, name, value is None or value > 0, "must be above 0")
    at_once = config.optimizer.rows_at_once
    _require(config, "optimizer.rows_at_once", at_once is None or at_once >= 1, "must be at least 1")
    most_skipped = config.optimizer.most_skipped_steps
    _require(config, "optimizer.most_skipped_steps", most_skipped >= 1, "must be at least 1")
    for name in _NOT_NEGATIVE:
        value = attrgetter(name)(config)
        _require(config, name, value >= 0, "must not be below 0")
    for name in _RATES:
        _require(config, name, 0 <= attrgetter(name)(config) < 1, "must be at least 0 and below 1")
    for name in _SHARES:
        _require(config, name, 0 <= attrgetter(name)(config) <= 1, "must lie between 0 and 1")
    _require(config, "data.share", 0 < config.data.share <= 1, "must be above 0 and at most 1")
    share = config.noise.graft_share
    _require(config, "noise.graft_share", share is None or 0 <= share <= 1, "must lie between 0 and 1")
    for name in ("data.normalization.replacements", "noise.irregular_forms"):
        for old, new in attrgetter(name)(config).items():
            if not old or not isinstance(new, str):
                raise InputError(f"{name}: {old!r} to {new!r} must be text for text that is not empty")
    for name in _NOT_EMPTY:
        _require(config, name, any(attrgetter(name)(config)), "must name at least one")
    _require(config, "run.seed", config.run.seed < 2**32, "must be below 4294967296")
    _require(config, "run.output", bool(config.run.output.strip()), "must name a folder")
    for tracker in config.run.trackers:
        if tracker not in _TRACKERS:
            known = ", ".join(_TRACKERS)
            raise InputError(
                f'run.trackers: there is no tracker "{tracker}"{nearest(tracker, _TRACKERS)} (known: {known})'
            )
    _validate_networks(config)
    _validate_lengths(config)
    _validate_adversarial(config)


def _validate_networks(config: TrainingConfig) -> None:
    networks: tuple[tuple[str, NetworkConfig | DiscriminatorConfig], ...] = (
        ("encoder", config.encoder),
        ("reconstructor", config.reconstructor),
        ("discriminator", config.discriminator),
    )
    for name, network in networks:
        for field in ("width", "layers", "heads", "feed_forward"):
            if hasattr(network, field):
                full = f"{name}.{field}"
                _require(config, full, getattr(network, field) >= 1, "must be at least 1")
        # A checkpoint brings its own sizes, and a GRU has no heads.
        if isinstance(network, NetworkConfig):
            has_heads = network.checkpoint is None
        else:
            has_heads = network.architecture == "transformer"
        if has_heads and network.width % network.heads:
            raise InputError(
                f"{name}.heads = {network.heads} does not divide {name}.width = {network.width}; "
                "change one of them"
            )


def _validate_lengths(config: TrainingConfig) -> None:
    length = config.length
    if length.minimum_words > length.maximum_words:
        raise InputError(
            f"length.minimum_words = {length.minimum_words} is above "
            f"length.maximum_words = {length.maximum_words}; swap or change them"
        )
    if not length.minimum_words <= length.summary_words <= length.maximum_words:
        raise InputError(
            f"length.summary_words = {length.summary_words} must lie between length.minimum_words = "
            f"{length.minimum_words} and length.maximum_words = {length.maximum_words}"
        )
    noise = config.noise
    lost = noise.document_delete + noise.document_mask + noise.document_replace
    rule = "must leave some tokens as they are, together with document_mask and document_replace"
    _require(config, "noise.document_delete", lost < 1, rule)
    for name, least in (("noise.inserted_fragments", 0), ("noise.fragment_words", 1)):
        span = attrgetter(name)(config)
        is_span = len(span) == 2 and least <= span[0] <= span[1]
        _require(config, name, is_span, f"must be two numbers, fewest and most, of at least {least}")

    if not config.discriminator.language_model:
        for name in ("decoding.fluency_weight", "adversarial.rewards.fluency.weight"):
            _require(config, name, attrgetter(name)(config) == 0, "needs discriminator.language_model = true")
    for name, encoder in (
        ("decoding.similarity_weight", "decoding.similarity_encoder"),
        ("adversarial.rewards.encoder.weight", "adversarial.similarity_encoder"),
    ):
        is_there = attrgetter(name)(config) == 0 or bool(attrgetter(encoder)(config))
        needed = f"needs {encoder}, a folder or Hub name of a network that embeds sentences"
        _require(config, name, is_there, needed)
    decoding = config.decoding
    if decoding.candidates > decoding.num_beams:
        raise InputError(
            f"decoding.candidates = {decoding.candidates} is above decoding.num_beams = "
            f"{decoding.num_beams}; beam search finds no more"
        )


def _validate_adversarial(config: TrainingConfig) -> None:
    adversarial = config.adversarial
    trained = adversarial.reconstructor_samples
    _require(
        config,
        "adversarial.reconstructor_samples",
        trained is None or 1 <= trained <= adversarial.samples,
        f"must lie between 1 and adversarial.samples = {adversarial.samples}",
    )
    _require(
        config,
        "adversarial.real_label",
        0.5 < adversarial.real_label <= 1,
        "must be above 0.5 and at most 1",
    )
    for name, reward in adversarial.custom_rewards.items():
        _validate_custom_reward(name, reward)
    hold, drop = adversarial.discriminator_hold_accuracy, adversarial.rollback_drop
    _require(
        config,
        "adversarial.discriminator_hold_accuracy",
        hold is None or 0.5 < hold < 1,
        "must be above 0.5 and below 1",
    )
    _require(config, "adversarial.rollback_drop", drop is None or drop >= 0, "must not be below 0")
    _require(
        config,
        "adversarial.rollback_rate_factor",
        adversarial.rollback_rate_factor <= 1,
        "must be at most 1",
    )
    if drop is not None and adversarial.rollback_signal == "valid" and not config.data.valid:
        raise InputError(
            "adversarial.rollback_drop needs data.valid when adversarial.rollback_signal = valid; "
            "name pairs there or take the signal reward"
        )
    if adversarial.estimator != "reinforce":
        _validate_relaxed(config)
        return
    if adversarial.samples < 2 and adversarial.baseline == "leave_one_out":
        raise InputError(
            f"adversarial.samples = {adversarial.samples} leaves nothing to compare with when "
            "adversarial.baseline = leave_one_out; take at least 2 samples or the baseline self_critical"
        )
    if adversarial.baseline == "batch_mean" and adversarial.samples * adversarial.documents_per_batch < 2:
        raise InputError(
            "adversarial.samples times adversarial.documents_per_batch must be at least 2 when "
            "adversarial.baseline = batch_mean"
        )


def _validate_custom_reward(name: str, reward: CustomRewardConfig) -> None:
    where = f"adversarial.custom_rewards.{name}"
    if name in RewardsConfig.__dataclass_fields__:
        raise InputError(f"{where} has the name of a reward that there is; choose another")
    # The log has reward/NAME and reward/NAME_weighted.
    if not name.isidentifier() or name.endswith("_weighted"):
        raise InputError(
            f'adversarial.custom_rewards: "{name}" must be a name of letters, digits and underscores that '
            "does not end in _weighted"
        )
    module, colon, function = reward.function.partition(":")
    parts = [*module.split("."), *function.split(".")]
    if not colon or not all(part.isidentifier() for part in parts):
        raise InputError(f'{where}.function = "{reward.function}" must be written as package.module:callable')
    if reward.weight < 0:
        raise InputError(f"{where}.weight = {reward.weight} must not be below 0")


# What only REINFORCE can use.
_OF_REINFORCE = (
    "adversarial.baseline",
    "adversarial.reader_discount",
    "adversarial.reconstructor_samples",
    "adversarial.relative_reconstruction",
    "adversarial.similarity_encoder",
    "adversarial.custom_rewards",
    "adversarial.weigh_content",
    "adversarial.replay_size",
    "adversarial.discriminator_hold_accuracy",
    "adversarial.denoising_weight",
)
# Rewards that are no function of anything differentiable; a default weight counts for REINFORCE alone.
_WITHOUT_GRADIENT = ("length", "repetition", "fluency", "topic", "encoder")


def _validate_relaxed(config: TrainingConfig) -> None:
    """Refuse what an estimator with gradients through the summary would have to ignore."""
    estimator, defaults = config.adversarial.estimator, TrainingConfig()
    names = list(_OF_REINFORCE)
    if estimator == "wgan":
        names.append("adversarial.real_label")
    for name in names:
        value, default = attrgetter(name)(config), attrgetter(name)(defaults)
        if value != default:
            raise InputError(
                f"{name} = {value} says nothing to adversarial.estimator = {estimator}; leave it out"
            )
    if config.optimizer.rows_at_once is not None:
        raise InputError(
            f"optimizer.rows_at_once cannot be used by adversarial.estimator = {estimator}, which samples "
            "all rows in one pass; leave it out, or take fewer documents"
        )
    if config.data.pairs and config.adversarial.pair_weight > 0:
        raise InputError(
            f"data.pairs teach nothing in the adversarial phase to adversarial.estimator = {estimator}; "
            "set adversarial.pair_weight to 0 and they count in the warm-up alone"
        )
    for reward in _WITHOUT_GRADIENT:
        name = f"adversarial.rewards.{reward}.weight"
        weight = attrgetter(name)(config)
        if weight not in (0, attrgetter(name)(defaults)):
            raise InputError(
                f"{name} = {weight} cannot be used by adversarial.estimator = {estimator}, as this reward "
                "has no gradient; set it to 0 or leave it out"
            )


def _require(config: TrainingConfig, name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise InputError(f"{name} = {attrgetter(name)(config)} {rule}")
