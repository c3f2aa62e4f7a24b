"""The losses of one row, and what predictions of one row are in the user's units: the loops of ../cpu/losses.py.

`of_row(c, scale, w, p, y, d)` writes a row's delta = scale · w · d loss / d predicted and returns scale · w · loss; p,
y and d are where its outputs, targets and delta begin in the tile.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from ..codes import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, GAUSSIAN_NLL, POISSON, QUANTILE
from ..formulas import LOSSES
from .block import SCALES, S
from .layout import Scales, Shape
from .sources import Target, same


def loss_of_row(target: Target, f: SimpleNamespace, shape: Shape, at: Scales) -> Any:
    """The loss of a shape."""
    O, T, Q = shape.n_out, shape.n_targets, max(shape.n_constants, 1)
    real = np.dtype(shape.dtype).type
    units, constants = at.units, at.constants
    exp, log1p, pinball, pinball_slope = f.exp, f.log1p, f.pinball, f.pinball_slope
    poisson, poisson_slope, gaussian = f.poisson, f.poisson_slope, f.gaussian
    gaussian_slope_of_mean, gaussian_slope_of_variance = f.gaussian_slope_of_mean, f.gaussian_slope_of_variance
    zero, one = real(0), real(1)

    if shape.loss == QUANTILE:

        def of_row(c, scale, w, p, y, d):
            weight = real(scale / O) * w
            total = zero
            j = 0
            while j < O:
                level = c[SCALES][constants + j % Q]
                predicted, actual = c[S][p + j], c[S][y + j // Q]
                c[S][d + j] = weight * pinball_slope(predicted, actual, level)
                total = total + weight * c[SCALES][units + j // Q] * pinball(predicted, actual, level)
                j += 1
            return total

    elif shape.loss == POISSON:

        def of_row(c, scale, w, p, y, d):
            weight = real(scale / O) * w
            total = zero
            j = 0
            while j < O:
                predicted, actual = c[S][p + j], c[S][y + j]
                c[S][d + j] = weight * c[SCALES][constants + T + j] * poisson_slope(predicted, actual)
                value = poisson(predicted, actual, c[SCALES][constants + j])
                total = total + weight * c[SCALES][units + j] * value
                j += 1
            return total

    elif shape.loss == CROSS_ENTROPY:

        def of_row(c, scale, w, p, y, d):
            weight = real(scale) * w
            largest = c[S][p]
            j = 1
            while j < O:
                largest = c[S][p + j] if c[S][p + j] > largest else largest
                j += 1
            beyond_one = -one  # Σ − 1: the largest term is 1
            j = 0
            while j < O:
                power = exp(c[S][p + j] - largest)
                c[S][d + j] = power
                beyond_one = beyond_one + power
                j += 1
            j = 0
            while j < O:
                c[S][d + j] = weight * (c[S][d + j] / (beyond_one + one))
                j += 1
            label = int(c[S][y])
            c[S][d + label] = c[S][d + label] - weight
            return weight * (log1p(beyond_one) - (c[S][p + label] - largest))

    elif shape.loss == GAUSSIAN_NLL:

        def of_row(c, scale, w, p, y, d):
            weight = real(scale / T) * w
            total = zero
            j = 0
            while j < T:
                e, s = c[S][p + j] - c[S][y + j], c[S][p + T + j]
                precision = exp(-s)
                c[S][d + j] = weight * gaussian_slope_of_mean(e, precision)
                c[S][d + T + j] = weight * gaussian_slope_of_variance(e, precision)
                total = total + weight * (gaussian(e, s, precision) + c[SCALES][constants + j])
                j += 1
            return total

    else:
        value, slope = same(f, LOSSES[shape.loss].value), same(f, LOSSES[shape.loss].slope)
        first = constants if shape.n_constants else 0  # a loss without any reads none

        def of_row(c, scale, w, p, y, d):
            weight = real(scale / O) * w
            given = c[SCALES][first:]
            total = zero
            j = 0
            while j < O:
                predicted, actual = c[S][p + j], c[S][y + j]
                c[S][d + j] = weight * slope(predicted, actual, given)
                total = total + weight * c[SCALES][units + j] * value(predicted, actual, given)
                j += 1
            return total

    return target.compile(of_row)


def to_user_units(target: Target, f: SimpleNamespace, shape: Shape, at: Scales) -> Any:
    """`answer(c, p, out, row)`: out[row] = what the outputs of one row mean."""
    O, T, Q = shape.n_out, shape.n_targets, max(shape.n_constants, 1)
    real = np.dtype(shape.dtype).type
    exp, sigmoid = f.exp, f.sigmoid
    mean, std, half, zero = at.target_mean, at.target_std, real(0.5), real(0)

    if shape.loss == CROSS_ENTROPY:

        def answer(c, p, out, row):
            largest = c[S][p]
            j = 1
            while j < O:
                largest = c[S][p + j] if c[S][p + j] > largest else largest
                j += 1
            total = zero
            j = 0
            while j < O:
                out[row, j] = exp(c[S][p + j] - largest)
                total = total + out[row, j]
                j += 1
            j = 0
            while j < O:
                out[row, j] = out[row, j] / total
                j += 1

    elif shape.loss == BINARY_CROSS_ENTROPY:

        def answer(c, p, out, row):
            j = 0
            while j < O:
                out[row, j] = sigmoid(c[S][p + j])
                j += 1

    elif shape.loss == POISSON:

        def answer(c, p, out, row):
            j = 0
            while j < O:
                out[row, j] = exp(c[S][p + j]) * c[SCALES][std + j]
                j += 1

    elif shape.loss == GAUSSIAN_NLL:

        def answer(c, p, out, row):
            j = 0
            while j < T:
                out[row, j] = c[S][p + j] * c[SCALES][std + j] + c[SCALES][mean + j]
                out[row, T + j] = exp(half * c[S][p + T + j]) * c[SCALES][std + j]
                j += 1

    else:
        levels = Q if shape.loss == QUANTILE else 1

        def answer(c, p, out, row):
            j = 0
            while j < O:
                out[row, j] = c[S][p + j] * c[SCALES][std + j // levels] + c[SCALES][mean + j // levels]
                j += 1

    return target.compile(answer)
