"""Choosing among the texts that beam search finds by what all three networks say of them."""

from typing import TYPE_CHECKING

import torch

from textae.config import DecodingConfig
from textae.models.decoding import Candidate, pad_texts
from textae.models.discriminator import mean_log_odds

if TYPE_CHECKING:
    from textae.models.autoencoder import TextAutoencoder

# So many candidates go through the networks at once.
BATCH = 64


@torch.no_grad()
def choose(
    model: "TextAutoencoder",
    documents: list[list[int]],
    found: list[list[Candidate]],
    weights: DecodingConfig,
) -> list[list[int]]:
    """The tokens of the best candidate of each document: the noisy channel, with a reader beside it.

    A summary is judged by its own log-probability, by the mean log-probability of the document's
    tokens given it (after Yu et al., "The Neural Noisy Channel", ICLR 2017), and by the reader's mean
    log-odds that a human wrote it: the sum that training pays samples for, spent on decoding.

    Args:
        model: the three networks.
        documents: token ids, without special tokens.
        found: at least one candidate for each; of equals the first wins.
        weights: of the three.
    """
    pairs = [(ids, candidate) for ids, row in zip(documents, found, strict=True) for candidate in row]
    scores: list[float] = []
    for begin in range(0, len(pairs), BATCH):
        chunk = pairs[begin : begin + BATCH]
        codes = [candidate.tokens for _, candidate in chunk]
        target = model.sentences([ids for ids, _ in chunk])
        source = model.reconstructor.read(pad_texts(codes, model.vocabulary, model.device))
        restored = model.reconstructor.log_probabilities(source, target).sum(1) / target.mask.sum(1)
        read = mean_log_odds(model.discriminator, model.sentences(codes))
        own = torch.tensor([candidate.log_probability for _, candidate in chunk], device=model.device)
        total = (
            weights.encoder_weight * own
            + weights.reconstruction_weight * restored
            + weights.reader_weight * read
        )
        scores += total.tolist()
    chosen, position = [], 0
    for row in found:
        best = max(range(len(row)), key=lambda at: scores[position + at])
        chosen.append(row[best].tokens)
        position += len(row)
    return chosen
