"""Activations: the formula that each documents, and slopes that are those of its values."""

from __future__ import annotations

import numpy as np
import pytest

from fastgd.kernels import cpu, plain
from fastgd.network.activations import ACTIVATIONS

pytestmark = pytest.mark.tiny

FORMULAS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z < 0, 0.01 * z, z),
    "elu": lambda z: np.where(z < 0, np.exp(z) - 1, z),
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}
Z = np.linspace(-6, 6, 48).reshape(1, -1)  # without 0, where some have a corner


def values_and_slopes(kernels, name, z):
    values, slopes = z.copy(), np.zeros_like(z)
    kernels.activate_with_slopes(values, slopes, ACTIVATIONS[name].code)
    return values, slopes


@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_is_its_formula(name, kernels):
    values = Z.copy()
    kernels.activate(values, ACTIVATIONS[name].code)
    np.testing.assert_allclose(values, FORMULAS[name](Z), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(values_and_slopes(kernels, name, Z)[0], FORMULAS[name](Z), rtol=1e-12, atol=1e-13)
    others = [other for other in FORMULAS if np.allclose(values, FORMULAS[other](Z))]
    assert others == [name], "no other formula would do"


def central_differences(name, step=1e-6):
    return (FORMULAS[name](Z + step) - FORMULAS[name](Z - step)) / (2 * step)


@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_are_those_of_the_formula(name, kernels):
    values, slopes = values_and_slopes(kernels, name, Z)
    np.testing.assert_allclose(slopes, central_differences(name), atol=1e-8)
    if not ACTIVATIONS[name].needs_slopes:
        delta = np.full_like(Z, 3.0)
        kernels.activate_backward(delta, values, ACTIVATIONS[name].code)
        np.testing.assert_allclose(delta, 3 * central_differences(name), atol=1e-7)


@pytest.mark.parametrize("kernels", [cpu, plain])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_those_that_are_gates_keep_their_digits(name, dtype, kernels):
    """A gate of ½ (1 + tanh) loses 80 roundings in the slope of gelu: Adam makes the noise as large as any gradient."""
    z = np.linspace(-7, 1, 4001).astype(dtype).reshape(1, -1)
    wide = z.astype(np.longdouble)
    inner, steepness = wide, 1
    if name == "gelu":
        root, cube = np.sqrt(np.longdouble(8) / np.longdouble(np.pi)), np.longdouble(0.044715)
        inner, steepness = root * (wide + cube * wide**3), root * (1 + 3 * cube * wide**2)
    gate = 1 / (1 + np.exp(-inner))
    values, slopes = values_and_slopes(kernels, name, z)
    rounding = np.finfo(dtype).eps / 2
    assert np.abs(values - wide * gate).max() < 3 * rounding
    assert np.abs(slopes - (gate + wide * gate * (1 - gate) * steepness)).max() < 3 * rounding


def test_a_wrong_slope_is_noticed():
    _, slopes = values_and_slopes(cpu, "gelu", Z)
    slopes[0, 5] += 1e-6
    assert np.abs(slopes - central_differences("gelu")).max() > 1e-8
