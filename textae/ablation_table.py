"""The table of an ablation, from what its JSON file holds."""

from collections.abc import Callable, Iterable
from typing import Any

from textae.evaluation.scoring import ROUGE_TYPES
from textae.evaluation.tables import aligned

_Figures = dict[str, Any]


def _judge(name: str) -> Callable[[_Figures], float | None]:
    """What the first row's networks say; nothing where it is not done yet."""
    return lambda each: (each.get("judge") or {}).get(name)


# Titles, how a figure is found in a row, how it is written.
_COLUMNS: list[tuple[str, Callable[[_Figures], float | None], str]] = [
    *((f"R-{kind[-1]}", lambda each, kind=kind: each[kind], "{:.2f}") for kind in ROUGE_TYPES),
    ("words", lambda each: each["mean_words"], "{:.1f}"),
    ("novel %", lambda each: 100 * each["novelty"], "{:.1f}"),
    ("own loss", lambda each: each["reconstruction_loss"], "{:.2f}"),
    ("loss", _judge("reconstruction_loss"), "{:.2f}"),
    ("reader", _judge("readability"), "{:.2f}"),
]


def table_text(content: dict[str, Any]) -> str:
    """Markdown: the warm-up, every row that is done, the leads, the ranges over seeds, and what rows are.

    Args:
        content: what :meth:`textae.ablation.Ablation.write_table` writes as JSON.
    """
    rows: dict[str, dict[int, _Figures]] = content["rows"]
    lines = [["row", "seeds", *(title for title, _, _ in _COLUMNS), "audit", "read.", "min"]]
    if content["warm_up"]:
        lines.append(_cells("(warm-up)", list(content["warm_up"].values())))
    lines += [_cells(name, _measured(found)) for name, found in rows.items()]
    lines += [_cells(f"({name})", found) for name, found in _leads(rows).items()]
    text = [*aligned(lines), "", *_legend(content)]
    ranges = [_range(name, found) for name in rows if len(found := _measured(rows[name])) > 1]
    if ranges:
        text += ["", *aligned([["lowest to highest", *(title for title, _, _ in _COLUMNS)], *ranges])]
    diverged = [
        f"* **{name}**, seed {seed}: {each['diverged']}"
        for name, found in rows.items()
        for seed, each in found.items()
        if "diverged" in each
    ]
    said = [f"* **{name}**: {content['what'][name]}" for name in rows if content["what"].get(name)]
    for part in (diverged, said):
        if part:
            text += ["", *part]
    return "\n".join(text) + "\n"


def _measured(found: dict[int, _Figures]) -> list[_Figures]:
    return [each for each in found.values() if "diverged" not in each]


def _leads(rows: dict[str, dict[int, _Figures]]) -> dict[str, list[_Figures]]:
    """The baselines by name, for each seed of the first row that has figures: its networks judge them."""
    leads: dict[str, list[_Figures]] = {}
    for each in next((measured for found in rows.values() if (measured := _measured(found))), []):
        for name, lead in each["leads"].items():
            leads.setdefault(name, []).append({**lead, "reconstruction_loss": None, "judge": lead})
    return leads


def _cells(name: str, found: list[_Figures]) -> list[str]:
    """One row: means over its seeds; of the audit the verdict, or the verdicts if seeds differ."""
    audits = [each["audit"]["verdict"] for each in found if each.get("audit")]
    return [
        name,
        str(len(found)),
        *(_mean(map(figure, found), form) for _, figure, form in _COLUMNS),
        ", ".join(dict.fromkeys(verdict["name"] for verdict in audits)),
        _mean((verdict["readability"] for verdict in audits), "{:.2f}"),
        _mean((each["seconds"] / 60 if "seconds" in each else None for each in found), "{:.1f}"),
    ]


def _mean(values: Iterable[float | None], form: str) -> str:
    """The mean of what is known; nothing if nothing is."""
    known = [value for value in values if value is not None]
    return form.format(sum(known) / len(known)) if known else ""


def _range(name: str, found: list[_Figures]) -> list[str]:
    cells = [name]
    for _, figure, form in _COLUMNS:
        known = [value for value in map(figure, found) if value is not None]
        cells.append(f"{form.format(min(known))} to {form.format(max(known))}" if known else "")
    return cells


def _legend(content: dict[str, Any]) -> list[str]:
    lines = [
        f"ROUGE: stemmed F1, {content['evaluate_documents']} pairs of valid, spread evenly; means of seeds;",
        "novel %: words not in the document; own loss: reconstruction by the row's own reconstructor, nats",
        "per document token; loss and reader: the same, and the probability of human, by one judge for all,",
        "the first row's networks of the same seed (leads: mean over these judges);",
    ]
    if content["audit"]:
        beams = content["audit"].get("num_beams")
        searched = "" if beams is None else f" (of summaries with decoding.num_beams = {beams})"
        lines += [
            f"audit: verdict{searched},",
            "read.: readability to a fresh reader over that of first words;",
        ]
    lines.append("min: minutes of training, those of rows without their warm-up.")
    codes = dict.fromkeys(
        f"commit {code['commit'] or 'unknown'}, {code['processor']}, threads: {code['threads']}"
        for found in content["rows"].values()
        for code in (each["code"] for each in found.values())
    )
    return [*lines, *(f"Code and machine: {code}." for code in codes)]
