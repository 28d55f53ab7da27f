"""What rewards need besides the three networks: loaded when the run begins, so that faults show then."""

from dataclasses import dataclass, field

import torch

from textae.config import AdversarialConfig
from textae.models.sentence_encoder import SentenceEncoder, sentence_encoder
from textae.training.custom_rewards import load_custom_rewards
from textae.training.rewards import Reward
from textae.training.topic import TopicEmbeddings


@dataclass
class RewardModels:
    """Learned embeddings, a pretrained encoder (None where they are not paid for), the user's functions."""

    topic: TopicEmbeddings | None = None
    encoder: SentenceEncoder | None = None
    custom: dict[str, Reward] = field(default_factory=dict)

    @classmethod
    def load(cls, config: AdversarialConfig, device: torch.device) -> "RewardModels":
        """Load all but the topic's embeddings, for which the corpus must have been read.

        Raises:
            InputError: if the encoder or a function cannot be loaded.
        """
        custom = load_custom_rewards(config.custom_rewards)
        encoder = None
        if config.similarity_encoder and config.rewards.encoder.weight > 0:
            encoder = sentence_encoder(config.similarity_encoder, device)
        return cls(None, encoder, custom)
