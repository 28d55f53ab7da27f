"""What an audit found, as Markdown tables that also read well on a terminal."""

from typing import Any

from textae.evaluation.collapse import SIGNS, form
from textae.evaluation.tables import aligned
from textae.evaluation.verdict import CODES, READERS

_TITLES = {"summary": "summary", "lead": "first words"}


def audit_text(report: dict[str, Any]) -> str:
    """The losses of :func:`~textae.evaluation.audit.audit_model`, its verdict, and its collapse report."""
    losses, protocol = report["losses"], report["protocol"]
    columns = [(code, reader) for code in CODES for reader in READERS]
    rows = [["loss", *(f"{_TITLES[code]}, {reader}" for code, reader in columns)]]
    for condition in losses["summary"]["trained"]:
        rows.append([condition, *(f"{losses[code][reader][condition]:.3f}" for code, reader in columns)])
    rows.append(["worth", *(f"{report['verdict']['worth'][code][reader]:.3f}" for code, reader in columns)])
    legend = [
        "Reconstruction loss, nats per document token, "
        f"{protocol['held_out']:,} documents; fresh readers learned from {protocol['trained_on']:,} others",
        f"in {protocol['steps']:,} steps, seed {protocol['seed']}. First words: as many as the summary has. "
        f"Dropped: {protocol['dropped']:.0%} of the words;",
        "others: another document's; worth: the least loss of others and empty in any column, minus written.",
    ]
    parts = ["\n".join(aligned(rows)), "\n".join(legend), "\n".join(report["verdict"]["sentences"])]
    return "\n\n".join([*parts, collapse_text(report["collapse"])])


def collapse_text(report: dict[str, Any]) -> str:
    """The figures, frequent texts and warnings of :func:`~textae.evaluation.collapse.collapse_report`."""
    rows = [["sign", "figure", "fine"]]
    for name, value in report["figures"].items():
        sign = SIGNS[name]
        bound = "" if sign.bound is None else f"{'>=' if sign.least else '<='} {form(sign, sign.bound)}"
        rows.append([sign.title, form(sign, value), bound])
    parts = ["\n".join(aligned(rows))]
    lines = [f"{report['count']:,} summaries."]
    for title, name in (("First words", "first_words"), ("Last words", "last_words")):
        if found := report[name]:
            lines.append(f"{title}: " + ", ".join(f"{one['text']} ({one['count']:,})" for one in found) + ".")
    parts.append("\n".join(lines))
    if report["most_repeated"]:
        repeated = [f"{one['count']:>7,} x {one['text']}" for one in report["most_repeated"]]
        parts.append("\n".join(["Most repeated:", *repeated]))
    warnings = [f"Sign of collapse: {warning}." for warning in report["warnings"]]
    parts.append("\n".join(warnings or ["No sign of collapse."]))
    return "\n\n".join(parts)
