"""A report as a Markdown table that also reads well on a terminal."""

from collections.abc import Callable, Sequence
from typing import Any

from textae.evaluation.scoring import ROUGE_TITLES

_Row = dict[str, Any]


def _percent(key: str) -> Callable[[_Row], str]:
    return lambda row: _number(row, key, "{:.1f}", 100.0)


def _plain(key: str, form: str = "{:.2f}") -> Callable[[_Row], str]:
    return lambda row: _number(row, key, form, 1.0)


def _number(row: _Row, key: str, form: str, scale: float) -> str:
    value = row.get(key)
    return "" if value is None else form.format(scale * value)


def _with_interval(kind: str) -> Callable[[_Row], str]:
    def cell(row: _Row) -> str:
        if "intervals" not in row:  # a range over seeds
            return f"{row[kind]:.2f}"
        low, high = row["intervals"][kind]
        return f"{row[kind]:.2f} ± {(high - low) / 2:.2f}"

    return cell


def _columns(tokens: str, intervals: Sequence[str]) -> list[tuple[str, str, Callable[[_Row], str]]]:
    return [
        *(
            (kind, title, _with_interval(kind) if kind in intervals else _plain(kind))
            for kind, title in ROUGE_TITLES.items()
        ),
        ("mean_words", "chars" if tokens == "characters" else "words", _plain("mean_words", "{:.1f}")),
        ("length_error", "off", _plain("length_error")),
        ("novelty", "novel %", _percent("novelty")),
        ("compression", "compr.", _plain("compression")),
        ("distinct", "distinct %", _percent("distinct")),
        ("reconstruction_loss", "loss", _plain("reconstruction_loss", "{:.3f}")),
        ("readability", "reader", _plain("readability", "{:.3f}")),
    ]


def markdown_table(report: dict[str, Any], intervals: Sequence[str] = ("rouge1",)) -> str:
    """Lay out a report of :mod:`textae.evaluation.report` as a Markdown table of up to 110 columns.

    Takes the report of a model (one row for each system) or the flat one of a predictions file
    (one row). Columns for which no row has a figure are left out. ``intervals`` names the ROUGE types
    whose interval is printed (more columns for more of them). A system that was scored on fewer examples
    than the first has their number beside its name. Beneath stands the protocol, without which the
    figures mean little.
    """
    systems: dict[str, _Row] = report.get("systems") or {"predictions": report}
    protocol: _Row = report.get("protocol") or report
    columns = [
        (title, cell)
        for key, title, cell in _columns(protocol["tokens"], intervals)
        if any(row.get(key) is not None for row in systems.values())
    ]
    rows = [["system", *(title for title, _ in columns)]]
    count = next(iter(systems.values()))["count"]
    for name, row in systems.items():
        fewer = "" if row.get("count", count) == count else f" ({row['count']:,} examples)"
        rows.append([f"{name}{fewer}", *(cell(row) for _, cell in columns)])
    legend = _legend([title for title, _ in columns])
    return "\n".join([*aligned(rows), "", _protocol_line(protocol, count), *legend])


def aligned(rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table: the first row is its head, columns but the first are set to the right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [lines[0], _line(rule, widths), *lines[1:]]


def _line(cells: list[str], widths: list[int]) -> str:
    figures = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([cells[0].ljust(widths[0]), *figures]) + " |"


def _protocol_line(protocol: _Row, count: int) -> str:
    measure = {"f1": "F1", "recall": "recall"}[protocol["measure"]]
    parts = [f"ROUGE {'stemmed ' if protocol['stemmer'] else ''}{measure}"]
    if protocol["byte_limit"] is not None:
        parts.append(f"first {protocol['byte_limit']} bytes")
    parts.append(f"tokens: {protocol['tokens']}")
    parts.append("mean over references" if protocol["multiple"] == "average" else "best reference")
    parts.append(f"{count:,} examples")
    parts.append("± half the 95% bootstrap interval")
    return ", ".join(parts) + "."


def _legend(titles: list[str]) -> list[str]:
    meanings = {
        "off": "words from the wanted length",
        "novel %": "words not in the document",
        "compr.": "summary per document words",
        "distinct %": "different summaries",
        "loss": "reconstruction, nats per document token",
        "reader": "probability of human",
    }
    said = [f"{title}: {meanings[title]}" for title in titles if title in meanings]
    half = (len(said) + 1) // 2
    return [line for part in (said[:half], said[half:]) if (line := "; ".join(part))]


def example_text(report: dict[str, Any]) -> str:
    """The report's examples as text: a paragraph each, its parts on lines of their own."""
    paragraphs = []
    for number, example in enumerate(report.get("examples", []), start=1):
        lines = [f"{number}. {name + ':':<16}{example[name]}" for name in example]
        paragraphs.append("\n".join([lines[0], *("   " + line.split(". ", 1)[1] for line in lines[1:])]))
    return "\n\n".join(paragraphs)
