"""Pictures of codes: a map of embeddings, losses of anomalies, rate against loss of compression."""

import io
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from textae.errors import InputError
from textae.evaluation.curves import COLOURS, SUFFIXES, require_matplotlib
from textae.evaluation.files import check_writable, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHODS = ("pca", "tsne", "umap")
# More kinds than colours that can be told apart share the last one.
_OTHERS = "others"


def check_picture(path: str | Path) -> None:
    """Find out before the work that a picture cannot be drawn there.

    Raises:
        InputError: if the extension is none of a picture, the file cannot be written, or matplotlib is
            missing.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a picture ends in {', '.join(SUFFIXES)}; name it so.")
    require_matplotlib()
    check_writable(path)


def project(vectors: np.ndarray, method: str = "pca", seed: int = 0) -> np.ndarray:
    """Vectors (N, D) on a plane (N, 2).

    ``pca`` needs nothing else, ``tsne`` (van der Maaten and Hinton 2008) scikit-learn, ``umap`` (McInnes et
    al. 2018) umap-learn.

    Raises:
        InputError: if there are fewer than three vectors, or a package is missing.
    """
    if len(vectors) < 3:
        raise InputError(f"A map wants at least 3 documents, not {len(vectors)}.")
    centred = vectors - vectors.mean(axis=0)
    if method == "pca":
        directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
        # The sign of a direction is arbitrary; its largest number is made positive, so that maps repeat.
        signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
        points: np.ndarray = centred @ (directions * signs[:, None]).T
        return points
    try:
        if method == "tsne":
            from sklearn.manifold import TSNE

            reducer: Any = TSNE(random_state=seed, perplexity=min(30.0, (len(vectors) - 1) / 3))
        else:
            reducer = import_module("umap").UMAP(random_state=seed)
    except ImportError as error:
        needed = "scikit-learn" if method == "tsne" else "umap-learn"
        raise InputError(f'--method {method} needs {needed}: pip install "textae[maps]"') from error
    return np.asarray(reducer.fit_transform(centred))


def draw_map(points: np.ndarray, kinds: Sequence[str] | None, path: str | Path, title: str = "") -> None:
    """Draw documents (N, 2) as points, coloured by what kind each is.

    The six most frequent kinds have colours of their own.

    Raises:
        InputError: as :func:`check_picture`.
    """
    check_picture(path)
    axes = _axes()
    groups = _groups(kinds, len(points))
    for (name, members), colour in zip(groups.items(), COLOURS, strict=False):
        label = f"{name} ({len(members):,})" if kinds is not None else None
        axes.scatter(
            points[members, 0], points[members, 1], s=9, color=colour, alpha=0.6, linewidths=0, label=label
        )
    if kinds is not None:
        axes.legend(markerscale=2, frameon=False)
    axes.set(xticks=[], yticks=[], title=title)
    _write(axes, path)


def _groups(kinds: Sequence[str] | None, count: int) -> dict[str, list[int]]:
    if kinds is None:
        return {"": list(range(count))}
    members: dict[str, list[int]] = {}
    for i, kind in enumerate(kinds):
        members.setdefault(kind, []).append(i)
    ranked = sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
    most = len(COLOURS) - 1
    groups = dict(ranked[:most] if len(ranked) > len(COLOURS) else ranked)
    rest = [i for _, numbers in ranked[len(groups) :] for i in numbers]
    return groups | ({_OTHERS: rest} if rest else {})


def draw_losses(losses: Mapping[str, Sequence[float]], threshold: float, path: str | Path) -> None:
    """Draw how losses are spread over the documents of each kind, and the limit between them.

    Raises:
        InputError: as :func:`check_picture`.
    """
    check_picture(path)
    axes = _axes()
    everything = np.concatenate([np.asarray(values) for values in losses.values()])
    edges = np.linspace(everything.min(), everything.max() + 1e-9, 41)
    for (name, values), colour in zip(losses.items(), COLOURS, strict=False):
        shares = np.histogram(values, edges)[0] / len(values)
        axes.stairs(shares, edges, color=colour, linewidth=1.8, label=f"{name} ({len(values):,})")
    axes.axvline(threshold, color="black", linestyle="--", linewidth=1)
    axes.annotate(
        f" limit {threshold:.2f}", (threshold, 1), xycoords=("data", "axes fraction"), va="top", fontsize=9
    )
    axes.set(xlabel="reconstruction loss, nats per token", ylabel="share of documents")
    axes.legend(frameon=False)
    _write(axes, path)


def draw_rates(systems: Mapping[str, Sequence[tuple[float, float]]], path: str | Path, measure: str) -> None:
    """Draw what comes back against the bits that it takes: (bits a character, measure) of each system.

    Raises:
        InputError: as :func:`check_picture`.
    """
    check_picture(path)
    axes = _axes()
    for (name, points), colour in zip(systems.items(), COLOURS, strict=False):
        ranked = sorted(points)
        axes.plot(*zip(*ranked, strict=True), "o-", color=colour, label=name)
    axes.set(xlabel="bits a character", ylabel=measure)
    axes.legend(frameon=False)
    _write(axes, path)


def new_figure(size: tuple[float, float]) -> "Figure":
    """A figure of its own, without pyplot: nothing global is set; ``size`` in inches of 100 dots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix.lower().removeprefix("."))
    write_bytes(path, buffer.getvalue())


def _axes() -> "Axes":
    axes = new_figure((8.0, 6.0)).add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _write(axes: "Axes", path: str | Path) -> None:
    figure: Any = axes.figure
    save_figure(figure, path)
