"""Probes of codes: what can be told is told, what cannot is near chance."""

import numpy as np
import pytest

from textae.evaluation.probes import area_under_curve, topic_accuracy


def test_classes_that_lie_apart_are_told_from_a_few_labels():
    generator = np.random.default_rng(0)
    labels = ["a", "b", "c"] * 40
    centres = {"a": [5.0, 0, 0], "b": [0, 5.0, 0], "c": [0, 0, 5.0]}
    vectors = np.array([centres[label] for label in labels]) + generator.normal(size=(120, 3))
    noise = generator.normal(size=(120, 3))
    known = topic_accuracy(vectors[:60], labels[:60], vectors[60:], labels[60:], labels=(5, 0), draws=3)
    unknown = topic_accuracy(noise[:60], labels[:60], noise[60:], labels[60:], labels=(5, 0), draws=3)
    assert [result.labels for result in known] == [5, 0]
    assert all(result.mean > 95 for result in known)
    assert all(15 < result.mean < 55 for result in unknown)
    assert known[1].deviation == 0.0
    again = topic_accuracy(vectors[:60], labels[:60], vectors[60:], labels[60:], labels=(5, 0), draws=3)
    assert again == known


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    # Of six pairs 3 > 1, 3 > 2, 3 = 3 (a half), 1.5 > 1 are in order.
    assert area_under_curve([1.0, 2.0, 3.0], [3.0, 1.5]) == pytest.approx(3.5 / 6)
