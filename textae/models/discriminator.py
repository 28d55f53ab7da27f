"""The adversarial reader: a causal network that scores every prefix of a sentence."""

import math

import torch
from torch import nn

from textae.data.batches import TokenBatch
from textae.model_config import DiscriminatorConfig
from textae.models.precision import at_least_float32

# Bounds of the log-odds that anything is paid for: they keep one outlier from ruling.
LOG_ODDS_BOUND = 5.0


class Discriminator(nn.Module):
    """Scores how human each prefix of a sentence is.

    Being causal, it gives each token a score of its own, a dense reward (de Masson d'Autume et
    al. 2019); Wang and Lee (2018) score prefixes the same way.

    Beside that it learns from human sentences alone where they end: a text that breaks off is the one
    fault that no prefix shows. With ``language_model`` it learns to predict them too (a language model
    as the discriminator, Yang et al. 2018): telling real from sampled sentences teaches it what samples
    do too often, predicting teaches it which words follow each other.
    """

    log_frequencies: torch.Tensor

    def __init__(self, config: DiscriminatorConfig, vocabulary_size: int, max_positions: int):
        super().__init__()
        width = config.width
        self.embedding = nn.Embedding(vocabulary_size, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.dropout = nn.Dropout(config.dropout)
        self.gru: nn.GRU | None = None
        if config.architecture == "gru":
            self.gru = nn.GRU(width, width, config.layers, batch_first=True)
        else:
            self.position = nn.Embedding(max_positions, width)
            nn.init.normal_(self.position.weight, std=0.02)
            layer = nn.TransformerEncoderLayer(
                width, config.heads, 4 * width, config.dropout, "gelu", batch_first=True, norm_first=True
            )
            self.transformer = nn.TransformerEncoder(
                layer, config.layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
            )
        self.score = nn.Linear(width, 1)
        self.ending = nn.Linear(width, 1)
        self.predict: nn.Linear | None = None
        if config.language_model:
            self.predict = nn.Linear(width, width)
            self.before_first = nn.Parameter(torch.zeros(width))
            even = torch.full((vocabulary_size,), -math.log(vocabulary_size))
            self.register_buffer("log_frequencies", even)

    def forward(self, sentences: TokenBatch) -> torch.Tensor:
        """Token ids (M, T) to logits (M, T), one for each prefix; above 0 means human."""
        return self.judge(sentences)[0]

    def judge(self, sentences: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids (M, T) to two logits (M, T) of each prefix: that it is human, that it is all there is."""
        return self.judge_embedded(self.embedding(sentences.ids))

    def judge_embedded(self, embedded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`judge`, of embeddings (M, T, W): tokens', or mixtures of tokens'."""
        states = self._states(embedded)
        scores = (at_least_float32(head(states).squeeze(-1)) for head in (self.score, self.ending))
        return next(scores), next(scores)

    def log_probabilities(self, sentences: TokenBatch) -> torch.Tensor:
        """Log-probability of each token (M, T) given those before it, 0 on padding.

        Raises:
            RuntimeError: without a language model.
        """
        if self.predict is None:
            raise RuntimeError("discriminator.language_model is off: it predicts no sentences")
        states = self._states(self.embedding(sentences.ids))
        first = self.before_first.to(states.dtype).expand(len(states), 1, -1)
        before = self.predict(torch.cat([first, states[:, :-1]], dim=1))
        logits = at_least_float32(before @ self.embedding.weight.T) + self.log_frequencies
        chosen = logits.log_softmax(-1).gather(2, sentences.ids[..., None]).squeeze(2)
        return chosen * sentences.mask

    def fluency(self, sentences: TokenBatch) -> torch.Tensor:
        """How much likelier each token (M, T) is behind what stands before it than anywhere.

        Its log-probability minus the logarithm of its frequency, between -5 and 5, 0 on padding: the
        summand of SLOR (Kann et al. 2018), to which a rare name is no fault. All 0 without a language
        model.
        """
        if self.predict is None:
            return torch.zeros(sentences.ids.shape, device=sentences.ids.device)
        gain = self.log_probabilities(sentences) - self.log_frequencies[sentences.ids]
        return gain.clamp(-LOG_ODDS_BOUND, LOG_ODDS_BOUND) * sentences.mask

    @torch.no_grad()
    def count(self, sentences: list[list[int]]) -> None:
        """Learn how frequent tokens are in human sentences: token ids, with end tokens."""
        tokens = torch.tensor([token for row in sentences for token in row])
        # Half a count for a token that no sentence has.
        counts = torch.bincount(tokens, minlength=len(self.log_frequencies)) + 0.5
        self.log_frequencies.copy_((counts / counts.sum()).log())

    def _states(self, embedded: torch.Tensor) -> torch.Tensor:
        """Embeddings (M, T, W) to hidden states (M, T, W), each of the tokens up to its own."""
        embedded = self.dropout(embedded)
        if self.gru is not None:
            states, _ = self.gru(embedded)
        else:
            length = embedded.shape[1]
            # Asked as a module, and not for its weights, which may lie in pieces.
            embedded = embedded + self.position(torch.arange(length, device=embedded.device))
            causal = nn.Transformer.generate_square_subsequent_mask(length, device=embedded.device)
            # Padding stands at the end, where a causal network never looks back from a real token.
            states = self.transformer(embedded, mask=causal, is_causal=True)
        return self.dropout(states)


def log_odds(discriminator: Discriminator, sentences: TokenBatch) -> tuple[torch.Tensor, ...]:
    """What the reader says of each sentence, three times (M,), all bounded.

    The log-odds that it is human (a mean over its prefixes), the log-odds that it is whole, and the
    mean of its :meth:`~Discriminator.fluency`.
    """
    human, ending = discriminator.judge(sentences)
    lengths = sentences.mask.sum(1)
    human = human.clamp(-LOG_ODDS_BOUND, LOG_ODDS_BOUND) * sentences.mask
    # What stands before the end token is the whole text; an empty one has nothing before it.
    ending = ending.gather(1, (lengths[:, None] - 2).clamp_min(0)).squeeze(1)
    fluency = discriminator.fluency(sentences).sum(1) / lengths
    return human.sum(1) / lengths, ending.clamp(-LOG_ODDS_BOUND, LOG_ODDS_BOUND), fluency
