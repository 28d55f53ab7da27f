"""The README.md of a saved model whose code is numbers."""

from textae.model_config import AutoencoderConfig
from textae.models.model_card import LONG, normalization_words, results_section

_CARD = """---
library_name: textae
pipeline_tag: feature-extraction
tags: [autoencoder, unsupervised, embeddings, textae]
---

# An autoencoder of text with a {kind} code

Made by textae: an encoder turns a document into {vectors} of {width} numbers, a decoder
restores the document from them. It learned from text alone, without labels.

```python
from textae import CodeAutoencoder

model = CodeAutoencoder.from_pretrained("this folder or Hub name")
model.embed(["..."])
```

| | |
| --- | --- |
| parameters | {parameters:,} |
| network | {network} |
| longest document | {document} tokens; of longer ones {long} |
| text normalisation | {normalization} |

Terms of use follow those of the text it was trained on.
{results}"""


def code_card(config: AutoencoderConfig, parameters: int, results: str = "") -> str:
    """Markdown that tells what the model is and what it takes."""
    code = config.code
    return _CARD.format(
        kind=code.kind,
        vectors="one vector" if code.vectors == 1 else f"{code.vectors} vectors",
        width=code.width,
        parameters=parameters,
        network=config.encoder.checkpoint or f"{config.encoder.architecture}, from scratch",
        document=config.max_document_tokens,
        long=LONG[config.decoding.long_documents],
        normalization=normalization_words(config),
        results=results_section(results),
    )
