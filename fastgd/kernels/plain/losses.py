"""The losses and the delta that starts the backward pass: delta = scale · w · d loss / d predicted."""

from __future__ import annotations

import numpy as np

from ..codes import CROSS_ENTROPY, GAUSSIAN_NLL, POISSON, QUANTILE
from ..formulas import (
    LOSSES,
    gaussian,
    gaussian_slope_of_mean,
    gaussian_slope_of_variance,
    pinball,
    pinball_slope,
    poisson,
    poisson_slope,
)
from .user_units import softmax


def loss_and_delta(delta, predicted, y, w, scale, loss):
    """delta (B, O) = scale · w · d loss / d predicted; return scale · Σ w · loss over the rows.

    A row's loss is the mean over its outputs; over its targets for gaussian_nll; cross-entropy has one value a row.
    """
    p, units, constants, T = predicted, loss.units, loss.constants, y.shape[1]
    weight = (scale * w).astype(delta.dtype)[:, None]  # (B, 1)
    if loss.code == CROSS_ENTROPY:
        return cross_entropy(delta, p, y, weight)
    if loss.code == GAUSSIAN_NLL:
        return gaussian_nll(delta, p, y, weight / delta.dtype.type(T), constants)
    weight = weight / delta.dtype.type(delta.shape[1])  # of each output
    if loss.code == QUANTILE:
        Q = constants.size
        y, units, levels = np.repeat(y, Q, axis=1), np.repeat(units, Q), np.tile(constants, T)
        values, slopes = pinball(p, y, levels), pinball_slope(p, y, levels)
    elif loss.code == POISSON:
        values, slopes = poisson(p, y, constants[:T]), constants[T:] * poisson_slope(p, y)
    else:
        formula = LOSSES[loss.code]
        values, slopes = formula.value(p, y, constants), formula.slope(p, y, constants)
    delta[:] = weight * slopes
    return float((weight * units * values).sum())


def cross_entropy(delta, p, y, weight):
    """−ln softmax(p)[y]; the gradient is softmax(p), less 1 for the class y."""
    softmax(delta, p)
    rows, labels = np.arange(len(p)), y[:, 0].astype(np.int64)
    largest = p.max(axis=1)
    values = np.log(np.exp(p - largest[:, None]).sum(axis=1)) - (p[rows, labels] - largest)
    delta[rows, labels] -= 1
    delta *= weight
    return float((weight[:, 0] * values).sum())


def gaussian_nll(delta, p, y, weight, constants):
    """½ (s + (y − p)² e^−s) + ln unit: the first T outputs are means p, the others logarithms s of variances.

    The gradient is (p − y) e^−s in p, ½ (1 − (p − y)² e^−s) in s; constants (T,) are the logarithms of the units.
    """
    T = y.shape[1]
    e, s = p[:, :T] - y, p[:, T:]
    precision = np.exp(-s)
    delta[:, :T] = weight * gaussian_slope_of_mean(e, precision)
    delta[:, T:] = weight * gaussian_slope_of_variance(e, precision)
    return float((weight * (gaussian(e, s, precision) + constants)).sum())
