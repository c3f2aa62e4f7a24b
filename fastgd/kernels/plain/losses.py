"""The losses and the delta that starts the backward pass."""

from __future__ import annotations

import numpy as np

from ..codes import (
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    GAUSSIAN_NLL,
    HUBER,
    LOG_COSH,
    MAE,
    MSE,
    POISSON,
    QUANTILE,
)
from .activations import sigmoid
from .responses import softmax


def loss_and_delta(delta, predicted, y, w, scale, loss):
    """delta = scale · d loss / d predicted; return scale · the sum of the rows' losses."""
    share = (scale * w).astype(delta.dtype)[:, None]  # of a row
    unit, constants = loss.unit, loss.constants
    p = predicted
    if loss.code == QUANTILE:
        y, unit = np.repeat(y, constants.size, axis=1), np.repeat(unit, constants.size)
    if loss.code == CROSS_ENTROPY:
        return cross_entropy(delta, p, y, share)
    if loss.code == GAUSSIAN_NLL:
        return gaussian_nll(delta, p, y, share, constants)
    share = share / delta.dtype.type(delta.shape[1])  # of an output
    if loss.code == BINARY_CROSS_ENTROPY:
        values = np.maximum(p, 0) - y * p + np.log1p(np.exp(-np.abs(p)))
        delta[:] = share * (sigmoid(p) - y)
        return float((share * values).sum())
    if loss.code == POISSON:
        rate = np.exp(p)
        T = y.shape[1]
        delta[:] = share * constants[T:] * (rate - y)
        return float((share * unit * (rate - y * (p + constants[:T]))).sum())
    error = p - y
    if loss.code == MSE:
        values, slopes = error**2, 2 * error
    elif loss.code == MAE:
        values, slopes = np.abs(error), np.sign(error)
    elif loss.code == HUBER:
        slopes = np.clip(error, -constants[0], constants[0])
        values = slopes * error - 0.5 * slopes**2
    elif loss.code == LOG_COSH:
        near = np.log1p(np.sinh(np.clip(error, -1, 1)) ** 2) / 2
        far = np.abs(error) + np.log1p(np.exp(-2 * np.abs(error))) - np.log(2)
        values, slopes = np.where(np.abs(error) < 1, near, far), np.tanh(error)
    else:  # QUANTILE
        levels = np.tile(constants, y.shape[1] // constants.size)
        slopes = np.where(error < 0, -levels, np.where(error > 0, 1 - levels, 0))
        values = slopes * error
    delta[:] = share * slopes
    return float((share * unit * values).sum())


def cross_entropy(delta, p, y, share):
    """−ln softmax(p)[y]."""
    softmax(delta, p)
    rows, labels = np.arange(len(p)), y[:, 0].astype(np.int64)
    largest = p.max(axis=1)
    values = np.log(np.exp(p - largest[:, None]).sum(axis=1)) - (p[rows, labels] - largest)
    delta[rows, labels] -= 1
    delta *= share
    return float((share[:, 0] * values).sum())


def gaussian_nll(delta, p, y, share, constants):
    """½ (s + (y − p)² e^−s)."""
    T = y.shape[1]
    share = share / delta.dtype.type(T)
    error, s = p[:, :T] - y, p[:, T:]
    precision = np.exp(-s)
    delta[:, :T] = share * error * precision
    delta[:, T:] = share * 0.5 * (1 - error**2 * precision)
    return float((share * (0.5 * (s + error**2 * precision) + constants)).sum())
