"""What text comes next: documents, human sentences and pairs, phase by phase."""

from typing import TYPE_CHECKING, Any

from textae.config import TrainingConfig
from textae.data.batches import BatchStream, Example
from textae.data.corpus import Pair
from textae.data.pairs import PairExample, PairStream, pair_examples
from textae.data.tokenizer import Vocabulary

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


class TextStreams:
    """The texts of every step; each phase reads them in an order of its own.

    Args:
        config: the whole recipe.
        vocabulary: of all networks.
        documents: data set with a ``text`` column.
        human: likewise, of human sentences.
        pairs: documents with summaries to learn from; none where nothing is paired.

    Raises:
        InputError: if pairs are given but none can be used.
    """

    def __init__(
        self,
        config: TrainingConfig,
        vocabulary: Vocabulary,
        documents: "Dataset | IterableDataset",
        human: "Dataset | IterableDataset",
        pairs: list[Pair],
    ):
        self.config, self.vocabulary = config, vocabulary
        self.document_texts, self.human_texts = documents, human
        longest = (config.data.max_document_tokens, config.data.max_human_tokens)
        self.examples = pair_examples(pairs, vocabulary, *longest)
        self.phase: str | None = None

    def open(self, phase: str) -> None:
        """Open the data of a phase at its start.

        Raises:
            InputError: if no text is left.
        """
        config = self.config
        settings = config.warmup if phase == "warm-up" else config.adversarial
        seed = 2 * config.run.seed + (phase == "adversarial")
        self.phase = phase
        self.documents = BatchStream(
            self.document_texts,
            self.vocabulary,
            batch_size=settings.documents_per_batch,
            tokens_per_batch=settings.tokens_per_batch,
            max_tokens=config.data.max_document_tokens,
            seed=seed,
        )
        self.human = BatchStream(
            self.human_texts,
            self.vocabulary,
            batch_size=settings.documents_per_batch,
            max_tokens=config.data.max_human_tokens,
            drop_long=True,
            seed=seed,
            pool_batches=1,
        )
        self.pairs = PairStream(self.examples, share=settings.pair_share, seed=seed)

    def next(self, step: int) -> tuple[list[Example], list[Example], dict[int, PairExample]]:
        """The global batch of ``step``: documents, as many human sentences, and the rows that get a pair."""
        documents = next(self.documents)
        human = next(self.human)[: len(documents)]
        documents = documents[: len(human)]
        return documents, human, self.pairs.for_rows(step, len(documents))

    def state_dict(self) -> dict[str, Any]:
        """Positions of the next texts."""
        return {name: getattr(self, name).state_dict() for name in ("documents", "human", "pairs")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.documents.load_state_dict(state["documents"])
        self.human.load_state_dict(state["human"])
        # A checkpoint from before there were pairs has none.
        self.pairs.load_state_dict(state.get("pairs", {"taken": 0}))
