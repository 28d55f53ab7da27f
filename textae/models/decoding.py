"""Writing token by token: training samples, greedy, sampling and beam search."""

from dataclasses import dataclass

import torch
from transformers import LogitsProcessor, LogitsProcessorList, NoRepeatNGramLogitsProcessor

from textae.data.batches import TokenBatch, pad_rows
from textae.data.tokenizer import Vocabulary
from textae.data.words import count_words
from textae.models.seq2seq import Seq2Seq, Source


@dataclass
class Decoding:
    """How text is written.

    Lengths are in words; ``max_tokens`` is a hard stop. ``no_repeat_ngram_size`` of 0 allows
    everything; beams above 1 exclude sampling.
    """

    max_tokens: int = 24
    min_words: int = 0
    max_words: int | None = None
    num_beams: int = 1
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    do_sample: bool = False
    temperature: float = 1.0
    seed: int = 0


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
        # Finished rows are dropped, once it saves more than the copying of the cache costs.
        if ended.float().mean() > 0.2:
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


class WordLimits(LogitsProcessor):
    """Keeps texts between a least and a greatest number of words, and special tokens out of them.

    The least number is exact: it is counted in the text. The greatest is counted by token, which is
    cheap, and which parts of Chinese or Japanese characters can escape.
    """

    def __init__(self, vocabulary: Vocabulary, config: Decoding, prefix: int, device: torch.device):
        self.vocabulary = vocabulary
        self.words = vocabulary.words_of_token.to(device)
        self.blank = vocabulary.blank.to(device)
        self.end, self.prefix = vocabulary.end, prefix
        self.min_words, self.max_words, self.max_tokens = (
            config.min_words,
            config.max_words,
            config.max_tokens,
        )
        self.forbidden = vocabulary.special.to(device).clone()
        self.forbidden[vocabulary.end] = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """``input_ids`` (N, T) with the prefix, ``scores`` (N, V)."""
        forbidden = self.forbidden[None].expand(scores.shape).clone()
        written = input_ids[:, self.prefix :]
        if self.min_words > 0:
            texts = self.vocabulary.decode(written.tolist())
            counts = torch.tensor([count_words(text) for text in texts], device=scores.device)
            missing = self.min_words - counts
            forbidden[:, self.end] |= missing > 0
            # No token is left to waste: each must begin a word.
            hurry = (missing > 0) & (missing >= self.max_tokens - written.shape[1])
            forbidden |= hurry[:, None] & (self.words == 0)
        else:
            counts = self.vocabulary.words(written)
        if self.max_words is not None:
            begun = self.words.expand(scores.shape).clone()
            if written.shape[1]:
                # After a lone space any token begins a word.
                begun[self.blank[written[:, -1]]] = self.words.clamp_min(1)
            begun[:, self.end] = 0
            # A lone space promises another word.
            begun[:, self.blank] = 1
            forbidden |= (counts[:, None] + begun > self.max_words) & (begun > 0)
        return scores.masked_fill(forbidden, -float("inf"))


@torch.no_grad()
def decode(
    network: Seq2Seq,
    source: Source,
    hints: torch.Tensor | None,
    vocabulary: Vocabulary,
    config: Decoding,
) -> list[list[int]]:
    """Write a text for each row of ``source``; lists of token ids without the end token."""
    rows, device = len(source.ids), source.ids.device
    beams = config.num_beams
    prefix = network.prefix(rows, hints, device).repeat_interleave(beams, dim=0)
    source = source.repeat(beams)
    processors = LogitsProcessorList([WordLimits(vocabulary, config, prefix.shape[1], device)])
    if config.no_repeat_ngram_size > 0:
        processors.append(NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size))
    if beams > 1:
        return _beam_search(network, source, prefix, processors, config)
    generator = torch.Generator(device=device).manual_seed(config.seed) if config.do_sample else None
    cache = network.backbone.new_cache()
    written, inputs = prefix, prefix
    finished = torch.zeros(rows, dtype=torch.bool, device=device)
    for _ in range(config.max_tokens):
        hidden = network.backbone.decode(inputs, source.states, source.mask, cache)[:, -1]
        scores = processors(written, network.next_log_probabilities(hidden, source))
        if generator is not None:
            probabilities = (scores / config.temperature).softmax(dim=-1)
            tokens = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
        else:
            tokens = scores.argmax(dim=-1)
        tokens = tokens.masked_fill(finished, network.end)
        inputs = tokens[:, None]
        written = torch.cat([written, inputs], dim=1)
        finished |= tokens == network.end
        if finished.all():
            break
    return [_until_end(row, network.end) for row in written[:, prefix.shape[1] :].tolist()]


def _until_end(row: list[int], end: int) -> list[int]:
    return row[: row.index(end)] if end in row else row


def _beam_search(
    network: Seq2Seq,
    source: Source,
    prefix: torch.Tensor,
    processors: LogitsProcessorList,
    config: Decoding,
) -> list[list[int]]:
    """Beam search whose finished texts are ranked by log-probability / length ** penalty."""
    beams, device = config.num_beams, prefix.device
    rows = len(prefix) // beams
    cache = network.backbone.new_cache()
    written, inputs = prefix, prefix
    totals = torch.full((rows, beams), -float("inf"), device=device)
    totals[:, 0] = 0.0  # at first all beams are alike: only one may branch
    best: list[tuple[float, list[int]]] = [(-float("inf"), []) for _ in range(rows)]
    offset = torch.arange(rows, device=device)[:, None] * beams

    def keep(row: int, total: float, tokens: list[int]) -> None:
        score = total / max(1, len(tokens)) ** config.length_penalty
        if score > best[row][0]:
            best[row] = (score, _until_end(tokens, network.end))

    for _ in range(config.max_tokens):
        hidden = network.backbone.decode(inputs, source.states, source.mask, cache)[:, -1]
        scores = processors(written, network.next_log_probabilities(hidden, source))
        size = scores.shape[-1]
        candidates = totals[:, :, None] + scores.view(rows, beams, size)
        values, indices = candidates.view(rows, -1).topk(2 * beams, dim=1)
        parents, tokens = indices // size, indices % size
        ended = tokens == network.end
        for row, column in ended.nonzero().tolist():
            # Only an end among the best `beams` candidates counts, as in any beam search.
            if column < beams and values[row, column] > -float("inf"):
                origin = row * beams + int(parents[row, column])
                finished = [*written[origin, prefix.shape[1] :].tolist(), network.end]
                keep(row, float(values[row, column]), finished)
        values = values.masked_fill(ended, -float("inf"))
        totals, chosen = values.topk(beams, dim=1)
        origins = (parents.gather(1, chosen) + offset).view(-1)
        inputs = tokens.gather(1, chosen).view(-1, 1)
        written = torch.cat([written[origins], inputs], dim=1)
        cache.reorder_cache(origins)
        # No unfinished text can win any more once even its bound is below the best finished one.
        bound = totals[:, 0] / config.max_tokens**config.length_penalty
        if all(best[row][0] >= float(bound[row]) for row in range(rows)):
            break
    for row in range(rows):
        if not best[row][1] and best[row][0] == -float("inf"):
            keep(row, float(totals[row, 0]), written[row * beams, prefix.shape[1] :].tolist())
    return [tokens for _, tokens in best]


def pad_texts(rows: list[list[int]], vocabulary: Vocabulary, device: torch.device) -> TokenBatch:
    """Rows of ids with the special tokens of a source around them, padded."""
    return pad_rows([vocabulary.as_source(row) for row in rows], vocabulary.pad, device)
