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

    def forward(self, sentences: TokenBatch) -> torch.Tensor:
        """Token ids (M, T) to logits (M, T), one for each prefix; above 0 means human."""
        embedded = self.dropout(self.embedding(sentences.ids))
        if self.gru is not None:
            states, _ = self.gru(embedded)
        else:
            length = sentences.ids.shape[1]
            embedded = embedded + self.position.weight[:length]
            causal = nn.Transformer.generate_square_subsequent_mask(length, device=embedded.device)
            # Padding stands at the end, where a causal network never looks back from a real token.
            states = self.transformer(embedded, mask=causal, is_causal=True)
        return self.score(self.dropout(states)).squeeze(-1).float()


def log_odds(discriminator: Discriminator, sentences: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """Bounded log-odds that sentences are human: their means over the prefixes (M,), and at the ends (M,)."""
    scores = discriminator(sentences).clamp(-LOG_ODDS_BOUND, LOG_ODDS_BOUND) * sentences.mask
    lengths = sentences.mask.sum(1)
    return scores.sum(1) / lengths, scores.gather(1, lengths[:, None] - 1).squeeze(1)
