"""Pictures of codes: drawn where they should be, and the numbers in them right."""

import sys

import numpy as np
import pytest

from textae.errors import InputError
from textae.evaluation import pictures
from textae.evaluation.pictures import draw_losses, draw_map, draw_rates, project

PNG = b"\x89PNG"


def test_the_plane_of_largest_variance_is_found():
    generator = np.random.default_rng(0)
    plane = generator.normal(size=(50, 2)) * [5.0, 2.0]
    vectors = np.zeros((50, 4))
    vectors[:, [2, 0]] = plane
    points = project(vectors + 7.0)
    assert points.shape == (50, 2)
    distances = np.linalg.norm(plane[:, None] - plane[None], axis=-1)
    assert np.allclose(np.linalg.norm(points[:, None] - points[None], axis=-1), distances)
    assert points[:, 0].var() > points[:, 1].var()
    assert np.allclose(points, project(vectors))


def test_other_methods_need_their_packages(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(12, 4))
    assert project(vectors, "tsne").shape == (12, 2)
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match="--method tsne needs scikit-learn"):
        project(vectors, "tsne")
    with pytest.raises(InputError, match="--method umap needs umap-learn"):
        project(vectors, "umap")
    with pytest.raises(InputError, match="at least 3 documents, not 2"):
        project(vectors[:2])


def test_rare_kinds_share_a_colour():
    kinds = [str(number) for number in range(9) for _ in range(10 - number)]
    groups = pictures._groups(kinds, len(kinds))
    assert list(groups) == ["0", "1", "2", "3", "4", "5", "others"]
    assert len(groups["others"]) == 4 + 3 + 2
    assert sorted(i for members in groups.values() for i in members) == list(range(len(kinds)))
    assert pictures._groups(None, 3) == {"": [0, 1, 2]}


def test_every_picture_is_drawn(tmp_path):
    points = np.random.default_rng(0).normal(size=(6, 2))
    draw_map(points, list("aabbbc"), tmp_path / "kinds.png", "title")
    draw_map(points, None, tmp_path / "plain.svg")
    draw_losses({"normal": [1.0, 2.0], "judged": [2.0, 3.0, 4.0]}, 2.5, tmp_path / "losses.png")
    draw_rates({"discrete": [(0.2, 30.0), (0.1, 20.0)], "text": [(0.3, 25.0)]}, tmp_path / "r.pdf", "ROUGE-L")
    assert (tmp_path / "kinds.png").read_bytes().startswith(PNG)
    assert (tmp_path / "losses.png").read_bytes().startswith(PNG)
    assert b"<svg" in (tmp_path / "plain.svg").read_bytes()
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(tmp_path.iterdir())) == 4


def test_what_is_no_picture_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a picture ends in .png, .svg, .pdf"):
        draw_map(np.zeros((3, 2)), None, tmp_path / "map.txt")
