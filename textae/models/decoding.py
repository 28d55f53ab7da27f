"""Writing token by token: training samples, greedy, sampling and beam search."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import LogitsProcessor, NoRepeatNGramLogitsProcessor

from textae.data.batches import TokenBatch, pad_rows
from textae.data.tokenizer import Vocabulary
from textae.models.constraints import (
    ContrastedStart,
    Decoding,
    DistinctWords,
    Lengths,
    NoStutter,
    WholeWords,
    WordLimits,
)
from textae.models.seq2seq import Seq2Seq, Source

# Finished rows are dropped once they are this share: then it saves more than the copying of the cache costs.
WORTH_DROPPING = 0.2


@torch.no_grad()
def sample(
    network: Seq2Seq, source: Source, hints: torch.Tensor | None, uniforms: torch.Tensor
) -> TokenBatch:
    """Draw one text for each row of ``source`` (N) from the network's own distribution.

    Nothing is filtered or tempered, so that the scoring pass sees the very distribution that was
    sampled: anything else would bias the policy gradient. ``uniforms`` (N, T, 2) hold all the
    randomness; T is the longest text. Texts end with the end token unless T cuts them off.
    """
    rows, max_tokens = uniforms.shape[:2]
    device = source.ids.device
    result = torch.full((rows, max_tokens), network.pad, dtype=torch.long, device=device)
    alive = torch.arange(rows, device=device)
    ended = torch.zeros(rows, dtype=torch.bool, device=device)
    cache = network.backbone.new_cache()
    inputs = network.prefix(rows, hints, device)
    for step in range(max_tokens):
        hidden = network.backbone.decode(inputs, source.states, source.mask, cache)[:, -1]
        tokens = network.next_sample(hidden, source, uniforms[alive, step])
        result[alive, step] = tokens
        ended |= tokens == network.end
        if ended.all():
            break
        if ended.float().mean() > WORTH_DROPPING:
            kept = (~ended).nonzero().squeeze(1)
            alive, ended, tokens, source = alive[kept], ended[kept], tokens[kept], source.select(kept)
            cache.batch_select_indices(kept)
        inputs = tokens[:, None]
    # Finished rows that were not dropped at once have written on: they are cut at their first end.
    mask = mask_after_end(result, network.end)
    longest = int(mask.sum(dim=1).max())
    return TokenBatch(result.masked_fill(~mask, network.pad)[:, :longest], mask[:, :longest])


def mask_after_end(tokens: torch.Tensor, end: int) -> torch.Tensor:
    """True (N, T) up to and including the first ``end`` of each row of ``tokens`` (N, T)."""
    is_end = tokens == end
    ends = is_end.cumsum(dim=1)
    return (ends == 0) | ((ends == 1) & is_end)


@torch.no_grad()
def decode(
    network: Seq2Seq,
    source: Source,
    hints: torch.Tensor | None,
    vocabulary: Vocabulary,
    config: Decoding,
    lengths: Sequence[Lengths] | None = None,
) -> list[list[int]]:
    """Write a text for each row of ``source``; lists of token ids without the end token.

    ``lengths`` are those of each row; ``config``'s own stand for all rows where there are none.
    """
    if config.num_beams > 1:
        return [texts[0].tokens for texts in search(network, source, hints, vocabulary, config, lengths)]
    rows, device = len(source.ids), source.ids.device
    lengths = lengths or [config] * rows
    prefix = network.prefix(rows, hints, device)
    processors = _processors(network, source, prefix, vocabulary, config, lengths)
    generator = torch.Generator(device=device).manual_seed(config.seed) if config.do_sample else None
    writing = network.begin(source)
    written, inputs = prefix, prefix
    texts: list[list[int]] = [[] for _ in range(rows)]
    alive = torch.arange(rows, device=device)
    finished = torch.zeros(rows, dtype=torch.bool, device=device)
    limits = torch.tensor([length.max_tokens for length in lengths], device=device)
    for step in range(int(limits.max())):
        scores = processors(written, writing.next_log_probabilities(inputs))
        if generator is not None:
            probabilities = (scores / config.temperature).softmax(dim=-1)
            tokens = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
        else:
            tokens = scores.argmax(dim=-1)
        tokens = tokens.masked_fill(finished | (limits[alive] <= step), network.end)
        written = torch.cat([written, tokens[:, None]], dim=1)
        finished |= tokens == network.end
        if finished.all():
            break
        # The random numbers of a row must not depend on which other texts are finished.
        if generator is None and finished.float().mean() > WORTH_DROPPING:
            kept = (~finished).nonzero().squeeze(1)
            _note(texts, alive[finished], written[finished], prefix.shape[1], network.end)
            alive, finished, written = alive[kept], finished[kept], written[kept]
            writing.select(kept)
            processors.select(kept)
        inputs = written[:, -1:]
    _note(texts, alive, written, prefix.shape[1], network.end)
    return texts


def _note(
    texts: list[list[int]], numbers: torch.Tensor, written: torch.Tensor, prefix: int, end: int
) -> None:
    for number, row in zip(numbers.tolist(), written[:, prefix:].tolist(), strict=True):
        texts[number] = _until_end(row, end)


class _Processors(list[LogitsProcessor]):
    """What changes scores, one after the other."""

    def __call__(self, written: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """``written`` (N, T) with the prefix, ``scores`` (N, V)."""
        for processor in self:
            scores = processor(written, scores)
        return scores

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone."""
        for processor in self:
            if hasattr(processor, "select"):
                processor.select(rows)


def _processors(
    network: Seq2Seq,
    source: Source,
    begun: torch.Tensor,
    vocabulary: Vocabulary,
    config: Decoding,
    lengths: Sequence[Lengths],
) -> _Processors:
    """What forbids or handicaps tokens, for rows that have ``begun`` (N, P) with tokens which are no text."""
    prefix, device = begun.shape[1], source.ids.device
    processors = _Processors([WordLimits(vocabulary, lengths, prefix, device)])
    if config.contrast > 0:
        empty = network.read(pad_texts([[]], vocabulary, device))
        expected = network.begin(empty).next_log_probabilities(begun[:1])[0]
        processors.append(ContrastedStart(expected, config.contrast, prefix))
    if config.no_repeat_ngram_size > 0:
        processors.append(NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size))
    if config.distinct_words:
        processors.append(DistinctWords(vocabulary, prefix, config.distinct_window))
    if config.no_stutter:
        processors.append(NoStutter(vocabulary, source.ids.tolist(), prefix))
    if config.whole_words:
        processors.append(WholeWords(vocabulary, source.ids.tolist(), prefix))
    return processors


def _until_end(row: list[int], end: int) -> list[int]:
    return row[: row.index(end)] if end in row else row


@dataclass
class Candidate:
    """A finished text: its tokens without the end token, and its log-probability in nats."""

    tokens: list[int]
    log_probability: float


@torch.no_grad()
def search(
    network: Seq2Seq,
    source: Source,
    hints: torch.Tensor | None,
    vocabulary: Vocabulary,
    config: Decoding,
    lengths: Sequence[Lengths] | None = None,
) -> list[list[Candidate]]:
    """Beam search: for each row of ``source`` at least one and at most ``config.candidates`` texts.

    They come best first, ranked by log-probability / length ** penalty. Log-probabilities are of
    the network without what the settings forbid, less the handicap of ``config.contrast``.
    """
    beams, device, rows = config.num_beams, source.ids.device, len(source.ids)
    prefix = network.prefix(rows, hints, device).repeat_interleave(beams, dim=0)
    source = source.repeat(beams)
    lengths = lengths or [config] * rows
    repeated = [length for length in lengths for _ in range(beams)]
    processors = _processors(network, source, prefix, vocabulary, config, repeated)
    writing = network.begin(source)
    written, inputs = prefix, prefix
    totals = torch.full((rows, beams), -float("inf"), device=device)
    totals[:, 0] = 0.0  # at first all beams are alike: only one may branch
    best: list[list[tuple[float, Candidate]]] = [[] for _ in range(rows)]
    limits = [length.max_tokens for length in lengths]
    alive = list(range(rows))

    def keep(row: int, total: float, tokens: list[int]) -> None:
        score = total / max(1, len(tokens)) ** config.length_penalty
        best[row].append((score, Candidate(_until_end(tokens, network.end), total)))
        best[row].sort(key=lambda scored: -scored[0])  # stable: of equals the first found is the first
        del best[row][config.candidates :]

    for step in range(max(limits)):
        scores = processors(written, writing.next_log_probabilities(inputs))
        # The best of each beam first: the best of all are among them, and the vocabulary is read once.
        each = min(2 * beams, scores.shape[-1])
        likely, words = scores.topk(each, dim=1)
        candidates = (totals.view(-1, 1) + likely).view(len(alive), beams * each)
        values, indices = candidates.topk(min(2 * beams, beams * each), dim=1)
        parents, tokens = indices // each, words.view(len(alive), -1).gather(1, indices)
        ended = tokens == network.end
        found, origin = values.tolist(), parents.tolist()
        for at, column in ended.nonzero().tolist():
            # Only an end among the best `beams` candidates counts, as in any beam search.
            row, value = alive[at], found[at][column]
            if column < beams and step < limits[row] and value > -float("inf"):
                text = written[at * beams + origin[at][column], prefix.shape[1] :].tolist()
                keep(row, value, [*text, network.end])
        values = values.masked_fill(ended, -float("inf"))
        totals, chosen = values.topk(beams, dim=1)
        offset = torch.arange(len(alive), device=device)[:, None] * beams
        origins = (parents.gather(1, chosen) + offset).view(-1)
        inputs = tokens.gather(1, chosen).view(-1, 1)
        written = torch.cat([written[origins], inputs], dim=1)
        writing.reorder(origins)
        leading = totals[:, 0].tolist()
        open_rows = []
        for at, row in enumerate(alive):
            if limits[row] == step + 1 and not best[row]:
                keep(row, leading[at], written[at * beams, prefix.shape[1] :].tolist())
            # No unfinished text can win any more once even its bound is below the worst that is kept.
            bound = leading[at] / limits[row] ** config.length_penalty
            decided = len(best[row]) == config.candidates and best[row][-1][0] >= bound
            if limits[row] > step + 1 and not decided:
                open_rows.append(at)
        if not open_rows:
            break
        if len(open_rows) < (1 - WORTH_DROPPING) * len(alive):
            kept = torch.tensor(open_rows, device=device)
            of_beams = (kept[:, None] * beams + torch.arange(beams, device=device)).view(-1)
            alive, totals = [alive[at] for at in open_rows], totals[kept]
            inputs, written = inputs[of_beams], written[of_beams]
            writing.select(of_beams)
            processors.select(of_beams)
    return [[candidate for _, candidate in found] for found in best]


def pad_texts(rows: list[list[int]], vocabulary: Vocabulary, device: torch.device) -> TokenBatch:
    """Rows of ids with the special tokens of a source around them, padded."""
    return pad_rows([vocabulary.as_source(row) for row in rows], vocabulary.pad, device)
