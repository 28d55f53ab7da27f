"""What goes into the forward pass of the autoencoder, and what comes out."""

from dataclasses import dataclass

import torch

from textae.data.batches import TokenBatch


@dataclass
class PairInputs:
    """P documents with summaries that belong to them, for semi-supervision.

    Attributes:
        document_source: (P, S) documents.
        summary_target: (P, T) their summaries.
        hints: (P,) ids of length tokens.
        summary_source: (P, T') the summaries again.
        document_target: (P, S') the documents again.
    """

    document_source: TokenBatch
    summary_target: TokenBatch
    hints: torch.Tensor
    summary_source: TokenBatch
    document_target: TokenBatch


@dataclass
class DenoisingInputs:
    """H noisy human sentences, for the encoder to go on restoring in the adversarial phase.

    Attributes:
        source: (H, S) noisy sentences.
        target: (H, T) the sentences.
        hints: (H,) ids of length tokens.
    """

    source: TokenBatch
    target: TokenBatch
    hints: torch.Tensor


@dataclass
class AutoencoderInputs:
    """One batch for all three networks; N = B * K, the K rows of one document side by side.

    Attributes:
        encoder_source: (B, S) documents, or noisy sentences in warm-up.
        encoder_target: (N, T) summaries.
        hints: (N,) ids of length tokens.
        reconstructor_source: (N', T') summaries.
        reconstructor_target: (N', S) documents.
        reconstructor_inputs: (N', S) decoder inputs with dropped words, or None.
        sentences: (M, T) human and other sentences for the discriminator.
        reconstructor_learned: (N',) rows from which the reconstructor learns, or None for all.
        smoothing: whether the encoder's mean log-probability over the vocabulary is wanted.
        human: number of human sentences, which stand first, for a language model to learn from.
        pairs: what encoder and reconstructor learn from besides, or None.
        denoising: what the encoder learns from besides, or None.
        rows_at_once: so many rows go through a network at a time; None for all.
    """

    encoder_source: TokenBatch
    encoder_target: TokenBatch
    hints: torch.Tensor
    reconstructor_source: TokenBatch
    reconstructor_target: TokenBatch
    reconstructor_inputs: torch.Tensor | None
    sentences: TokenBatch
    reconstructor_learned: torch.Tensor | None = None
    smoothing: bool = False
    human: int = 0
    pairs: PairInputs | None = None
    denoising: DenoisingInputs | None = None
    rows_at_once: int | None = None


@dataclass
class AutoencoderOutputs:
    """Per-token results of one forward pass, all in float32 with gradients.

    Attributes:
        summary_log_probabilities: (N, T), 0 on padding.
        summary_mean_log_probabilities: (N, T) mean over the vocabulary, or None.
        document_log_probabilities: (N', S), 0 on padding.
        scores: (M, T) discriminator logits.
        endings: (M, T) its logits that a sentence ends with this token.
        human_log_probabilities: (H, T) of human sentences under its language model, 0 on padding, or None.
        pair_summary_log_probabilities: (P, T) of pairs' summaries, 0 on padding, or None.
        pair_document_log_probabilities: (P, S') of pairs' documents, 0 on padding, or None.
        denoising_log_probabilities: (H, T) of sentences given noisy ones, 0 on padding, or None.
    """

    summary_log_probabilities: torch.Tensor
    summary_mean_log_probabilities: torch.Tensor | None
    document_log_probabilities: torch.Tensor
    scores: torch.Tensor
    endings: torch.Tensor
    human_log_probabilities: torch.Tensor | None = None
    pair_summary_log_probabilities: torch.Tensor | None = None
    pair_document_log_probabilities: torch.Tensor | None = None
    denoising_log_probabilities: torch.Tensor | None = None


@dataclass
class RelaxedInputs:
    """One batch for all three networks where summaries are sampled in the forward pass, with gradients.

    Attributes:
        encoder_source: (B, S) documents.
        hints: (N,) ids of length tokens, the K = N / B of one document side by side.
        noise: (N, T, V) standard Gumbel noise: all the randomness of the samples.
        temperature: of the softmax that gives a sampled token its gradient.
        soft: let reconstructor and discriminator read the encoder's distributions in place of the tokens.
        reconstructor_target: (N, S) documents.
        human: (H, T) human sentences for the discriminator.
        reconstruction_weight: factor on what the reconstructor's loss tells the encoder.
        interpolation: (H,) how far from the generated to the human sentence the critic's gradient is
            taken, between 0 and 1; None where it is not wanted.
    """

    encoder_source: TokenBatch
    hints: torch.Tensor
    noise: torch.Tensor
    temperature: float
    soft: bool
    reconstructor_target: TokenBatch
    human: TokenBatch
    reconstruction_weight: float
    interpolation: torch.Tensor | None = None


@dataclass(kw_only=True)
class RelaxedOutputs(AutoencoderOutputs):
    """As :class:`AutoencoderOutputs`, for summaries that were sampled on the way.

    Attributes:
        summaries: (N, T) the sampled tokens with end tokens.
        sentences: (H + N, T) human sentences and the summaries: what ``scores`` and ``endings`` are of.
        log_distributions: (N, T, V) log-probabilities of the tokens that could have stood there.
        reader_scores: (N, T) logits of the summaries, with gradients for the encoder alone;
            ``scores`` have them for the discriminator alone.
        gradient_norms: (H,) of the critic between human and generated sentences, or None.
    """

    summaries: TokenBatch
    sentences: TokenBatch
    log_distributions: torch.Tensor
    reader_scores: torch.Tensor
    gradient_norms: torch.Tensor | None
