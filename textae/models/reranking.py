"""Choosing among the texts that beam search finds by what all three networks say of them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from textae.errors import InputError
from textae.model_config import DecodingConfig
from textae.models.constraints import Decoding, Lengths
from textae.models.decoding import Candidate, pad_texts
from textae.models.discriminator import log_odds
from textae.models.sentence_encoder import sentence_encoder

if TYPE_CHECKING:
    from textae.models.autoencoder import TextAutoencoder
    from textae.models.engines.writer import Writer

# So many candidates go through the networks at once.
BATCH = 64


def find_candidates(
    writer: "Writer",
    source: Any,
    wishes: Iterable[list[int]],
    decoding: Decoding,
    lengths: Sequence[Lengths],
) -> list[list[Candidate]]:
    """The candidates of a beam search for each of the ``wishes``; each text once.

    A wish is one number of words for each row of ``source``, which ``writer`` has read; whatever is asked
    for, texts keep to their row's ``lengths``. A text that is found for several wishes has the
    log-probability of the first.
    """
    found: list[dict[tuple[int, ...], Candidate]] = [{} for _ in lengths]
    for words in wishes:
        rows = writer.search(source, words, decoding, lengths)
        for texts, row in zip(found, rows, strict=True):
            for candidate in row:
                texts.setdefault(tuple(candidate.tokens), candidate)
    return [list(texts.values()) for texts in found]


def shorter_wishes(words: list[int], lengths: Sequence[Lengths], slack: int) -> list[list[int]]:
    """``words`` of each row, then one word less and so on down to ``slack``, or a row's least.

    >>> shorter_wishes([6, 2], [Lengths(), Lengths(min_words=2)], 2)
    [[6, 2], [5, 2], [4, 2]]
    """
    least = [
        min(count, max(1, length.min_words, count - slack))
        for count, length in zip(words, lengths, strict=True)
    ]
    steps = max(count - fewest for count, fewest in zip(words, least, strict=True))
    return [
        [max(count - step, fewest) for count, fewest in zip(words, least, strict=True)]
        for step in range(steps + 1)
    ]


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
    log-odds that a human wrote it: the sum that training pays samples for, spent on decoding. Beside
    these count whether human sentences end so, which keeps out texts that break off, their fluency, and
    how near text and document are by a pretrained sentence encoder, which knows what text is about from
    far more of it than the networks have read.

    Args:
        model: the three networks.
        documents: token ids, without special tokens.
        found: at least one candidate for each; of equals the first wins.
        weights: of the six.

    Raises:
        InputError: if the sentence encoder counts and cannot be loaded.
    """
    pairs = [(ids, candidate) for ids, row in zip(documents, found, strict=True) for candidate in row]
    scores: list[float] = []
    for begin in range(0, len(pairs), BATCH):
        chunk = pairs[begin : begin + BATCH]
        codes = [candidate.tokens for _, candidate in chunk]
        restored = torch.zeros(len(chunk), device=model.device)
        if weights.reconstruction_weight:
            target = model.sentences([ids for ids, _ in chunk])
            source = pad_texts(codes, model.vocabulary, model.device)
            log_probabilities = model.reconstructor.document_log_probabilities(source, target)
            restored = log_probabilities.sum(1) / target.mask.sum(1)
        read, ends, fluent = log_odds(model.discriminator, model.sentences(codes))
        own = torch.tensor([candidate.log_probability for _, candidate in chunk], device=model.device)
        total = (
            weights.encoder_weight * own
            + weights.reconstruction_weight * restored
            + weights.reader_weight * read
            + weights.ending_weight * ends
            + weights.fluency_weight * fluent
        )
        scores += total.tolist()
    if weights.similarity_weight:
        cosines = _similarities(model, documents, found, weights.similarity_encoder)
        scores = [
            score + weights.similarity_weight * cosine for score, cosine in zip(scores, cosines, strict=True)
        ]
    chosen, position = [], 0
    for row in found:
        best = max(range(len(row)), key=lambda at: scores[position + at])
        chosen.append(row[best].tokens)
        position += len(row)
    return chosen


def _similarities(
    model: "TextAutoencoder", documents: list[list[int]], found: list[list[Candidate]], name: str | None
) -> list[float]:
    """The cosine of each candidate and its document, by the sentence encoder of that name."""
    try:
        encoder = sentence_encoder(str(name), model.device)
    except InputError as error:
        raise InputError(
            f"{error} The model's decoding.similarity_encoder names it; put it there, or summarise with "
            "--candidates 1, which chooses nothing."
        ) from error
    texts = encoder.embed(model.vocabulary.decode([candidate.tokens for row in found for candidate in row]))
    counts = torch.tensor([len(row) for row in found], device=texts.device)
    sources = encoder.embed(model.vocabulary.decode(documents)).repeat_interleave(counts, dim=0)
    return F.cosine_similarity(texts, sources, dim=1).tolist()
