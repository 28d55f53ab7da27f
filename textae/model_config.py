"""The settings that a saved model keeps: its networks, its code, and how it reads and writes.

A recipe (:mod:`textae.config`) has the same sections. The sentence under each field is its help.
"""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class NormalizationConfig:
    """How raw text is cleaned before anything else sees it."""

    replacements: dict[str, Any] = field(default_factory=dict)
    """What to replace by what, before anything else, such as {"<unk>": unk}."""
    unicode_nfkc: bool = True
    """Apply Unicode NFKC, so that full-width and composed characters have one form."""
    lowercase: bool = False
    """Lower-case the text."""
    digits_to_hash: bool = False
    """Replace every digit by #, as the Gigaword headline corpus does."""
    split_punctuation: bool = False
    """Put spaces around punctuation and English clitics, as the Penn Treebank does."""


@dataclass
class NetworkConfig:
    """One sequence-to-sequence network: from scratch (an architecture and its size) or from a checkpoint."""

    checkpoint: str | None = None
    """Folder or Hub name of a pretrained network: encoder-decoder, or encoder-only (BERT family)."""
    architecture: str = "mbart"
    """Hugging Face model type to build from scratch: t5, bart, mbart, pegasus, ..."""
    width: int = 128
    """Hidden size of a network from scratch."""
    layers: int = 2
    """Layers of its encoder, and of its decoder."""
    heads: int = 4
    """Attention heads."""
    feed_forward: int = 512
    """Inner size of its feed-forward blocks."""
    dropout: float = 0.1
    """Dropout rate."""
    copy_head: bool = True
    """Mix the vocabulary's probabilities with those of copying a token of the source."""
    copy_runs: bool = True
    """Let the copy head prefer the token after the one just copied from the first step on."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Any further fields of the Hugging Face configuration."""


@dataclass
class CodeConfig:
    """What stands between document and document. All but text has one phase of training, the warm-up."""

    kind: Literal["text", "vector", "gaussian", "vq", "split"] = "text"
    """Text to summarise, or one kind of numbers: README.md tells what each is good for."""
    vectors: int = 1
    """Vectors, or discrete codes, of one document."""
    width: int = 256
    """Numbers in each of them."""
    slots: int = 8
    """States that each is unfolded to for the reconstructor to read."""
    bag_weight: float = 1.0
    """Weight of also naming a document's words in no order, from the code alone; 0 leaves it out."""
    kl_weight: float = 1.0
    """With gaussian, weight of the divergence from the prior."""
    kl_steps: int = 1000
    """With gaussian, steps over which that weight rises from 0."""
    free_bits: float = 0.1
    """With gaussian, nats of each number that cost nothing, so that it is used (Kingma et al. 2016)."""
    codebook_size: int = 512
    """With vq, number of discrete codes."""
    codebook_decay: float = 0.99
    """With vq, decay of the running means that the codebook's entries are."""
    continuous_steps: int = 200
    """With vq, first steps in which vectors pass as they are, while the codebook settles among them."""
    commitment_weight: float = 0.25
    """With vq, weight of the distance of the encoder's vectors from their codes."""
    style_width: int = 32
    """With split, how many of the width's numbers are style; the rest are content."""
    source_weight: float = 1.0
    """With split, weight of telling the source from style, and of not telling it from content."""

    @property
    def is_text(self) -> bool:
        """Whether the code is text, which summarises; anything else is numbers."""
        return self.kind == "text"


@dataclass
class DiscriminatorConfig:
    """The adversarial reader."""

    architecture: Literal["gru", "transformer"] = "gru"
    """Causal network that scores every prefix of a sentence."""
    width: int = 128
    """Embedding and hidden size."""
    layers: int = 1
    """Number of layers."""
    heads: int = 4
    """Attention heads of a transformer."""
    dropout: float = 0.3
    """Dropout on embeddings and states; a weaker reader gives a smoother reward."""
    language_model: bool = False
    """Also learn to predict human sentences, token by token, for the fluency that texts are judged by."""


@dataclass
class LengthConfig:
    """Lengths of summaries, in words (characters in scripts without spaces)."""

    minimum_words: int = 6
    """Shortest length that training asks for."""
    maximum_words: int = 12
    """Longest length that training asks for."""
    summary_words: int = 9
    """Length that summaries are asked for when nobody says otherwise."""
    maximum_tokens: int = 24
    """Sampling stops here; a summary that has not ended by then is cut off."""


@dataclass
class DecodingConfig:
    """How summaries are written when nobody says otherwise; saved with the model."""

    num_beams: int = 1
    """Beams of beam search; 1 is greedy."""
    length_penalty: float = 1.0
    """Scores of beams are divided by their length to this power."""
    candidates: int = 1
    """Texts of the beam search among which all three networks choose; 1 takes the encoder's best."""
    encoder_weight: float = 0.5
    """In that choice, weight of the encoder's log-probability of the text."""
    reconstruction_weight: float = 1.0
    """In that choice, weight of the mean log-probability of the document's tokens given the text."""
    reader_weight: float = 1.0
    """In that choice, weight of the discriminator's mean log-odds that a human wrote the text."""
    ending_weight: float = 0.0
    """In that choice, weight of the log-odds that a human sentence ends where the text does."""
    fluency_weight: float = 0.0
    """In that choice, weight of the mean fluency; it needs discriminator.language_model."""
    similarity_weight: float = 0.0
    """In that choice, weight of the cosine of text and document by similarity_encoder."""
    similarity_encoder: str | None = None
    """Folder or Hub name of a pretrained network that embeds text and document for that choice."""
    length_slack: int = 0
    """That choice is also among texts that were asked to be up to so many words shorter."""
    no_repeat_ngram_size: int = 3
    """No n-gram of this many tokens comes twice; 0 allows it."""
    whole_words: bool | None = None
    """Spell no word of several pieces that the document has not; null: only a checkpoint's encoder may."""
    distinct_words: bool = False
    """Write no word of more than three letters and no number twice, for headlines and their like."""
    long_documents: Literal["select", "cut"] = "select"
    """Of a document over data.max_document_tokens, read the most central sentences or the beginning."""


@dataclass
class AutoencoderConfig:
    """What a saved model needs to know of itself, besides its weights."""

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
    normalization: NormalizationConfig = field(default_factory=NormalizationConfig)
    """How text is cleaned before it is read."""
    max_document_tokens: int = 80
    """The networks read no more of a document; of longer ones what decoding.long_documents says."""
    max_human_tokens: int = 24
    """Longest human sentence that the networks have seen."""
    sources: list[str] = field(default_factory=list)
    """Names of the sources that documents came from, as the recipe had them."""
