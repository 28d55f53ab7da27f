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
    """

    summary_log_probabilities: torch.Tensor
    summary_mean_log_probabilities: torch.Tensor | None
    document_log_probabilities: torch.Tensor
    scores: torch.Tensor
    endings: torch.Tensor
    human_log_probabilities: torch.Tensor | None = None
    pair_summary_log_probabilities: torch.Tensor | None = None
    pair_document_log_probabilities: torch.Tensor | None = None
