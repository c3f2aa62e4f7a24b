"""What is measured is measured in float64 against the targets as given, and what is not finite is told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import fastgd
from fastgd.errors import InputWarning, InvalidInputError, NonFiniteWarning, PrecisionWarning
from fastgd.model.metrics import regression_metrics


def table(n=400):
    generator = np.random.default_rng(21)
    X = generator.normal(size=(n, 3)) * [1e-3, 1, 1] + [0, 5, 0]
    return X, 1000 * X[:, 0] + X[:, 1]


def fitted(loss="mse", n_out=1, **options):
    X, y = table()
    if loss == "cross_entropy":
        y = np.digitize(y, [4.5, 5.5])
    y = np.abs(y).round() if loss == "poisson" else y
    model = fastgd.MLP([3, 16, n_out], loss=loss, random_state=0, **options)
    model.fit(X, y, epochs=10, verbose=0)
    return model, X, y


@pytest.mark.tiny
@pytest.mark.parametrize("n", [10, 5000, 200_000])
@pytest.mark.parametrize("value", [7.0, 14.62, 1e9 + 0.1, 0.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_r2_of_a_constant_target_is_0_or_1(n, value, weighted):
    weights = np.linspace(0, 3, n) if weighted else np.zeros(0)
    actual = np.full((n, 1), value)
    missed = regression_metrics(np.full((n, 1), value + 1, np.float32), actual, weights)
    met = regression_metrics(actual.astype(np.float32), actual, weights)
    assert missed["r2"] == 0 or np.float32(value + 1) == np.float32(value)
    assert met["r2"] == 1


@pytest.mark.tiny
def test_r2_of_a_target_that_hardly_varies():
    actual = 1e6 + np.random.default_rng(0).normal(size=(1000, 2))
    predicted = actual + 0.1
    expected = r2_score(actual, predicted)
    assert regression_metrics(predicted, actual, np.zeros(0))["r2"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 1.7e9])
@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_metrics_are_of_the_targets_as_they_were_given(loss, shift):
    X, _ = table(1000)
    y = shift + 20 * (X[:, 1] - 5)
    model = fastgd.MLP([3, 1], loss=loss, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        history = model.fit(X, y, validation_data=(X, y), epochs=3, verbose=0)
    predicted = model.predict(X).astype(np.float64)
    measured = model.evaluate(X, y)
    assert measured["rmse"] == pytest.approx(root_mean_squared_error(y, predicted), rel=1e-6)
    assert measured["mae"] == pytest.approx(mean_absolute_error(y, predicted), rel=1e-6)
    assert history.history["val_loss"][-1] == measured["loss"]
    if shift:  # the predictions are rounded to multiples of 128, the loss is that of the network's own numbers
        assert measured["loss"] ** (0.5 if loss == "mse" else 1) > 10
    else:
        assert measured["loss"] == pytest.approx(measured["rmse"] ** 2 if loss == "mse" else measured["mae"], rel=1e-5)


def test_importance_measures_the_targets_as_they_were_given():
    X, _ = table(1000)
    y = 1.7e9 + 20 * (X[:, 1] - 5)
    model = fastgd.MLP([3, 1], random_state=0)
    with pytest.warns(PrecisionWarning):
        model.fit(X, y, epochs=3, verbose=0)
    importance = fastgd.features.permutation_importance(model, X, y, repeats=1)
    assert importance.baseline == pytest.approx(model.evaluate(X, y)["rmse"], rel=1e-6)


def test_rmse_of_several_targets_is_the_root_of_the_mean():
    X, y = table()
    Y = np.column_stack([y, 100 * y])
    model = fastgd.MLP([3, 8, 2], random_state=0)
    model.fit(X, Y, epochs=5, verbose=0)
    errors = (model.predict(X) - Y) ** 2
    assert model.evaluate(X, Y)["rmse"] == pytest.approx(np.sqrt(errors.mean()), rel=1e-6)
    assert np.sqrt(errors.mean(axis=0)).mean() != pytest.approx(np.sqrt(errors.mean()), rel=0.1)


LOSSES = [("mse", 1), ("huber", 1), ("gaussian_nll", 2), ("poisson", 1), ("cross_entropy", 3), ("quantile", 1)]


@pytest.mark.parametrize(("loss", "n_out"), LOSSES)
@pytest.mark.parametrize("contiguous", [True, False])
def test_rows_that_have_no_finite_prediction_are_refused(loss, n_out, contiguous):
    model, X, y = fitted(loss, n_out)
    X = X.astype(np.float32) if contiguous else X
    X[2, 0] = -3.4e38
    for call in (model.predict, lambda X: model.evaluate(X, y)):
        with pytest.raises(InvalidInputError, match=r"X, row 2, column 0 is -3\.4e\+38, too far from the rows that"):
            call(X)
    named = fastgd.MLP([3, 1], feature_names=["a", "b", "c"])
    named.fit(np.delete(X, 2, axis=0) / 1e3, np.zeros(399), epochs=1, verbose=0)
    with pytest.raises(InvalidInputError, match=r"row 2, column 0 \(a\) is"):
        named.predict(X)


@pytest.mark.parametrize(("loss", "n_out"), [("poisson", 1), ("cross_entropy", 3), ("mse", 1)])
def test_predictions_that_overflow_are_refused(loss, n_out):
    model, X, _ = fitted(loss, n_out)
    X[7, 1], model.parameters = 1e37, np.abs(model.parameters) * (1 if loss == "poisson" else 100)
    with pytest.raises(InvalidInputError, match=r"row 7 of X is (inf|-inf|nan), which is no finite number.* column 1:"):
        (model.predict_proba if loss == "cross_entropy" else model.predict)(X)


def test_a_standard_deviation_of_0_is_told():
    model, X, _ = fitted("gaussian_nll", 2)
    bias = model.get_parameters()
    bias[-1][1][1] = -1000
    model.set_parameters(bias)
    with pytest.warns(NonFiniteWarning, match="standard deviation predicted for row 0 is too small for float32"):
        model.predict(X)


@pytest.mark.parametrize(("loss", "power"), [("mse", 2), ("huber", 1), ("log_cosh", 1), ("quantile", 1)])
def test_the_loss_is_finite_where_the_errors_are(loss, power):
    model, X, y = fitted(loss)
    y[0] = 1e22
    measured = model.evaluate(X, y)
    assert all(np.isfinite(list(measured.values())))
    if loss == "mse":
        assert measured["loss"] == pytest.approx(measured["rmse"] ** 2, rel=1e-6)


def test_errors_that_no_number_holds_are_told():
    model, X, y = fitted(dtype="float64")
    y[3] = 1e200
    with pytest.warns(NonFiniteWarning, match=r"loss, rmse, r2: not finite, .* 1e\+200, in row 3"):
        assert np.isinf(model.evaluate(X, y)["rmse"])


def validated(wrong, callback, epochs=8):
    X, y = table()
    other = X.copy()
    other[3, 0] = wrong
    model = fastgd.MLP([3, 16, 1], random_state=0)
    options = {"validation_data": (other, y), "callbacks": [callback] if callback else [], "verbose": 0}
    return lambda **more: model.fit(X, y, epochs=epochs, **{**options, **more})


def test_a_validation_loss_that_is_no_number_is_told_and_ends_nothing():
    stop = fastgd.callbacks.EarlyStopping(patience=2)
    fit = validated(3e38, stop)
    with pytest.warns(
        NonFiniteWarning, match=r"After epoch \d val_loss is (inf|nan): the prediction for validation row 3"
    ):
        history = fit()
    assert history.epochs == 8
    assert not np.isfinite(history.history["val_loss"]).any()
    assert stop.best_epoch == -1


def test_a_validation_loss_that_is_no_number_leaves_the_rate_alone():
    schedule = fastgd.schedules.ReduceOnPlateau(0.05, patience=0)
    fit = validated(3e38, None)
    with pytest.warns(NonFiniteWarning):
        history = fit(optimizer=fastgd.SGD(schedule))
    assert set(history.history["learning_rate"]) == {0.05}


@pytest.mark.parametrize("value", [0.0, 5e5, -14.62])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_column_that_was_constant_is_ignored_and_said_to_be(value, dtype):
    X, y = table()
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
    X, y = table()
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
    model, X, y = fitted()
    y[3] = 1e30
    assert np.isfinite(model.gradient(X, y)).all()
    X[5, 0] = -3e38
    with pytest.warns(NonFiniteWarning, match="The gradient is not all finite numbers: row 5 has no finite prediction"):
        model.gradient(X, y)


def test_the_loss_is_of_the_targets_given_where_nothing_is_scaled():
    X = np.random.default_rng(0).normal(size=(1000, 3))
    y = 1.7e9 + 20 * X[:, 0]
    model = fastgd.MLP([3, 1], standardize=False)
    model.set_parameters([(np.array([[20.0], [0.0], [0.0]]), np.array([1.7e9]))])
    measured = model.evaluate(X, y)
    assert measured["loss"] == pytest.approx(measured["rmse"] ** 2, rel=1e-5)
    assert measured["rmse"] > 10


def test_importance_refuses_rows_without_a_prediction():
    model, X, y = fitted()
    X[3, 0] = -3.4e38
    with pytest.raises(InvalidInputError, match="X, row 3, column 0"):
        fastgd.features.permutation_importance(model, X, y)


def test_columns_that_are_another_constant_in_each_fit_are_learned():
    generator = np.random.default_rng(0)
    model, parts = fastgd.MLP([2, 16, 1], random_state=0), []
    for month in range(12):
        X = np.column_stack([generator.normal(size=50), np.full(50, 100.0 * month)])
        parts.append((X, X[:, 0] + month))
    for X, y in parts * 20:
        model.fit(X, y, epochs=1, optimizer=fastgd.Adam(0.01), verbose=0)
    assert np.isfinite(model.net.input_std).all()
