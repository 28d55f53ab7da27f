"""The learning curves of runs whose code is numbers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from textae.evaluation.curves import COLOURS, finish, read_curves
from textae.evaluation.pictures import check_picture, new_figure, save_figure
from textae.settings import load_config

# What each measure of a code is called in a picture; others by their own names.
_TITLES = {
    "loss/reconstructor": ("Reconstruction", "nats per token (dots: on valid)"),
    "loss/bag": ("Words in no order", "nats per token"),
    "code/kl": ("Divergence from the prior", "nats per document"),
    "code/active_units": ("Active units", "numbers"),
    "code/perplexity": ("Codes in use", "perplexity, mean over codebooks"),
    "code/distance": ("Distance from the codebook", "mean square"),
    "code/content_tells_source": ("Content tells the source", "accuracy"),
    "code/style_tells_source": ("Style tells the source", "accuracy"),
}
_COLUMNS = 2


def draw_code_curves(runs: Mapping[str, str | Path], path: str | Path, *, title: str | None = None) -> None:
    """Draw how restoring was learned, and what each code tells of itself, a panel for each measure.

    Args:
        runs: folders of runs by the names that the legend gives them.
        path: the picture.
        title: stands above it.

    Raises:
        InputError: if a run cannot be read, the file cannot be written, or matplotlib is missing.
    """
    check_picture(path)
    curves = {name: read_curves(folder) for name, folder in runs.items()}
    measures = [name for name in _TITLES if any(run.points.get(name) for run in curves.values())]
    rows = -(-len(measures) // _COLUMNS)
    figure = new_figure((12.0, 4.0 * rows))
    panels = list(np.ravel(figure.subplots(rows, _COLUMNS, squeeze=False)))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(curves)}
    for measure, axes in zip(measures, panels, strict=False):
        heading, unit = _TITLES[measure]
        axes.set(title=heading, ylabel=unit)
        for name, run in curves.items():
            axes.plot(*run.get(measure), color=colours[name], linewidth=1.6)
            if measure == "loss/reconstructor":
                axes.plot(*run.get("valid/loss"), "o", color=colours[name], markersize=4)
        if measure.startswith("code/"):
            axes.set_ylim(bottom=0)
    for axes in panels[len(measures) :]:
        axes.remove()
    finish(figure, panels[: len(measures)], curves, colours, title)
    save_figure(figure, path)


def is_code_run(folder: str | Path) -> bool:
    """Whether a run's code is numbers.

    Raises:
        InputError: if its settings cannot be read.
    """
    return not load_config(Path(folder) / "config.yaml").code.is_text
