"""The losses: one number for how wrong the predictions are, and which way each output is wrong, in one pass.

Shapes: delta, predicted (B, O) are pointers to the outputs of the last layer; y (B, T) to the targets, w (B,) to their
weights, in standard units. All write delta = scale · w · d loss / d predicted and return scale · Σ w · loss over the
rows; in training `scale` is 1 / the rows of the batch, so that its blocks add up to its mean. `units` (T,) turn each
target's loss into its unit (over the largest); they do not touch the gradient. A row's loss is the mean over its
outputs; over its targets for gaussian_nll; cross-entropy has one value a row. The formulas are in formulas.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..codes import CROSS_ENTROPY, GAUSSIAN_NLL, POISSON, QUANTILE
from ..formulas import LOSSES, exp, log1p, number
from ..machinery.compile import copy_of, kernel
from .elementary import FORMULAS

value: Any = None  # each copy of the first loop calls formulas of its own
slope: Any = None
pinball, pinball_slope = FORMULAS["pinball"], FORMULAS["pinball_slope"]
poisson_value, poisson_slope = FORMULAS["poisson"], FORMULAS["poisson_slope"]
gaussian, gaussian_slope_of_mean = FORMULAS["gaussian"], FORMULAS["gaussian_slope_of_mean"]
gaussian_slope_of_variance = FORMULAS["gaussian_slope_of_variance"]


def of_each_output(delta, predicted, y, w, B, O, T, scale, units, constants):
    """A loss that every output has by itself: its formula's value, and the formula's slope as the gradient."""
    total = number(delta, 0)
    for i in range(B):
        weight = number(delta, scale / O) * w[i]
        for j in range(O):
            p, actual = predicted[i * O + j], y[i * T + j]
            delta[i * O + j] = weight * slope(p, actual, constants)
            total = total + weight * units[j] * value(p, actual, constants)
    return total


@kernel(noalias=True, inner=True)
def quantile(delta, predicted, y, w, B, O, T, scale, units, constants):
    """The pinball loss for each level of constants (Q,); the outputs of a target, one for each level, stand together.

    The gradient is −τ where the prediction is too low, 1 − τ where it is too high.
    """
    Q = constants.size
    total = number(delta, 0)
    for i in range(B):
        weight = number(delta, scale / O) * w[i]
        for j in range(O):
            p, actual, level = predicted[i * O + j], y[i * T + j // Q], constants[j % Q]
            delta[i * O + j] = weight * pinball_slope(p, actual, level)
            total = total + weight * units[j // Q] * pinball(p, actual, level)
    return total


@kernel(noalias=True, inner=True)
def poisson(delta, predicted, y, w, B, O, T, scale, units, constants):
    """e^p − y (p + ln m), where p is the logarithm of the rate in units of the mean count m.

    The gradient is e^p − y, times √m where m is below 1. constants (2 T,) are each target's ln m, then this factor.
    """
    total = number(delta, 0)
    for i in range(B):
        weight = number(delta, scale / O) * w[i]
        for j in range(O):
            p, actual = predicted[i * O + j], y[i * T + j]
            delta[i * O + j] = weight * constants[T + j] * poisson_slope(p, actual)
            total = total + weight * units[j] * poisson_value(p, actual, constants[j])
    return total


@kernel(noalias=True, inner=True)
def cross_entropy(delta, predicted, y, w, B, O, T, scale, units, constants):
    """−ln softmax(p)[y], y the number of the class: ln Σ e^(p − m) − (p[y] − m) with m the largest output.

    The gradient is softmax(p), less 1 for the class y.
    """
    one, total = number(delta, 1), number(delta, 0)
    for i in range(B):
        weight = number(delta, scale) * w[i]
        largest = predicted[i * O]
        for j in range(1, O):
            largest = max(largest, predicted[i * O + j])
        for j in range(O):
            delta[i * O + j] = exp(predicted[i * O + j] - largest)
        beyond_one = -one  # Σ − 1: the largest term is 1
        for j in range(O):
            beyond_one = beyond_one + delta[i * O + j]
        for j in range(O):
            delta[i * O + j] = weight * (delta[i * O + j] / (beyond_one + one))
        label = np.int64(y[i * T])
        delta[i * O + label] -= weight
        total = total + weight * (log1p(beyond_one) - (predicted[i * O + label] - largest))
    return total


@kernel(noalias=True, inner=True)
def gaussian_nll(delta, predicted, y, w, B, O, T, scale, units, constants):
    """½ (s + (y − p)² e^−s) + ln unit: the first T outputs are means p, the last T logarithms s of variances.

    The gradient is (p − y) e^−s in p, ½ (1 − (p − y)² e^−s) in s. The constant ½ ln 2π is left out. constants (T,) are
    the logarithms of the units.
    """
    total = number(delta, 0)
    for i in range(B):
        weight = number(delta, scale / T) * w[i]
        for j in range(T):
            e, s = predicted[i * O + j] - y[i * T + j], predicted[i * O + T + j]
            precision = exp(-s)
            delta[i * O + j] = weight * gaussian_slope_of_mean(e, precision)
            delta[i * O + T + j] = weight * gaussian_slope_of_variance(e, precision)
            total = total + weight * (gaussian(e, s, precision) + constants[j])
    return total


KERNELS: dict[int, Any] = {
    QUANTILE: quantile,
    POISSON: poisson,
    CROSS_ENTROPY: cross_entropy,
    GAUSSIAN_NLL: gaussian_nll,
}
for _code, _formula in enumerate(LOSSES):
    if _formula.value is not None and _formula.slope is not None:
        _functions = {"value": FORMULAS[_formula.value.__name__], "slope": FORMULAS[_formula.slope.__name__]}
        KERNELS[_code] = kernel(noalias=True, inner=True)(copy_of(of_each_output, _formula.name, **_functions))
