"""The gradient against central differences of the loss, weight by weight, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from networks import losses_to_test, make_case

import fastgd
from fastgd.kernels import cpu
from fastgd.network.activations import ACTIVATIONS
from fastgd.network.losses import as_loss


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


# With dropout and sample weights on: the loss of a batch is a plain function of the parameters, because which units are
# dropped depends on seed, epoch and row only.
def batch_loss(case):
    gradients = np.zeros_like(case.gradients)
    n = len(case.rows.X)
    return cpu.batch_gradient(gradients, case.workspace, case.rows, 0, n, case.net, case.loss), gradients[0]


def worst_relative_error(case, gradient, step=1e-6):
    worst, parameters = 0.0, case.net.parameters
    unit = case.loss.units if case.loss.units.size else np.ones(1)
    assert (unit == 1).all(), "else the value is in other units than the gradient"
    for p in range(parameters.size):
        kept = parameters[p]
        parameters[p] = kept + step
        above = batch_loss(case)[0]
        parameters[p] = kept - step
        below = batch_loss(case)[0]
        parameters[p] = kept
        slope = (above - below) / (2 * step)
        worst = max(worst, abs(gradient[p] - slope) / max(abs(slope), 1e-2))
    return worst


def gradient_case(activation, loss, n_out):
    case = make_case(9, [3, 5, 4, n_out], "float64", activation, loss=loss, dropout=[0.3, 0.2], weighted=True)
    return case._replace(loss=as_loss(loss).record(np.ones_like(case.net.target_std)))


@pytest.mark.parametrize(("loss", "n_out"), list(losses_to_test()), ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_every_pair(activation, loss, n_out):
    case = gradient_case(activation, loss, n_out)
    assert worst_relative_error(case, batch_loss(case)[1]) < 1e-6


def test_the_check_of_gradients_can_fail():
    case = gradient_case("tanh", "mse", 2)
    wrong = batch_loss(case)[1]
    wrong[3] *= 1.001
    assert worst_relative_error(case, wrong) > 1e-6
    other_units_dropped = case._replace(rows=case.rows._replace(epoch=1))
    assert worst_relative_error(case, batch_loss(other_units_dropped)[1]) > 1e-2
