"""The straightforward Hugging Face implementation: what one would write without looking at the clock.

``generate`` samples; policy, reference, reconstructor and discriminator each have a forward pass of their
own, over documents repeated for each sample; log-probabilities are a log-softmax (with a copy head, the
logarithm of the mixture) over the whole vocabulary at every position, padding included. Weights and formulas
are those of textae, so that the same samples give the same losses.
"""

from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, MBartConfig, MBartForConditionalGeneration, PreTrainedModel
from transformers.modeling_outputs import Seq2SeqLMOutput

from textae.data.batches import TokenBatch
from textae.data.tokenizer import Vocabulary
from textae.models.copying import CopyHead, copyable_tokens, mixture_distribution
from textae.models.discriminator import Discriminator
from textae.models.inputs import AutoencoderInputs, AutoencoderOutputs
from textae.models.seq2seq import Seq2Seq


class CopyingModel(MBartForConditionalGeneration):
    """An encoder-decoder whose logits are the log-probabilities of generating or copying."""

    def __init__(self, config: MBartConfig, copy_head: CopyHead):
        super().__init__(config)
        self.copy_head = copy_head

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: Any = None,
        past_key_values: Any = None,
        *,
        source_ids: torch.Tensor,
        copyable: torch.Tensor,
        copy_keys: torch.Tensor | None = None,
        **options: Any,
    ) -> Seq2SeqLMOutput:
        """As the network without a copy head; ``source_ids``, ``copyable`` and ``copy_keys`` are its own."""
        outputs = self.model(
            input_ids,
            attention_mask=attention_mask,
            decoder_input_ids=decoder_input_ids,
            encoder_outputs=encoder_outputs,
            past_key_values=past_key_values,
            **options,
        )
        hidden, states = outputs.last_hidden_state, outputs.encoder_last_hidden_state
        if copy_keys is None:
            copy_keys = self.copy_head.keys(states)
        scores = self.copy_head(hidden, states, copy_keys, copyable)
        logits = self.lm_head(hidden) + self.final_logits_bias
        return Seq2SeqLMOutput(
            logits=mixture_distribution(scores, logits, source_ids),
            past_key_values=outputs.past_key_values,
            encoder_last_hidden_state=states,
        )


class PlainNetwork(nn.Module):
    """A Hugging Face network with the weights of a :class:`Seq2Seq`, used as its documentation shows.

    Args:
        original: whose weights it gets, and whose calls it answers.
    """

    def __init__(self, original: Seq2Seq):
        super().__init__()
        network = original.backbone.network
        self.copies = original.copy_head is not None
        if original.copy_head is not None:
            head = CopyHead(original.backbone.width, original.copy_head.key_before is not None)
            self.network: PreTrainedModel = CopyingModel(network.config, head)
            head.load_state_dict(original.copy_head.state_dict())
        else:
            self.network = type(network)(network.config)
        self.network.load_state_dict(network.state_dict(), strict=not self.copies)
        self.network.to(network.device)
        self.pad, self.start, self.end = original.pad, original.start, original.end
        self.special = original.special

    def read(self, source: TokenBatch) -> TokenBatch:
        """A plain network reads its source in the pass that writes."""
        return source

    def _arguments(self, source: TokenBatch) -> dict[str, torch.Tensor]:
        given = {"input_ids": source.ids, "attention_mask": source.mask.long()}
        if self.copies:
            given |= {"source_ids": source.ids, "copyable": copyable_tokens(source, self.special)}
        return given

    def _prefix(self, rows: int, hints: torch.Tensor | None, device: torch.device) -> torch.Tensor:
        start = torch.full((rows, 1), self.start, dtype=torch.long, device=device)
        return start if hints is None else torch.cat([start, hints[:, None]], dim=1)

    def log_probabilities(
        self,
        source: TokenBatch,
        targets: TokenBatch,
        hints: torch.Tensor | None = None,
        inputs: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Log-probability (N, T) of every target token, 0 on padding, as of a :class:`Seq2Seq`."""
        times = len(targets.ids) // len(source.ids)
        repeated = TokenBatch(
            source.ids.repeat_interleave(times, dim=0), source.mask.repeat_interleave(times, dim=0)
        )
        prefix = self._prefix(len(targets.ids), hints, targets.ids.device)
        given = targets.ids if inputs is None else inputs
        decoder_inputs = torch.cat([prefix, given[:, :-1]], dim=1)
        logits = self.network(**self._arguments(repeated), decoder_input_ids=decoder_inputs).logits
        distribution = logits[:, prefix.shape[1] - 1 :]
        if not self.copies:  # a mixture is a distribution already
            distribution = distribution.log_softmax(dim=-1)
        return distribution.gather(-1, targets.ids[..., None]).squeeze(-1) * targets.mask

    def distribution_of(
        self, source: TokenBatch, targets: TokenBatch, hints: torch.Tensor | None = None, **options: Any
    ) -> tuple[torch.Tensor, None]:
        """The same under the name that the estimator calls; ``options`` save memory, which this does not."""
        return self.log_probabilities(source, targets, hints), None

    @torch.no_grad()
    def generate(
        self, source: TokenBatch, hints: torch.Tensor | None, max_tokens: int, **options: Any
    ) -> torch.Tensor:
        """What ``generate`` writes, (N * returned sequences, at most ``max_tokens``), padding included."""
        arguments: dict[str, Any] = self._arguments(source)
        if self.copies:
            outputs = self.network.get_encoder()(source.ids, attention_mask=source.mask.long())
            arguments["encoder_outputs"] = outputs
            arguments["copy_keys"] = self.network.copy_head.keys(outputs.last_hidden_state)
        prefix = self._prefix(len(source.ids), hints, source.ids.device)
        settings = GenerationConfig(
            max_new_tokens=max_tokens,
            pad_token_id=self.pad,
            eos_token_id=self.end,
            decoder_start_token_id=self.start,
            **options,
        )
        written = self.network.generate(**arguments, decoder_input_ids=prefix, generation_config=settings)
        return written[:, prefix.shape[1] :]

    def rollout(self, documents: TokenBatch, hints: torch.Tensor, uniforms: torch.Tensor) -> TokenBatch:
        """K samples of each document, as :meth:`textae.models.encoder.Encoder.rollout`; its own chance."""
        samples = len(hints) // len(documents.ids)
        tokens = self.generate(
            documents,
            hints[::samples],
            uniforms.shape[1],
            do_sample=True,
            top_k=0,
            num_return_sequences=samples,
        )
        ends = (tokens == self.end).cumsum(dim=1)
        mask = (ends == 0) | ((ends == 1) & (tokens == self.end))
        return TokenBatch(tokens.masked_fill(~mask, self.pad), mask)

    def document_log_probabilities(
        self,
        summaries: TokenBatch,
        documents: TokenBatch,
        inputs: torch.Tensor | None = None,
        learned: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Of documents given summaries; who does not learn of a row leaves it out of the loss."""
        return self.log_probabilities(summaries, documents, inputs=inputs)


class PlainAutoencoder(nn.Module):
    """Encoder, reconstructor and discriminator, each with a forward pass of its own.

    Args:
        model: a :class:`~textae.models.autoencoder.TextAutoencoder`, whose weights are copied.
    """

    def __init__(self, model: Any):
        super().__init__()
        self.vocabulary: Vocabulary = model.vocabulary
        self.encoder = PlainNetwork(model.encoder)
        self.reconstructor = PlainNetwork(model.reconstructor)
        config = model.config.discriminator
        self.discriminator = Discriminator(config, len(model.vocabulary), model.positions)
        self.discriminator.load_state_dict(model.discriminator.state_dict())
        self.discriminator.to(model.device)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, inputs: AutoencoderInputs) -> AutoencoderOutputs:
        """One pass each."""
        encoder, reconstructor = self.encoder, self.reconstructor
        summaries = encoder.log_probabilities(inputs.encoder_source, inputs.encoder_target, inputs.hints)
        documents = reconstructor.log_probabilities(
            inputs.reconstructor_source, inputs.reconstructor_target, inputs=inputs.reconstructor_inputs
        )
        human = None
        if self.discriminator.predict is not None:
            human = self.discriminator.log_probabilities(inputs.sentences.first(inputs.human))
        scores, endings = self.discriminator.judge(inputs.sentences)
        outputs = AutoencoderOutputs(summaries, None, documents, scores, endings, human)
        if inputs.denoising is not None:
            noisy = inputs.denoising
            outputs.denoising_log_probabilities = encoder.log_probabilities(
                noisy.source, noisy.target, noisy.hints
            )
        return outputs
