"""What a code is worth: topics told from few labels, anomalies told from normal text, beside plain baselines.

Needs scikit-learn, which is in the extra ``measure``.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ProbeResult:
    """Accuracy in percent over draws of labelled documents.

    Attributes:
        labels: labelled documents of each class; 0 for all there are.
        mean: of the draws.
        deviation: standard deviation over the draws.
    """

    labels: int
    mean: float
    deviation: float


def topic_accuracy(
    train: Any,
    train_labels: Sequence[str],
    test: Any,
    test_labels: Sequence[str],
    *,
    labels: Sequence[int] = (10, 50, 200, 0),
    draws: int = 20,
    seed: int = 0,
) -> list[ProbeResult]:
    """Logistic regression from a few labelled documents of each class, several times.

    Features are brought to unit length, as cosines are what they are compared by elsewhere. The
    strength of regularisation is chosen by cross-validation on the labelled documents alone, for every
    representation from the same values.

    Args:
        train: (N, D) features of documents that may be labelled, sparse or not.
        train_labels: their classes.
        test: (T, D) features.
        test_labels: their classes.
        labels: how many documents of each class; 0 takes all, in one draw.
        draws: random choices of these, the same for every representation.
        seed: of the choices.
    """
    results = []
    classes = defaultdict(list)
    for i, label in enumerate(train_labels):
        classes[label].append(i)
    for count in labels:
        accuracies = []
        for draw in range(draws if count else 1):
            generator = np.random.default_rng([seed, count, draw])
            chosen = [
                i
                for label in sorted(classes)
                for i in (generator.permutation(classes[label])[:count] if count else classes[label])
            ]
            accuracies.append(_accuracy(train[chosen], [train_labels[i] for i in chosen], test, test_labels))
        results.append(ProbeResult(count, float(np.mean(accuracies)), float(np.std(accuracies))))
    return results


def _accuracy(train: Any, labels: list[str], test: Any, wanted: Sequence[str]) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    classifier = make_pipeline(Normalizer(), LogisticRegression(max_iter=1000))
    grid = {"logisticregression__C": [0.1, 1.0, 10.0, 100.0, 1000.0]}
    search = GridSearchCV(classifier, grid, cv=5 if len(labels) < 400 else 3)
    search.fit(train, labels)
    return 100 * float(np.mean(search.predict(test) == np.asarray(wanted)))


def area_under_curve(normal: Sequence[float], anomalous: Sequence[float]) -> float:
    """Area under the ROC curve: the share of pairs in which the anomalous document has the higher score."""
    from sklearn.metrics import roc_auc_score

    truth = [0] * len(normal) + [1] * len(anomalous)
    return float(roc_auc_score(truth, [*normal, *anomalous]))
