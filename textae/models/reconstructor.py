"""The reconstructor: summary to document."""

import torch

from textae.data.batches import TokenBatch
from textae.models.seq2seq import Seq2Seq


class Reconstructor(Seq2Seq):
    """Restores a document from its summary alone."""

    def drop_words(self, documents: TokenBatch, dropped: torch.Tensor) -> torch.Tensor:
        """Decoder inputs (N, S) in which the tokens marked in ``dropped`` (N, S) are masked.

        A decoder that does not see all of its own past has to read the summary (Bowman et al.
        2016; SEQ3).
        """
        return documents.ids.masked_fill(dropped & documents.mask, self.mask)
