"""A pretrained network that turns sentences into vectors; it stays as it is."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel

from textae.data.tokenizer import load_tokenizer
from textae.errors import InputError, reason

# Texts that go through the network together.
BATCH_SIZE = 32
# RoBERTa and its kin count positions from behind their padding index, which is 1.
SPARE_POSITIONS = 2


class SentenceEncoder:
    """Embeds texts as the mean of a network's last states over their tokens (Reimers and Gurevych 2019).

    Not a module: its weights belong to no saved model and no optimizer.

    Args:
        network: gives ``last_hidden_state`` for ``input_ids`` and ``attention_mask``.
        tokenizer: the network's own.
        max_tokens: longer texts are cut, special tokens included; None for any length.
    """

    def __init__(self, network: Any, tokenizer: Any, max_tokens: int | None):
        self.network, self.tokenizer, self.max_tokens = network, tokenizer, max_tokens
        network.eval().requires_grad_(False)

    @classmethod
    def from_pretrained(cls, name: str | Path, device: torch.device | None = None) -> "SentenceEncoder":
        """Load from a folder or a Hub name: safetensors only, never code. Of an encoder-decoder, the encoder.

        Raises:
            InputError: if nothing can be loaded from there, or weights are missing.
        """
        tokenizer = load_tokenizer(name)
        if tokenizer.pad_token_id is None:
            raise InputError(f"{name}: its tokenizer has no padding token; choose another sentence encoder.")
        try:
            network, found = AutoModel.from_pretrained(
                str(name),
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except Exception as error:  # a damaged checkpoint makes transformers raise whatever it meets
            raise InputError(
                f"{name}: no sentence encoder can be loaded from there ({reason(error)})."
            ) from error
        prefix = ""
        # What the configuration says does not help: one of T5's encoder alone makes a decoder, too.
        if hasattr(network, "encoder") and hasattr(network, "decoder"):
            network, prefix = network.get_encoder(), "encoder."
        # Random numbers would stand for missing weights. (The pooler is not used.)
        needed = {prefix + key for key in network.state_dict()}
        missing = sorted(key for key in found["missing_keys"] if key in needed and "pooler" not in key)
        if missing:
            raise InputError(f'{name}: weights are missing, such as "{missing[0]}"; choose another.')
        return cls(network.to(device), tokenizer, _limit(network.config, tokenizer))

    @torch.no_grad()
    def embed(self, texts: list[str]) -> torch.Tensor:
        """Vectors (N, W) in float32 of N texts; an empty one has that of the special tokens alone."""
        cut = {"truncation": self.max_tokens is not None, "max_length": self.max_tokens}
        ids = self.tokenizer(texts, **cut)["input_ids"]
        # Those of one length together: in any order a third of what goes through is padding.
        order = sorted(range(len(texts)), key=lambda at: len(ids[at]))
        parts = []
        for begin in range(0, len(texts), BATCH_SIZE):
            chosen = [ids[at] for at in order[begin : begin + BATCH_SIZE]]
            batch = self.tokenizer.pad({"input_ids": chosen}, return_tensors="pt")
            mask = batch["attention_mask"].to(self.network.device)
            states = self.network(
                input_ids=batch["input_ids"].to(mask.device), attention_mask=mask
            ).last_hidden_state.float()
            kept = mask[..., None].to(states.dtype)
            parts.append((states * kept).sum(dim=1) / kept.sum(dim=1).clamp_min(1.0))
        places = torch.tensor(order, device=parts[0].device).argsort()
        return torch.cat(parts)[places]


@lru_cache(maxsize=2)
def sentence_encoder(name: str, device: torch.device) -> SentenceEncoder:
    """What :meth:`SentenceEncoder.from_pretrained` loads, kept for the next call.

    Raises:
        InputError: if nothing can be loaded from there, or weights are missing.
    """
    return SentenceEncoder.from_pretrained(name, device)


def _limit(config: Any, tokenizer: Any) -> int | None:
    # A tokenizer that knows no limit says 1e30.
    limits = [tokenizer.model_max_length] if tokenizer.model_max_length < 1e9 else []
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None:
        limits.append(positions - SPARE_POSITIONS)
    return min(limits, default=None)
