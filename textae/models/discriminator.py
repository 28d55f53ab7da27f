"""The adversarial reader: a causal network that scores every prefix of a sentence."""

import torch
from torch import nn

from textae.config import DiscriminatorConfig
from textae.data.batches import TokenBatch

# Bounds of the log-odds that anything is paid for: they keep one outlier from ruling.
LOG_ODDS_BOUND = 5.0


class Discriminator(nn.Module):
    """Scores how human each prefix of a sentence is.

    Being causal, it gives each token a score of its own, a dense reward (de Masson d'Autume et
    al. 2019); Wang and Lee (2018) score prefixes the same way.

    Beside that it learns from human sentences alone where they end: a text that breaks off is the one
    fault that no prefix shows.
    """

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

    def forward(self, sentences: TokenBatch) -> torch.Tensor:
        """Token ids (M, T) to logits (M, T), one for each prefix; above 0 means human."""
        return self.judge(sentences)[0]

    def judge(self, sentences: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids (M, T) to two logits (M, T) of each prefix: that it is human, that it is all there is."""
        embedded = self.dropout(self.embedding(sentences.ids))
        if self.gru is not None:
            states, _ = self.gru(embedded)
        else:
            length = sentences.ids.shape[1]
            embedded = embedded + self.position.weight[:length]
            causal = nn.Transformer.generate_square_subsequent_mask(length, device=embedded.device)
            # Padding stands at the end, where a causal network never looks back from a real token.
            states = self.transformer(embedded, mask=causal, is_causal=True)
        states = self.dropout(states)
        return self.score(states).squeeze(-1).float(), self.ending(states).squeeze(-1).float()


def log_odds(discriminator: Discriminator, sentences: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Bounded log-odds of each sentence: that it is human, a mean over its prefixes (M,), and whole (M,)."""
    human, ending = discriminator.judge(sentences)
    lengths = sentences.mask.sum(1)
    human = human.clamp(-LOG_ODDS_BOUND, LOG_ODDS_BOUND) * sentences.mask
    # What stands before the end token is the whole text; an empty one has nothing before it.
    ending = ending.gather(1, (lengths[:, None] - 2).clamp_min(0)).squeeze(1)
    return human.sum(1) / lengths, ending.clamp(-LOG_ODDS_BOUND, LOG_ODDS_BOUND)
