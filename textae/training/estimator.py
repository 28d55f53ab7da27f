"""What all estimators of the encoder's gradient share: what is asked of it, what is told of its summaries."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from textae.config import TrainingConfig
from textae.data.batches import Example, TokenBatch, pad_rows
from textae.data.collapse import repetitions
from textae.data.tokenizer import Vocabulary
from textae.data.words import count_words, split_words
from textae.models.autoencoder import TextAutoencoder
from textae.models.encoder import Encoder
from textae.models.inputs import AutoencoderOutputs
from textae.training.lengths import human_lengths, matching_sentences, uniform_lengths
from textae.training.noisy_documents import noisy_documents
from textae.training.reduce import Reduce
from textae.training.reward_models import RewardModels
from textae.training.rewards import Rollout
from textae.training.warmup import ending_loss, language_loss

# A network's name in the model, and it; within, it has all of its weights.
Whole = Callable[[str, Any], AbstractContextManager[Any]]


def as_it_is(name: str, network: Any) -> AbstractContextManager[Any]:
    """Of networks that are whole anyway."""
    return nullcontext(network)


@dataclass
class Request:
    """What is asked of the encoder: B documents, the words of each summary, and human sentences beside.

    Attributes:
        words: B wanted lengths.
        sources: (B, S) documents as a network's input.
        hints: (B,) ids of length tokens.
        targets: (B, S) documents with end tokens.
        human: (B, T) human sentences with end tokens.
        document_texts: the documents.
        document_words: the words of each document.
    """

    words: list[int]
    sources: TokenBatch
    hints: torch.Tensor
    targets: TokenBatch
    human: TokenBatch
    document_texts: list[str]
    document_words: list[set[str]]


class Estimator(ABC):
    """One way in which the encoder learns from reconstructor and reader, though its words are discrete.

    A step of the loop makes a batch (:meth:`sample`), runs the one module on ``batch.inputs``, and
    goes backward from the sum that :meth:`losses` gives.

    Args:
        config: the whole recipe.
        vocabulary: of all networks.
        reference: frozen copy of the warm encoder, outside the trained module.
        token_weights: (V,) weight of each token in the reconstruction reward.
        reduce: sums over processes.
        reward_models: what rewards need besides.
        whole: gives the reference, or a network of the model, with all of its weights while it is in use:
            both may lie in pieces on several processes.
    """

    takes_rows_at_once = True  # whether the module can take a batch a part of its rows at a time

    def __init__(
        self,
        config: TrainingConfig,
        vocabulary: Vocabulary,
        reference: Encoder,
        token_weights: torch.Tensor,
        reduce: Reduce,
        reward_models: RewardModels | None = None,
        whole: Whole = as_it_is,
    ):
        self.config, self.vocabulary, self.token_weights = config, vocabulary, token_weights
        self.reference, self.reduce = reference.eval().requires_grad_(False), reduce
        self.reward_models, self.whole = reward_models or RewardModels(), whole

    @abstractmethod
    def sample(
        self, model: TextAutoencoder, step: int, rows: range, documents: list[Example], human: list[Example]
    ) -> Any:
        """Make one process's ``rows`` of the global batch of ``step`` of the whole run.

        All that is random follows from the seed, the step and the row, not from the number of processes.
        """

    @abstractmethod
    def losses(
        self, batch: Any, outputs: AutoencoderOutputs, step: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Losses of the three networks, summed, and the metrics. ``step`` counts from the phase's start."""

    @abstractmethod
    def texts(self, batch: Any, outputs: AutoencoderOutputs) -> list[str]:
        """One sampled summary of each document."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs besides networks, optimizer and data."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        assert not state

    def request(
        self,
        step: int,
        rows: range,
        documents: list[Example],
        human: list[Example],
        device: torch.device,
    ) -> Request:
        """What is asked for in ``rows`` of the global batch of ``step``.

        A document is asked for as many words as its human sentence has (which is of other
        content): so real and sampled sentences have the same lengths, and the discriminator
        cannot go by length. Where lengths are drawn evenly instead, sentences of such lengths are
        taken from the global batch, as far as it has them.
        """
        vocabulary, limits = self.vocabulary, self.config.length
        lengths = [count_words(example.text) for example in human]
        if self.config.adversarial.length_sampling == "uniform":
            asked = uniform_lengths(len(documents), limits, f"lengths {self.config.run.seed} {step}")
            human = [human[i] for i in matching_sentences(asked, lengths)]
        else:
            asked = human_lengths(lengths, limits)
        words = [asked[row] for row in rows]
        return Request(
            words=words,
            sources=pad_rows(
                noisy_documents(self.config, vocabulary, step, rows, documents), vocabulary.pad, device
            ),
            hints=vocabulary.hint_ids(words, device),
            targets=pad_rows([[*documents[row].ids, vocabulary.end] for row in rows], vocabulary.pad, device),
            human=pad_rows([[*human[row].ids, vocabulary.end] for row in rows], vocabulary.pad, device),
            document_texts=[documents[row].text for row in rows],
            document_words=[set(split_words(documents[row].text)) for row in rows],
        )

    def document_weights(self, documents: TokenBatch) -> torch.Tensor:
        """How much each token (N, S) of the documents counts in the reconstruction reward."""
        weights = self.token_weights.to(documents.ids.device)
        return weights[documents.ids] * documents.mask

    def learned_from_human(
        self, outputs: AutoencoderOutputs, mask: torch.Tensor, real: int
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Losses of what the reader learns of the first ``real`` sentences alone, summed, and metrics."""
        total = ending_loss(outputs.endings, mask, real, self.reduce)
        metrics = {"loss/ending": self.reduce.value(total)}
        if outputs.human_log_probabilities is not None:
            language = language_loss(outputs.human_log_probabilities, mask[:real], self.reduce)
            metrics["loss/language"] = self.reduce.value(language)
            total = total + language
        return total, metrics

    def describe(
        self, rollout: Rollout, judged: torch.Tensor, document_words: list[set[str]]
    ) -> dict[str, float]:
        """Metrics of the summaries (N) of B documents; ``judged`` (N, T) are the tokens that count."""
        reduce, device = self.reduce, judged.device
        words = [split_words(text) for text in rollout.texts]
        group = len(words) // len(document_words)
        copied = [
            sum(word in document_words[i // group] for word in summary) / max(1, len(summary))
            for i, summary in enumerate(words)
        ]
        repeated = [float(repetitions(summary) > 0) for summary in words]
        rows = torch.tensor(float(len(words)), device=device)
        columns = {
            "summary/words": rollout.words.float().sum(),
            "summary/unfinished": (~rollout.finished).float().sum(),
            "summary/length_error": (rollout.words - rollout.wanted_words).abs().float().sum(),
            "summary/copied": torch.tensor(sum(copied), device=device),
            "summary/repetitive": torch.tensor(sum(repeated), device=device),
        }
        described = {name: reduce.value(reduce.mean(total, rows)) for name, total in columns.items()}
        tokens = judged.sum()
        entropy = reduce.mean(-(rollout.log_probabilities * judged).sum(), tokens)
        ratio = rollout.log_probabilities - rollout.reference_log_probabilities
        described["policy/entropy"] = reduce.value(entropy)
        described["policy/kl"] = reduce.value(reduce.mean((ratio * judged).sum(), tokens))
        return described
