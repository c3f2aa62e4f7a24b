"""Dropout of the regressor that fades with what is left to learn: where it does, and where it must not."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd


def surface(n, noise, n_columns=3):
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (n, n_columns))
    y = np.sin(3 * X[:, 0]) * X[:, 1] + X[:, 2] ** 2
    return X, y + noise * y.std() * random.normal(size=n)


def fitted(X, y, dropout="auto", **options):
    return fastgd.MLPRegressor(dropout=dropout, random_state=0, epochs=40, **options).fit(X, y)


@pytest.mark.parametrize("several", [{}, {"n_networks": 2}])
def test_a_function_without_noise_is_learned_better(several):
    X, y = surface(3000, noise=0)
    new, wanted = X[2000:], y[2000:]
    fading, steady = (fitted(X[:2000], y[:2000], dropout, **several) for dropout in ("auto", 0.2))
    errors = [float(np.sqrt(np.mean((model.predict(new) - wanted) ** 2))) for model in (fading, steady)]
    assert errors[0] < 0.7 * errors[1]
    for member in fading.model_ if several else [fading.model_]:
        assert member.net.dropout[0] == np.float32(member.network.dropout[0]) > 0  # as before for another fit


@pytest.mark.parametrize(
    ("n", "noise", "options"),
    [
        (1200, 0.7, {}),  # much is left to learn
        (900, 0.0, {}),  # few rows
        (1200, 0.0, {"loss": "mae"}),  # another unit
        (1200, 0.0, {"n_columns": 25}),  # few rows a column
    ],
)
def test_elsewhere_dropout_stays(n, noise, options):
    X, y = surface(n, noise, options.pop("n_columns", 3))
    left_open = fitted(X, y, **options)
    given = fitted(X, y, left_open.recipe_.dropout, **options)
    assert left_open.recipe_.dropout > 0
    np.testing.assert_array_equal(left_open.predict(X), given.predict(X))


def test_a_dropout_that_is_given_stays():
    X, y = surface(1200, noise=0)
    left_open, given = fitted(X, y), fitted(X, y, 0.1)
    assert left_open.recipe_.dropout == 0.1
    assert np.abs(left_open.predict(X) - given.predict(X)).max() > 0
