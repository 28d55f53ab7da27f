"""The learning curves of runs as a picture, out of each run's ``metrics.jsonl``."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textae.errors import InputError
from textae.evaluation.files import check_writable, write_bytes
from textae.evaluation.scoring import ROUGE_TITLES
from textae.settings import load_config

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
# The seven of Okabe and Ito (2008) that can be told apart on white with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# Inches and dots per inch: 1200 x 800.
_SIZE, _DPI = (12.0, 8.0), 100


@dataclass
class Curves:
    """What one run wrote down while it trained."""

    warmup_steps: int
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """By the metric's name: (step, value), in the order of steps."""

    def get(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of a metric; both empty where the run has none of it."""
        found = self.points.get(name, [])
        return [step for step, _ in found], [value for _, value in found]

    def best_step(self) -> int | None:
        """The step whose model the run kept as its best on valid: of the adversarial phase, if there is one.

        The first of several that are equal, as in training; None if nothing was scored.
        """
        scored = self.points.get("valid/score", [])
        later = [point for point in scored if point[0] > self.warmup_steps] or scored
        return max(later, key=lambda point: point[1])[0] if later else None


def read_curves(run: str | Path) -> Curves:
    """Read ``config.yaml`` and ``metrics.jsonl`` in the folder of a run, a running one too.

    Raises:
        InputError: if either is missing or damaged, or there is no metric yet.
    """
    file = Path(run) / "metrics.jsonl"
    if not file.is_file():
        raise InputError(f"{run}: this is no folder of a run, metrics.jsonl is missing; name run.output.")
    curves = Curves(load_config(Path(run) / "config.yaml").warmup.steps)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: this is no file of metrics, it is not UTF-8.") from error
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
            step = int(values.pop("step"))
            values = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            if number == len(lines):  # which a running training may be writing just now
                break
            raise InputError(f"{file}, line {number}: this is no line of metrics; remove it.") from error
        for name, value in values.items():
            curves.points.setdefault(name, []).append((step, value))
    if not curves.points:
        raise InputError(f"{file}: there is nothing to draw yet; wait for the first metrics of the run.")
    return curves


def require_matplotlib() -> None:
    """Find out before the work whether a picture could be drawn.

    Raises:
        InputError: if matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError('drawing needs matplotlib: pip install "textae[plots]"') from error


def draw_curves(
    runs: Mapping[str, str | Path],
    path: str | Path,
    *,
    lengths: Sequence[Mapping[str, Any]] = (),
    unit: str = "words",
    title: str | None = None,
) -> None:
    """Draw the learning curves of runs, a colour each, as a picture of 1200 x 800.

    ROUGE on valid, reconstruction, reader and length against steps, with the end of warm-up marked.

    Args:
        runs: folders by the names that the legend shall have.
        path: a file that ends in .png, .svg or .pdf.
        lengths: rows of :func:`~textae.evaluation.systems.length_row`, of the first run; two more
            panels show them.
        unit: what lengths are counted in.
        title: stands above everything.

    Raises:
        InputError: if a run cannot be read, the file cannot be written, or matplotlib is missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: the picture's name must end in one of {', '.join(SUFFIXES)}.")
    check_writable(path)
    curves = {name: read_curves(folder) for name, folder in runs.items()}
    require_matplotlib()
    # The figure itself, without pyplot: nothing global is set, and Agg draws it.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(2, 3 if lengths else 2)
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(curves)}
    _draw_rouge(panels[0][0], curves, colours)
    _draw_two(
        panels[0][1],
        curves,
        colours,
        "Reconstruction",
        ("loss/reconstructor", "loss, nats per token"),
        ("reward/reconstruction", "reward"),
    )
    _draw_two(
        panels[1][0],
        curves,
        colours,
        "Reader (discriminator)",
        ("discriminator/accuracy", "accuracy"),
        ("reward/reader", "reward"),
    )
    _draw_length(panels[1][1], curves, colours, unit)
    if lengths:
        of = f" ({next(iter(curves))})" if len(curves) > 1 else ""
        _draw_asked(panels[0][2], panels[1][2], lengths, unit, of)
    finish(figure, panels[:, :2].flatten().tolist(), curves, colours, title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix[1:], dpi=_DPI)
    write_bytes(path, buffer.getvalue())


def _draw_rouge(axes: "Axes", curves: Mapping[str, Curves], colours: Mapping[str, str]) -> None:
    axes.set_title("ROUGE on valid")
    axes.set_ylabel("percent")
    for name, run in curves.items():
        for kind in ROUGE_TITLES:
            steps, values = run.get(f"valid/{kind}")
            axes.plot(steps, values, color=colours[name], marker="o", markersize=3.5, linewidth=1.5)
    for kind in ROUGE_TITLES:
        # Beside the last points, where the lines of all runs are near each other.
        ends = [
            (steps[-1], values[-1])
            for steps, values in (run.get(f"valid/{kind}") for run in curves.values())
            if steps
        ]
        if ends:
            last = max(step for step, _ in ends)
            _name_line(axes, kind, last, sum(value for _, value in ends) / len(ends))
    _say_if_empty(axes, "nothing was scored on valid")


def _draw_two(
    axes: "Axes",
    curves: Mapping[str, Curves],
    colours: Mapping[str, str],
    title: str,
    solid: tuple[str, str],
    dashed: tuple[str, str],
) -> None:
    """Two metrics of different units in one panel: the first on the left, the second on the right."""
    axes.set_title(title)
    axes.set_ylabel(f"{solid[1]} (solid)")
    for name, run in curves.items():
        axes.plot(*run.get(solid[0]), color=colours[name], linewidth=1.5)
    _say_if_empty(axes, "no metrics")
    if any(run.get(dashed[0])[0] for run in curves.values()):
        right = axes.twinx()
        right.set_ylabel(f"{dashed[1]} (dashed)")
        right.spines["top"].set_visible(False)
        for name, run in curves.items():
            right.plot(*run.get(dashed[0]), color=colours[name], linewidth=1.2, linestyle="--")


def _draw_length(axes: "Axes", curves: Mapping[str, Curves], colours: Mapping[str, str], unit: str) -> None:
    axes.set_title("Mean length of summaries")
    axes.set_ylabel(f"{unit} (dots: on valid; line: sampled)")
    for name, run in curves.items():
        axes.plot(*run.get("summary/words"), color=colours[name], linewidth=1.5)
        axes.plot(
            *run.get("valid/mean_words"), color=colours[name], marker="o", linestyle="none", markersize=5
        )
    _say_if_empty(axes, "no metrics")


def _draw_asked(
    upper: "Axes", lower: "Axes", lengths: Sequence[Mapping[str, Any]], unit: str, of: str
) -> None:
    """The first run's model, in its colour, when it is asked for one length after the other."""
    asked = [row["words"] for row in lengths]
    upper.set_title(f"Lengths asked for{of}")
    upper.set_ylabel(unit)
    upper.plot(asked, asked, color="0.6", linewidth=1.0, linestyle=":", label="as asked")
    upper.plot(asked, [row["mean_words"] for row in lengths], color=COLOURS[0], marker="o", label="mean")
    errors = [row["length_error"] for row in lengths]
    upper.bar(asked, errors, color="0.6", width=0.5, label="mean absolute error")
    upper.set_ylim(0, 1.45 * max(*asked, *(row["mean_words"] for row in lengths)))  # room for the legend
    upper.legend(fontsize=9, frameon=False, loc="upper left")
    lower.set_title(f"ROUGE by length{of}")
    lower.set_ylabel("percent")
    for kind in ROUGE_TITLES:
        values = [row[kind] for row in lengths]
        lower.plot(asked, values, color=COLOURS[0], marker="o", markersize=3.5, linewidth=1.5)
        _name_line(lower, kind, asked[-1], values[-1])
    for axes in (upper, lower):
        axes.set_xlabel(f"{unit} asked for")
        axes.set_xlim(asked[0] - 0.7, asked[-1] + 0.05 * len(asked) + 0.7)
        axes.set_xticks(asked if len(asked) <= 12 else asked[:: -(-len(asked) // 12)])
        _plain(axes)


def _name_line(axes: "Axes", kind: str, x: float, y: float) -> None:
    axes.annotate(
        ROUGE_TITLES[kind],
        (x, y),
        xytext=(6, 0),
        textcoords="offset points",
        verticalalignment="center",
        fontsize=9,
    )


def finish(
    figure: "Figure",
    panels: Sequence["Axes"],
    curves: Mapping[str, Curves],
    colours: Mapping[str, str],
    title: str | None,
) -> None:
    """Steps, the end of warm-up, and one legend for all panels."""
    from matplotlib.lines import Line2D

    last = max(step for run in curves.values() for found in run.points.values() for step, _ in found)
    # Where there is only one phase its end is the picture's.
    ends = sorted({run.warmup_steps for run in curves.values() if 0 < run.warmup_steps < last})
    for axes in panels:
        axes.set_xlabel("step")
        axes.set_xlim(0, last * 1.1)
        for end in ends:
            axes.axvline(end, color="0.6", linewidth=1.0, linestyle=":", zorder=0)
        _plain(axes)
    handles = [Line2D([], [], color=colours[name], linewidth=2.0, label=name) for name in curves]
    if ends:
        handles.append(Line2D([], [], color="0.6", linewidth=1.0, linestyle=":", label="end of warm-up"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False)
    if title:
        figure.suptitle(title, fontsize=13)


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)


def _say_if_empty(axes: "Axes", sentence: str) -> None:
    if not any(len(line.get_xdata()) for line in axes.get_lines()):  # type: ignore[arg-type]
        axes.text(0.5, 0.5, sentence, transform=axes.transAxes, horizontalalignment="center", color="0.4")
