"""Tables to learn from, and networks that have learned from them: what several test files share."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.errors import FastgdError, InvalidInputError

FEATURES = ["Size", "Bedrooms", "Distance to centre", "Building age"]
N_WAVES = 60


def houses(n=400):
    """Generated houses and their prices."""
    return fastgd.datasets.houses(n, random_state=1)


def waves(n=N_WAVES, n_in=3, seed=0):
    """A plane with a wave along the first column, and some noise."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, n_in))
    return X, X @ np.arange(1, n_in + 1) + np.sin(3 * X[:, 0]) + 0.1 * generator.normal(size=n)


def fitted(X, y, sizes=(3, 8, 1), **options):
    """A model after a few epochs, and their history; options are of both."""
    construction = {name: options.pop(name) for name in ("loss", "dropout", "dtype", "activation") if name in options}
    model = fastgd.MLP(list(sizes), **{"dtype": "float64", "activation": "tanh", **construction})
    history = model.fit(X, y, **{"epochs": 5, "batch_size": 16, "verbose": 0, **options})
    return model, history


def uneven(n=400):
    """Columns of very different spread, and their weighted sum."""
    generator = np.random.default_rng(21)
    X = generator.normal(size=(n, 3)) * [1e-3, 1, 1] + [0, 5, 0]
    return X, 1000 * X[:, 0] + X[:, 1]


def learned(loss="mse", n_out=1, **options):
    """A model that has learned the uneven table with this loss, and the table."""
    X, y = uneven()
    if loss == "cross_entropy":
        y = np.digitize(y, [4.5, 5.5])
    y = np.abs(y).round() if loss == "poisson" else y
    model = fastgd.MLP([3, 16, n_out], loss=loss, random_state=0, **options)
    model.fit(X, y, epochs=10, verbose=0)
    return model, X, y


def refused(message, call, *arguments, **options):
    """The call is refused with one sentence, as a mistake of the user."""
    with pytest.raises(InvalidInputError, match=message) as caught:
        call(*arguments, **options)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, FastgdError)
    assert "\n" not in str(caught.value)
