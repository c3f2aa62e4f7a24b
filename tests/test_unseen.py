"""Rows unlike those that a model has learned from: refused, ignored or told of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from samples import learned, uneven

import fastgd
from fastgd.errors import InputWarning, InvalidInputError, NonFiniteWarning

LOSSES = [("mse", 1), ("huber", 1), ("gaussian_nll", 2), ("poisson", 1), ("cross_entropy", 3), ("quantile", 1)]


@pytest.mark.parametrize(("loss", "n_out"), LOSSES)
@pytest.mark.parametrize("contiguous", [True, False])
def test_rows_that_have_no_finite_prediction_are_refused(loss, n_out, contiguous):
    model, X, y = learned(loss, n_out)
    X = X.astype(np.float32) if contiguous else X
    X[2, 0] = -3.4e38
    for call in (model.predict, lambda X: model.evaluate(X, y)):
        with pytest.raises(InvalidInputError, match=r"X, row 2, column 0 is -3\.4e\+38, too far from the rows that"):
            call(X)
    named = fastgd.MLP([3, 1], feature_names=["a", "b", "c"])
    named.fit(np.delete(X, 2, axis=0) / 1e3, np.linspace(0, 1, 399), epochs=1, verbose=0)
    with pytest.raises(InvalidInputError, match=r"row 2, column 0 \(a\) is"):
        named.predict(X)


@pytest.mark.parametrize(("loss", "n_out"), [("poisson", 1), ("cross_entropy", 3), ("mse", 1)])
def test_predictions_that_overflow_are_refused(loss, n_out):
    model, X, _ = learned(loss, n_out)
    X[7, 1], model.parameters = 1e37, np.abs(model.parameters) * (1 if loss == "poisson" else 100)
    with pytest.raises(InvalidInputError, match=r"row 7 of X is (inf|-inf|nan), which is no finite number.* column 1:"):
        (model.predict_proba if loss == "cross_entropy" else model.predict)(X)


def test_a_standard_deviation_of_0_is_told():
    model, X, _ = learned("gaussian_nll", 2)
    bias = model.get_parameters()
    bias[-1][1][1] = -1000
    model.set_parameters(bias)
    with pytest.warns(NonFiniteWarning, match="standard deviation predicted for row 0 is too small for float32"):
        model.predict(X)


@pytest.mark.parametrize("value", [0.0, 5e5, -14.62])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_column_that_was_constant_is_ignored_and_said_to_be(value, dtype):
    X, y = uneven()
    X[:, 2] = value
    model = fastgd.MLP([3, 16, 1], feature_names=["a", "b", "c"], dtype=dtype, random_state=0)
    model.fit(X, y, epochs=10, sample_weight=np.linspace(0.5, 2, len(X)), verbose=0)
    expected, other = model.predict(X), X.copy()
    other[5:, 2] = 6e5
    for call in (model.predict, lambda X: model.evaluate(X, y)):
        with pytest.warns(
            InputWarning, match=r"X, row 5, column 2 \(c\) is 600000, but it was .* the column is ignored"
        ):
            call(other)
    with pytest.warns(InputWarning):
        np.testing.assert_array_equal(model.predict(other), expected)
    other[100:, 2] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # rare values are no reason for a warning
        np.testing.assert_array_equal(model.predict(other), expected)


def test_a_column_that_varies_later_is_learned_then():
    X, y = uneven()
    first, later = X.copy(), X.copy()
    first[:, 2] = 5e5
    later[:, 2] = 5e5 + 100 * X[:, 2]
    model = fastgd.MLP([3, 16, 1], random_state=0)
    model.fit(first, y, epochs=5, verbose=0)
    model.fit(later, y + X[:, 2], epochs=100, optimizer=fastgd.Adam(0.01), verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.evaluate(later, y + X[:, 2])["r2"] > 0.98


def test_a_gradient_that_is_not_finite_is_told():
    model, X, y = learned()
    y[3] = 1e30
    assert np.isfinite(model.gradient(X, y)).all()
    X[5, 0] = -3e38
    with pytest.warns(NonFiniteWarning, match="The gradient is not all finite numbers: row 5 has no finite prediction"):
        model.gradient(X, y)


def test_columns_that_are_another_constant_in_each_fit_are_learned():
    generator = np.random.default_rng(0)
    model, parts = fastgd.MLP([2, 16, 1], random_state=0), []
    for month in range(12):
        X = np.column_stack([generator.normal(size=50), np.full(50, 100.0 * month)])
        parts.append((X, X[:, 0] + month))
    for X, y in parts * 20:
        model.fit(X, y, epochs=1, optimizer=fastgd.Adam(0.01), verbose=0)
    together, months = np.concatenate([X for X, _ in parts]), np.concatenate([y for _, y in parts])
    assert model.evaluate(together, months)["r2"] > 0.9
    assert model.evaluate(together * [1, 0], months)["r2"] < 0.5, "the column counts"
