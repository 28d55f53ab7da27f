"""CTranslate2: a runtime of its own for encoder-decoder networks, T5, BART and mBART among them.

It writes whole texts by itself, so that it heeds what it knows of decoding alone; and it has no copy head.
"""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from textae.data.batches import pad_rows
from textae.data.tokenizer import Vocabulary
from textae.errors import InputError, reason
from textae.models.constraints import Decoding, Lengths
from textae.models.decoding import Candidate, decode, pad_texts
from textae.models.engines.files import exporting
from textae.models.engines.writer import Writer
from textae.models.seq2seq import Seq2Seq

QUANTIZATIONS = ("float32", "int8")
# What its converter asks of a BART network, and configurations of transformers do not say any more.
_PRE_NORM = {"bart": False, "mbart": True}
# So many tokens of made-up sources are written by both when an export is checked.
_CHECKED = 12


def export_ctranslate2(
    network: Seq2Seq, vocabulary: Vocabulary, folder: Path, quantization: str = "float32"
) -> None:
    """Write a network for CTranslate2 beside the weights of the saved model in ``folder``.

    Raises:
        InputError: if the library is missing, the network has a copy head or is of a family that it does not
            know, or does not write the same there.
    """
    if network.copy_head is not None:
        raise InputError(
            f"{folder}: CTranslate2 has no copy head, and this model has one; export it for the engine onnx."
        )
    library = _library()
    from ctranslate2.converters import TransformersConverter

    inner = copy.deepcopy(network.backbone.network).float().cpu()
    _tell(inner.config)

    class Converter(TransformersConverter):
        """Takes the network at hand: a family's own saving would tie weights that are not tied."""

        def load_model(self, *arguments: Any, **options: Any) -> Any:
            return inner

    with (
        exporting(
            folder, "ctranslate2", ctranslate2=library.__version__, quantization=quantization
        ) as target,
        TemporaryDirectory() as temporary,
    ):
        inner.config.save_pretrained(temporary)
        vocabulary.tokenizer.save_pretrained(temporary)
        # Eight bits round too much for a check: that the network is understood shows in float32.
        for kind in dict.fromkeys(("float32", quantization)):
            try:
                Converter(temporary).convert(str(target), quantization=kind, force=True)
            except Exception as error:  # whatever is missing in a network that it does not know
                raise InputError(
                    f"{folder}: CTranslate2 cannot convert this network ({reason(error)}); "
                    "use another engine."
                ) from error
            _set_tokens(network, vocabulary, target)
            if kind == "float32":
                _check(network, vocabulary, CTranslate2Writer(network, vocabulary, target), folder)


def _set_tokens(network: Seq2Seq, vocabulary: Vocabulary, target: Path) -> None:
    start, pad = vocabulary.tokenizer.convert_ids_to_tokens([network.start, vocabulary.pad])
    settings = json.loads((target / "config.json").read_text(encoding="utf-8"))
    # A tokenizer that spells everything has no token for the unknown; it is never met.
    settings |= {name: pad for name in ("bos_token", "unk_token") if settings.get(name) is None}
    settings["decoder_start_token"] = start
    (target / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _tell(config: Any) -> None:
    if config.model_type in _PRE_NORM:
        pre_norm = _PRE_NORM[config.model_type]
        config.normalize_before, config.add_final_layer_norm = pre_norm, pre_norm
        config.normalize_embedding = True
        config.add_bias_logits = config.static_position_embeddings = False
    elif hasattr(config, "scale_decoder_outputs"):
        # The converter takes scaled outputs for granted where embeddings are tied, and only there.
        config.tie_word_embeddings = bool(config.scale_decoder_outputs)


def _check(network: Seq2Seq, vocabulary: Vocabulary, writer: "CTranslate2Writer", folder: Path) -> None:
    """Let both write greedily for a few sources."""
    generator = torch.Generator().manual_seed(0)
    words = (~vocabulary.special).nonzero().squeeze(1)
    rows = [words[torch.randint(len(words), (9,), generator=generator)].tolist() for _ in range(4)]
    how = Decoding(max_tokens=_CHECKED)
    device = network.special.device
    hints = vocabulary.hint_ids([8] * len(rows), device)
    ours = decode(network, network.read(pad_texts(rows, vocabulary, device)), hints, vocabulary, how)
    if writer.decode(writer.read(rows), [8] * len(rows), how, [how] * len(rows)) != ours:
        raise InputError(
            f"{folder}: CTranslate2 does not write what this network writes; use another engine."
        )


def _library() -> Any:
    try:
        import ctranslate2
    except ImportError as error:
        raise InputError(
            "ctranslate2 is not installed: the engine ctranslate2 needs it; "
            'install textae with its extra "ctranslate2".'
        ) from error
    return ctranslate2


class CTranslate2Writer(Writer):
    """Writes by the converted network in a folder.

    In float32 a greedy summary is that of PyTorch, token for token. Beam search is the library's own: it ends
    at the first ``num_beams`` texts that end, where ours goes on as long as a better one can come; tokens
    that are forbidden take no share of the probabilities; and the hint counts in the length that scores are
    divided by.

    Args:
        network: the same network, which tells the log-probabilities of candidates.
        vocabulary: of its tokens.
        folder: of the converted network.
    """

    def __init__(self, network: Seq2Seq, vocabulary: Vocabulary, folder: Path):
        self.network, self.vocabulary = network, vocabulary
        threads = torch.get_num_threads()
        try:
            self.translator = _library().Translator(
                str(folder), device="cpu", inter_threads=self.workers, intra_threads=1
            )
        except RuntimeError as error:
            raise InputError(
                f"{folder}: this network cannot be read ({reason(error)}); export it again."
            ) from error
        # A translator of one thread leaves PyTorch with one as well.
        torch.set_num_threads(threads)
        self.tokens = vocabulary.tokenizer.convert_ids_to_tokens(list(range(len(vocabulary))))
        self.ids = {token: index for index, token in enumerate(self.tokens)}
        never = vocabulary.special.clone()
        never[vocabulary.end] = False
        self.never = [[self.tokens[index]] for index in never.nonzero().squeeze(1).tolist()]

    @property
    def workers(self) -> int:
        """One for each thread, as a batch is written in one."""
        return torch.get_num_threads()

    def refuses(self, decoding: Decoding, lengths: Sequence[Lengths]) -> str | None:
        """Bounds in words, whole words, distinct words and a seed are nothing that it knows."""
        asked = {
            "a length in words, or bounds of it": any(
                length.min_words > 0 or length.max_words is not None for length in lengths
            ),
            "whole_words": decoding.whole_words,
            "distinct_words": decoding.distinct_words,
            "sampling": decoding.do_sample,
        }
        found = next((name for name, wanted in asked.items() if wanted), None)
        return None if found is None else f"CTranslate2 cannot heed {found}"

    def read(self, rows: list[list[int]]) -> list[list[str]]:
        """The documents' tokens."""
        return [[self.tokens[token] for token in self.vocabulary.as_source(row)] for row in rows]

    def decode(
        self, source: list[list[str]], words: list[int], decoding: Decoding, lengths: Sequence[Lengths]
    ) -> list[list[int]]:
        """Greedy, or the best of a beam search."""
        return [rows[0] for rows in self._write(source, words, decoding, lengths, 1)]

    def search(
        self, source: list[list[str]], words: list[int], decoding: Decoding, lengths: Sequence[Lengths]
    ) -> list[list[Candidate]]:
        """The candidates of a beam search, with the log-probabilities that the network gives them."""
        found = self._write(source, words, decoding, lengths, decoding.candidates)
        return [
            [Candidate(tokens, value) for tokens, value in zip(rows, values, strict=True)]
            for rows, values in zip(
                found, self._log_probabilities(source, words, found, lengths), strict=True
            )
        ]

    def _write(
        self,
        source: list[list[str]],
        words: list[int],
        decoding: Decoding,
        lengths: Sequence[Lengths],
        hypotheses: int,
    ) -> list[list[list[int]]]:
        prefix = [[self.tokens[self.vocabulary.hint(count)]] for count in words]
        written = self.translator.translate_batch(
            source,
            target_prefix=prefix,
            beam_size=decoding.num_beams,
            num_hypotheses=hypotheses,
            length_penalty=decoding.length_penalty,
            no_repeat_ngram_size=decoding.no_repeat_ngram_size,
            # Without bounds in words all have the same limit; the hint counts as a token here.
            max_decoding_length=max(length.max_tokens for length in lengths) + 1,
            min_decoding_length=0,
            max_input_length=0,  # the library's own would cut documents
            suppress_sequences=self.never,
        )
        return [
            [[self.ids[token] for token in tokens[1:]] for tokens in result.hypotheses] for result in written
        ]

    @torch.no_grad()
    def _log_probabilities(
        self,
        source: list[list[str]],
        words: list[int],
        found: list[list[list[int]]],
        lengths: Sequence[Lengths],
    ) -> list[list[float]]:
        network, vocabulary = self.network, self.vocabulary
        device = network.special.device
        # A text that was cut off has no end.
        rows = [
            [*tokens, vocabulary.end][: length.max_tokens]
            for texts, length in zip(found, lengths, strict=True)
            for tokens in texts
        ]
        ids = [[self.ids[token] for token in tokens] for tokens in source]
        numbers = [number for number, texts in enumerate(found) for _ in texts]
        # Each document is read once, however many candidates it has.
        read = network.read(pad_rows(ids, vocabulary.pad, device)).select(
            torch.tensor(numbers, device=device)
        )
        hints = [count for count, texts in zip(words, found, strict=True) for _ in texts]
        targets = pad_rows(rows, vocabulary.pad, device)
        values = network.log_probabilities(read, targets, vocabulary.hint_ids(hints, device)).sum(1)
        left = iter(values.tolist())
        return [[next(left) for _ in texts] for texts in found]
