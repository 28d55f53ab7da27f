"""A tiny vocabulary, tiny networks and a recipe that trains in seconds."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from textae.config import TrainingConfig
from textae.data.batches import Example
from textae.data.tokenizer import train_tokenizer, vocabulary_of
from textae.model_config import AutoencoderConfig, DiscriminatorConfig, NetworkConfig
from textae.models.autoencoder import TextAutoencoder
from textae.settings import config_from_dict
from textae.training.adversarial import AdversarialStep
from textae.training.reduce import Reduce

DOCUMENTS = [
    "the ferry to the island was late again because of fog , the harbour master said on monday .",
    "a baker in the old town sold nine thousand loaves in one week and still has no oven of her own .",
    "two goats walked into the library and ate a map of the river before anyone saw them .",
    "after the storm the bridge stayed shut and the school bus had to go round by the mill .",
]
SENTENCES = [
    "fog delays island ferry",
    "baker sells nine thousand loaves",
    "goats eat river map in library",
    "storm shuts bridge",
]

RECIPE = {
    "data": {
        "documents": ["newswire:200"],
        "human": ["newswire:200"],
        "valid": ["newswire:valid:6"],
        "max_document_tokens": 40,
        "max_human_tokens": 24,
    },
    "tokenizer": {"vocabulary_size": 400, "held_out": 0.1},
    "noise": {"similar_documents": 1.0, "graft_share": 0.3, "document_forms": 0.9},
    "encoder": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16},
    "reconstructor": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16},
    "discriminator": {"width": 8, "language_model": True},
    "length": {"minimum_words": 3, "maximum_words": 6, "summary_words": 4, "maximum_tokens": 10},
    "warmup": {"steps": 6, "documents_per_batch": 4, "warmup_steps": 2},
    "adversarial": {
        "steps": 6,
        "documents_per_batch": 4,
        "samples": 2,
        "discriminator_first_steps": 1,
        "rewards": {"fluency": {"weight": 0.5}},
    },
    "run": {
        "log_every": 1,
        "sample_every": 6,
        "evaluate_every": 4,
        "save_every": 2,
        "keep_checkpoints": 100,
        "trackers": [],
        "collapse_window": 3,
    },
}


def recipe(output, **sections):
    """The tiny recipe as nested dictionaries, with some settings of some sections replaced."""
    merged = {name: {**values, **sections.pop(name, {})} for name, values in RECIPE.items()}
    merged["run"]["output"] = str(output)
    return {**merged, **sections}


@pytest.fixture(scope="session")
def make_recipe():
    return recipe


@pytest.fixture(scope="session")
def make_config():
    """``make_config(output, warmup={"steps": 1})``: the tiny recipe, checked."""
    return lambda output, **sections: config_from_dict(recipe(output, **sections))


@pytest.fixture(scope="session")
def small_vocabulary():
    return vocabulary_of(train_tokenizer([*DOCUMENTS, *SENTENCES], 400))


@pytest.fixture
def reduce():
    """Sums of a launch of one process."""
    return Reduce(SimpleNamespace(num_processes=1))


@pytest.fixture
def config():
    network = NetworkConfig(width=16, layers=1, heads=2, feed_forward=16, dropout=0.0)
    config = TrainingConfig(
        encoder=network,
        reconstructor=replace(network),
        discriminator=DiscriminatorConfig(width=8, dropout=0.0),
    )
    config.data.max_document_tokens, config.data.max_human_tokens = 40, 24
    config.length.minimum_words, config.length.maximum_words = 4, 5
    config.length.summary_words, config.length.maximum_tokens = 4, 8
    config.adversarial.samples = 3
    config.adversarial.discriminator_first_steps = 0
    return config


@pytest.fixture
def model(config, small_vocabulary):
    torch.manual_seed(0)
    whole = AutoencoderConfig(
        encoder=config.encoder,
        reconstructor=config.reconstructor,
        discriminator=config.discriminator,
        length=config.length,
        max_document_tokens=config.data.max_document_tokens,
        max_human_tokens=config.data.max_human_tokens,
    )
    return TextAutoencoder(whole, small_vocabulary).eval()


def examples(vocabulary, texts):
    return [Example(text, ids) for text, ids in zip(texts, vocabulary.encode(texts), strict=True)]


@pytest.fixture
def documents(small_vocabulary):
    return examples(small_vocabulary, DOCUMENTS)


@pytest.fixture
def human(small_vocabulary):
    return examples(small_vocabulary, SENTENCES)


@pytest.fixture
def step(config, small_vocabulary, model, reduce):
    weights = torch.ones(len(small_vocabulary))
    return AdversarialStep(config, small_vocabulary, copy.deepcopy(model.encoder), weights, reduce)


@pytest.fixture
def sampled(step, model, documents, human):
    return step.sample(model, 7, range(4), documents, human)
