"""What the networks learn before they meet: batches and losses of the warm-up."""

import math
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from textae.config import TrainingConfig
from textae.data.batches import Example, TokenBatch, pad_rows
from textae.data.noise import break_sentence
from textae.data.pairs import PairExample
from textae.data.tokenizer import Vocabulary
from textae.data.words import count_words, join_words, split_words
from textae.models.inputs import AutoencoderInputs, AutoencoderOutputs, DenoisingInputs
from textae.models.learning import hide_tokens
from textae.training.denoising import NoisySentences
from textae.training.reduce import Reduce


@dataclass
class WordWeights:
    """Inverse document frequencies of words, learned on the corpus."""

    weights: dict[str, float]
    unseen: float

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> "WordWeights":
        """Count in how many texts each word stands."""
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            total += 1
            counts.update(set(split_words(text)))
        weights = {word: math.log((total + 1) / (count + 0.5)) for word, count in counts.items()}
        return cls(weights, math.log(2 * (total + 1)))

    def __getitem__(self, word: str) -> float:
        return self.weights.get(word, self.unseen)


def token_weights(vocabulary: Vocabulary, texts: list[str]) -> torch.Tensor:
    """Inverse document frequencies (V,) of tokens, of mean 1 over running text; 0 for special ones.

    A token that no text has weighs as much as one that a single text has.
    """
    rows = vocabulary.encode(texts)
    weights = inverse_document_frequencies(rows, vocabulary.special)
    tokens = torch.tensor([token for row in rows for token in row], dtype=torch.long)
    running = torch.bincount(tokens, minlength=len(vocabulary)).float()
    mean = (weights * running).sum() / running.sum().clamp_min(1.0)
    return weights / mean.clamp_min(1e-6)


def inverse_document_frequencies(rows: list[list[int]], special: torch.Tensor) -> torch.Tensor:
    """Logarithm (V,) of the number of texts per text that has a token; 0 for ``special`` (V,) tokens.

    A token that none of the texts, given as token ids, has weighs as much as one that a single text has.
    """
    once = [token for row in rows for token in set(row)]
    counts = torch.bincount(torch.tensor(once, dtype=torch.long), minlength=len(special)).float()
    weights = torch.log((len(rows) + 1) / counts.clamp_min(1.0))
    weights[special] = 0.0
    return weights


def salient_words(words: list[str], count: int, weights: WordWeights) -> list[str]:
    """The ``count`` rarest words, in their order; earlier ones win where two are alike."""
    ranked = sorted(range(len(words)), key=lambda i: (-weights[words[i]], i))
    return [words[i] for i in sorted(ranked[:count])]


def pseudo_summary(words: list[str], count: int, weights: WordWeights, generator: random.Random) -> list[str]:
    """What the reconstructor reads in warm-up: the first words, a stretch of words, or the salient ones."""
    kind = generator.random()
    if kind < 1 / 3:
        return words[:count]
    if kind < 2 / 3:
        begin = generator.randint(0, max(0, len(words) - count))
        return words[begin : begin + count]
    return salient_words(words, count, weights)


class WarmupBatches:
    """Makes inputs of the three networks from documents and human sentences that do not match."""

    def __init__(
        self, config: TrainingConfig, vocabulary: Vocabulary, weights: WordWeights, noisy: NoisySentences
    ):
        self.config, self.vocabulary, self.weights, self.noisy = config, vocabulary, weights, noisy

    def make(
        self,
        step: int,
        rows: range,
        documents: list[Example],
        human: list[Example],
        device: torch.device,
        paired: dict[int, PairExample] | None = None,
    ) -> AutoencoderInputs:
        """Inputs for one process's ``rows`` of the global batch of ``step``.

        Encoder and reconstructor learn from ``paired`` instead, in the rows of the global batch that it has.

        Every row has a random generator of its own, so that the batch is the same however many
        processes share it.
        """
        config, vocabulary, paired = self.config, self.vocabulary, paired or {}
        sources, targets, hints, codes, fakes = [], [], [], [], []
        for row in rows:
            generator = random.Random(f"warm-up {config.run.seed} {step} {row}")
            document = split_words(documents[row].text)
            sentence = split_words(human[row].text)
            other = split_words(documents[(row + 1) % len(documents)].text)
            count = generator.randint(config.length.minimum_words, config.length.maximum_words)
            code = pseudo_summary(document, count, self.weights, generator)
            if generator.random() < config.warmup.pseudo_summary_share:
                source, target = document, document[:count]
            else:
                source, target = self.noisy.corrupt(sentence, other, generator), sentence
            sources.append(join_words(source))
            targets.append(join_words(target))
            hints.append(vocabulary.hint(len(target)))
            codes.append(join_words(code))
            broken = generator.random() < 0.5
            fakes.append(join_words(break_sentence(sentence, generator)) if broken else codes[-1])
            if row in paired:
                pair = paired[row]
                sources[-1], targets[-1], codes[-1] = pair.document, pair.summary, pair.summary
                hints[-1] = vocabulary.hint(count_words(pair.summary))
        window, longest = config.data.max_document_tokens, config.data.max_human_tokens
        target_rows = vocabulary.encode(targets, longest)
        # A process that would have none takes its first.
        learned = [row for row in rows if row % config.warmup.reconstructor_every == 0] or [rows.start]
        code_rows = vocabulary.encode([codes[row - rows.start] for row in learned], longest)
        restored = [paired[row].document_ids if row in paired else documents[row].ids for row in learned]
        document_batch = self._ended(restored, device)
        randoms = torch.Generator().manual_seed(config.run.seed * 1_000_003 + step)
        dropped = torch.rand(len(documents), window + 1, generator=randoms)
        dropped = dropped[learned, : document_batch.ids.shape[1]].to(device)
        real = [human[row].ids for row in rows]
        return AutoencoderInputs(
            encoder_source=self._source(vocabulary.encode(sources, window), device),
            encoder_target=self._ended(target_rows, device),
            hints=torch.tensor(hints, device=device),
            reconstructor_source=self._source(code_rows, device),
            reconstructor_target=document_batch,
            reconstructor_inputs=hide_tokens(
                document_batch, dropped, config.noise.reconstructor_word_dropout, vocabulary.mask
            ),
            sentences=self._ended(real + vocabulary.encode(fakes, longest), device),
            human=len(real),
            smoothing=config.warmup.label_smoothing > 0,
        )

    def denoising(
        self, step: int, rows: range, documents: list[Example], human: list[Example], device: torch.device
    ) -> DenoisingInputs:
        """Noisy human sentences of one process's ``rows`` of the global batch of ``step``."""
        vocabulary, sources = self.vocabulary, []
        for row in rows:
            generator = random.Random(f"denoising {self.config.run.seed} {step} {row}")
            other = split_words(documents[(row + 1) % len(documents)].text)
            sources.append(join_words(self.noisy.corrupt(split_words(human[row].text), other, generator)))
        return DenoisingInputs(
            source=self._source(vocabulary.encode(sources, self.config.data.max_document_tokens), device),
            target=self._ended([human[row].ids for row in rows], device),
            hints=vocabulary.hint_ids([count_words(human[row].text) for row in rows], device),
        )

    def _source(self, rows: list[list[int]], device: torch.device) -> TokenBatch:
        return pad_rows([self.vocabulary.as_source(row) for row in rows], self.vocabulary.pad, device)

    def _ended(self, rows: list[list[int]], device: torch.device) -> TokenBatch:
        return pad_rows([[*row, self.vocabulary.end] for row in rows], self.vocabulary.pad, device)


def warmup_losses(
    inputs: AutoencoderInputs, outputs: AutoencoderOutputs, label_smoothing: float, reduce: Reduce
) -> tuple[torch.Tensor, dict[str, float]]:
    """Cross-entropies of the three networks: their sum (to go backward from) and the metrics.

    Means are over the tokens of the global batch.
    """
    mask = inputs.encoder_target.mask
    losses = -outputs.summary_log_probabilities
    if outputs.summary_mean_log_probabilities is not None:
        smooth = -outputs.summary_mean_log_probabilities
        losses = (1 - label_smoothing) * losses + label_smoothing * smooth
    encoder = reduce.mean(losses.sum(), mask.sum())
    document_mask = inputs.reconstructor_target.mask
    reconstructor = reduce.mean(-outputs.document_log_probabilities.sum(), document_mask.sum())
    half = len(outputs.scores) // 2
    discriminator, accuracy = discriminator_loss(
        outputs.scores, inputs.sentences.mask, half, real_label=1.0, reduce=reduce
    )
    ending = ending_loss(outputs.endings, inputs.sentences.mask, half, reduce)
    plain = reduce.mean(-outputs.summary_log_probabilities.detach().sum(), mask.sum())
    metrics = {
        "loss/encoder": reduce.value(plain),
        "loss/reconstructor": reduce.value(reconstructor),
        "loss/discriminator": reduce.value(discriminator),
        "loss/ending": reduce.value(ending),
        "discriminator/accuracy": accuracy,
    }
    total = encoder + reconstructor + discriminator + ending
    if outputs.human_log_probabilities is not None:
        language = language_loss(outputs.human_log_probabilities, inputs.sentences.mask[:half], reduce)
        metrics["loss/language"] = reduce.value(language)
        total = total + language
    return total, metrics


def discriminator_loss(
    scores: torch.Tensor, mask: torch.Tensor, real: int, real_label: float, reduce: Reduce
) -> tuple[torch.Tensor, float]:
    """Binary cross-entropy over every prefix, real and other sentences counting the same.

    Args:
        scores: (M, T) logits; the first ``real`` rows are human.
        mask: (M, T).
        real: number of human sentences.
        real_label: target for them; below 1 it is one-sided label smoothing (Salimans et al. 2016).
        reduce: sums over processes.

    Returns:
        The loss, and the share of prefixes that are judged rightly (both kinds counting the same).
    """
    target = torch.zeros_like(scores)
    target[:real] = real_label
    losses = torch.nn.functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
    kept = mask.to(losses.dtype)
    right = ((scores > 0) == (target > 0.5)).to(losses.dtype) * kept
    loss, accuracy = torch.zeros((), device=scores.device), 0.0
    for part in (slice(0, real), slice(real, None)):
        loss = loss + 0.5 * reduce.mean((losses[part] * kept[part]).sum(), kept[part].sum())
        accuracy += 0.5 * reduce.value(reduce.mean(right[part].sum(), kept[part].sum()))
    return loss, accuracy


def language_loss(log_probabilities: torch.Tensor, mask: torch.Tensor, reduce: Reduce) -> torch.Tensor:
    """Mean cross-entropy of human sentences' tokens: ``log_probabilities`` and ``mask`` are (H, T)."""
    return reduce.mean(-log_probabilities.sum(), mask.sum())


def ending_loss(endings: torch.Tensor, mask: torch.Tensor, real: int, reduce: Reduce) -> torch.Tensor:
    """Binary cross-entropy of where human sentences end, over all their tokens but the end token.

    Args:
        endings: (M, T) logits that a sentence ends with this token; the first ``real`` rows are human.
        mask: (M, T).
        real: number of human sentences.
        reduce: sums over processes.
    """
    endings, mask = endings[:real, :-1], mask[:real]
    before_end, last = mask[:, 1:], mask[:, 1:].clone()
    last[:, :-1] &= ~mask[:, 2:]
    losses = torch.nn.functional.binary_cross_entropy_with_logits(endings, last.float(), reduction="none")
    return reduce.mean((losses * before_end).sum(), before_end.sum())
