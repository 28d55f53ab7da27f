"""The vocabulary that all three networks share: trained on the corpus, or a checkpoint's own."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast

from textae.data.words import count_unspaced, split_words
from textae.errors import InputError, reason

PAD, START, END, MASK = "<pad>", "<s>", "</s>", "<mask>"
MAXIMUM_HINT = 32
# Words in at most this share of texts are rare.
RARE = 0.01


def length_tokens() -> list[str]:
    """The special tokens that ask the encoder for a length: ``<words-1>`` to ``<words-32>``."""
    return [f"<words-{count}>" for count in range(1, MAXIMUM_HINT + 1)]


def train_tokenizer(
    texts: Iterable[str], vocabulary_size: int, held_out: float = 0.0
) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer (Sennrich et al. 2016; Radford et al. 2019).

    Bytes are the smallest pieces, so no text in any language needs an unknown token. The first
    word of a text gets the same pieces as anywhere else, so that it can be copied.

    A corpus that has each name many times gets a piece for each name; networks that never copied
    a word of several pieces then spell a new name badly. So a share of the rarer words can be kept
    from the tokenizer, and is written in pieces wherever it stands.

    Args:
        texts: the corpus.
        vocabulary_size: number of pieces, special tokens included.
        held_out: share of the words in at most 1% of the texts that are not learned from.

    Raises:
        InputError: if ``vocabulary_size`` has no room for the 256 bytes and the special tokens.
    """
    special = [PAD, START, END, MASK, *length_tokens()]
    smallest = 256 + len(special)
    if vocabulary_size < smallest:
        raise InputError(f"tokenizer.vocabulary_size is {vocabulary_size}; set it to at least {smallest}.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    if held_out > 0:
        texts = _hold_out(list(texts), held_out)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        mask_token=MASK,
        clean_up_tokenization_spaces=False,
    )


def _hold_out(texts: list[str], share: float) -> list[str]:
    """The texts without a share of their rarer words, the same in every run."""
    counts = Counter(word for text in texts for word in set(split_words(text)))
    generator = random.Random(0)
    rare = [word for word in sorted(counts) if counts[word] <= RARE * len(texts)]
    held_out = {word for word in rare if generator.random() < share}
    return [" ".join(word for word in split_words(text) if word not in held_out) for text in texts]


def load_tokenizer(name: str | Path) -> Any:
    """Load the tokenizer of a folder or a Hub name; never runs code from there.

    Raises:
        InputError: if there is none, or it is damaged.
    """
    _check_names(Path(name))
    # transformers warns of a model type that it does not know; a blank configuration says nothing.
    own = {"config": PreTrainedConfig()} if _is_ours(Path(name)) else {}
    try:
        return AutoTokenizer.from_pretrained(str(name), trust_remote_code=False, **own)
    except BaseException as error:  # damaged files raise several kinds, bare ones among them
        if not _is_failure(error):
            raise
        raise InputError(f"{name}: no tokenizer can be loaded from there ({reason(error)}).") from error


def load_vocabulary(name: str | Path) -> "Vocabulary":
    """Load a tokenizer as :func:`load_tokenizer` does and prepare it for the networks.

    Raises:
        InputError: if there is none, or it is damaged, or has no token for padding or for the end of a text.
    """
    tokenizer = load_tokenizer(name)
    try:
        return vocabulary_of(tokenizer)
    except InputError:
        raise
    except BaseException as error:
        if not _is_failure(error):
            raise
        raise InputError(f"{name}: this tokenizer cannot be used ({reason(error)}).") from error


def _is_failure(error: BaseException) -> bool:
    # What panics in the library's Rust is no Exception, as an interruption is not.
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _check_names(folder: Path) -> None:
    """Refuse a list of tokenizer files, of which transformers takes one, that leads out of the folder."""
    file = folder / "tokenizer_config.json"
    try:
        names = json.loads(file.read_text(encoding="utf-8"))["fast_tokenizer_files"]
        outside = [name for name in names if re.search(r"[/\\]", name)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # whoever needs the file says so
        return
    if outside:
        raise InputError(f'{file}: "{outside[0]}" lies outside of the folder; take another model.')


def _is_ours(folder: Path) -> bool:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"] == "textae"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


@dataclass
class Vocabulary:
    """A tokenizer as the networks see it: token ids only.

    ``words_of_token`` (V,) is the number of words that each token begins, so that lengths in
    words are known while decoding; ``blank`` (V,) is true for tokens that are white space alone:
    whatever follows one begins a word. ``begins_unit`` (V,) is false for tokens that go on with the
    letters or digits of the word before them; ``attaches`` (V,) is true for these and for marks that
    stand right behind a word, such as the hyphen of ``oil-rich``. ``source_prefix`` and
    ``source_suffix`` are the special tokens that the tokenizer puts around a text.
    """

    tokenizer: Any
    pad: int
    start: int
    end: int
    mask: int
    hints: list[int]
    source_prefix: list[int]
    source_suffix: list[int]
    words_of_token: torch.Tensor = field(repr=False)
    special: torch.Tensor = field(repr=False)
    blank: torch.Tensor = field(repr=False)
    begins_unit: torch.Tensor = field(repr=False)
    attaches: torch.Tensor = field(repr=False)

    def __len__(self) -> int:
        return len(self.tokenizer)

    def encode(self, texts: list[str], max_tokens: int | None = None) -> list[list[int]]:
        """Token ids of each text without special tokens, cut at ``max_tokens``.

        A text cannot smuggle in a special token: what is spelt like one, such as ``</s>``, is read
        as its characters where the tokenizer can do so, and left out where it cannot.
        """
        if not texts:
            return []
        tokenizer, special = self.tokenizer, self.special.tolist()
        if tokenizer.unk_token_id is not None:
            special[tokenizer.unk_token_id] = False
        how = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
        try:
            rows = tokenizer(texts, **how)
        except TypeError:
            # The tokenizer takes UTF-8. Half of a surrogate pair, which has none, is a question mark to it.
            rows = tokenizer([text.encode("utf-8", "replace").decode("utf-8") for text in texts], **how)
        return [[token for token in row if not special[token]][:max_tokens] for row in rows["input_ids"]]

    def decode(self, rows: Iterable[list[int]]) -> list[str]:
        """One line of text for each row of ids; special tokens are left out."""
        special = self.special.tolist()
        kept = [[token for token in row if not special[token]] for row in rows]
        texts = [self.tokenizer.decode(row, clean_up_tokenization_spaces=False) for row in kept]
        return [" ".join(text.split()) for text in texts]

    def hint(self, words: int) -> int:
        """Id of the token that asks for a summary of ``words`` words."""
        return self.hints[min(max(words, 1), MAXIMUM_HINT) - 1]

    def hint_ids(self, words: list[int], device: torch.device) -> torch.Tensor:
        """Ids (N,) of the tokens that ask for so many words each."""
        return torch.tensor([self.hint(count) for count in words], device=device)

    def words(self, ids: torch.Tensor) -> torch.Tensor:
        """Number of words (N,) that token ids (N, T) spell.

        Not seen, as it would need the text, is white space or a Chinese or Japanese character that
        is made of several tokens.
        """
        begun = self.words_of_token.to(ids.device)[ids]
        silent = self.special.to(ids.device)[ids] | self.blank.to(ids.device)[ids]
        after_blank = torch.ones_like(silent)
        after_blank[:, 1:] = self.blank.to(ids.device)[ids[:, :-1]]
        return (begun + (after_blank & ~silent & (begun == 0))).sum(dim=1)

    def as_source(self, row: list[int]) -> list[int]:
        """``row`` with the special tokens that a network's input has around it."""
        return [*self.source_prefix, *row, *self.source_suffix]


def vocabulary_of(tokenizer: Any) -> Vocabulary:
    """Prepare a tokenizer for the networks; length and mask tokens are added where they are missing.

    Raises:
        InputError: if the tokenizer has no token for padding or for the end of a text.
    """
    missing = [
        token
        for token in length_tokens()
        if tokenizer.convert_tokens_to_ids(token) in (None, tokenizer.unk_token_id)
    ]
    if missing:
        tokenizer.add_tokens([AddedToken(token, special=True) for token in missing], special_tokens=True)
    if tokenizer.mask_token_id is None:
        tokenizer.add_special_tokens({"mask_token": MASK})
    end = _first(tokenizer.eos_token_id, tokenizer.sep_token_id)
    start = _first(tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.pad_token_id)
    if start is None or end is None or tokenizer.pad_token_id is None:
        raise InputError(
            f"{tokenizer.name_or_path}: the tokenizer has no padding or end token; choose another."
        )
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    at = next(i for i in range(len(full)) if full[i : i + len(bare)] == bare)
    special = torch.zeros(len(tokenizer), dtype=torch.bool)
    special[sorted({*tokenizer.all_special_ids, *tokenizer.convert_tokens_to_ids(length_tokens())})] = True
    words_of_token, blank, begins_unit, attaches = _words_of_token(tokenizer, special)
    return Vocabulary(
        tokenizer=tokenizer,
        pad=tokenizer.pad_token_id,
        start=start,
        end=end,
        mask=tokenizer.mask_token_id,
        hints=tokenizer.convert_tokens_to_ids(length_tokens()),
        source_prefix=list(full[:at]),
        source_suffix=list(full[at + len(bare) :]) or [end],
        words_of_token=words_of_token,
        special=special,
        blank=blank,
        begins_unit=begins_unit,
        attaches=attaches,
    )


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _words_of_token(tokenizer: Any, special: torch.Tensor) -> tuple[torch.Tensor, ...]:
    word_piece = type(tokenizer.backend_tokenizer.model).__name__ == "WordPiece"
    counts, blanks, begins_unit, attaches = [], [], [], []
    for index, token in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))):
        text = ""
        if token is None or special[index]:
            counts.append(0)
        elif word_piece:
            # Its decoder writes these without a space before them.
            counts.append(int(not token.startswith("##") and token not in (".", ",", "?", "!")))
            text = token.removeprefix("##")
        else:
            text = tokenizer.decode([index])
            begins = token[:1] in ("\u0120", "\u2581") and bool(text.strip())  # byte-level, SentencePiece
            counts.append(max(int(begins), count_unspaced(text)))
            # SentencePiece decoders strip the space that a lone one of their tokens stands for.
            text = text or " " * (token == "\u2581")
        blanks.append(bool(text) and not text.strip())
        begins_unit.append(counts[-1] > 0 or not text[:1].isalnum())
        # A part of a character belongs to whatever comes next, not to the word before.
        attaches.append(bool(text.strip()) and counts[-1] == 0 and "\ufffd" not in text)
    return tuple(torch.tensor(column) for column in (counts, blanks, begins_unit, attaches))
