"""Losses: which options they refuse, and that each finds what it is for. Their numbers are in test_golden."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastgd
from fastgd import schedules
from fastgd.errors import InvalidInputError


def test_quantiles_counts_and_variances():
    generator = np.random.default_rng(0)
    X = generator.uniform(-1, 1, size=(3000, 1))
    y = 100 + 10 * X[:, 0] + (1 + X[:, 0]) * generator.normal(size=3000)
    optimizer = fastgd.Adam(learning_rate=schedules.Cosine(0.01))
    quantiles = fastgd.MLP([1, 16, 3], loss=fastgd.losses.Quantile([0.1, 0.5, 0.9]))
    quantiles.fit(X, y, epochs=30, optimizer=optimizer, verbose=0)
    measured = quantiles.evaluate(X, y)
    for level in (0.1, 0.5, 0.9):
        assert measured[f"below_{level}"] == pytest.approx(level, abs=0.04)
    assert quantiles.predict(X).shape == (3000, 3)
    gaussian = fastgd.MLP([1, 16, 2], loss="gaussian_nll")
    gaussian.fit(X, y, epochs=30, optimizer=optimizer, verbose=0)
    mean, std = gaussian.predict(np.array([[-0.5], [0.5]])).T
    assert mean == pytest.approx([95, 105], abs=0.5)
    assert std == pytest.approx([0.5, 1.5], rel=0.2)
    assert gaussian.evaluate(X, y)["r2"] > 0.95
    counts = generator.poisson(np.exp(5 + X[:, 0]))
    poisson = fastgd.MLP([1, 16, 1], loss="poisson")
    poisson.fit(X, counts, epochs=30, optimizer=optimizer, verbose=0)
    assert poisson.predict([[0.5]])[0] == pytest.approx(math.exp(5.5), rel=0.05)
    value = poisson.evaluate(X, counts)["loss"]
    rate = poisson.predict(X).astype(float)
    assert value == pytest.approx(np.mean(rate - counts * np.log(rate)), rel=1e-4)


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fastgd.MLP([3, 2], loss="cross_entropy", output_activation="sigmoid"),
            r"do not fit together: the loss",
        ),
        (lambda: fastgd.MLP([3, 1], loss="poisson", output_activation="softplus"), r"do not fit together"),
        (lambda: fastgd.MLP([3, 1], loss="cross_entropy"), r"needs an output for each class, at least 2"),
        (lambda: fastgd.MLP([3, 1], loss="gaussian_nll"), r"needs two outputs for each target"),
        (lambda: fastgd.MLP([3, 3], loss=fastgd.losses.Quantile([0.1, 0.9])), r"quantile with 2 levels"),
        (lambda: fastgd.losses.Quantile([0.1, 1.0]), r"levels must be different numbers between 0 and 1"),
        (lambda: fastgd.losses.Huber(delta=0), r"delta must be a positive number"),
        (lambda: fastgd.losses.Huber(threshold=1), r"no option `threshold`"),
    ],
)
def test_options(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


@pytest.mark.tiny
def test_a_loss_of_ones_own_is_refused():
    class Mine(fastgd.losses.Loss):
        pass

    class Other(fastgd.losses.Huber):
        pass

    for loss in (Mine(), Other(), fastgd.losses.Loss()):
        with pytest.raises(
            InvalidInputError, match=rf"A loss of your own \({type(loss).__name__}\) has no compiled loop"
        ):
            fastgd.MLP([2, 1], loss=loss)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mean", [0.003, 0.03])
def test_rare_counts_are_learned_with_the_defaults(mean, seed):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(4000, 4))
    y = generator.poisson(mean * np.exp(0.3 * X[:, 0]))
    model = fastgd.MLP([4, 16, 1], loss="poisson", random_state=seed)
    model.fit(X, y, verbose=0)
    assert model.predict(X).sum() == pytest.approx(y.sum(), rel=0.6)


@pytest.mark.tiny
def test_gradients_of_counts_of_1_or_more_are_those_of_the_loss():
    loss = fastgd.losses.LOSSES["poisson"]()
    np.testing.assert_allclose(loss.constants(np.array([4.0, 0.25])), [np.log(4), np.log(0.25), 1.0, 0.5])


def test_a_likelihood_is_told_in_the_units_of_the_target():
    X = np.random.default_rng(0).normal(size=(200, 1))
    y = 500 + 40 * X[:, 0] + 10 * np.random.default_rng(1).normal(size=200)
    model = fastgd.MLP([1, 4, 2], loss="gaussian_nll", dtype="float64")
    history = model.fit(X, y, validation_data=(X, y), epochs=3, verbose=0).history
    mean, std = model.predict(X).T
    expected = np.mean(np.log(std) + ((y - mean) / std) ** 2 / 2)
    assert model.evaluate(X, y)["loss"] == pytest.approx(expected, rel=1e-9)
    assert history["val_loss"][-1] == pytest.approx(expected, rel=1e-9)
    assert history["loss"][-1] == pytest.approx(expected, abs=1), "the logarithm of the target's spread is 3.7"
