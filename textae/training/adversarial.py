"""One step of the adversarial phase: sample, read, pay, learn."""

from dataclasses import dataclass

import torch

from textae.config import TrainingConfig
from textae.data.batches import Example, TokenBatch, pad_rows
from textae.data.tokenizer import Vocabulary
from textae.data.words import count_words, split_words
from textae.models.autoencoder import TextAutoencoder
from textae.models.decoding import Decoding, decode
from textae.models.encoder import Encoder
from textae.models.inputs import AutoencoderInputs, AutoencoderOutputs
from textae.training.advantage import (
    center,
    center_by_position,
    discounted_returns,
    leave_one_out,
    position_sums,
    self_critical,
)
from textae.training.lengths import human_lengths, matching_sentences, uniform_lengths
from textae.training.reduce import Reduce
from textae.training.rewards import REWARDS, Rollout, repetitions
from textae.training.warmup import discriminator_loss, ending_loss, language_loss


@dataclass
class Sampled:
    """Inputs of the forward pass and what the rewards need besides.

    ``group`` is the number of rows of one document: K samples, and with the self-critical
    baseline the greedy summary behind them; ``fluency`` is (N, T), None where it is not paid for.
    """

    inputs: AutoencoderInputs
    texts: list[str]
    wanted_words: torch.Tensor
    group: int
    real: int
    document_words: list[set[str]]
    fluency: torch.Tensor | None = None


class AdversarialStep:
    """Wang and Lee (2018), with K samples, a baseline of choice, and every reward named.

    Args:
        config: the whole recipe.
        vocabulary: of all networks.
        reference: frozen copy of the warm encoder, outside the trained module.
        token_weights: (V,) weight of each token in the reconstruction reward.
        reduce: sums over processes.
    """

    def __init__(
        self,
        config: TrainingConfig,
        vocabulary: Vocabulary,
        reference: Encoder,
        token_weights: torch.Tensor,
        reduce: Reduce,
    ):
        self.config, self.vocabulary, self.token_weights = config, vocabulary, token_weights
        self.reference, self.reduce = reference.eval().requires_grad_(False), reduce

    def sample(
        self, model: TextAutoencoder, step: int, rows: range, documents: list[Example], human: list[Example]
    ) -> Sampled:
        """Sample K summaries for one process's ``rows`` of the global batch of ``step``.

        A document is asked for as many words as its human sentence has (which is of other
        content): so real and sampled sentences have the same lengths, and the discriminator
        cannot go by length. Where lengths are drawn evenly instead, sentences of such lengths are
        taken from the global batch, as far as it has them. All random numbers of the global batch
        are drawn on every process, so that samples do not depend on the number of processes.
        """
        config, vocabulary, device = self.config, self.vocabulary, model.device
        samples = config.adversarial.samples
        limits = config.length
        sources = pad_rows([vocabulary.as_source(documents[row].ids) for row in rows], vocabulary.pad, device)
        generator = torch.Generator().manual_seed(config.run.seed * 1_000_003 + step)
        uniforms = torch.rand(len(documents) * samples, limits.maximum_tokens, 2, generator=generator)
        lengths = [count_words(example.text) for example in human]
        if config.adversarial.length_sampling == "uniform":
            asked = uniform_lengths(len(documents), limits, generator)
            human = [human[i] for i in matching_sentences(asked, lengths)]
        else:
            asked = human_lengths(lengths, limits)
        words = [asked[row] for row in rows]
        hints = vocabulary.hint_ids(words, device)
        uniforms = uniforms[rows.start * samples : rows.stop * samples].to(device)
        summaries = model.encoder.rollout(sources, hints.repeat_interleave(samples), uniforms)
        group = samples
        if config.adversarial.baseline == "self_critical":
            summaries, group = self._append_greedy(model, sources, hints, summaries), samples + 1
        hints = hints.repeat_interleave(group)
        token_rows = summaries.rows()
        texts = vocabulary.decode(token_rows)
        codes = [row[:-1] if row[-1] == vocabulary.end else row for row in token_rows]
        target = pad_rows([[*documents[row].ids, vocabulary.end] for row in rows], vocabulary.pad, device)
        target = target.repeat(group)
        real = pad_rows([[*human[row].ids, vocabulary.end] for row in rows], vocabulary.pad, device)
        inputs = AutoencoderInputs(
            encoder_source=sources,
            encoder_target=summaries,
            hints=hints,
            reconstructor_source=pad_rows(
                [vocabulary.as_source(row) for row in codes], vocabulary.pad, device
            ),
            reconstructor_target=target,
            reconstructor_inputs=None,
            sentences=join_rows(real, summaries, vocabulary.pad),
            human=len(rows),
            reconstructor_learned=self._learned(len(texts), group, device),
        )
        wanted = torch.tensor(words, device=device).repeat_interleave(group)
        contents = [set(split_words(documents[row].text)) for row in rows]
        fluency = self._fluency(model, summaries)
        return Sampled(inputs, texts, wanted, group, len(rows), contents, fluency)

    @torch.no_grad()
    def _fluency(self, model: TextAutoencoder, summaries: TokenBatch) -> torch.Tensor | None:
        reader = model.discriminator
        if reader.predict is None or self.config.adversarial.rewards.fluency.weight == 0:
            return None
        # Dropout would be noise in a reward. (The reader's scores have it: it learns from the same pass.)
        training = reader.training
        fluency = reader.eval().fluency(summaries)
        reader.train(training)
        return fluency

    def _learned(self, rows: int, group: int, device: torch.device) -> torch.Tensor | None:
        """The rows from which the reconstructor learns; None for all of them."""
        samples = self.config.adversarial.reconstructor_samples
        if samples is None or samples >= group:
            return None
        # Samples of one document are drawn alike, so the first are as good as any.
        return torch.arange(rows, device=device) % group < samples

    def _append_greedy(
        self, model: TextAutoencoder, sources: TokenBatch, hints: torch.Tensor, summaries: TokenBatch
    ) -> TokenBatch:
        limit = self.config.length.maximum_tokens
        rows = decode(model.encoder, model.encoder.read(sources), hints, self.vocabulary, Decoding(limit))
        ended = [[*row, self.vocabulary.end] if len(row) < limit else row for row in rows]
        greedy = pad_rows(ended, self.vocabulary.pad, summaries.ids.device)
        joined = join_rows(summaries, greedy, self.vocabulary.pad)
        samples = self.config.adversarial.samples
        documents = len(rows)
        order = torch.arange(documents * samples, device=summaries.ids.device).view(documents, samples)
        last = torch.arange(documents, device=order.device)[:, None] + documents * samples
        order = torch.cat([order, last], dim=1).view(-1)
        return TokenBatch(joined.ids[order], joined.mask[order])

    @torch.no_grad()
    def rollout(self, sampled: Sampled, outputs: AutoencoderOutputs) -> Rollout:
        """Gather what the rewards look at, all of it detached."""
        inputs = sampled.inputs
        target = inputs.encoder_target
        reference = self.reference.log_probabilities(
            self.reference.read(inputs.encoder_source), target, inputs.hints
        )
        words = torch.tensor([count_words(text) for text in sampled.texts], device=target.ids.device)
        scores = outputs.scores[sampled.real :, : target.ids.shape[1]]
        return Rollout(
            summaries=target,
            texts=sampled.texts,
            words=words,
            wanted_words=sampled.wanted_words,
            finished=(target.ids == self.vocabulary.end).any(dim=1),
            document_log_probabilities=outputs.document_log_probabilities.detach(),
            document_weights=self._weights(inputs.reconstructor_target),
            scores=scores.detach(),
            log_probabilities=outputs.summary_log_probabilities.detach(),
            reference_log_probabilities=reference,
            fluency=torch.zeros_like(reference) if sampled.fluency is None else sampled.fluency,
        )

    def _weights(self, documents: TokenBatch) -> torch.Tensor:
        weights = self.token_weights.to(documents.ids.device)
        return weights[documents.ids] * documents.mask

    def advantages(self, rollout: Rollout, group: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Sum of the weighted advantages (N, T) of all rewards, and each reward raw and weighted.

        Rewards of a whole summary are compared with the baseline; rewards of a token are centred
        by position and discounted backwards. Each is normalised on its own before the sum (GDPO,
        2601.05242), by the deviation over the batch and never over one document's samples, which
        would favour documents whose samples are alike (Dr. GRPO, 2503.20783).
        """
        config, mask = self.config.adversarial, rollout.summaries.mask
        judged = self._judged(mask, group)
        total = torch.zeros(mask.shape, device=mask.device)
        metrics: dict[str, float] = {}
        for name, reward in REWARDS.items():
            settings = getattr(config.rewards, name)
            raw = reward(rollout)
            kept = judged if raw.dim() == 2 else judged[:, 0]
            mean = self.reduce.mean((raw * kept).sum(), kept.sum())
            metrics[f"reward/{name}"] = self.reduce.value(mean)
            if raw.dim() == 1:
                advantage = self._against_baseline(raw, group, kept)
            else:
                sums, counts = position_sums(raw, judged)
                sums, counts = self._over_processes(sums, counts)
                centred = center_by_position(raw, judged, (sums / counts.clamp_min(1.0))[: raw.shape[1]])
                advantage = discounted_returns(centred, judged, config.reader_discount)
            if settings.normalize:
                square = self.reduce.mean((advantage.square() * kept).sum(), kept.sum())
                advantage = advantage / (self.reduce.value(square) ** 0.5 + 1e-6)
            weighted = settings.weight * advantage
            size = self.reduce.mean((weighted.abs() * kept).sum(), kept.sum())
            metrics[f"reward/{name}_weighted"] = self.reduce.value(size)
            total += weighted[:, None] if weighted.dim() == 1 else weighted
        return total * judged, metrics

    def _judged(self, mask: torch.Tensor, group: int) -> torch.Tensor:
        """The mask without the greedy rows, which are a baseline and no samples of the policy."""
        if group == self.config.adversarial.samples:
            return mask
        sampled = torch.arange(len(mask), device=mask.device) % group != group - 1
        return mask & sampled[:, None]

    def _against_baseline(self, raw: torch.Tensor, group: int, kept: torch.Tensor) -> torch.Tensor:
        baseline = self.config.adversarial.baseline
        if baseline == "leave_one_out":
            return leave_one_out(raw, group)
        if baseline == "batch_mean":
            mean = self.reduce.value(self.reduce.mean((raw * kept).sum(), kept.sum()))
            return center(raw, torch.tensor(mean, device=raw.device))
        return self_critical(raw, raw[group - 1 :: group], group)

    def _over_processes(self, sums: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # Summaries on another process may be longer: every process sums over all positions there are.
        longest = self.config.length.maximum_tokens
        padded = torch.zeros(2, longest, device=sums.device)
        padded[0, : len(sums)], padded[1, : len(counts)] = sums, counts
        padded = self.reduce.sum(padded)
        return padded[0], padded[1]

    def losses(
        self, sampled: Sampled, outputs: AutoencoderOutputs, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Losses of the three networks, summed, and the metrics. ``step`` counts from the phase's start."""
        config, reduce = self.config.adversarial, self.reduce
        rollout = self.rollout(sampled, outputs)
        advantages, metrics = self.advantages(rollout, sampled.group)
        judged = self._judged(rollout.summaries.mask, sampled.group)
        gain = (advantages * outputs.summary_log_probabilities).sum()
        policy = -reduce.mean(gain, judged.sum())
        if step < config.discriminator_first_steps:
            policy = 0.0 * policy  # still part of the graph: every parameter takes part in every backward
        restored, kept = outputs.document_log_probabilities, sampled.inputs.reconstructor_target.mask
        if sampled.inputs.reconstructor_learned is not None:
            kept = kept & sampled.inputs.reconstructor_learned[:, None]
        reconstructor = reduce.mean(-(restored * kept).sum(), kept.sum())
        discriminator, accuracy = discriminator_loss(
            outputs.scores, sampled.inputs.sentences.mask, sampled.real, config.real_label, reduce
        )
        ending = ending_loss(outputs.endings, sampled.inputs.sentences.mask, sampled.real, reduce)
        metrics |= {
            "loss/policy": reduce.value(policy),
            "loss/reconstructor": reduce.value(reconstructor),
            "loss/discriminator": reduce.value(discriminator),
            "loss/ending": reduce.value(ending),
            "discriminator/accuracy": accuracy,
            **self._describe(rollout, sampled, judged),
        }
        total = policy + reconstructor + discriminator + ending
        if outputs.human_log_probabilities is not None:
            mask = sampled.inputs.sentences.mask[: sampled.real]
            language = language_loss(outputs.human_log_probabilities, mask, reduce)
            metrics["loss/language"] = reduce.value(language)
            total = total + language
        return total, metrics

    def _describe(self, rollout: Rollout, sampled: Sampled, judged: torch.Tensor) -> dict[str, float]:
        reduce, device = self.reduce, judged.device
        words = [split_words(text) for text in sampled.texts]
        copied = [
            sum(word in sampled.document_words[i // sampled.group] for word in summary) / max(1, len(summary))
            for i, summary in enumerate(words)
        ]
        repeated = [float(repetitions(summary) > 0) for summary in words]
        rows = torch.tensor(float(len(words)), device=device)
        columns = {
            "summary/words": rollout.words.float().sum(),
            "summary/unfinished": (~rollout.finished).float().sum(),
            "summary/length_error": (rollout.words - rollout.wanted_words).abs().float().sum(),
            "summary/copied": torch.tensor(sum(copied), device=device),
            "summary/repetitive": torch.tensor(sum(repeated), device=device),
        }
        described = {name: reduce.value(reduce.mean(total, rows)) for name, total in columns.items()}
        tokens = judged.sum()
        entropy = reduce.mean(-(rollout.log_probabilities * judged).sum(), tokens)
        ratio = rollout.log_probabilities - rollout.reference_log_probabilities
        described["policy/entropy"] = reduce.value(entropy)
        described["policy/kl"] = reduce.value(reduce.mean((ratio * judged).sum(), tokens))
        return described


def join_rows(first: TokenBatch, second: TokenBatch, pad: int) -> TokenBatch:
    """The rows of two batches in one, padded to the longer."""
    length = max(first.ids.shape[1], second.ids.shape[1])

    def widen(part: torch.Tensor, value: int) -> torch.Tensor:
        return torch.nn.functional.pad(part, (0, length - part.shape[1]), value=value)

    return TokenBatch(
        torch.cat([widen(first.ids, pad), widen(second.ids, pad)]),
        torch.cat([widen(first.mask, 0), widen(second.mask, 0)]),
    )
