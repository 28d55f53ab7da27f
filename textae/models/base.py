"""What autoencoders of text have in common, whatever their code is: texts in, saving, loading."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import torch
from safetensors.torch import load_model, save_model
from torch import nn

from textae.data.batches import TokenBatch, pad_rows
from textae.data.long_documents import condense
from textae.data.normalization import normalize
from textae.data.tokenizer import Vocabulary, load_vocabulary
from textae.errors import InputError, reason
from textae.model_config import AutoencoderConfig
from textae.models.backbone import network_from_dict
from textae.models.engines.writer import one_thread
from textae.models.generation import check
from textae.models.saving import (
    CARD,
    CONFIG,
    SHIPPED,
    WEIGHTS,
    model_folder,
    new_files,
    read_configuration,
    rounded,
    write_configuration,
)
from textae.models.untrusted import check_fits

T = TypeVar("T")


class Autoencoder(nn.Module, ABC):
    """A document, a code, the document again; what the code is, the subclasses say."""

    # What cannot be done with a model whose code is of another kind.
    purpose = "what you ask for"

    config: AutoencoderConfig
    vocabulary: Vocabulary
    # Where it was loaded from, if it was.
    folder: Path | None = None

    @abstractmethod
    def networks(self) -> dict[str, Any]:
        """The Hugging Face networks inside, by the names that a saved configuration gives them."""

    @abstractmethod
    def parts(self) -> dict[str, nn.Module]:
        """The parts that learn, each at a rate of its own, by their names in logs and settings."""

    @abstractmethod
    def card(self, results: str) -> str:
        """Markdown of a model card, with its section of results."""

    @abstractmethod
    def embed(self, documents: list[str], *, batch_size: int = 64) -> torch.Tensor:
        """One vector (N, D) in float32 for each document, order kept."""

    @abstractmethod
    def reconstruction_loss(self, documents: list[str], *, batch_size: int = 64) -> list[float]:
        """Nats per token of each document when it is restored from its code."""

    @abstractmethod
    def try_out(self) -> None:
        """Let every network take a step or two, so that settings which make no sense are found at once."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def prepare(self, texts: list[str], max_tokens: int | None = None) -> list[list[int]]:
        """Normalise and tokenise texts; longer ones are cut at ``max_tokens``."""
        cleaned = [normalize(text, self.config.normalization) for text in texts]
        return self.vocabulary.encode(cleaned, max_tokens)

    def read_documents(self, documents: list[str]) -> list[list[int]]:
        """Token ids of what the network reads of each document, ``config.max_document_tokens`` at most.

        Of longer ones these are their most central sentences, or their beginning, as
        ``config.decoding.long_documents`` says.
        """
        rows, window = self.prepare(documents), self.config.max_document_tokens
        if self.config.decoding.long_documents == "select":
            for i, row in enumerate(rows):
                if len(row) > window:
                    rows[i] = condense(documents[i], self.vocabulary, self.config.normalization, window)
        return [row[:window] for row in rows]

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Number of tokens of each text, uncut; the network's window is ``config.max_document_tokens``."""
        return [len(row) for row in self.prepare(texts)]

    def sentences(self, rows: list[list[int]]) -> TokenBatch:
        """Rows of ids, each with the end token, padded: what networks write and the discriminator reads."""
        return pad_rows([[*row, self.vocabulary.end] for row in rows], self.vocabulary.pad, self.device)

    def _by_length(
        self,
        rows: list[list[int]],
        batch_size: int,
        work: Callable[[list[int]], list[T]],
        empty: T,
        workers: int = 1,
    ) -> list[T]:
        """Apply ``work`` to the numbers of rows of similar length and put the results back in order.

        More than one of ``workers`` work on so many batches at a time, each with one thread of PyTorch.
        """
        check(batch_size >= 1, "batch_size", batch_size, "at least 1")
        results = [empty] * len(rows)
        order = [i for i in sorted(range(len(rows)), key=lambda i: len(rows[i])) if rows[i]]
        # The longest first: the last to be done is a short one, and no core waits long for it.
        batches = [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)][::-1]
        with evaluating(self), _at_once(workers, len(batches)) as apply:
            for chosen, written in zip(batches, apply(work, batches), strict=True):
                for i, result in zip(chosen, written, strict=True):
                    results[i] = result
        return results

    @property
    def _no_split_modules(self) -> list[str]:
        """Classes of layers, under the name by which Accelerate asks for what FSDP gathers as one."""
        named = [getattr(network, "_no_split_modules", None) or [] for network in self.networks().values()]
        return sorted({name for names in named for name in names})

    # Saving and loading --------------------------------------------------------------------------

    def save_pretrained(
        self,
        path: str | Path,
        results: str = "",
        *,
        dtype: torch.dtype | None = None,
        card: str | None = None,
    ) -> None:
        """Write a folder of safetensors, JSON, tokenizer files and a model card, all or nothing.

        Args:
            path: folder; it is replaced when it is a saved model already.
            results: Markdown for the model card's results section.
            dtype: of the weights in the file, such as ``torch.float16``, half as large; what is loaded is
                float32 again, rounded. Not given: as they are.
            card: Markdown to be the model card, instead of one that tells the settings.

        Raises:
            InputError: if the folder cannot be written, or a weight is too large for ``dtype``.
        """
        model = self if dtype is None else rounded(self, dtype)
        with new_files(Path(path)) as folder:
            write_configuration(folder, self.config, self.networks())
            save_model(model, str(folder / WEIGHTS), metadata={"format": "pt"})
            self.vocabulary.tokenizer.save_pretrained(folder)
            if card is None:
                card = self.card(results)
            (folder / CARD).write_text(card, encoding="utf-8")

    @classmethod
    def from_pretrained(cls, name: str | Path = SHIPPED, device: str | torch.device | None = None) -> Self:
        """Load a model from a folder or a Hub name; weights are safetensors, no code is run.

        Without a name, or with ``"textae-english"``, it is the small English model inside the package,
        which needs no network. ``Autoencoder`` itself takes a model with any code.

        Raises:
            InputError: if there is no such model, it has another kind of code than this class, or weights
                or settings are missing or damaged.
        """
        folder = model_folder(name)
        config, settings = read_configuration(folder)
        kind = autoencoder_class(config)
        if not issubclass(kind, cls):
            raise InputError(f"{name}: this model's code is {config.code.kind}; {cls.purpose} needs another.")
        vocabulary = load_vocabulary(folder)

        def build() -> Autoencoder:
            networks = {part: network_from_dict(values) for part, values in settings.items()}
            return kind(config, vocabulary, networks)

        try:
            with torch.device("meta"):
                outline = build()
        except InputError:
            raise
        except Exception as error:  # a network of transformers raises whatever it meets
            raise InputError(
                f"{folder / CONFIG}: this is no configuration of textae ({reason(error)})."
            ) from error
        try:
            # Before memory is taken for it.
            check_fits(outline, folder / WEIGHTS)
            model = build()
            load_model(model, str(folder / WEIGHTS))
        except Exception as error:  # safetensors raises several kinds for damaged files
            raise InputError(
                f"{folder / WEIGHTS}: the weights do not fit or are damaged ({reason(error)})."
            ) from error
        model.eval()
        try:
            model.try_out()
        except InputError:
            raise
        except Exception as error:  # whatever a network does with sizes and token ids that make no sense
            raise InputError(
                f"{folder / CONFIG}: a model with these settings does not work ({reason(error)})."
            ) from error
        model.folder = folder
        return cast(Self, model.to(device or "cpu"))

    def push_to_hub(self, name: str, private: bool = False) -> str:
        """Upload the model to the Hub under ``name`` and return its address."""
        import tempfile

        from huggingface_hub import HfApi

        api = HfApi()
        address = api.create_repo(name, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(Path(folder) / "model")
            api.upload_folder(repo_id=name, folder_path=Path(folder) / "model")
        return str(address)


def autoencoder_class(config: AutoencoderConfig) -> type[Autoencoder]:
    """The class of a model with these settings."""
    if config.code.is_text:
        from textae.models.autoencoder import TextAutoencoder

        return TextAutoencoder
    from textae.models.code_autoencoder import CodeAutoencoder

    return CodeAutoencoder


@contextmanager
def _at_once(workers: int, batches: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Give a ``map`` with so many workers; with one, or for one batch, the built-in one."""
    if min(workers, batches) <= 1:
        yield map
        return
    with one_thread(), ThreadPoolExecutor(min(workers, batches)) as pool:
        yield lambda work, items: pool.map(torch.no_grad()(work), items)


class evaluating:
    """Switches dropout off inside a ``with`` block."""

    def __init__(self, module: nn.Module):
        self.module, self.was_training = module, module.training

    def __enter__(self) -> None:
        if self.was_training:
            self.module.eval()

    def __exit__(self, *exception: object) -> None:
        # Going through all modules takes longer than a small one takes to write.
        if self.was_training:
            self.module.train()
