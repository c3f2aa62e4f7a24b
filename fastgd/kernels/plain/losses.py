"""The loss and the delta that starts the backward pass."""

from __future__ import annotations

import numpy as np

from ..codes import MSE


def loss_and_delta(delta, predicted, y, scale, loss):
    """delta = scale · d loss / d predicted; return scale · the sum of the rows' losses."""
    if loss.code == MSE:
        return mean_squared_error(delta, predicted, y, scale, loss.unit)
    return 0.0


def mean_squared_error(delta, predicted, y, scale, unit):
    """A row's loss is the mean over its outputs of (predicted − y)²."""
    np.subtract(predicted, y, out=delta)
    value = float(scale / delta.shape[1] * np.einsum("ij,ij,j->", delta, delta, unit))
    delta *= 2 * scale / delta.shape[1]
    return value
