"""What is measured is measured in float64 against the targets as given, and what is not finite is told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from samples import learned, uneven
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

import fastgd
from fastgd.errors import InvalidInputError, NonFiniteWarning, PrecisionWarning


@pytest.mark.parametrize("shift", [0.0, 1.7e9])
@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_metrics_are_of_the_targets_as_they_were_given(loss, shift):
    X, _ = uneven(1000)
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
    X, _ = uneven(1000)
    y = 1.7e9 + 20 * (X[:, 1] - 5)
    model = fastgd.MLP([3, 1], random_state=0)
    with pytest.warns(PrecisionWarning):
        model.fit(X, y, epochs=3, verbose=0)
    importance = fastgd.features.permutation_importance(model, X, y, repeats=1)
    assert importance.baseline == pytest.approx(model.evaluate(X, y)["rmse"], rel=1e-6)


@pytest.mark.parametrize(("loss", "power"), [("mse", 2), ("huber", 1), ("log_cosh", 1), ("quantile", 1)])
def test_the_loss_is_finite_where_the_errors_are(loss, power):
    model, X, y = learned(loss)
    y[0] = 1e22
    measured = model.evaluate(X, y)
    assert all(np.isfinite(list(measured.values())))
    if loss == "mse":
        assert measured["loss"] == pytest.approx(measured["rmse"] ** 2, rel=1e-6)


def test_errors_that_no_number_holds_are_told():
    model, X, y = learned(dtype="float64")
    y[3] = 1e200
    with pytest.warns(NonFiniteWarning, match=r"loss, rmse, r2: not finite, .* 1e\+200, in row 3"):
        assert np.isinf(model.evaluate(X, y)["rmse"])


def validated(wrong, callback, epochs=8):
    X, y = uneven()
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


def test_the_loss_is_of_the_targets_given_where_nothing_is_scaled():
    X = np.random.default_rng(0).normal(size=(1000, 3))
    y = 1.7e9 + 20 * X[:, 0]
    model = fastgd.MLP([3, 1], standardize=False)
    model.set_parameters([(np.array([[20.0], [0.0], [0.0]]), np.array([1.7e9]))])
    measured = model.evaluate(X, y)
    assert measured["loss"] == pytest.approx(measured["rmse"] ** 2, rel=1e-5)
    assert measured["rmse"] > 10


def test_importance_refuses_rows_without_a_prediction():
    model, X, y = learned()
    X[3, 0] = -3.4e38
    with pytest.raises(InvalidInputError, match="X, row 3, column 0"):
        fastgd.features.permutation_importance(model, X, y)
