"""Noisy human sentences: what the encoder learns to write, and to leave out, without any pairs."""

import random
from collections.abc import Callable

from textae.config import NoiseConfig
from textae.data.forms import DocumentForms
from textae.data.grafts import Grafts
from textae.data.noise import corrupt_sentence
from textae.data.similar import SimilarDocuments
from textae.data.words import split_words

# A similar document is one of so many that resemble a sentence most.
NEAREST = 5


class NoisySentences:
    """Makes human sentences look like documents that hold them.

    Args:
        config: the corruptions.
        similar: finds documents like a sentence; None where ``similar_documents`` is 0.
        forms: knows what documents write for a sentence's word; None where ``document_forms`` is 0.
        grafts: rewrites documents; None where ``graft_share`` is null.
    """

    def __init__(
        self,
        config: NoiseConfig,
        similar: SimilarDocuments | None = None,
        forms: DocumentForms | None = None,
        grafts: Grafts | None = None,
    ):
        self.config, self.similar, self.forms, self.grafts = config, similar, forms, grafts

    @classmethod
    def from_texts(
        cls, config: NoiseConfig, documents: list[str], sentences: Callable[[], list[str]]
    ) -> "NoisySentences":
        """Learn what ``config`` needs from the corpus; ``sentences`` are read only if they are needed."""
        similar, forms, grafts = None, None, None
        if config.similar_documents > 0 and config.graft_share is None:
            similar = SimilarDocuments(documents)
        elif config.similar_documents > 0:
            grafts = Grafts.from_texts(documents, sentences())
            # What is to hold a sentence has to share more of it than what is to lead astray.
            similar = grafts.similar
        if config.document_forms > 0:
            forms = DocumentForms(documents, sentences(), config.irregular_forms)
        return cls(config, similar, forms, grafts)

    def corrupt(self, sentence: list[str], other: list[str], generator: random.Random) -> list[str]:
        """A noisy form of ``sentence``, whose foreign words are a similar document's, else ``other``'s."""
        config = self.config
        if self.forms is not None:
            sentence = [
                self.forms.draw(word, generator) if generator.random() < config.document_forms else word
                for word in sentence
            ]
        if self.similar is not None and generator.random() < config.similar_documents:
            found = self.similar.nearest(sentence, NEAREST)
            if self.grafts is not None and config.graft_share is not None:
                close = [text for share, text in found if share >= config.graft_share]
                if close:
                    document = split_words(generator.choice(close))
                    return self.grafts.graft(sentence, document, config.drop, generator)
            if found:
                other = split_words(generator.choice(found)[1])
        return corrupt_sentence(sentence, other, config, generator)
