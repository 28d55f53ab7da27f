"""A vocabulary trained on a few invented sentences and tiny networks with random weights."""

import os

# Nothing is fetched in tests; set before anything of Hugging Face is imported.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch

from textae.model_config import AutoencoderConfig, DiscriminatorConfig, LengthConfig, NetworkConfig

SENTENCES = [
    "a heron landed on the weather mast at noon and would not leave",
    "the keeper of the lock at ossel counted forty barges before breakfast",
    "heron stops weather report",
    "forty barges pass ossel lock before breakfast",
    "snow closed the upper road , so the baker went down to the lake by sledge",
    "baker reaches lake by sledge",
    "北山的桥在周一关闭",
    "大雪之后桥关闭",
]


def tiny_network(architecture: str = "mbart", **values) -> NetworkConfig:
    """Settings of a network of width 16 with one layer, from scratch."""
    sizes = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, "dropout": 0.0}
    return NetworkConfig(**{"architecture": architecture, **sizes, **values})


def tiny_config(**values) -> AutoencoderConfig:
    """Settings of a TextAutoencoder with two such networks and a reader of width 8."""
    settings = {
        "encoder": tiny_network(),
        "reconstructor": tiny_network(),
        "discriminator": DiscriminatorConfig(width=8, heads=2),
        "length": LengthConfig(minimum_words=2, maximum_words=6, summary_words=4, maximum_tokens=12),
        "max_document_tokens": 30,
        "max_human_tokens": 16,
    }
    return AutoencoderConfig(**{**settings, **values})


@pytest.fixture(scope="session")
def sentences():
    return list(SENTENCES)


@pytest.fixture(scope="session")
def tiny_vocabulary(sentences):
    """About 400 byte-level pieces. Nobody changes it, so that one serves the whole session."""
    from textae.data.tokenizer import train_tokenizer, vocabulary_of

    return vocabulary_of(train_tokenizer(sentences * 3, 400))


@pytest.fixture
def tiny_model(tiny_vocabulary):
    """A TextAutoencoder with random weights, in evaluation mode."""
    return make_model(tiny_vocabulary)


def make_model(vocabulary, seed: int = 0, **values):
    """A TextAutoencoder with random weights of the given seed, in evaluation mode."""
    from textae.models.autoencoder import TextAutoencoder

    torch.manual_seed(seed)
    model = TextAutoencoder(tiny_config(**values), vocabulary).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Larger than any initialisation, so that no output is near-uniform and ties are no matter.
            if parameter.dim() > 1:
                parameter.mul_(3.0)
    return model


def checkpoint_tokenizer(kind: str):
    """A tokenizer of the class that checkpoints of ``kind`` have, trained on the invented sentences."""
    import json

    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    def trained(model, pre_tokenizer, trainer):
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizer
        tokenizer.train_from_iterator(SENTENCES * 3, trainer)
        return json.loads(tokenizer.to_str())["model"]

    if kind in ("t5", "mt5", "mbart"):
        special = ["<s>", "<pad>", "</s>", "<unk>"] if kind == "mbart" else ["<pad>", "</s>", "<unk>"]
        trainer = trainers.UnigramTrainer(
            vocab_size=150, special_tokens=special, unk_token="<unk>", show_progress=False
        )
        model = trained(models.Unigram(), pre_tokenizers.Metaspace(), trainer)
        vocabulary = [(piece, score) for piece, score in model["vocab"]]
        if kind == "mbart":
            return transformers.MBartTokenizer(vocab=vocabulary, src_lang="en_XX", tgt_lang="en_XX")
        return transformers.T5Tokenizer(vocab=vocabulary, extra_ids=4)
    if kind in ("bart", "roberta"):
        trainer = trainers.BpeTrainer(
            vocab_size=350,
            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        model = trained(models.BPE(), pre_tokenizers.ByteLevel(), trainer)
        merges = [tuple(merge) for merge in model["merges"]]
        return transformers.RobertaTokenizer(vocab=model["vocab"], merges=merges)
    trainer = trainers.WordPieceTrainer(
        vocab_size=150, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
    )
    model = trained(models.WordPiece(unk_token="[UNK]"), pre_tokenizers.BertPreTokenizer(), trainer)
    return transformers.BertTokenizer(vocab=model["vocab"])


@pytest.fixture(scope="session")
def build_tokenizer():
    """The function that makes the tokenizer of a kind of checkpoint."""
    return checkpoint_tokenizer


@pytest.fixture(scope="session")
def build_model():
    """The function that makes a tiny TextAutoencoder of a vocabulary, a seed and settings."""
    return make_model


@pytest.fixture(scope="session")
def build_network_config():
    """The function that makes the settings of a tiny network."""
    return tiny_network


@pytest.fixture(scope="session")
def build_config():
    """The function that makes the settings of a tiny TextAutoencoder."""
    return tiny_config


@pytest.fixture
def recipe(tmp_path):
    """A recipe with one setting."""
    path = tmp_path / "recipe.yaml"
    path.write_text("warmup:\n  steps: 5\n", encoding="utf-8")
    return path
