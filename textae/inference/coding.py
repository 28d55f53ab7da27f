"""Token ids to bits and back, by arithmetic coding under a network's own probabilities.

Coding and decoding run the same steps on the same batches, so that the probabilities are the same to
the last bit on one machine: a single forward pass over known tokens would round otherwise.
"""

from typing import Any

import numpy as np
import torch

from textae.models.seq2seq import Seq2Seq, Source


class Writer:
    """Symbols to bits."""

    def __init__(self) -> None:
        constriction = _constriction()
        self.model = constriction.stream.model.Categorical(perfect=False)
        self.coder = constriction.stream.queue.RangeEncoder()

    def put(self, symbols: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Code N symbols, each under a row of (N, C) probabilities; returns them."""
        if len(symbols):
            self.coder.encode(symbols.astype(np.int32), self.model, probabilities)
        return symbols

    def bytes(self) -> bytes:
        """All bits so far, filled up to whole words."""
        words: np.ndarray = self.coder.get_compressed()
        return words.astype("<u4").tobytes()


class Reader:
    """Bits to symbols."""

    def __init__(self, data: bytes) -> None:
        constriction = _constriction()
        self.model = constriction.stream.model.Categorical(perfect=False)
        words = np.frombuffer(data, dtype="<u4").astype(np.uint32)
        self.coder = constriction.stream.queue.RangeDecoder(words)

    def put(self, symbols: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """The next N symbols, one for each row of (N, C) probabilities; ``symbols`` say only how many."""
        if not len(symbols):
            return symbols
        decoded: np.ndarray = self.coder.decode(self.model, probabilities)
        return decoded.astype(np.int64)


def _constriction() -> Any:
    try:
        import constriction
    except ImportError:
        from textae.errors import InputError

        raise InputError(
            "the package constriction, which writes numbers in bits, is missing; install textae[compress]"
        ) from None
    return constriction


@torch.no_grad()
def code_rows(
    coder: Writer | Reader,
    network: Seq2Seq,
    source: Source,
    rows: list[list[int]] | None,
    most_tokens: int,
) -> list[list[int]]:
    """Pass token ids through ``coder``, each under the network's probability after those before it.

    Args:
        coder: writes the ``rows``, or reads them.
        network: whose probabilities they are.
        source: what it attends to, a row for each text.
        rows: token ids without the end token, at most ``most_tokens`` each; None when reading.
        most_tokens: a text of so many needs no end token.

    Returns:
        The rows.
    """
    count, device = len(source.ids), source.ids.device
    written: list[list[int]] = [[] for _ in range(count)]
    inputs = network.prefix(count, None, device)
    cache = network.backbone.new_cache()
    alive = np.ones(count, dtype=bool)
    for step in range(most_tokens):
        hidden = network.backbone.decode(inputs, source.states, source.mask, cache)[:, -1]
        probabilities = network.next_log_probabilities(hidden, source).exp().cpu().numpy()
        places = np.flatnonzero(alive)
        symbols = np.zeros(len(places), dtype=np.int64)
        if rows is not None:
            symbols = np.array([rows[i][step] if step < len(rows[i]) else network.end for i in places])
        symbols = coder.put(symbols, probabilities[places])
        for i, symbol in zip(places.tolist(), symbols.tolist(), strict=True):
            if symbol == network.end:
                alive[i] = False
            else:
                written[i].append(symbol)
        if not alive.any():
            break
        following = np.full(count, network.pad, dtype=np.int64)
        following[places] = symbols
        inputs = torch.from_numpy(following)[:, None].to(device)
    return written
