"""What may be written next while decoding: bounds on the length, and words that stay whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from transformers import LogitsProcessor

from textae.data.tokenizer import Vocabulary
from textae.data.words import LONGEST_FUNCTION_WORD, count_unspaced, count_words

# More words than any text has.
UNBOUNDED = 1 << 30


@dataclass
class Lengths:
    """How long a text may be: bounds in words, and ``max_tokens``, a hard stop."""

    max_tokens: int = 24
    min_words: int = 0
    max_words: int | None = None


@dataclass
class Decoding(Lengths):
    """How text is written, and how long where a row has no lengths of its own.

    ``no_repeat_ngram_size`` of 0 allows everything; ``whole_words`` and ``distinct_words`` are
    :class:`WholeWords` and :class:`DistinctWords` (within ``distinct_window`` words), ``no_stutter`` is
    :class:`NoStutter`, ``contrast`` the weight of :class:`ContrastedStart`; beams above 1 exclude
    sampling, and only they find more than one of ``candidates``.
    """

    num_beams: int = 1
    candidates: int = 1
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    whole_words: bool = False
    distinct_words: bool = False
    distinct_window: int | None = None
    no_stutter: bool = False
    contrast: float = 0.0
    do_sample: bool = False
    temperature: float = 1.0
    seed: int = 0


class WordLimits(LogitsProcessor):
    """Keeps each text between its least and its greatest number of words, and special tokens out of it.

    The least number is exact: it is counted in the text. The greatest is counted by token, which is
    cheap, and which parts of Chinese or Japanese characters can escape.
    """

    def __init__(self, vocabulary: Vocabulary, rows: Sequence[Lengths], prefix: int, device: torch.device):
        self.vocabulary = vocabulary
        self.words = vocabulary.words_of_token.to(device)
        self.blank = vocabulary.blank.to(device)
        self.end, self.prefix = vocabulary.end, prefix
        most = [UNBOUNDED if row.max_words is None else row.max_words for row in rows]
        self.min_words = torch.tensor([row.min_words for row in rows], device=device)
        self.max_words = torch.tensor(most, device=device)
        self.max_tokens = torch.tensor([row.max_tokens for row in rows], device=device)
        self.counts_text = any(row.min_words > 0 for row in rows)
        self.has_most = any(row.max_words is not None for row in rows)
        self.forbidden = vocabulary.special.to(device).clone()
        self.forbidden[vocabulary.end] = False
        self.never = self.forbidden.nonzero().squeeze(1)

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone."""
        self.min_words, self.max_words = self.min_words[rows], self.max_words[rows]
        self.max_tokens = self.max_tokens[rows]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """``input_ids`` (N, T) with the prefix, ``scores`` (N, V)."""
        if not self.counts_text and not self.has_most:
            # In place, as nobody else has the scores of this step: they are as large as the vocabulary.
            return scores.index_fill_(1, self.never, -float("inf"))
        forbidden = self.forbidden[None].expand(scores.shape).clone()
        written = input_ids[:, self.prefix :]
        if self.counts_text:
            texts = self.vocabulary.decode(written.tolist())
            counts = torch.tensor([count_words(text) for text in texts], device=scores.device)
            missing = self.min_words - counts
            forbidden[:, self.end] |= missing > 0
            # No token is left to waste: each must begin a word.
            hurry = (missing > 0) & (missing >= self.max_tokens - written.shape[1])
            forbidden |= hurry[:, None] & (self.words == 0)
        else:
            counts = self.vocabulary.words(written)
        if self.has_most:
            begun = self.words.expand(scores.shape).clone()
            if written.shape[1]:
                # After a lone space any token begins a word.
                begun[self.blank[written[:, -1]]] = self.words.clamp_min(1)
            begun[:, self.end] = 0
            # A lone space promises another word.
            begun[:, self.blank] = 1
            forbidden |= (counts[:, None] + begun > self.max_words[:, None]) & (begun > 0)
        return scores.masked_fill(forbidden, -float("inf"))


class WholeWords(LogitsProcessor):
    """Keeps words whole: one of several pieces must be a word of the source, written to its end.

    A network that copies piece by piece sometimes leaves a name half-way for another (``zag`` of
    ``zagreb``, then ``om``). Words of one piece are free, for they are the vocabulary's own, unless
    they have more than three letters and a word of the source begins with them; so are marks behind a
    whole word, and Chinese or Japanese characters. What hangs together without a space is one word,
    so that ``120,000`` and ``oil-rich`` lend no piece to another. Where nothing would be left to
    write, nothing is forbidden.
    """

    def __init__(self, vocabulary: Vocabulary, sources: list[list[int]], prefix: int):
        self.vocabulary, self.prefix = vocabulary, prefix
        self.long: dict[tuple[int, ...], bool] = {}
        self.free = vocabulary.begins_unit.clone()
        self.free[vocabulary.end] = True
        self.attaches = attaches = vocabulary.attaches.tolist()
        self.mark = (vocabulary.attaches & vocabulary.begins_unit).tolist()
        special = vocabulary.special.tolist()
        # For each source, what may follow each beginning of a word; None stands for the word's end.
        self.following: list[dict[tuple[int, ...], set[int | None]]] = []
        for number, row in enumerate(sources):
            if number and row == sources[number - 1]:  # another beam
                self.following.append(self.following[-1])
                continue
            following: dict[tuple[int, ...], set[int | None]] = {}
            word: tuple[int, ...] = ()
            for token in [*row, vocabulary.end]:
                if attaches[token]:
                    following.setdefault(word, set()).add(token)
                    word = (*word, token)
                else:
                    if word:
                        following.setdefault(word, set()).add(None)
                    word = () if special[token] else (token,)
            self.following.append(following)

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone."""
        self.following = [self.following[row] for row in rows.tolist()]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """``input_ids`` (N, T) with the prefix, ``scores`` (N, V)."""
        free = self.free.to(scores.device)
        allowed = torch.zeros_like(scores, dtype=torch.bool)
        for row, written in enumerate(input_ids[:, self.prefix :].tolist()):
            word = self._current(written)
            following = self.following[row].get(word, set())
            if None in following or self._may_end(word, bool(following)):
                allowed[row] = free
            inside = [token for token in following if token is not None]
            allowed[row, inside] = True
        return _forbid(scores, ~allowed)

    def _may_end(self, word: tuple[int, ...], goes_on: bool) -> bool:
        """Whether a word that the source has not may end; ``goes_on``: one of its words begins so."""
        if len(word) < 2:
            return not (goes_on and self._is_long(word))
        return not goes_on and self.mark[word[-1]]

    def _is_long(self, word: tuple[int, ...]) -> bool:
        if word not in self.long:
            self.long[word] = len(self.vocabulary.decode([list(word)])[0]) > LONGEST_FUNCTION_WORD
        return self.long[word]

    def _current(self, written: list[int]) -> tuple[int, ...]:
        """The pieces of the word that is being written."""
        at = len(written)
        while at > 0:
            at -= 1
            if not self.attaches[written[at]]:
                break
        return tuple(written[at:])


class DistinctWords(LogitsProcessor):
    """Lets no word of more than three letters and no number come twice.

    Function words and CJK characters may.

    With a ``window`` it may come again after so many other words or marks.

    Forbidden is the first piece of a word that has been written, unless it is a short piece of a
    longer word, which may begin another one. Where nothing would be left to write, nothing is
    forbidden.
    """

    def __init__(self, vocabulary: Vocabulary, prefix: int, window: int | None = None):
        self.vocabulary, self.prefix, self.window = vocabulary, prefix, window
        self.begins = vocabulary.begins_unit.tolist()
        self.first_pieces: dict[tuple[int, ...], int | None] = {}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """``input_ids`` (N, T) with the prefix, ``scores`` (N, V)."""
        forbidden = torch.zeros_like(scores, dtype=torch.bool)
        for row, written in enumerate(input_ids[:, self.prefix :].tolist()):
            starts = [at for at, token in enumerate(written) if self.begins[token]]
            if self.window is not None:
                starts = starts[-self.window :]
            for begin, end in pairwise([*starts, len(written)]):
                first = self._first_piece(tuple(written[begin:end]))
                if first is not None:
                    forbidden[row, first] = True
        return _forbid(scores, forbidden)

    def _first_piece(self, word: tuple[int, ...]) -> int | None:
        """The piece that may not come again for the sake of ``word``."""
        if word not in self.first_pieces:
            text, piece = self.vocabulary.decode([list(word), [word[0]]])
            long = len(text) > LONGEST_FUNCTION_WORD and len(piece) >= LONGEST_FUNCTION_WORD
            # A lone digit may begin a longer number (of several pieces).
            number = text.isdigit() and text == piece and len(text) > 1
            told = (long or number) and not count_unspaced(text)
            self.first_pieces[word] = word[0] if told else None
        return self.first_pieces[word]


class NoStutter(LogitsProcessor):
    """Lets no word follow itself (``bus bus``, ``640 640``); marks and CJK characters may.

    It looks at words of one piece, and lets such a piece come again where a longer word of the source
    begins with it: after ``in`` may come ``ingstead``. Where nothing would be left to write, nothing
    is forbidden.
    """

    def __init__(self, vocabulary: Vocabulary, sources: list[list[int]], prefix: int):
        self.vocabulary, self.prefix = vocabulary, prefix
        self.attaches = vocabulary.attaches.tolist()
        # For each source, the pieces with which its words of several pieces begin.
        self.beginnings = [
            {first for first, second in pairwise(row) if self.attaches[second] and not self.attaches[first]}
            for row in sources
        ]
        self.words: dict[int, bool] = {}

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone."""
        self.beginnings = [self.beginnings[row] for row in rows.tolist()]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """``input_ids`` (N, T) with the prefix, ``scores`` (N, V)."""
        forbidden = torch.zeros_like(scores, dtype=torch.bool)
        for row, written in enumerate(input_ids[:, self.prefix :].tolist()):
            if written and self._is_word(written[-1]) and written[-1] not in self.beginnings[row]:
                forbidden[row, written[-1]] = True
        return _forbid(scores, forbidden)

    def _is_word(self, token: int) -> bool:
        """Whether a token is a word by itself, and not a mark or a CJK character."""
        if token not in self.words:
            (text,) = self.vocabulary.decode([[token]])
            self.words[token] = not self.attaches[token] and text.isalnum() and not count_unspaced(text)
        return self.words[token]


class ContrastedStart(LogitsProcessor):
    """Takes from the first token's score what makes it likely whatever the source says.

    A text may begin with a phrase that suits any source, and beam search likes it for being likely.
    This is the anti-language model of Li et al., "A Diversity-Promoting Objective Function for Neural
    Conversation Models" (NAACL 2016), for the first token only: further on it costs grammar.

    Args:
        expected: (V,) log-probabilities of the first token given an empty source.
        weight: of them.
        prefix: number of tokens before the text.
    """

    def __init__(self, expected: torch.Tensor, weight: float, prefix: int):
        self.handicap, self.prefix = weight * expected, prefix

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """``input_ids`` (N, T) with the prefix, ``scores`` (N, V)."""
        return scores - self.handicap if input_ids.shape[1] == self.prefix else scores


def _forbid(scores: torch.Tensor, forbidden: torch.Tensor) -> torch.Tensor:
    """``scores`` (N, V) without what is ``forbidden``; a row that would have nothing left stays as it is."""
    chosen = scores.masked_fill(forbidden, -float("inf"))
    stuck = chosen.amax(dim=1) == -float("inf")
    if stuck.any():
        chosen[stuck] = scores[stuck]
    return chosen
