"""The gradient against central differences of the loss, weight by weight, in float64."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd


def central_differences(model, X, y, step=1e-6):
    parameters = model.parameters
    slopes = np.zeros_like(parameters)
    for p in range(parameters.size):
        kept = parameters[p]
        parameters[p] = kept + step
        above = model.evaluate(X, y)["loss"]
        parameters[p] = kept - step
        below = model.evaluate(X, y)["loss"]
        parameters[p] = kept
        slopes[p] = (above - below) / (2 * step)
    return slopes


def relative_error(gradient, slopes):
    return np.abs(gradient - slopes) / np.maximum(np.abs(slopes), 1e-3)


def smooth_case(activation, output="identity", sizes=(3, 5, 4, 2)):
    generator = np.random.default_rng(7)
    model = fastgd.MLP(list(sizes), activation=activation, output_activation=output, dtype="float64", random_state=2)
    return model, generator.normal(size=(20, sizes[0])), generator.normal(size=(20, sizes[-1]))


@pytest.mark.tiny
@pytest.mark.parametrize("output", ["identity", "tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "sigmoid"])
def test_every_weight(activation, output):
    model, X, y = smooth_case(activation, output)
    assert relative_error(model.gradient(X, y), central_differences(model, X, y)).max() < 1e-6


@pytest.mark.tiny
def test_after_standardising_it_is_the_gradient_that_training_uses():
    model, X, y = smooth_case("tanh", sizes=(3, 4, 1))
    model.fit(X * 10 + 5, y * 1000, epochs=1, verbose=0)
    variance = float((y * 1000).var())
    slopes = central_differences(model, X * 10 + 5, y * 1000) / variance
    assert relative_error(model.gradient(X * 10 + 5, y * 1000), slopes).max() < 1e-6


@pytest.mark.tiny
def test_the_check_can_fail():
    model, X, y = smooth_case("tanh")
    wrong = model.gradient(X, y)
    wrong[5] *= 1.00001
    assert relative_error(wrong, central_differences(model, X, y)).max() > 1e-6
