"""The table of an ablation, from what its JSON file holds."""

from collections.abc import Iterable
from typing import Any

from textae.evaluation.scoring import ROUGE_TYPES
from textae.evaluation.tables import aligned

_HEAD = ["row", "seeds", "R-1", "R-2", "R-L", "words", "novel %", "loss", "reader", "audit", "read.", "min"]


def table_text(content: dict[str, Any]) -> str:
    """Markdown: the warm-up, every row that is done, the leads, the ranges over seeds, and what rows are.

    Args:
        content: what :meth:`textae.ablation.Ablation.write_table` writes as JSON.
    """
    rows: dict[str, dict[int, dict[str, Any]]] = content["rows"]
    lines = [_HEAD]
    if content["warm_up"]:
        lines.append(_cells("(warm-up)", list(content["warm_up"].values())))
    lines += [_cells(name, list(found.values())) for name, found in rows.items()]
    some = next((found for by_seed in rows.values() for found in by_seed.values()), None)
    for name, lead in (some or {"leads": {}})["leads"].items():
        lines.append(_cells(f"({name})", [lead]))
    text = [*aligned(lines), "", *_legend(content)]
    ranges = [_range(name, list(found.values())) for name, found in rows.items() if len(found) > 1]
    if ranges:
        text += ["", *aligned([["lowest to highest", *ROUGE_TYPES, "words"], *ranges])]
    if any(content["what"].get(name) for name in rows):
        text += [
            "",
            *(f"* **{name}**: {content['what'][name]}" for name in rows if content["what"].get(name)),
        ]
    return "\n".join(text) + "\n"


def _cells(name: str, found: list[dict[str, Any]]) -> list[str]:
    """One row: means over its seeds; of the audit the verdict, or the verdicts if seeds differ."""
    audits = [each["audit"]["verdict"] for each in found if each.get("audit")]
    return [
        name,
        str(len(found)),
        *(_mean((each[kind] for each in found), "{:.2f}") for kind in ROUGE_TYPES),
        _mean((each["mean_words"] for each in found), "{:.1f}"),
        _mean((each["novelty"] * 100 for each in found), "{:.1f}"),
        _mean((each["reconstruction_loss"] for each in found), "{:.2f}"),
        _mean((each.get("reader") for each in found), "{:.2f}"),
        ", ".join(dict.fromkeys(verdict["name"] for verdict in audits)),
        _mean((verdict["readability"] for verdict in audits), "{:.2f}"),
        _mean((each["seconds"] / 60 if "seconds" in each else None for each in found), "{:.0f}"),
    ]


def _mean(values: Iterable[float | None], form: str) -> str:
    """The mean of what is known; nothing if nothing is."""
    known = [value for value in values if value is not None]
    return form.format(sum(known) / len(known)) if known else ""


def _range(name: str, found: list[dict[str, Any]]) -> list[str]:
    kinds = [([each[kind] for each in found], "{:.2f}") for kind in ROUGE_TYPES]
    kinds.append(([each["mean_words"] for each in found], "{:.1f}"))
    return [name, *(f"{form.format(min(values))} to {form.format(max(values))}" for values, form in kinds)]


def _legend(content: dict[str, Any]) -> list[str]:
    lines = [
        f"ROUGE stemmed F1 on {content['evaluate_documents']} pairs of valid, spread evenly; means of seeds.",
        "novel %: words not in the document; loss: reconstruction by the row's own reconstructor, nats per",
        "document token; reader: probability of human, from the first row's discriminator of the same seed;",
    ]
    if content["audit"]:
        lines.append("audit: verdict, and readability to a fresh reader over that of first words;")
    return [*lines, "min: minutes of training after warm-up."]
