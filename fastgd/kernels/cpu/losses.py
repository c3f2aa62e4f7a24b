"""The loss: one number for how wrong the predictions are, and which way each prediction is wrong, in one pass.

Shapes: delta, predicted, y (B, O). Loss and gradient are multiplied by `scale` (1 / rows of the batch, so that blocks
of a batch add up to its mean).
"""

from __future__ import annotations

from ..codes import MSE
from ..compile import kernel


@kernel()
def loss_and_delta(delta, predicted, y, scale, loss):
    """delta = scale · d loss / d predicted; return scale · the sum of the rows' losses."""
    if loss.code == MSE:
        return mean_squared_error(delta, predicted, y, scale, loss.unit)
    return delta.dtype.type(0)


@kernel(noalias=True)
def mean_squared_error(delta, predicted, y, scale, unit):
    """A row's loss is the mean over its outputs of (predicted − y)²."""
    B, O = delta.shape
    share = delta.dtype.type(scale / O)
    slope = share + share
    total = delta.dtype.type(0)
    for i in range(B):
        for j in range(O):
            error = predicted[i, j] - y[i, j]
            delta[i, j] = slope * error
            total = total + share * unit[j] * error * error
    return total
