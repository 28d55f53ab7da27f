"""Noisy human sentences: what the encoder learns to write, and to leave out, without any pairs."""

import random

from textae.config import NoiseConfig
from textae.data.noise import corrupt_sentence, graft_sentence
from textae.data.similar import SimilarDocuments
from textae.data.words import split_words

# A similar document is one of so many that resemble a sentence most.
NEAREST = 5


class NoisySentences:
    """Makes human sentences look like documents that hold them.

    Args:
        config: the corruptions.
        similar: finds documents like a sentence; None where ``similar_documents`` is 0.
    """

    def __init__(self, config: NoiseConfig, similar: SimilarDocuments | None):
        self.config, self.similar = config, similar

    def corrupt(self, sentence: list[str], other: list[str], generator: random.Random) -> list[str]:
        """A noisy form of ``sentence``, whose foreign words are a similar document's, else ``other``'s."""
        config = self.config
        if self.similar is not None and generator.random() < config.similar_documents:
            found = self.similar.nearest(sentence, NEAREST)
            if config.graft_share is not None:
                close = [text for share, text in found if share >= config.graft_share]
                if close:
                    document = split_words(generator.choice(close))
                    return graft_sentence(sentence, document, self.similar.is_telling, config, generator)
            if found:
                other = split_words(generator.choice(found)[1])
        return corrupt_sentence(sentence, other, config, generator)
