"""Metrics of classifiers, against scikit-learn and at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from samples import waves
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

import fastgd
from fastgd.model.class_metrics import class_metrics, label_metrics, ranking_metrics

CASES = [(n_classes, weighted) for n_classes in (2, 3, 5) for weighted in (False, True)]


def rows(n_classes, weighted, n=300, seed=0):
    generator = np.random.default_rng(seed)
    truth = generator.choice(n_classes, n, p=np.arange(1, n_classes + 1) / sum(range(1, n_classes + 1)))
    scores = np.round(generator.uniform(size=(n, n_classes)) + np.eye(n_classes)[truth], 1)  # with many ties
    weights = generator.uniform(0.1, 3, n) if weighted else np.ones(n)
    return truth, scores / scores.sum(axis=1, keepdims=True), weights


@pytest.mark.tiny
@pytest.mark.parametrize(("n_classes", "weighted"), CASES)
def test_classes_are_counted_as_scikit_learn_does(n_classes, weighted):
    truth, scores, weights = rows(n_classes, weighted)
    chosen, names = scores.argmax(axis=1), [f"c{i}" for i in range(n_classes)]
    measured = class_metrics(truth, chosen, names, weights)
    expected = {"balanced_accuracy": balanced_accuracy_score(truth, chosen, sample_weight=weights)}
    for word, score in (("recall", recall_score), ("precision", precision_score)):
        each = score(truth, chosen, average=None, sample_weight=weights)
        expected |= {f"{word}_{name}": value for name, value in zip(names, each, strict=True)}
    assert measured == pytest.approx(expected)
    assert measured != pytest.approx(class_metrics(truth, chosen, names, weights**2 + np.arange(300)))


@pytest.mark.tiny
@pytest.mark.parametrize(("n_classes", "weighted"), CASES)
def test_rankings_are_those_of_scikit_learn(n_classes, weighted):
    truth, scores, weights = rows(n_classes, weighted)
    positive = truth[:, None] == np.arange(n_classes)
    if n_classes == 2:
        scores, positive = scores[:, 1:], positive[:, 1:]
        area = roc_auc_score(truth, scores[:, 0], sample_weight=weights)
        precision = average_precision_score(truth, scores[:, 0], sample_weight=weights)
    else:
        area = roc_auc_score(truth, scores, multi_class="ovr", average="macro", sample_weight=weights)
        precision = average_precision_score(truth, scores, average="macro", sample_weight=weights)
    measured = ranking_metrics(scores, positive, weights)
    assert measured == pytest.approx({"roc_auc": area, "average_precision": precision})
    assert measured != pytest.approx(ranking_metrics(-scores, positive, weights))


@pytest.mark.tiny
def test_what_no_row_says_anything_of_is_left_out():
    truth, chosen = np.array([0, 0, 1]), np.array([0, 1, 1])
    measured = class_metrics(truth, chosen, ["a", "b", "c"], np.ones(3))
    assert set(measured) == {"balanced_accuracy", "recall_a", "recall_b", "precision_a", "precision_b"}
    assert measured["balanced_accuracy"] == balanced_accuracy_score(truth, chosen) == 0.75
    assert ranking_metrics(np.ones((3, 1)), np.ones((3, 1), bool), np.ones(3)) == {}
    assert ranking_metrics(np.array([[0.1], [0.9], [0.9]]), truth[:, None] == 1, np.ones(3))["roc_auc"] == 0.75


@pytest.mark.tiny
def test_many_classes_have_their_means():
    truth, scores, weights = rows(12, False)
    chosen = scores.argmax(axis=1)
    measured = class_metrics(truth, chosen, [str(i) for i in range(12)], weights)
    assert measured == pytest.approx(
        {
            "balanced_accuracy": balanced_accuracy_score(truth, chosen),
            "recall": recall_score(truth, chosen, average="macro"),
            "precision": precision_score(truth, chosen, average="macro"),
        }
    )


@pytest.mark.parametrize(("loss", "n_out"), [("binary_cross_entropy", 1), ("cross_entropy", 2), ("cross_entropy", 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_evaluate_tells_of_rare_classes(loss, n_out, weighted):
    X, y = waves(400)
    kinds = np.array(["common", "rare", "third"])[
        (y > np.quantile(y, 0.9)) + 0 + (n_out == 3) * (y > np.quantile(y, 0.97))
    ]
    weights = np.where(np.arange(400) % 5, np.linspace(0.5, 2, 400), 0) if weighted else None
    model = fastgd.MLP([3, 8, n_out], loss=loss)
    model.fit(X, kinds, epochs=3, optimizer=fastgd.SGD(), verbose=0)
    measured, told = model.evaluate(X, kinds, weights), model.predict(X)
    counting = np.full(400, True) if weights is None else weights > 0
    options = {"sample_weight": None if weights is None else weights[counting]}
    kinds, told, probabilities = kinds[counting], told[counting], model.predict_proba(X)[counting]
    assert measured["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(kinds, told, **options))
    assert measured["recall_rare"] == pytest.approx(
        recall_score(kinds, told, labels=["rare"], average="macro", **options)
    )
    assert measured["accuracy"] > measured["balanced_accuracy"], "which is what the rare ones are found by"
    scores = probabilities if n_out == 3 else probabilities[:, 1]
    assert measured["roc_auc"] == pytest.approx(roc_auc_score(kinds, scores, multi_class="ovr", **options))
    assert "log_loss" not in measured


def test_several_labels_have_means_over_the_labels():
    X, y = waves(200)
    Y = np.column_stack([y > 0, X[:, 1] > 1])
    model = fastgd.MLP([3, 8, 2], loss="binary_cross_entropy")
    model.fit(X, Y, epochs=5, verbose=0)
    measured, scores = model.evaluate(X, Y), model.predict_proba(X)
    assert measured["roc_auc"] == pytest.approx(roc_auc_score(Y, scores, average="macro"))
    assert measured["average_precision"] == pytest.approx(average_precision_score(Y, scores, average="macro"))
    assert measured["recall"] == pytest.approx(recall_score(Y, scores >= 0.5, average="macro"))
    ranked = {"roc_auc", "average_precision"}
    assert set(measured) == {"loss", "accuracy", "balanced_accuracy", "recall", "precision"} | ranked


@pytest.mark.tiny
@pytest.mark.parametrize("weighted", [False, True])
def test_labels_are_counted_as_scikit_learn_does(weighted):
    generator = np.random.default_rng(3)
    truth = generator.random((300, 3)) < [0.1, 0.5, 0.8]
    chosen = truth ^ (generator.random((300, 3)) < 0.2)
    weights = generator.uniform(0.1, 3, 300) if weighted else np.ones(300)
    measured, macro = label_metrics(truth, chosen, weights), {"average": "macro", "sample_weight": weights}
    balanced = [balanced_accuracy_score(truth[:, j], chosen[:, j], sample_weight=weights) for j in range(3)]
    recall, precision = recall_score(truth, chosen, **macro), precision_score(truth, chosen, **macro)
    assert measured == pytest.approx({"balanced_accuracy": np.mean(balanced), "recall": recall, "precision": precision})
    micro = recall_score(truth, chosen, average="micro", sample_weight=weights)
    assert measured["recall"] != pytest.approx(micro, abs=1e-3)
    nowhere = label_metrics(truth & [False, True, True], chosen & [False, True, True], weights)
    assert nowhere["recall"] == pytest.approx(recall_score(truth[:, 1:], chosen[:, 1:], **macro)), "of those that occur"
    assert set(label_metrics(truth & False, chosen & False, weights)) == {"balanced_accuracy"}


@pytest.mark.filterwarnings("ignore:y has 2 classes")
def test_two_classes_are_ranked_though_a_third_may_come():
    X, y = waves(300)
    kinds = np.where(y > 0, "yes", "no")
    model = fastgd.MLP([3, 8, 3], loss="cross_entropy")
    model.fit(X, kinds, epochs=5, verbose=0)
    measured, probabilities = model.evaluate(X, kinds), model.predict_proba(X)
    assert measured["roc_auc"] == pytest.approx(roc_auc_score(kinds, probabilities[:, 1]))
    assert measured["average_precision"] == pytest.approx(average_precision_score(kinds == "yes", probabilities[:, 1]))
    assert measured["roc_auc"] != pytest.approx(roc_auc_score(kinds, probabilities[:, 2]), abs=0.1)


@pytest.mark.tiny
def test_only_classes_that_occur_are_in_the_means():
    truth, scores, weights = rows(4, True)
    lack = truth != 2
    truth, scores, weights = truth[lack], scores[lack], weights[lack]
    measured = ranking_metrics(scores, truth[:, None] == np.arange(4), weights)
    each = [
        [score(truth == k, scores[:, k], sample_weight=weights) for k in (0, 1, 3)]
        for score in (roc_auc_score, average_precision_score)
    ]
    assert list(measured.values()) == pytest.approx(np.mean(each, axis=1))
    with pytest.warns(UserWarning, match="No positive class"):
        of_all = average_precision_score(np.eye(4)[truth], scores, average="macro", sample_weight=weights)
    assert of_all == pytest.approx(0.75 * measured["average_precision"]), "scikit-learn counts the one that lacks as 0"


@pytest.mark.parametrize("factor", [1e-300, 1e300])
def test_only_ratios_of_weights_count(factor):
    X, y = waves(200)
    kinds, weights = np.where(y > 0, "yes", "no"), np.linspace(0, 1, 200)
    model = fastgd.MLP([3, 8, 1], loss="binary_cross_entropy")
    model.fit(X, kinds, epochs=3, verbose=0)
    assert model.evaluate(X, kinds, weights * factor) == pytest.approx(model.evaluate(X, kinds, weights))
    assert model.evaluate(X, kinds, weights) != pytest.approx(model.evaluate(X, kinds))
