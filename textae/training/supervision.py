"""Semi-supervision: networks also learn from pairs of document and summary (Wang and Lee 2018)."""

import torch

from textae.config import AdversarialConfig
from textae.data.batches import TokenBatch, pad_rows
from textae.data.pairs import PairExample
from textae.data.tokenizer import Vocabulary
from textae.data.words import count_words
from textae.models.inputs import AutoencoderOutputs, PairInputs
from textae.training.reduce import Reduce


def pair_inputs(
    paired: dict[int, PairExample], rows: range, vocabulary: Vocabulary, device: torch.device
) -> PairInputs | None:
    """Inputs for one process's ``rows`` of the pairs of a global batch; None where the batch has no pair.

    A process whose rows have none reads another's pair without learning from it, because every process
    has to go through the same networks.
    """
    if not paired:
        return None
    own = [paired[row] for row in rows if row in paired]
    pairs = own or [next(iter(paired.values()))]
    documents = pad_rows([vocabulary.as_source(pair.document_ids) for pair in pairs], vocabulary.pad, device)
    summaries = pad_rows([vocabulary.as_source(pair.summary_ids) for pair in pairs], vocabulary.pad, device)
    targets = []
    for ids in ([pair.summary_ids for pair in pairs], [pair.document_ids for pair in pairs]):
        target = pad_rows([[*row, vocabulary.end] for row in ids], vocabulary.pad, device)
        targets.append(target if own else TokenBatch(target.ids, torch.zeros_like(target.mask)))
    hints = torch.tensor([vocabulary.hint(count_words(pair.summary)) for pair in pairs], device=device)
    return PairInputs(documents, targets[0], hints, summaries, targets[1])


def pair_losses(
    inputs: PairInputs, outputs: AutoencoderOutputs, config: AdversarialConfig, step: int, reduce: Reduce
) -> tuple[torch.Tensor, dict[str, float]]:
    """Cross-entropies of summaries given their documents and of documents given their summaries.

    Means are over the tokens of the global batch. ``step`` counts from the start of the adversarial phase,
    in whose first steps the encoder stands still.

    Returns:
        The sum, weighted by ``config.pair_weight``, and the metrics.
    """
    summaries, documents = outputs.pair_summary_log_probabilities, outputs.pair_document_log_probabilities
    assert summaries is not None and documents is not None
    encoder = reduce.mean(-summaries.sum(), inputs.summary_target.mask.sum())
    reconstructor = reduce.mean(-documents.sum(), inputs.document_target.mask.sum())
    metrics = {
        "loss/pair_encoder": reduce.value(encoder),
        "loss/pair_reconstructor": reduce.value(reconstructor),
    }
    if step < config.discriminator_first_steps:
        encoder = 0.0 * encoder  # still part of the graph, like the policy
    return config.pair_weight * (encoder + reconstructor), metrics
