"""The tables of a recipe's results as Markdown, from what their JSON file holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textae.evaluation.scoring import ROUGE_TITLES, ROUGE_TYPES
from textae.evaluation.tables import aligned, markdown_table


def results_text(content: Mapping[str, Any], picture: str) -> str:
    """Markdown: how the runs were made, all systems, comparisons, lengths, samples, and the picture.

    Args:
        content: what :func:`textae.results.write_results` writes as JSON.
        picture: name of the file with the curves, in the same folder.
    """
    unit = "characters" if content["protocol"]["tokens"] == "characters" else "words"
    parts = [
        [f"# {Path(content['recipe']).stem}: figures", "", *_how(content["how"])],
        ["## Systems", "", _data_line(content["protocol"]), "", markdown_table(_shown(content), ROUGE_TYPES)],
        ["## Differences", "", *_differences(content["comparisons"])],
    ]
    if content["lengths"]:
        parts.append([f"## Lengths in {unit}", "", *_lengths(content, unit)])
    if content["samples"]:
        parts.append(["## Samples", "", *_samples(content["samples"])])
    parts.append(["## Curves", "", f"![Learning curves]({picture})"])
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _how(how: Mapping[str, Any]) -> list[str]:
    rows = [["run", "steps", "best", "minutes", "commit", "textae", "torch", "threads", "machine"]]
    for run in how["runs"]:
        steps = f"{run['warmup_steps']} + {run['adversarial_steps']}"
        best = "" if run["best_step"] is None else str(run["best_step"])
        rows.append(
            [
                run["name"],
                steps,
                best,
                "not recorded" if run["seconds"] is None else f"{run['seconds'] / 60:.1f}",
                _told(run, "commit") or "not recorded",
                *(_told(run, key) for key in ("textae", "torch", "threads")),
                " on ".join(filter(None, (_told(run, "accelerator"), _told(run, "processor")))),
            ]
        )
    commands = [run["command"] for run in how["runs"]]
    here = how["evaluated"]
    return [
        "```bash",
        *commands,
        "```",
        "",
        *aligned(rows),
        "",
        f"Steps of warm-up and of the adversarial phase; best: the step whose model is kept, by its score on "
        f"valid. Figures by textae {here['textae']}, commit {here['commit'] or 'not recorded'}.",
    ]


def _told(run: Mapping[str, Any], key: str) -> str:
    """What the parts of a run tell, each different thing once."""
    told = [str(part[key]) for part in run["parts"] if part.get(key) is not None]
    return ", ".join(dict.fromkeys(told))


def _data_line(protocol: Mapping[str, Any]) -> str:
    limit = "" if protocol["limit"] is None else f", {protocol['count']:,} rows spread evenly"
    return (
        f"On {', '.join(protocol['data'])}{limit}. Loss and reader are the model's own; of leads and outputs "
        "of other systems, those of the first run's trained model."
    )


def _shown(content: Mapping[str, Any]) -> dict[str, Any]:
    """The report with the ranges over seeds as rows beneath their means."""
    rows: dict[str, Any] = {}
    for name, row in content["systems"].items():
        rows[name] = row
        if name in content["ranges"]:
            rows[name.replace("mean of", "highest less lowest of")] = content["ranges"][name]
    return {"systems": rows, "protocol": content["protocol"]}


def _differences(comparisons: list[dict[str, Any]]) -> list[str]:
    rows = [["system", "against", "examples", *(f"{title}, p" for title in ROUGE_TITLES.values())]]
    for one in comparisons:
        cells = []
        for kind in ROUGE_TYPES:
            found = one[kind]
            low, high = found["interval"]
            cells.append(f"{found['difference']:+.2f} [{low:+.2f}, {high:+.2f}] {found['p_value']:.3f}")
        rows.append([one["system"], one["against"], f"{one['count']:,}", *cells])
    return [
        *aligned(rows),
        "",
        "Paired bootstrap on the same examples: difference, its 95% interval, two-sided p. A mean of "
        "seeds has each example's mean score.",
    ]


def _lengths(content: Mapping[str, Any], unit: str) -> list[str]:
    rows = [["asked", "mean", "off", "over %", *ROUGE_TITLES.values(), "lead R-1"]]
    for row in content["lengths"]:
        rows.append(
            [
                str(row["words"]),
                f"{row['mean_words']:.2f}",
                f"{row['length_error']:.2f}",
                f"{100 * row['share_over']:.1f}",
                *(f"{row[kind]:.2f}" for kind in ROUGE_TYPES),
                f"{row['lead_rouge1']:.2f}",
            ]
        )
    return [
        *aligned(rows),
        "",
        f"The trained model of {content['how']['runs'][0]['name']}; off: mean distance from the asked "
        f"length in {unit}; over: summaries that are longer; lead R-1: that of as many first {unit}.",
    ]


def _samples(samples: list[dict[str, Any]]) -> list[str]:
    """In a block of plain text, because a summary may hold what means something in Markdown."""
    lines = ["Rows 0, 100, 200 and so on of what was scored, whatever stands there.", "", "~~~text"]
    for sample in samples:
        lines.append(f"row {sample['row']}" + ("" if sample["id"] is None else f", {sample['id']}"))
        for name in ("document", "references", "summary", "reconstruction"):
            if name in sample:
                text = sample[name] if isinstance(sample[name], str) else " // ".join(sample[name])
                lines.append(f"  {name + ':':<16}{text}")
    return [*lines, "~~~"]
