"""TextAutoencoder: the one module that holds encoder, reconstructor and discriminator."""

from typing import Any

import torch
from torch import nn

from textae.data.normalization import normalize
from textae.data.tokenizer import Vocabulary
from textae.data.words import count_words, join_words, split_words
from textae.errors import InputError
from textae.model_config import AutoencoderConfig
from textae.models.backbone import Backbone, build_network, check_positions, positions_for
from textae.models.base import Autoencoder, evaluating
from textae.models.constraints import Decoding, Lengths
from textae.models.decoding import decode, pad_texts
from textae.models.discriminator import Discriminator
from textae.models.encoder import Encoder
from textae.models.engines import load_writers
from textae.models.engines.writer import Writer
from textae.models.generation import check, reconstruction_decoding, summary_decoding, summary_lengths
from textae.models.inputs import AutoencoderInputs, AutoencoderOutputs, RelaxedInputs
from textae.models.model_card import model_card
from textae.models.reconstructor import Reconstructor
from textae.models.relaxation import relaxed_forward
from textae.models.reranking import choose, find_candidates, shorter_wishes


class TextAutoencoder(Autoencoder):
    """An autoencoder whose code is text (Wang and Lee, EMNLP 2018).

    Example:
        >>> model = TextAutoencoder.from_pretrained("runs/newswire")  # doctest: +SKIP
        >>> model.summarize(["a fire destroyed the old mill in port ellin on tuesday ."])  # doctest: +SKIP
        ['fire destroys old mill in port ellin']
    """

    purpose = "summarising"

    def __init__(
        self, config: AutoencoderConfig, vocabulary: Vocabulary, networks: dict[str, Any] | None = None
    ):
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        longest = max(config.max_document_tokens, config.max_human_tokens, config.length.maximum_tokens)
        self.positions = positions_for(longest)
        networks = networks or {
            name: build_network(getattr(config, name), vocabulary, self.positions)
            for name in ("encoder", "reconstructor")
        }
        self.encoder = Encoder(Backbone(networks["encoder"]), config.encoder, vocabulary)
        self.reconstructor = Reconstructor(
            Backbone(networks["reconstructor"]), config.reconstructor, vocabulary
        )
        for part in (self.encoder, self.reconstructor):
            check_positions(part.backbone, longest)
        self.discriminator = Discriminator(config.discriminator, len(vocabulary), self.positions)
        self._writers: list[Writer] = []

    def networks(self) -> dict[str, Any]:
        """The Hugging Face networks of encoder and reconstructor."""
        return {name: getattr(self, name).backbone.network for name in ("encoder", "reconstructor")}

    def parts(self) -> dict[str, nn.Module]:
        """Encoder, reconstructor and discriminator."""
        return {
            "encoder": self.encoder,
            "reconstructor": self.reconstructor,
            "discriminator": self.discriminator,
        }

    def try_out(self) -> None:
        """Write a word, judge it, and restore a document from it."""
        self.summarize(["a"], words=1, num_beams=1, candidates=1)
        self.readability(["a"])
        self.reconstruction_loss(["a"], ["a"])

    def card(self, results: str) -> str:
        """Markdown of the model card."""
        return model_card(self.config, sum(p.numel() for p in self.parameters()), results)

    def forward(self, inputs: AutoencoderInputs | RelaxedInputs) -> AutoencoderOutputs:
        """Run all three networks, so that one backward pass trains all three.

        Of :class:`RelaxedInputs` come :class:`~textae.models.inputs.RelaxedOutputs`.
        """
        if isinstance(inputs, RelaxedInputs):
            return relaxed_forward(
                self.encoder, self.reconstructor, self.discriminator, self.vocabulary, inputs
            )
        at_once = inputs.rows_at_once
        summaries, mean = self.encoder.distribution_of(
            inputs.encoder_source,
            inputs.encoder_target,
            inputs.hints,
            smoothing=inputs.smoothing,
            rows_at_once=at_once,
        )
        documents = self.reconstructor.document_log_probabilities(
            inputs.reconstructor_source,
            inputs.reconstructor_target,
            inputs.reconstructor_inputs,
            inputs.reconstructor_learned,
            at_once,
        )
        reader, human = self.discriminator, None
        if reader.predict is not None:
            human = reader.log_probabilities(inputs.sentences.first(inputs.human))
        outputs = AutoencoderOutputs(summaries, mean, documents, *reader.judge(inputs.sentences), human)
        if inputs.pairs is not None:
            pairs = inputs.pairs
            outputs.pair_summary_log_probabilities = self.encoder.distribution_of(
                pairs.document_source, pairs.summary_target, pairs.hints, rows_at_once=at_once
            )[0]
            outputs.pair_document_log_probabilities = self.reconstructor.document_log_probabilities(
                pairs.summary_source, pairs.document_target, rows_at_once=at_once
            )
        if inputs.denoising is not None:
            noisy = inputs.denoising
            outputs.denoising_log_probabilities = self.encoder.distribution_of(
                noisy.source, noisy.target, noisy.hints, rows_at_once=at_once
            )[0]
        return outputs

    def fresh_reconstructor(self) -> Reconstructor:
        """A reconstructor of the same configuration that has learned nothing from this model.

        Raises:
            InputError: if it starts from a checkpoint, and that cannot be loaded.
        """
        settings = self.config.reconstructor
        network = build_network(settings, self.vocabulary, self.positions)
        return Reconstructor(Backbone(network), settings, self.vocabulary).to(self.device)

    # What people do with a model -----------------------------------------------------------------

    @torch.no_grad()
    def summarize(
        self,
        documents: list[str],
        *,
        batch_size: int = 64,
        words: int | None = None,
        ratio: float | None = None,
        min_words: int | None = None,
        max_words: int | None = None,
        num_beams: int | None = None,
        candidates: int | None = None,
        length_penalty: float | None = None,
        no_repeat_ngram_size: int | None = None,
        whole_words: bool | None = None,
        distinct_words: bool | None = None,
        do_sample: bool = False,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> list[str]:
        """Summarise documents of any lengths, order kept; an empty document gives an empty summary.

        What is not given is as the model's ``config.decoding`` says.

        Args:
            documents: texts; longer ones than the network reads as in :meth:`read_documents`.
            batch_size: documents decoded together, those of similar length.
            words: length to ask for, which a summary keeps to within a word; if neither it nor
                ``ratio`` is given, ``config.length.summary_words`` is asked for, but not held to.
            ratio: length to ask for as a share, above 0 and at most 1, of each document's own words
                (those that the network reads, if they are fewer).
            min_words: fewest words, instead of one less than what is asked for.
            max_words: most words, never exceeded, instead of one more than what is asked for.
            num_beams: beams of beam search; 1 is greedy.
            candidates: so many texts of the beam search among which all three networks choose.
            length_penalty: beam scores are divided by length to this power.
            no_repeat_ngram_size: no n-gram of this many tokens comes twice; 0 allows it.
            whole_words: a word of several pieces must be one of the document's.
            distinct_words: no word of more than three letters and no number comes twice.
            do_sample: sample instead of taking the most probable token.
            temperature: of sampling.
            seed: of sampling.

        Raises:
            InputError: if a length or size makes no sense.
        """
        decoding = summary_decoding(
            self.config,
            num_beams=num_beams,
            candidates=candidates,
            length_penalty=length_penalty,
            no_repeat_ngram_size=no_repeat_ngram_size,
            whole_words=whole_words,
            distinct_words=distinct_words,
            do_sample=do_sample,
            temperature=temperature,
            seed=seed,
        )

        rows = self.read_documents(documents)
        wanted, lengths = summary_lengths(
            self.config,
            self.encoder.backbone.positions,
            [(0, 0)] * len(rows) if ratio is None else self._sizes(documents, rows),
            words=words,
            ratio=ratio,
            min_words=min_words,
            max_words=max_words,
        )

        writer = self._writer(decoding, lengths)

        def write(chosen: list[int]) -> list[str]:
            read, kept = [rows[i] for i in chosen], [lengths[i] for i in chosen]
            asked = [wanted[i] for i in chosen]
            source = writer.read(read)
            if decoding.candidates > 1:
                wishes = shorter_wishes(asked, kept, self.config.decoding.length_slack)
                found = find_candidates(writer, source, wishes, decoding, kept)
                codes = choose(self, read, found, self.config.decoding)
            else:
                codes = writer.decode(source, asked, decoding, kept)
            texts = self.vocabulary.decode(codes)
            return [_cut(text, length.max_words) for text, length in zip(texts, kept, strict=True)]

        return self._by_length(rows, batch_size, write, "", workers=writer.workers)

    def use_engine(self, engine: str) -> None:
        """Let summaries be written by another library, by files that ``textae export`` has written.

        Args:
            engine: ``torch`` (as without this call), ``onnx``, ``ctranslate2``, or ``auto``: the fastest of
                those whose files are there that heeds the settings of a call. Weights that change
                afterwards change nothing there.

        Raises:
            InputError: if there are no such files, they belong to other weights, or a library is missing.
        """
        self._writers = load_writers(self, self.folder, engine)

    @property
    def engines(self) -> list[str]:
        """Names of what writes the summaries, the most wanted first."""
        return [writer.name for writer in self._writers or load_writers(self, None, "torch")]

    def _writer(self, decoding: Decoding, lengths: list[Lengths]) -> Writer:
        """The first writer that heeds the settings."""
        writers = self._writers or load_writers(self, None, "torch")
        refused = [writer.refuses(decoding, lengths) for writer in writers]
        for writer, setting in zip(writers, refused, strict=True):
            if setting is None:
                return writer
        raise InputError(f"{refused[0]}; leave it out, or take the engine torch.")

    def _sizes(self, documents: list[str], rows: list[list[int]]) -> list[tuple[int, int]]:
        """Words of each document, and words of what the network reads of it."""
        own = [count_words(normalize(text, self.config.normalization)) for text in documents]
        return list(zip(own, map(count_words, self.vocabulary.decode(rows)), strict=True))

    @torch.no_grad()
    def reconstruct(self, summaries: list[str], *, batch_size: int = 64, num_beams: int = 4) -> list[str]:
        """Write the document that each summary seems to stand for, order kept.

        No word follows itself, none of more than three letters comes twice within eight words, and a
        network from scratch spells no new word: a weak network only stutters otherwise. The first word
        counts by how much likelier the summary makes it, so that a document begins with its own story.

        Raises:
            InputError: if a size makes no sense.
        """
        decoding = reconstruction_decoding(self.config, num_beams)

        rows = self.prepare(summaries, self.config.max_document_tokens)

        def write(chosen: list[int]) -> list[str]:
            batch = pad_texts([rows[i] for i in chosen], self.vocabulary, self.device)
            source = self.reconstructor.read(batch)
            return self.vocabulary.decode(decode(self.reconstructor, source, None, self.vocabulary, decoding))

        return self._by_length(rows, batch_size, write, "")

    @torch.no_grad()
    def embed(self, documents: list[str], *, batch_size: int = 64) -> torch.Tensor:
        """The encoder's states, their mean over each document's tokens: (N, W) in float32, order kept.

        Of an empty document they are zeros.
        """
        rows = self.read_documents(documents)
        width = self.encoder.backbone.width

        def pool(chosen: list[int]) -> list[torch.Tensor]:
            source = self.encoder.read(pad_texts([rows[i] for i in chosen], self.vocabulary, self.device))
            kept = source.mask[..., None].to(source.states.dtype)
            return list(((source.states * kept).sum(1) / kept.sum(1)).float().cpu())

        vectors = self._by_length(rows, batch_size, pool, torch.zeros(width))
        return torch.stack(vectors) if vectors else torch.zeros(0, width)

    @torch.no_grad()
    def readability(self, sentences: list[str], *, batch_size: int = 256) -> list[float]:
        """The discriminator's probability that a human wrote each sentence (mean over its prefixes)."""

        rows = self.prepare(sentences, self.config.max_document_tokens)

        def judge(chosen: list[int]) -> list[float]:
            batch = self.sentences([rows[i] for i in chosen])
            scores = self.discriminator(batch).sigmoid() * batch.mask
            return (scores.sum(1) / batch.mask.sum(1)).tolist()

        return self._by_length(rows, batch_size, judge, 0.0)

    @torch.no_grad()
    def reconstruction_loss(
        self,
        documents: list[str],
        summaries: list[str] | None = None,
        *,
        batch_size: int = 64,
        reconstructor: Reconstructor | None = None,
    ) -> list[float]:
        """Nats per token of each document when it is restored from its summary.

        Args:
            documents: texts; an empty one has the loss 0, of a longer one than the network reads it is
                that of what :meth:`read_documents` leaves.
            summaries: one for each document; the model's own if not given.
            batch_size: documents in one pass.
            reconstructor: reads instead of the model's own; for an audit.

        Raises:
            InputError: if the numbers of documents and summaries differ, or ``batch_size`` is below 1.
        """
        check(batch_size >= 1, "batch_size", batch_size, "at least 1")
        if summaries is None:
            summaries = self.summarize(documents, batch_size=batch_size)
        if len(documents) != len(summaries):
            raise InputError(
                f"There are {len(documents)} documents but {len(summaries)} summaries; give one for each."
            )
        rows = self.read_documents(documents)
        codes = self.prepare(summaries, self.config.max_document_tokens)
        order = [i for i in sorted(range(len(rows)), key=lambda i: len(rows[i])) if rows[i]]
        losses = [0.0] * len(rows)
        reader = self.reconstructor if reconstructor is None else reconstructor
        with evaluating(self), evaluating(reader):
            for begin in range(0, len(order), batch_size):
                chosen = order[begin : begin + batch_size]
                source = pad_texts([codes[i] for i in chosen], self.vocabulary, self.device)
                target = self.sentences([rows[i] for i in chosen])
                log_probabilities = reader.document_log_probabilities(source, target)
                means = -log_probabilities.sum(1) / target.mask.sum(1)
                for i, loss in zip(chosen, means.tolist(), strict=True):
                    losses[i] = loss
        return losses


def _cut(text: str, max_words: int | None) -> str:
    """``text`` without what passes ``max_words``: counting by token can be a word short."""
    if max_words is None or count_words(text) <= max_words:
        return text
    return join_words(split_words(text)[:max_words])
