"""One step of the adversarial phase: sample, read, pay, learn."""

from dataclasses import dataclass, field
from typing import Any

import torch

from textae.data.batches import Example, TokenBatch, join_rows, pad_rows
from textae.data.words import count_words
from textae.models.autoencoder import TextAutoencoder
from textae.models.base import evaluating
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
from textae.training.estimator import Estimator
from textae.training.hold import DiscriminatorHold
from textae.training.replay import Replay, without_rows
from textae.training.rewards import REWARDS, Rollout
from textae.training.supervision import pair_losses
from textae.training.warmup import discriminator_loss


@dataclass
class Sampled:
    """Inputs of the forward pass and what the rewards need besides.

    ``group`` is the number of rows of one document: K samples, and with the self-critical
    baseline the greedy summary behind them; ``fluency`` is (N, T), None where it is not paid for;
    ``documents`` are the B texts; ``empty`` (B, S) are the log-probabilities of their tokens given an
    empty summary, None where the reconstruction reward is not relative to them; ``replaced`` are the
    samples from which the discriminator does not learn: older ones, which stand behind the samples,
    take their places.
    """

    inputs: AutoencoderInputs
    texts: list[str]
    wanted_words: torch.Tensor
    group: int
    real: int
    document_words: list[set[str]]
    fluency: torch.Tensor | None = None
    documents: list[str] = field(default_factory=list)
    empty: torch.Tensor | None = None
    replaced: list[int] = field(default_factory=list)


class AdversarialStep(Estimator):
    """REINFORCE (Wang and Lee 2018), with K samples, a baseline of choice, and every reward named."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        config = self.config.adversarial
        self.replay = Replay(config.replay_size, config.replay_share, self.config.run.seed, self.reduce)
        self.hold = DiscriminatorHold(config.discriminator_hold_accuracy)

    def sample(
        self, model: TextAutoencoder, step: int, rows: range, documents: list[Example], human: list[Example]
    ) -> Sampled:
        """Sample K summaries for one process's ``rows`` of the global batch of ``step``.

        All random numbers of the global batch are drawn on every process, so that samples do not
        depend on the number of processes.
        """
        config, vocabulary, device = self.config, self.vocabulary, model.device
        samples = config.adversarial.samples
        limits = config.length
        request = self.request(step, rows, documents, human, device)
        sources, hints = request.sources, request.hints
        generator = torch.Generator().manual_seed(config.run.seed * 1_000_003 + step)
        uniforms = torch.rand(len(documents) * samples, limits.maximum_tokens, 2, generator=generator)
        uniforms = uniforms[rows.start * samples : rows.stop * samples].to(device)
        group = samples
        with self.whole("encoder", model.encoder) as encoder:
            summaries = encoder.rollout(sources, hints.repeat_interleave(samples), uniforms)
            if config.adversarial.baseline == "self_critical":
                summaries, group = self._append_greedy(encoder, sources, hints, summaries), samples + 1
        hints = hints.repeat_interleave(group)
        token_rows = summaries.rows()
        texts = vocabulary.decode(token_rows)
        codes = [row[:-1] if row[-1] == vocabulary.end else row for row in token_rows]
        empty = self._given_nothing(model, request.targets)
        own = range(rows.start * group, rows.stop * group)
        older = self.replay.draw(step, own, len(documents) * group)
        sentences = join_rows(request.human, summaries, vocabulary.pad)
        if older:
            replayed = pad_rows(list(older.values()), vocabulary.pad, device)
            sentences = join_rows(sentences, replayed, vocabulary.pad)
        # One of each document's, so that the memory goes further back.
        self.replay.add(step, token_rows[::group])
        inputs = AutoencoderInputs(
            encoder_source=sources,
            encoder_target=summaries,
            hints=hints,
            reconstructor_source=pad_rows(
                [vocabulary.as_source(row) for row in codes], vocabulary.pad, device
            ),
            reconstructor_target=request.targets.repeat(group),
            reconstructor_inputs=None,
            sentences=sentences,
            human=len(rows),
            reconstructor_learned=self._learned(len(texts), group, device),
        )
        wanted = torch.tensor(request.words, device=device).repeat_interleave(group)
        fluency = self._fluency(model, summaries)
        contents, documents_read = request.document_words, request.document_texts
        return Sampled(
            inputs, texts, wanted, group, len(rows), contents, fluency, documents_read, empty, list(older)
        )

    def texts(self, batch: Sampled, outputs: AutoencoderOutputs) -> list[str]:
        """One sampled summary of each document."""
        return batch.texts[:: batch.group]

    @torch.no_grad()
    def _given_nothing(self, model: TextAutoencoder, documents: TokenBatch) -> torch.Tensor | None:
        """Log-probabilities (B, S) of documents' tokens given an empty summary: one pass a document."""
        if not self.config.adversarial.relative_reconstruction:
            return None
        rows = [self.vocabulary.as_source([])] * len(documents.ids)
        nothing = pad_rows(rows, self.vocabulary.pad, documents.ids.device)
        with self.whole("reconstructor", model.reconstructor) as reconstructor:
            return reconstructor.document_log_probabilities(nothing, documents)

    @torch.no_grad()
    def _fluency(self, model: TextAutoencoder, summaries: TokenBatch) -> torch.Tensor | None:
        own = model.discriminator
        if own.predict is None or self.config.adversarial.rewards.fluency.weight == 0:
            return None
        # Dropout would be noise in a reward. (The reader's scores have it: it learns from the same pass.)
        with self.whole("discriminator", own) as reader, evaluating(reader):
            return reader.fluency(summaries)

    def _learned(self, rows: int, group: int, device: torch.device) -> torch.Tensor | None:
        """The rows from which the reconstructor learns; None for all of them."""
        samples = self.config.adversarial.reconstructor_samples
        if samples is None or samples >= group:
            return None
        # Samples of one document are drawn alike, so the first are as good as any.
        return torch.arange(rows, device=device) % group < samples

    def _append_greedy(
        self, encoder: Encoder, sources: TokenBatch, hints: torch.Tensor, summaries: TokenBatch
    ) -> TokenBatch:
        limit = self.config.length.maximum_tokens
        rows = decode(encoder, encoder.read(sources), hints, self.vocabulary, Decoding(limit))
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
        with self.whole("encoder", self.reference) as warm:
            reference, _ = warm.distribution_of(
                inputs.encoder_source, target, inputs.hints, rows_at_once=inputs.rows_at_once
            )
        words = torch.tensor([count_words(text) for text in sampled.texts], device=target.ids.device)
        scores = outputs.scores[sampled.real :, : target.ids.shape[1]][: len(target.ids)]
        restored, group = outputs.document_log_probabilities.detach(), sampled.group
        empty = torch.zeros_like(restored)
        if sampled.empty is not None:
            empty = sampled.empty.repeat_interleave(group, 0)
        topic, encoder = self._similarities(sampled)
        return Rollout(
            summaries=target,
            texts=sampled.texts,
            documents=[text for text in sampled.documents for _ in range(group)],
            words=words,
            wanted_words=sampled.wanted_words,
            finished=(target.ids == self.vocabulary.end).any(dim=1),
            document_log_probabilities=restored,
            empty_log_probabilities=empty,
            document_weights=self.document_weights(inputs.reconstructor_target),
            scores=scores.detach(),
            log_probabilities=outputs.summary_log_probabilities.detach(),
            reference_log_probabilities=reference,
            fluency=torch.zeros_like(reference) if sampled.fluency is None else sampled.fluency,
            topic_similarity=topic,
            encoder_similarity=encoder,
        )

    def _similarities(self, sampled: Sampled) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines (N,) of summaries and documents, by the corpus's embeddings and by the encoder."""
        summaries, documents = sampled.inputs.encoder_target, sampled.inputs.reconstructor_target
        topic, encoder = torch.zeros(2, len(summaries.ids), device=summaries.ids.device)
        models, group = self.reward_models, sampled.group
        if models.topic is not None:
            each = TokenBatch(documents.ids[::group], documents.mask[::group])
            topic = models.topic.similarity(summaries, each)
        if models.encoder is not None:
            each_once = models.encoder.embed(sampled.documents).repeat_interleave(group, 0)
            encoder = torch.cosine_similarity(models.encoder.embed(sampled.texts), each_once)
        return topic, encoder

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
        for name, reward in (REWARDS | self.reward_models.custom).items():
            settings = config.custom_rewards.get(name) or getattr(config.rewards, name)
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
        sentences, current = sampled.inputs.sentences.mask, sampled.real + len(sampled.texts)
        discriminator, accuracy = discriminator_loss(
            outputs.scores,
            without_rows(sentences, [sampled.real + row for row in sampled.replaced]),
            sampled.real,
            config.real_label,
            reduce,
        )
        human, learned = self.learned_from_human(outputs, sampled.inputs.sentences.mask, sampled.real)
        if config.replay_size:  # how well it tells what is written now is what counts
            scores, mask = outputs.scores[:current].detach(), sentences[:current]
            _, accuracy = discriminator_loss(scores, mask, sampled.real, config.real_label, reduce)
        metrics |= {
            "loss/policy": reduce.value(policy),
            "loss/reconstructor": reduce.value(reconstructor),
            "loss/discriminator": reduce.value(discriminator),
            "discriminator/accuracy": accuracy,
            **learned,
            **self.describe(rollout, judged, sampled.document_words),
        }
        if config.discriminator_hold_accuracy is not None:
            held = self.hold.update(accuracy)
            metrics["discriminator/held"] = float(held)
            discriminator = (0.0 if held else 1.0) * discriminator  # still part of the graph
        total = policy + reconstructor + discriminator + human
        if sampled.inputs.denoising is not None:
            log_probabilities = outputs.denoising_log_probabilities
            assert log_probabilities is not None
            denoising = reduce.mean(-log_probabilities.sum(), sampled.inputs.denoising.target.mask.sum())
            metrics["loss/denoising"] = reduce.value(denoising)
            learns = float(step >= config.discriminator_first_steps)
            total = total + learns * config.denoising_weight * denoising
        if sampled.inputs.pairs is not None:
            supervised, told = pair_losses(sampled.inputs.pairs, outputs, config, step, reduce)
            total, metrics = total + supervised, metrics | told
        return total, metrics

    def state_dict(self) -> dict[str, Any]:
        """What the discriminator's next lessons depend on."""
        return {"replay": self.replay.state_dict(), "hold": self.hold.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self.replay.load_state_dict(state["replay"])
        self.hold.load_state_dict(state["hold"])
