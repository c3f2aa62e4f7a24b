"""What fit does where it is told no optimizer: it gets along with outliers, and steps by hand stay plain descent."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from inside import memory_of
from samples import houses

import fastgd
from fastgd.errors import DivergenceError, TrainingWarning
from fastgd.network.losses import LOSSES
from fastgd.training.optimizers import DEFAULT_OPTIMIZER


def with_outliers(n=2000):
    """Columns with tails so long that a few rows are hundreds of standard deviations away."""
    logarithms = np.random.default_rng(0).normal(size=(n, 5))
    return np.exp(3 * logarithms), 3 * logarithms @ [1, 2, 0, 0, 0.5]


@pytest.mark.filterwarnings("ignore::fastgd.errors.DivergenceWarning")  # which one depends on where a chunk ends
def test_outliers_throw_plain_descent_off_and_the_default_not():
    X, y = with_outliers()
    model = fastgd.MLP([5, 64, 64, 1], random_state=0)
    with pytest.raises(DivergenceError):
        model.fit(X[:1500], y[:1500], optimizer=fastgd.SGD(), verbose=0)
    model = fastgd.MLP([5, 64, 64, 1], random_state=0)
    model.fit(X[:1500], y[:1500], verbose=0)
    assert model.evaluate(X[1500:], y[1500:])["r2"] > 0.2


@pytest.mark.filterwarnings("ignore::fastgd.errors.TrainingWarning")
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_falls_in_spite_of_outliers(loss):
    X, y = with_outliers()
    if LOSSES[loss].task in ("classes", "labels"):
        y = (y > np.median(y)).astype(int)
    elif LOSSES[loss].task == "counts":
        y = np.abs(y).round()
    n_out = 2 if loss in ("cross_entropy", "gaussian_nll") else 1
    model = fastgd.MLP([5, 64, 64, n_out], loss=loss, random_state=0)
    losses = model.fit(X, y, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.isfinite(model.evaluate(X, y)["loss"])


def test_the_default_is_as_good_as_plain_descent_on_houses():
    X, y = fastgd.datasets.houses(3000, random_state=0)
    errors = []
    for optimizer in (None, fastgd.SGD(), fastgd.SGD(1e-5)):
        model = fastgd.MLP([4, 64, 64, 1], random_state=0)
        model.fit(X[:2000], y[:2000], optimizer=optimizer, verbose=0)
        errors.append(model.evaluate(X[2000:], y[2000:])["rmse"])
    assert errors[0] <= errors[1] < errors[2], "the last is the control"


def test_wide_networks_begin_without_a_warning():
    X, y = houses(2000)
    fastgd.MLP([4, 256, 256, 1], random_state=0).fit(X, y, epochs=2, verbose=0)
    at_once = dataclasses.replace(DEFAULT_OPTIMIZER, learning_rate=0.05)
    with pytest.warns(TrainingWarning):
        fastgd.MLP([4, 256, 256, 1], random_state=0).fit(X, y, epochs=2, optimizer=at_once, verbose=0)


def test_a_step_by_hand_is_plain_descent_and_goes_on():
    X, y = houses()
    model = fastgd.MLP([4, 8, 1], random_state=0)
    model.fit(X, y, epochs=0, verbose=0)
    before, gradient = model.parameters.copy(), model.gradient(X, y)
    model.step(X, y, learning_rate=0.1)
    np.testing.assert_allclose(model.parameters, before - 0.1 * gradient, rtol=1e-5, atol=1e-7)
    model.fit(X, y, epochs=1, verbose=0)
    assert memory_of(model).optimizer == fastgd.SGD()


def test_a_fit_without_steps_leaves_the_choice_and_keeps_one_that_was_made():
    X, y = houses()
    first, second = fastgd.MLP([4, 8, 1], random_state=0), fastgd.MLP([4, 8, 1], random_state=0)
    first.fit(X, y, epochs=0, verbose=0)
    second.fit(X, y, epochs=0, optimizer=fastgd.Adam(), verbose=0)
    for model in (first, second):
        model.fit(X, y, epochs=1, verbose=0)
    assert memory_of(first).optimizer == DEFAULT_OPTIMIZER
    assert memory_of(second).optimizer == fastgd.Adam()
    first.step(X, y, learning_rate=0.1)
    assert memory_of(first).optimizer == DEFAULT_OPTIMIZER, "a step goes on with what there is"
