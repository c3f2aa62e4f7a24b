"""Metrics of regression, against scikit-learn and at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from samples import uneven
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

import fastgd
from fastgd.model.metrics import accuracy, below, regression_metrics


@pytest.mark.tiny
@pytest.mark.parametrize("n", [10, 5000, 200_000])
@pytest.mark.parametrize("value", [7.0, 14.62, 1e9 + 0.1, 0.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_r2_of_a_constant_target_is_0_or_1(n, value, weighted):
    weights = np.linspace(0, 3, n) if weighted else np.zeros(0)
    actual = np.full((n, 1), value)
    missed = regression_metrics(np.full((n, 1), 2 * abs(value) + 1, np.float32), actual, weights)
    met = regression_metrics(actual.astype(np.float32), actual, weights)
    assert missed["r2"] == 0
    assert met["r2"] == 1


@pytest.mark.tiny
def test_r2_of_a_target_that_hardly_varies():
    actual = 1e6 + np.random.default_rng(0).normal(size=(1000, 2))
    predicted = actual + 0.1
    expected = r2_score(actual, predicted)
    assert regression_metrics(predicted, actual, np.zeros(0))["r2"] == pytest.approx(expected, rel=1e-6)


def test_rmse_of_several_targets_is_the_root_of_the_mean():
    X, y = uneven()
    Y = np.column_stack([y, 100 * y])
    model = fastgd.MLP([3, 8, 2], random_state=0)
    model.fit(X, Y, epochs=5, verbose=0)
    errors = (model.predict(X) - Y) ** 2
    assert model.evaluate(X, Y)["rmse"] == pytest.approx(np.sqrt(errors.mean()), rel=1e-6)
    assert np.sqrt(errors.mean(axis=0)).mean() != pytest.approx(np.sqrt(errors.mean()), rel=0.1)


@pytest.mark.tiny
def test_metrics_of_weighted_rows_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    actual, weights = generator.normal(size=(100, 2)) * [1, 5], generator.uniform(0, 3, 100)
    predicted = actual + generator.normal(size=(100, 2))
    measured, unweighted = (regression_metrics(predicted, actual, part) for part in (weights, np.zeros(0)))
    assert measured["r2"] == pytest.approx(r2_score(actual, predicted, sample_weight=weights))
    assert measured["mae"] == pytest.approx(mean_absolute_error(actual, predicted, sample_weight=weights))
    hits = predicted[:, 0] > actual[:, 0]
    assert accuracy(hits, weights) == pytest.approx(accuracy_score(hits, np.ones(100, bool), sample_weight=weights))
    assert all(abs(measured[name] - unweighted[name]) > 1e-4 for name in measured)


@pytest.mark.tiny
def test_a_value_at_its_quantile_is_not_above_it():
    actual, predicted = np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [3.0], [2.0]])
    assert below(predicted, actual, np.zeros(0)) == pytest.approx(2 / 3)
    assert below(predicted, actual, np.array([2.0, 1.0, 1.0])) == pytest.approx(3 / 4)
