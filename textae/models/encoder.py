"""The encoder: document to summary."""

import torch

from textae.data.batches import TokenBatch
from textae.models.decoding import sample
from textae.models.seq2seq import Seq2Seq


class Encoder(Seq2Seq):
    """Writes a summary of about as many words as the hint after the start token asks for.

    The hint stands before the summary and not in the document, so that a document is read once
    for any number of lengths and samples.
    """

    @torch.no_grad()
    def rollout(self, documents: TokenBatch, hints: torch.Tensor, uniforms: torch.Tensor) -> TokenBatch:
        """Sample K summaries of every document, which is read once.

        Args:
            documents: B documents.
            hints: (B * K,) ids of length tokens, the K of one document side by side.
            uniforms: (B * K, T, 2) uniform random numbers: all the randomness there is.

        Returns:
            (B * K, at most T) tokens with the end token, where a summary ended by itself.
        """
        samples = hints.shape[0] // documents.ids.shape[0]
        return sample(self, self.read(documents).repeat(samples), hints, uniforms)
