"""ROUGE as a local ``evaluate.Metric``: no network, nothing written outside a temporary folder."""

import tempfile
from typing import Any

import datasets
import evaluate

from textae.evaluation.scoring import RougeProtocol, example_scores, rouge

__all__ = ["Rouge", "RougeProtocol", "example_scores", "rouge"]

_CITATION = """\
@inproceedings{lin-2004-rouge,
  title = "{ROUGE}: A Package for Automatic Evaluation of Summaries",
  author = "Lin, Chin-Yew",
  booktitle = "Text Summarization Branches Out",
  year = "2004",
}
"""
_DESCRIPTION = (
    "ROUGE-1, ROUGE-2 and ROUGE-L over rouge_score: stemmed F1 or recall at a byte limit, one or several "
    "references, words or characters, 95% bootstrap intervals."
)
_INPUTS = """
Args:
    predictions (`list` of `str`): the summaries to score.
    references (`list` of `str`, or `list` of `list` of `str`): one reference or several for each.
    multiple (`str`): `average` over the references, or the `best` for each example and ROUGE type.
    measure (`str`): `f1` or `recall`; by default recall under a byte limit and F1 without one.
    byte_limit (`int`): score only this many UTF-8 bytes of each prediction.
    tokens (`str`): `words`, `characters`, `unicode` or `auto`.
    stemmer (`bool`): Porter stemming of words.
    resamples (`int`), seed (`int`): the bootstrap.
"""


class Rouge(evaluate.Metric):
    """ROUGE with everything that a figure depends on stated beside it.

    ``evaluate.load("rouge")`` fetches a script from the network and does not stem; this one is
    local and stems by default, as published figures do.

    >>> Rouge().compute(predictions=["rain in paris"], references=["rain in paris"])["rouge1"]
    100.0
    """

    def __init__(self, **options: Any) -> None:
        """Make the metric; ``options`` are those of ``evaluate.Metric``, with everything kept in memory."""
        options = {"keep_in_memory": True, **options}
        if not options["keep_in_memory"] or "cache_dir" in options:
            super().__init__(**options)
            return
        # The base class makes a folder in the user's cache even when it never writes into it.
        with tempfile.TemporaryDirectory(prefix="textae-rouge-") as folder:
            super().__init__(cache_dir=folder, **options)

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=[
                datasets.Features({"predictions": text, "references": datasets.List(text)}),
                datasets.Features({"predictions": text, "references": text}),
            ],
            reference_urls=["https://aclanthology.org/W04-1013/"],
        )

    def _compute(  # type: ignore[override]
        self, predictions: list[str], references: list[str] | list[list[str]], **settings: Any
    ) -> dict[str, Any]:
        rows = [[row] if isinstance(row, str) else list(row) for row in references]
        return rouge(list(predictions), rows, RougeProtocol(**settings))
