"""The reconstructor: summary to document."""

import torch

from textae.data.batches import TokenBatch
from textae.models.seq2seq import Seq2Seq


class Reconstructor(Seq2Seq):
    """Restores a document from its summary alone."""

    def document_log_probabilities(
        self,
        summaries: TokenBatch,
        documents: TokenBatch,
        inputs: torch.Tensor | None = None,
        learned: torch.Tensor | None = None,
        rows_at_once: int | None = None,
    ) -> torch.Tensor:
        """Log-probability (N, S) of every token of N documents, given a summary of each; 0 on padding.

        Args:
            summaries: (N, T) tokens.
            documents: (N, S) tokens with the end token.
            inputs: (N, S) decoder inputs in place of the documents, some words masked: a decoder that
                does not see all of its own past has to read the summary (Bowman et al. 2016; SEQ3).
            learned: (N,) the rows that give gradients, all if not given. The others are only read,
                without a backward pass.
            rows_at_once: see :func:`textae.models.chunks.in_chunks`.
        """
        if learned is None:
            return self.distribution_of(summaries, documents, None, inputs, rows_at_once=rows_at_once)[0]

        def at(rows: torch.Tensor) -> torch.Tensor:
            given = None if inputs is None else inputs[rows]
            return self.document_log_probabilities(
                summaries.select(rows), documents.select(rows), given, rows_at_once=rows_at_once
            )

        with torch.no_grad():
            judged = at(~learned)
        result = judged.new_zeros(documents.ids.shape)
        result[~learned] = judged
        return result.masked_scatter(learned[:, None], at(learned))
