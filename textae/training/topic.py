"""Embeddings of tokens that are learned on the corpus, and how near a summary is to its document by them."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from textae.data.batches import TokenBatch
from textae.data.tokenizer import Vocabulary
from textae.errors import InputError
from textae.training.warmup import inverse_document_frequencies

# The file in a run's folder.
TOPIC = "topic.safetensors"
DIMENSIONS = 200
# Tokens at most so far apart stand together: wide, as for a topic, and not narrow, as for a part of speech.
WINDOW = 16
# Passes of the subspace iteration, and columns that it has to spare (Halko et al. 2011).
PASSES, SPARE_COLUMNS = 2, 20


class TopicEmbeddings:
    """Embeddings (V, D) of unit length and weights (V,) of tokens, 0 for special ones.

    The weights are inverse document frequencies: a function word says nothing of the topic.
    """

    def __init__(self, embeddings: torch.Tensor, weights: torch.Tensor):
        self.embeddings, self.weights = embeddings, weights

    @classmethod
    def learn(cls, vocabulary: Vocabulary, texts: list[str], max_tokens: int) -> "TopicEmbeddings":
        """Learn from texts, each cut at ``max_tokens``; the same texts give the same embeddings."""
        rows = vocabulary.encode(texts, max_tokens)
        matrix = mutual_information(rows, len(vocabulary), WINDOW)
        return cls(embed(matrix, DIMENSIONS), inverse_document_frequencies(rows, vocabulary.special))

    def save(self, file: Path) -> None:
        """Write to ``file``, whole or not at all."""
        temporary = file.with_name(f".{file.name}.tmp")
        save_file({"embeddings": self.embeddings, "weights": self.weights}, str(temporary))
        os.replace(temporary, file)

    @classmethod
    def load(cls, file: Path, size: int, device: torch.device) -> "TopicEmbeddings":
        """Read what :meth:`save` wrote, for a vocabulary of ``size`` tokens.

        Raises:
            InputError: if the file is damaged or of another vocabulary.
        """
        try:
            tensors = load_file(str(file))
            embeddings, weights = tensors["embeddings"], tensors["weights"]
            fits = len(embeddings) == len(weights) == size
        except (OSError, KeyError, SafetensorError):
            fits = False
        if not fits:
            raise InputError(f"{file}: damaged, or of another vocabulary; remove it, and it is made anew.")
        # Moved here, as safetensors does not know cpu:0, the name that a process of several may have.
        return cls(embeddings.to(device), weights.to(device))

    def mean(self, texts: TokenBatch) -> torch.Tensor:
        """Weighted sums (N, D) of the embeddings of each row's tokens, the direction of their mean."""
        return F.embedding_bag(
            texts.ids, self.embeddings, per_sample_weights=self.weights[texts.ids] * texts.mask, mode="sum"
        )

    def similarity(self, summaries: TokenBatch, documents: TokenBatch) -> torch.Tensor:
        """Cosines (N,) of N summaries and B documents, N a multiple of B; 0 for an empty summary."""
        samples = len(summaries.ids) // len(documents.ids)
        means = self.mean(documents).repeat_interleave(samples, 0)
        return F.cosine_similarity(self.mean(summaries), means, dim=1)


def mutual_information(rows: list[list[int]], size: int, window: int) -> torch.Tensor:
    """Positive pointwise mutual information (Church and Hanks 1990) of tokens in the same text.

    Args:
        rows: token ids of the texts.
        size: of the vocabulary, V.
        window: tokens at most so far apart stand together.

    Returns:
        A sparse symmetric matrix (V, V), in nats.
    """
    ids = torch.tensor([token for row in rows for token in row], dtype=torch.long)
    text = torch.arange(len(rows)).repeat_interleave(torch.tensor([len(row) for row in rows]))
    counts = torch.zeros(size, size, layout=torch.sparse_coo).coalesce()
    for distance in range(1, window + 1):
        same = text[:-distance] == text[distance:]
        pairs = torch.stack([ids[:-distance][same], ids[distance:][same]])
        found = _sparse(pairs, torch.ones(pairs.shape[1]), size)
        counts = (counts + found).coalesce()
    counts = (counts + counts.t()).coalesce()
    (first, second), values = counts.indices(), counts.values()
    total, marginals = values.sum(), counts.sum(dim=1).to_dense()
    nats = (values.log() + total.log() - marginals[first].log() - marginals[second].log()).clamp_min(0.0)
    return _sparse(counts.indices(), nats, size)


def _sparse(indices: torch.Tensor, values: torch.Tensor, size: int) -> torch.Tensor:
    """A square matrix; values of the same place are added up."""
    return torch.sparse_coo_tensor(indices, values, (size, size), check_invariants=False).coalesce()


def embed(matrix: torch.Tensor, dimensions: int) -> torch.Tensor:
    """Embeddings (V, D) of unit length, from a truncated singular value decomposition.

    Singular vectors times the square roots of the singular values (Levy, Goldberg and Dagan 2015), of
    a sparse symmetric ``matrix`` (V, V). A token that stands with no other has zeros.
    """
    columns = min(dimensions + SPARE_COLUMNS, len(matrix))
    # A generator of its own: learned anew, the embeddings are the same, and nothing else changes.
    start = torch.randn(len(matrix), columns, generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(matrix @ start).Q
    for _ in range(PASSES):
        basis = torch.linalg.qr(matrix @ basis).Q
    left, values, _ = torch.linalg.svd((matrix @ basis).T, full_matrices=False)
    vectors = basis @ left[:, :dimensions] * values[:dimensions].sqrt()
    lengths = vectors.norm(dim=1, keepdim=True)
    return torch.where(lengths > 1e-6, vectors / lengths.clamp_min(1e-6), 0.0).contiguous()


def topic_embeddings(
    vocabulary: Vocabulary,
    texts: Callable[[], list[str]],
    max_tokens: int,
    output: Path,
    origin: Path | None,
    accelerator: Accelerator,
) -> TopicEmbeddings:
    """Those of the run that is resumed, if it has some, else learned by one process for all.

    Args:
        vocabulary: of the run.
        texts: gives documents and human sentences; called only where they are learned.
        max_tokens: longer texts are cut.
        output: the run's folder, which keeps them.
        origin: the folder of the run that is resumed, None for a fresh run.
        accelerator: the processes, and their device.

    Raises:
        InputError: if a file of embeddings is damaged or of another vocabulary.
    """
    saved = output / TOPIC
    if accelerator.is_main_process:
        earlier = None if origin is None else origin / TOPIC
        if earlier is None or not earlier.is_file():
            TopicEmbeddings.learn(vocabulary, texts(), max_tokens).save(saved)
        elif earlier != saved:
            TopicEmbeddings.load(earlier, len(vocabulary), torch.device("cpu")).save(saved)
    accelerator.wait_for_everyone()
    return TopicEmbeddings.load(saved, len(vocabulary), accelerator.device)
