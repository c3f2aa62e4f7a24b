"""How good a classifier is, in numbers that people compare, by scikit-learn's definitions, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

MOST_NAMED = 10  # classes: with more of them recall and precision are told as means


def class_metrics(
    truth: NDArray[np.int64], chosen: NDArray[np.int64], names: Sequence[str], weights: Numbers
) -> dict[str, float]:
    """Balanced accuracy, and each class's recall and precision (their means where there are many classes).

    Recall is the part of a class's rows that are found, precision the part of the rows called so that are right,
    balanced accuracy the mean recall. What no row says anything of is left out: the recall of a class that does not
    occur, the precision of one that is never predicted.

    Args:
        truth, chosen: numbers of classes, (n_rows,).
        names: of the classes.
        weights: how much each row counts, (n_rows,).
    """
    return metrics_of_counts(class_counts(truth, chosen, len(names), weights), names)


def class_counts(truth: NDArray[np.int64], chosen: NDArray[np.int64], n_classes: int, weights: Numbers) -> Numbers:
    """The weight of the rows of each class that are found, of all its rows, and of those called so, (3, n_classes)."""
    hit = truth == chosen  # a whole confusion matrix of 10,000 classes would take 800 MB
    return np.stack([
        np.bincount(numbers, counted, n_classes)
        for numbers, counted in ((truth[hit], weights[hit]), (truth, weights), (chosen, weights))
    ])  # fmt: skip


def metrics_of_counts(counts: Numbers, names: Sequence[str]) -> dict[str, float]:
    """What `class_metrics` tells, from such counts."""
    right, occur, called = counts
    with np.errstate(invalid="ignore"):
        recall, precision = right / occur, right / called
    measured = {"balanced_accuracy": float(recall[occur > 0].mean())}
    if len(names) > MOST_NAMED:
        return measured | {"recall": measured["balanced_accuracy"], "precision": float(precision[called > 0].mean())}
    for name, of_class, is_told in zip(names, recall, occur > 0, strict=True):
        measured |= {f"recall_{name}": float(of_class)} if is_told else {}
    for name, of_class, is_told in zip(names, precision, called > 0, strict=True):
        measured |= {f"precision_{name}": float(of_class)} if is_told else {}
    return measured


def label_metrics(truth: NDArray[np.bool_], chosen: NDArray[np.bool_], weights: Numbers) -> dict[str, float]:
    """Means over several yes/no labels: balanced accuracy, and recall and precision of the rows that have the label.

    A label that no row has is left out of the mean recall, one that is never predicted out of the mean precision; so
    is the name if there is no other.

    Args:
        truth, chosen: whether rows have the labels, (n_rows, n_labels).
        weights: how much each row counts, (n_rows,), above 0.
    """
    return metrics_of_labels(label_counts(truth, chosen, weights))


def label_counts(truth: NDArray[np.bool_], chosen: NDArray[np.bool_], weights: Numbers) -> Numbers:
    """Of each label what `class_counts` counts of having it or not, (n_labels, 3, 2)."""
    return np.stack([class_counts(*labels, 2, weights) for labels in zip(truth.T + 0, chosen.T + 0, strict=True)])


def metrics_of_labels(counts: Numbers) -> dict[str, float]:
    """What `label_metrics` tells, from such counts."""
    each = [metrics_of_counts(of_label, "01") for of_label in counts]
    keys = {"balanced_accuracy": "balanced_accuracy", "recall": "recall_1", "precision": "precision_1"}
    found = {name: [label[key] for label in each if key in label] for name, key in keys.items()}
    return {name: float(np.mean(values)) for name, values in found.items() if values}


def ranking_metrics(scores: Numbers, positive: NDArray[np.bool_], weights: Numbers) -> dict[str, float]:
    """The area under the receiver operating characteristic, and the average precision; means over the columns.

    "roc_auc" is the chance that a positive row has a higher score than a negative one, a tie counting half;
    "average_precision" is Σ (recall − recall before) · precision over the thresholds. A column whose rows are all
    positive, or all negative, has no ranking and is left out; so are the names if there is no other.

    Args:
        scores: probabilities, (n_rows, n_columns).
        positive: whether a row has the class or label of the column, (n_rows, n_columns).
        weights: how much each row counts, (n_rows,), above 0.
    """
    found = []
    for score, has in zip(scores.T, positive.T, strict=True):
        if has.any() and not has.all():
            found.append(_of_column(score, has, weights))
    if not found:
        return {}
    areas, precisions = np.mean(found, axis=0).tolist()
    return {"roc_auc": areas, "average_precision": precisions}


def _of_column(score: Numbers, has: NDArray[np.bool_], weights: Numbers) -> tuple[float, float]:
    order = np.argsort(score)[::-1]
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)  # rows with one score are one threshold
    true = np.cumsum(np.where(has, weights, 0)[order])[ends]
    false = np.cumsum(np.where(has, 0, weights)[order])[ends]
    steps = np.diff(true, prepend=0) / true[-1]
    area = np.sum(np.diff(false, prepend=0) / false[-1] * (true - np.diff(true, prepend=0) / 2)) / true[-1]
    return float(area), float(np.sum(steps * true / (true + false)))
