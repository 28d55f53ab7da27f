"""Every setting of a training run: one dataclass per owner, one plain sentence per field.

The sections that a saved model keeps are those of :mod:`textae.model_config`. The sentences are what
``textae train --help`` prints. A recipe is a YAML file with the same shape; any field can be overridden
on the command line (``--adversarial.samples 8``).
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from textae.model_config import (
    CodeConfig,
    DecodingConfig,
    DiscriminatorConfig,
    LengthConfig,
    NetworkConfig,
    NormalizationConfig,
)


@dataclass
class DataConfig:
    """Where text comes from. A source: a file, a glob, - (standard input), hub:NAME or newswire."""

    documents: list[str] = field(default_factory=lambda: ["newswire"])
    """Sources of documents to learn to summarise; no summaries are needed."""
    human: list[str] = field(default_factory=lambda: ["newswire"])
    """Sources of human sentences in the style that summaries shall have, never matched to documents."""
    valid: list[str] = field(default_factory=list)
    """Sources of (document, summary) pairs that choose the best checkpoint; only for evaluation."""
    pairs: list[str] = field(default_factory=list)
    """Sources of (document, summary) pairs to learn from beside the unpaired text."""
    document_columns: list[str] = field(default_factory=lambda: ["document"])
    """Columns that may hold a document; the first that a record has is taken."""
    human_columns: list[str] = field(default_factory=lambda: ["text"])
    """Columns that may hold a human sentence; the first that a record has is taken."""
    summary_columns: list[str] = field(default_factory=lambda: ["summaries", "summary"])
    """Columns that may hold the reference summary or the list of them."""
    share: float = 1.0
    """Share of the texts of each source to learn from, evenly spread; for curves over amounts of text."""
    streaming: bool = False
    """Read documents and human sentences as streams instead of holding them in memory."""
    max_document_tokens: int = 80
    """Longer documents are cut here in training; for summaries decoding.long_documents decides."""
    max_human_tokens: int = 24
    """Longer human sentences are left out."""
    normalization: NormalizationConfig = field(default_factory=NormalizationConfig)
    """How raw text is cleaned."""


@dataclass
class TokenizerConfig:
    """The vocabulary that all three networks share."""

    path: str | None = None
    """Folder or Hub name of a tokenizer; without it, the checkpoint's, or one trained on the corpus."""
    vocabulary_size: int = 6000
    """Number of byte-level BPE pieces of a tokenizer trained on the corpus."""
    held_out: float = 0.0
    """Share of the rarer words that it does not learn whole: networks learn to copy new ones in pieces."""
    training_texts: int = 200000
    """At most this many documents and as many human sentences are read to train it."""


@dataclass
class NoiseConfig:
    """Corruptions that the encoder learns to undo during warm-up."""

    inserted_fragments: list[int] = field(default_factory=lambda: [2, 5])
    """Fewest and most fragments of other documents inserted into a human sentence."""
    fragment_words: list[int] = field(default_factory=lambda: [1, 7])
    """Fewest and most words in a fragment."""
    late_fragments: float = 0.0
    """How much fragments tend to the end, for text that says the main thing first; 0 for anywhere."""
    similar_documents: float = 0.0
    """Share of sentences whose fragments come from a document that shares rare words with them."""
    graft_share: float | None = None
    """A document with this share of the sentence is rewritten to tell the rest; null: fragments only."""
    document_forms: float = 0.0
    """Share of the sentence's words that get the form that documents have, such as killed for kills."""
    irregular_forms: dict[str, Any] = field(default_factory=dict)
    """Forms of words that their endings do not tell, such as {falls: fell}."""
    shuffle_distance: float = 1.0
    """Words move by about this many positions; more teaches the encoder to scramble."""
    drop: float = 0.1
    """Share of the sentence's own words that are removed from the input and so must be put back."""
    document_mask: float = 0.0
    """Share of a document's tokens that the network sees hidden; it restores the clean document."""
    document_delete: float = 0.0
    """Share of them that it does not see at all."""
    document_replace: float = 0.0
    """Share of them that it sees replaced by another document's."""
    document_shuffle: float = 0.0
    """It sees them moved by about this many positions."""
    reconstructor_word_dropout: float = 0.3
    """Share of the reconstructor's decoder input that is masked, so that it must read the summary."""


@dataclass
class WarmupConfig:
    """What the networks learn before they meet."""

    steps: int = 1600
    """Number of optimizer steps."""
    documents_per_batch: int = 64
    """Documents, and as many human sentences, in one step over all processes."""
    tokens_per_batch: int | None = None
    """Most document tokens in one step, padding included; null for no such limit."""
    learning_rate: float = 1e-3
    """Peak learning rate of the encoder; falls linearly to a fifth."""
    reconstructor_learning_rate: float | None = None
    """Peak learning rate of the reconstructor; falls likewise; null: as the encoder's."""
    discriminator_learning_rate: float = 1e-3
    """Learning rate of the discriminator."""
    warmup_steps: int = 100
    """Steps over which the learning rate rises."""
    pseudo_summary_share: float = 0.0
    """Share of encoder targets that are first words of documents, not sentences; it teaches to copy them."""
    pair_share: float = 0.25
    """Share of the encoder's and the reconstructor's texts that are pairs, where data.pairs has some."""
    label_smoothing: float = 0.1
    """Label smoothing of the encoder's target."""
    reconstructor_every: int = 1
    """The reconstructor, the dearest of the three, learns from every so many-th document."""


@dataclass
class RewardConfig:
    """One reward: how much it counts, and whether it is brought to unit deviation first."""

    weight: float = 1.0
    """Weight in the sum of rewards; 0 switches it off."""
    normalize: bool = True
    """Divide by the standard deviation over the batch (never over one document's samples)."""


@dataclass
class RewardsConfig:
    """What a summary is paid for."""

    reconstruction: RewardConfig = field(default_factory=RewardConfig)
    """Mean log-probability of the document's tokens given the summary."""
    reader: RewardConfig = field(default_factory=RewardConfig)
    """Per token, the discriminator's belief that the sentence so far was written by a human."""
    length: RewardConfig = field(default_factory=lambda: RewardConfig(weight=0.3, normalize=False))
    """Minus the distance in words from the wanted length; more for a summary that does not end."""
    repetition: RewardConfig = field(default_factory=lambda: RewardConfig(weight=0.5, normalize=False))
    """Minus the number of repeated bigrams, of words repeated at once and of repeated longer words."""
    kl: RewardConfig = field(default_factory=lambda: RewardConfig(weight=0.05, normalize=False))
    """Per token, minus the log-ratio to the warm encoder, so that the style it learned is kept."""
    fluency: RewardConfig = field(default_factory=lambda: RewardConfig(weight=0.0))
    """Per token, how much likelier human sentences make it there than anywhere; needs language_model."""
    topic: RewardConfig = field(default_factory=lambda: RewardConfig(weight=0.0))
    """Cosine of summary and document as means of word embeddings that are learned on the corpus."""
    encoder: RewardConfig = field(default_factory=lambda: RewardConfig(weight=0.0))
    """Cosine of summary and document as embedded by a pretrained network; needs similarity_encoder."""


@dataclass
class CustomRewardConfig(RewardConfig):
    """A reward of the user's own."""

    function: str = ""
    """Where it is, as package.module:callable."""


@dataclass
class AdversarialConfig:
    """The phase in which the three networks learn from each other."""

    estimator: Literal["reinforce", "gumbel", "wgan"] = "reinforce"
    """How the encoder learns through words: rewards, Gumbel-softmax gradients, or a Wasserstein critic's."""
    gumbel_temperature: float = 0.5
    """With gumbel and wgan, the softmax of this temperature gives a sampled word its gradient."""
    gumbel_final_temperature: float | None = None
    """What that temperature falls to by the last step; null: it stays."""
    wgan_output: Literal["soft", "straight_through"] = "soft"
    """What critic and reconstructor read with wgan: the encoder's distributions, or its sampled words."""
    wgan_gradient_penalty: float = 10.0
    """Weight of the penalty that keeps the norm of the critic's gradient near 1."""
    steps: int = 400
    """Number of optimizer steps."""
    documents_per_batch: int = 64
    """Documents in one step over all processes."""
    tokens_per_batch: int | None = None
    """Most document tokens in one step, padding included; null for no such limit."""
    samples: int = 4
    """Summaries sampled for each document."""
    reconstructor_samples: int | None = None
    """So many of a document's samples train the reconstructor, the rest are only read; null: all."""
    length_sampling: Literal["human", "uniform"] = "human"
    """Ask for the length of a human sentence, or for any within length.minimum_words and maximum_words."""
    baseline: Literal["leave_one_out", "self_critical", "batch_mean"] = "leave_one_out"
    """What a sample's reward is compared with."""
    learning_rate: float = 2e-4
    """Learning rate of the encoder."""
    reconstructor_learning_rate: float = 2e-4
    """Learning rate of the reconstructor."""
    discriminator_learning_rate: float = 1e-3
    """Learning rate of the discriminator."""
    discriminator_first_steps: int = 40
    """First steps, in which only reconstructor and discriminator learn, on the warm encoder's samples."""
    reader_discount: float = 0.5
    """Discount with which a token is paid for the reader's later scores (0.3 in Wang and Lee's code)."""
    weigh_content: bool = False
    """Weigh the document's tokens in the reconstruction reward by their inverse document frequency."""
    relative_reconstruction: bool = False
    """Take from the reconstruction reward what an empty summary gets; matters to batch_mean and the log."""
    similarity_encoder: str | None = None
    """Folder or Hub name of the pretrained network that embeds summary and document for rewards.encoder."""
    real_label: float = 0.9
    """One-sided label smoothing: the discriminator's target for human sentences."""
    discriminator_hold_accuracy: float | None = None
    """The discriminator does not learn while its running accuracy is above this; null: it always does."""
    replay_size: int = 0
    """So many older samples are kept for the discriminator to go on learning from; 0 for none."""
    replay_share: float = 0.25
    """Share of the samples whose place in the discriminator's loss older ones take."""
    pair_share: float = 0.25
    """Pairs in one step, for each document, where data.pairs has some."""
    pair_weight: float = 1.0
    """Weight of the cross-entropies of pairs beside the losses of samples."""
    denoising_weight: float = 0.0
    """Weight of the warm-up's loss of the encoder, on the step's human sentences, beside the rewards."""
    warm_share: float = 0.0
    """Share of the weights after warm-up in the encoder that is evaluated and saved; the rest are trained."""
    rollback_drop: float | None = None
    """Go back to the best weights when what is watched falls by more than this below its best; null: no."""
    rollback_signal: Literal["valid", "reward"] = "valid"
    """What is watched: the score on data.valid, in points, or the weighted sum of mean raw rewards."""
    rollback_patience: int = 1
    """So many evaluations (or windows) in a row must be that bad."""
    rollback_window: int = 50
    """Steps over which the rewards are averaged."""
    rollback_rate_factor: float = 0.5
    """What the encoder's learning rate is multiplied by each time."""
    rollback_limit: int = 3
    """A run goes back at most so often."""
    rewards: RewardsConfig = field(default_factory=RewardsConfig)
    """What a summary is paid for."""
    custom_rewards: dict[str, CustomRewardConfig] = field(default_factory=dict)
    """Your own, {NAME: {function: package.module:callable, weight: 1.0}}: a Rollout to (N,) or (N, T)."""


@dataclass
class OptimizerConfig:
    """AdamW for all three networks, each with its own learning rate."""

    weight_decay: float = 0.01
    """Weight decay of matrices (never of biases and norms)."""
    adam_beta1: float = 0.9
    """Decay of the running mean of gradients."""
    adam_beta2: float = 0.98
    """Decay of the running mean of squared gradients."""
    maximum_gradient_norm: float = 1.0
    """Gradients of each network are clipped to this norm on their own."""
    rows_at_once: int | None = None
    """Bounds memory: so many texts go through a network at a time, twice; same gradients; null: all, once."""
    most_skipped_steps: int = 10
    """A step whose loss or gradient is not finite is skipped; the run ends after so many in a row."""


@dataclass
class RunConfig:
    """Logging, evaluation while training, checkpoints."""

    output: str = "runs/textae"
    """Folder for the trained model, checkpoints, logs and metrics."""
    seed: int = 0
    """Seed of everything random."""
    log_every: int = 10
    """Steps between lines in metrics.jsonl."""
    sample_every: int = 100
    """Steps between looks at a few documents with summary and reconstruction in the log."""
    sample_documents: int = 3
    """How many documents such a look shows."""
    evaluate_every: int = 100
    """Steps between evaluations on the valid pairs, which choose the best checkpoint."""
    evaluate_documents: int = 500
    """At most this many valid pairs, drawn evenly over the file, are used then."""
    save_every: int = 200
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """How many checkpoints are kept, besides the best."""
    trackers: list[str] = field(default_factory=lambda: ["tensorboard"])
    """Experiment trackers of Accelerate that get the metrics."""
    collapse_window: int = 50
    """Steps over which the signs of collapse are watched."""


@dataclass
class TrainingConfig:
    """A whole recipe."""

    data: DataConfig = field(default_factory=DataConfig)
    """Where text comes from."""
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """The shared vocabulary."""
    encoder: NetworkConfig = field(default_factory=NetworkConfig)
    """Document to summary."""
    reconstructor: NetworkConfig = field(default_factory=NetworkConfig)
    """Summary to document."""
    code: CodeConfig = field(default_factory=CodeConfig)
    """What stands between document and document."""
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    """The adversarial reader."""
    length: LengthConfig = field(default_factory=LengthConfig)
    """Lengths of summaries."""
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    """How summaries are written."""
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    """Corruptions of warm-up."""
    warmup: WarmupConfig = field(default_factory=WarmupConfig)
    """What the networks learn before they meet."""
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    """The phase in which the networks learn from each other."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """AdamW."""
    run: RunConfig = field(default_factory=RunConfig)
    """Logging, evaluation, checkpoints."""
