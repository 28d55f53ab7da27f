"""Estimators that let gradients through the summary: straight-through Gumbel-softmax, Wasserstein critic."""

import random
from abc import abstractmethod
from dataclasses import dataclass

import torch

from textae.data.batches import Example
from textae.data.words import count_words
from textae.models.autoencoder import TextAutoencoder
from textae.models.inputs import AutoencoderOutputs, RelaxedInputs, RelaxedOutputs
from textae.models.relaxation import gumbel_noise, sentence_scores
from textae.training.estimator import Estimator, Request
from textae.training.rewards import REWARDS, Rollout
from textae.training.warmup import discriminator_loss


@dataclass
class RelaxedBatch:
    """Inputs of the forward pass, and what was asked for."""

    inputs: RelaxedInputs
    request: Request


class RelaxedStep(Estimator):
    """Summaries are sampled in the forward pass, and the encoder learns from the losses of its readers.

    Its loss is the reconstructor's, a reader loss and the KL divergence from the warm encoder, each
    with the weight of the reward of that name.
    """

    rewards: tuple[str, ...] = ("reconstruction", "length", "repetition", "kl")
    takes_rows_at_once = False  # all rows are sampled in one pass
    interpolates = False  # whether the gradient penalty is wanted

    def soft(self) -> bool:
        """Whether reader and reconstructor read the encoder's distributions in place of its tokens."""
        return False

    def sample(
        self, model: TextAutoencoder, step: int, rows: range, documents: list[Example], human: list[Example]
    ) -> RelaxedBatch:
        """Make the inputs, which hold all random numbers; the samples come of the forward pass."""
        config, device = self.config.adversarial, model.device
        request = self.request(step, rows, documents, human, device)
        draws = [self._draws(step, row) for row in rows]
        uniforms = torch.cat([noise for noise, _ in draws]).to(device)
        now = step - self.config.warmup.steps
        inputs = RelaxedInputs(
            encoder_source=request.sources,
            hints=request.hints.repeat_interleave(config.samples),
            noise=gumbel_noise(uniforms),
            temperature=self.temperature(now),
            soft=self.soft(),
            reconstructor_target=request.targets.repeat(config.samples),
            human=request.human,
            reconstruction_weight=self._learns(now) * config.rewards.reconstruction.weight,
            interpolation=torch.cat([share for _, share in draws]).to(device) if self.interpolates else None,
        )
        return RelaxedBatch(inputs, request)

    def _draws(self, step: int, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Uniform random numbers of one document: (K, T, V) for its samples, (1,) for the penalty."""
        # A generator for each row: noise over the vocabulary for the rows of others would be too much.
        seed = random.Random(f"relaxed {self.config.run.seed} {step} {row}").getrandbits(32)
        generator = torch.Generator().manual_seed(seed)
        shape = (self.config.adversarial.samples, self.config.length.maximum_tokens, len(self.vocabulary))
        return torch.rand(shape, generator=generator), torch.rand(1, generator=generator)

    def temperature(self, step: int) -> float:
        """Temperature at ``step`` of the phase: falls geometrically from the first to the final one."""
        config = self.config.adversarial
        final = config.gumbel_final_temperature
        if final is None:
            return config.gumbel_temperature
        share = min(max(step, 0) / max(1, config.steps - 1), 1.0)
        return float(config.gumbel_temperature * (final / config.gumbel_temperature) ** share)

    def _learns(self, step: int) -> float:
        """0 in the first steps, in which the encoder stands still but takes part, else 1."""
        return float(step >= self.config.adversarial.discriminator_first_steps)

    def texts(self, batch: RelaxedBatch, outputs: AutoencoderOutputs) -> list[str]:
        """One sampled summary of each document."""
        assert isinstance(outputs, RelaxedOutputs)
        return self.vocabulary.decode(outputs.summaries.rows()[:: self.config.adversarial.samples])

    @torch.no_grad()
    def _rollout(self, batch: RelaxedBatch, outputs: RelaxedOutputs, reference: torch.Tensor) -> Rollout:
        """What the metrics look at; ``reference`` (N, T, V) are the warm encoder's log-probabilities."""
        summaries = outputs.summaries
        texts = self.vocabulary.decode(summaries.rows())
        device, samples = summaries.ids.device, self.config.adversarial.samples
        restored, none = outputs.document_log_probabilities.detach(), torch.zeros(len(texts), device=device)
        chosen = reference.gather(-1, summaries.ids[..., None]).squeeze(-1)
        return Rollout(
            summaries=summaries,
            texts=texts,
            documents=[text for text in batch.request.document_texts for _ in range(samples)],
            words=torch.tensor([count_words(text) for text in texts], device=device),
            wanted_words=torch.tensor(batch.request.words, device=device).repeat_interleave(samples),
            finished=(summaries.ids == self.vocabulary.end).any(dim=1),
            document_log_probabilities=restored,
            empty_log_probabilities=torch.zeros_like(restored),
            document_weights=self.document_weights(batch.inputs.reconstructor_target),
            scores=outputs.reader_scores.detach(),
            log_probabilities=outputs.summary_log_probabilities.detach(),
            reference_log_probabilities=chosen.masked_fill(~summaries.mask, 0.0),
            fluency=torch.zeros_like(chosen),
            topic_similarity=none,
            encoder_similarity=none,
        )

    def losses(
        self, batch: RelaxedBatch, outputs: AutoencoderOutputs, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Losses of the three networks, summed, and the metrics. ``step`` counts from the phase's start.

        ``reward/...`` are the raw rewards of the samples, as REINFORCE logs them: here nobody is paid.
        """
        assert isinstance(outputs, RelaxedOutputs)
        weights, reduce = self.config.adversarial.rewards, self.reduce
        inputs, summaries = batch.inputs, outputs.summaries
        with torch.no_grad(), self.whole("encoder", self.reference) as warm:
            reference = warm.log_distributions(warm.read(inputs.encoder_source), summaries, inputs.hints)
        divergence = (outputs.log_distributions.exp() * (outputs.log_distributions - reference)).sum(dim=-1)
        kl = reduce.mean((divergence * summaries.mask).sum(), summaries.mask.sum())
        kept = inputs.reconstructor_target.mask
        # Its gradient goes into the encoder too, with the weight that the inputs bring.
        reconstructor = reduce.mean(-(outputs.document_log_probabilities * kept).sum(), kept.sum())
        discriminator, told, metrics = self.reader_losses(outputs, len(inputs.human.ids))
        human, learned = self.learned_from_human(outputs, outputs.sentences.mask, len(inputs.human.ids))
        rollout = self._rollout(batch, outputs, reference)
        metrics |= {
            "loss/reconstructor": reduce.value(reconstructor),
            "loss/discriminator": reduce.value(discriminator),
            "loss/reader": reduce.value(told),
            "loss/kl": reduce.value(kl),
            **learned,
            **self.describe(rollout, summaries.mask, batch.request.document_words),
        }
        for name in self.rewards:
            raw = REWARDS[name](rollout)
            counted = summaries.mask if raw.dim() == 2 else summaries.mask[:, 0]
            mean = reduce.mean((raw * counted).sum(), counted.sum())
            metrics[f"reward/{name}"] = reduce.value(mean)
        encoder = weights.reader.weight * told + weights.kl.weight * kl
        return reconstructor + discriminator + human + self._learns(step) * encoder, metrics

    @abstractmethod
    def reader_losses(
        self, outputs: RelaxedOutputs, real: int
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        """The discriminator's loss, what the encoder is told of its summaries, as a loss, and metrics.

        The first ``real`` of ``outputs.sentences`` are human.
        """


class GumbelStep(RelaxedStep):
    """Straight-through Gumbel-softmax (SEQ3, Baziotis et al. 2019), with a discriminator.

    The encoder gets the non-saturating loss of Goodfellow et al. (2014), token by token.
    """

    rewards = ("reconstruction", "reader", "length", "repetition", "kl")

    def reader_losses(
        self, outputs: RelaxedOutputs, real: int
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        """Binary cross-entropies over prefixes: the discriminator's, and the encoder's for being human."""
        mask, config, reduce = outputs.summaries.mask, self.config.adversarial, self.reduce
        loss, accuracy = discriminator_loss(
            outputs.scores, outputs.sentences.mask, real, config.real_label, reduce
        )
        surprise = torch.nn.functional.softplus(-outputs.reader_scores)
        told = reduce.mean((surprise * mask).sum(), mask.sum())
        return loss, told, {"discriminator/accuracy": accuracy}


class WassersteinStep(RelaxedStep):
    """The discriminator as a Wasserstein critic of word distributions (Wang and Lee 2018).

    A sentence's score is the mean over its prefixes; a gradient penalty keeps the critic near
    1-Lipschitz (Gulrajani et al. 2017).
    """

    interpolates = True

    def soft(self) -> bool:
        """As the recipe says."""
        return self.config.adversarial.wgan_output == "soft"

    def reader_losses(
        self, outputs: RelaxedOutputs, real: int
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        """Minus the Wasserstein distance with its penalty, and minus the critic's score of summaries."""
        assert outputs.gradient_norms is not None
        reduce, device = self.reduce, outputs.scores.device

        def mean(values: torch.Tensor) -> torch.Tensor:
            return reduce.mean(values.sum(), torch.tensor(float(len(values)), device=device))

        scores = sentence_scores(outputs.scores, outputs.sentences.mask)
        distance = mean(scores[:real]) - mean(scores[real:])
        penalty = mean((outputs.gradient_norms - 1.0).square())
        loss = self.config.adversarial.wgan_gradient_penalty * penalty - distance
        told = -mean(sentence_scores(outputs.reader_scores, outputs.summaries.mask))
        metrics = {
            "critic/distance": reduce.value(distance),
            "critic/gradient_norm": reduce.value(mean(outputs.gradient_norms)),
        }
        return loss, told, metrics
