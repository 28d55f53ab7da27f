"""Summaries that gradients flow through: straight-through Gumbel-softmax, and critics of relaxed text."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from textae.data.batches import TokenBatch, join_rows
from textae.data.tokenizer import Vocabulary
from textae.models.decoding import mask_after_end, pad_texts
from textae.models.discriminator import Discriminator
from textae.models.encoder import Encoder
from textae.models.inputs import RelaxedInputs, RelaxedOutputs
from textae.models.reconstructor import Reconstructor
from textae.models.seq2seq import Source


@dataclass
class RelaxedText:
    """A sampled text and what stands for it in other networks.

    Attributes:
        tokens: (N, T) sampled ids with end tokens.
        weights: (N, T, V) of the tokens of the vocabulary, which sum to 1; 0 on padding.
        log_distributions: (N, T, V) what the tokens were drawn from.
    """

    tokens: TokenBatch
    weights: torch.Tensor
    log_distributions: torch.Tensor


def gumbel_noise(uniforms: torch.Tensor) -> torch.Tensor:
    """Uniform random numbers to standard Gumbel noise of the same shape."""
    # 0 and 1 would give infinities.
    bounded = uniforms.clamp(1e-20, 1 - 6e-8)
    return -(-bounded.log()).log()


def straight_through(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """One-hot vectors (..., V) of the largest logits (..., V), with the gradient of their softmax.

    With Gumbel noise added to log-probabilities the largest is a sample (Jang et al. 2017; SEQ3,
    Baziotis et al. 2019). ``temperature`` divides the logits and changes the gradient alone.
    """
    soft = (logits / temperature).softmax(dim=-1)
    hard = F.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(soft.dtype)
    # In this order the difference is exactly 0 and the vector exactly one-hot.
    return hard + (soft - soft.detach())


def scale_gradient(values: torch.Tensor, factor: float) -> torch.Tensor:
    """The same values, whose gradient is multiplied by ``factor`` on its way back."""
    return values.detach() + factor * (values - values.detach())


def sample_relaxed(
    encoder: Encoder,
    source: Source,
    hints: torch.Tensor,
    noise: torch.Tensor,
    temperature: float,
    soft: bool,
) -> RelaxedText:
    """Draw one text for each row of ``source`` (N), token by token, with gradients through all of them.

    Each token is drawn from the encoder's own distribution, copy head included, and the decoder reads
    it with its straight-through gradient. ``noise`` (N, T, V) decides; T is the longest text. With
    ``soft`` the weights are the distributions themselves (Wang and Lee 2018), else the one-hot tokens.
    """
    rows, longest = noise.shape[:2]
    table = encoder.backbone.decoder_embeddings()
    cache = encoder.backbone.new_cache()
    inputs = encoder.prefix(rows, hints, noise.device)
    embedded = table[inputs]
    tokens, weights, distributions = [], [], []
    ended = torch.zeros(rows, dtype=torch.bool, device=noise.device)
    for step in range(longest):
        hidden = encoder.backbone.decode(inputs, source.states, source.mask, cache, embedded)[:, -1]
        log_probabilities = encoder.next_log_probabilities(hidden, source)
        token = straight_through(log_probabilities + noise[:, step], temperature)
        inputs = token.argmax(dim=-1, keepdim=True)
        embedded = (token @ table.to(token.dtype)).to(table.dtype)[:, None]
        tokens.append(inputs)
        weights.append(log_probabilities.exp() if soft else token)
        distributions.append(log_probabilities)
        ended |= inputs[:, 0] == encoder.end
        if ended.all():
            break
    ids = torch.cat(tokens, dim=1)
    mask = mask_after_end(ids, encoder.end)
    return RelaxedText(
        TokenBatch(ids.masked_fill(~mask, encoder.pad), mask),
        torch.stack(weights, dim=1) * mask[..., None],
        torch.stack(distributions, dim=1),
    )


def read_relaxed(
    reconstructor: Reconstructor, vocabulary: Vocabulary, text: RelaxedText, weights: torch.Tensor
) -> Source:
    """The reconstructor's reading of ``text`` without end tokens; each embedding is mixed by ``weights``.

    What its copy head copies are the sampled tokens.
    """
    tokens = text.tokens
    code = tokens.mask & (tokens.ids != reconstructor.end)
    rows = [row[kept].tolist() for row, kept in zip(tokens.ids, code, strict=True)]
    source = pad_texts(rows, vocabulary, tokens.ids.device)
    table = reconstructor.backbone.encoder_embeddings()
    before = len(vocabulary.source_prefix)
    width = min(tokens.ids.shape[1], source.ids.shape[1] - before)
    after = source.ids.shape[1] - before - width
    mixed = (weights[:, :width] @ table.to(weights.dtype)).to(table.dtype)
    mixed = F.pad(mixed, (0, 0, before, after))
    is_code = F.pad(code[:, :width], (before, after))
    return reconstructor.read(source, torch.where(is_code[..., None], mixed, table[source.ids]))


def sentence_scores(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Scores of prefixes (M, T) to one score of each sentence (M,): their mean, padding left out."""
    return (scores * mask).sum(dim=1) / mask.sum(dim=1).clamp_min(1)


def gradient_norms(
    critic: Callable[[torch.Tensor], torch.Tensor],
    human: torch.Tensor,
    generated: torch.Tensor,
    share: torch.Tensor,
) -> torch.Tensor:
    """Norms (H,) of a critic's gradient between human and generated sentences (Gulrajani et al. 2017).

    Args:
        critic: weights (H, T, V) to scores (H,).
        human: (H, T, V).
        generated: (H, T, V).
        share: (H,) of the human sentence in the point that is looked at.
    """
    share = share[:, None, None]
    points = (share * human + (1 - share) * generated).detach().requires_grad_(True)
    # Neither cuDNN's recurrent networks nor fused attention can be differentiated twice.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
        (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    # At exactly 0 the root has no derivative.
    return (gradient.flatten(1).square().sum(dim=1) + 1e-12).sqrt()


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Inside, gradients flow through ``module`` but not into its parameters."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def relaxed_forward(
    encoder: Encoder,
    reconstructor: Reconstructor,
    reader: Discriminator,
    vocabulary: Vocabulary,
    inputs: RelaxedInputs,
) -> RelaxedOutputs:
    """Sample summaries and read them, so that one backward pass trains all three networks."""
    samples = len(inputs.hints) // len(inputs.encoder_source.ids)
    source = encoder.read(inputs.encoder_source).repeat(samples)
    text = sample_relaxed(encoder, source, inputs.hints, inputs.noise, inputs.temperature, inputs.soft)
    told = scale_gradient(text.weights, inputs.reconstruction_weight)
    documents = reconstructor.log_probabilities(
        read_relaxed(reconstructor, vocabulary, text, told), inputs.reconstructor_target
    )
    summaries, human = text.tokens, inputs.human
    sentences = join_rows(human, summaries, encoder.pad)
    length = sentences.ids.shape[1]
    generated = F.pad(text.weights, (0, 0, 0, length - summaries.ids.shape[1]))
    table = reader.embedding.weight
    # The discriminator learns without telling the encoder, and tells the encoder without learning: they
    # want opposite things of the same scores.
    real = reader.embedding(sentences.ids[: len(human.ids)])
    scores, endings = reader.judge_embedded(torch.cat([real, generated.detach() @ table]))
    with frozen(reader):
        told_scores, _ = reader.judge_embedded(text.weights @ table)
    norms = None
    if inputs.interpolation is not None:
        size = len(human.ids)
        # One of each document's samples; their number is that of the human sentences.
        chosen = slice(None, None, max(1, len(summaries.ids) // size))
        mask = sentences.mask[:size] | sentences.mask[size:][chosen]
        human_weights = F.one_hot(sentences.ids[:size], len(table)) * sentences.mask[:size, :, None]
        norms = gradient_norms(
            lambda weights: sentence_scores(reader.judge_embedded(weights @ table)[0], mask),
            human_weights.to(generated.dtype),
            generated[chosen],
            inputs.interpolation,
        )
    log_probabilities = text.log_distributions.gather(-1, summaries.ids[..., None]).squeeze(-1)
    return RelaxedOutputs(
        summary_log_probabilities=log_probabilities.masked_fill(~summaries.mask, 0.0),
        summary_mean_log_probabilities=None,
        document_log_probabilities=documents,
        scores=scores,
        endings=endings,
        human_log_probabilities=None if reader.predict is None else reader.log_probabilities(human),
        summaries=summaries,
        sentences=sentences,
        log_distributions=text.log_distributions,
        reader_scores=told_scores,
        gradient_norms=norms,
    )
