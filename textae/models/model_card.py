"""The README.md of a saved model."""

from textae.model_config import AutoencoderConfig

_CARD = """---
library_name: textae
pipeline_tag: summarization
tags: [summarization, unsupervised, autoencoder, textae]
---

# A text autoencoder whose code is readable text

Made by textae: an encoder writes a short summary, a reconstructor
restores the document from it, a discriminator keeps it readable. It learned from unpaired text alone.

```python
from textae import TextAutoencoder

model = TextAutoencoder.from_pretrained("this folder or Hub name")
model.summarize(["..."])
```

| | |
| --- | --- |
| parameters of all three networks | {parameters:,} |
| encoder | {encoder} |
| reconstructor | {reconstructor} |
| longest document | {document} tokens; of longer ones {long} |
| length of summaries | {words} words unless asked otherwise ({least} to {most} in training) |
| text normalisation | {normalization} |

## Limits

A summary is written by a network that was paid for being restorable and for reading like its
training sentences, not for being true: it can mix up who did what. Check before you rely on it.
Terms of use follow those of the text it was trained on.
{results}"""


LONG = {"select": "the most central sentences are read", "cut": "the beginning is read"}


def model_card(config: AutoencoderConfig, parameters: int, results: str = "") -> str:
    """Markdown that tells what the model is, what it takes and what it is good for."""
    return _CARD.format(
        parameters=parameters,
        encoder=config.encoder.checkpoint or f"{config.encoder.architecture}, from scratch",
        reconstructor=config.reconstructor.checkpoint or f"{config.reconstructor.architecture}, from scratch",
        document=config.max_document_tokens,
        long=LONG[config.decoding.long_documents],
        words=config.length.summary_words,
        least=config.length.minimum_words,
        most=config.length.maximum_words,
        normalization=normalization_words(config),
        results=results_section(results),
    )


def normalization_words(config: AutoencoderConfig) -> str:
    """The names of what cleans text, or that nothing does."""
    return ", ".join(name for name, value in vars(config.normalization).items() if value) or "none"


def results_section(results: str) -> str:
    """The section of results of a card; nothing where there are none."""
    return f"\n## Results\n\n{results}\n" if results else ""
