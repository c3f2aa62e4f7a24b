"""The training loop: for each batch gather, forward, loss, backward, update; no Python and no allocation per step.

A batch is walked in blocks of rows (64), so that a block's activations stay in the fastest cache.
"""

from __future__ import annotations

import math

import numpy as np

from ..compile import kernel
from .backward import backward, layer_delta, transpose_weights
from .forward import forward, gather, standardise
from .losses import loss_and_delta
from .random import row_order
from .responses import respond
from .updates import update

NO_SEED = np.uint64(0)  # predictions drop no units


@kernel(merge=True)
def batch_weight(workspace, rows, first, n):
    """The sum of the weights of n rows from place `first` on; n itself where all count the same."""
    if rows.weights.size == 0:
        return float(n)
    total = 0.0
    for start in range(first, first + n, workspace.x.shape[0]):
        order = workspace.order[: min(workspace.x.shape[0], first + n - start)]
        row_order(order, start, rows.X.shape[0], rows.seed, rows.epoch, rows.shuffle)
        for row in order:
            total += rows.weights[row]
    return total


@kernel(merge=True)
def block_loss(workspace, rows, first, B, scale, net, loss):
    """Loss of B rows from place `first` on, times scale; leaves x, activations and the last layer's delta behind."""
    order, x, y, w = workspace.order[:B], workspace.x[:B], workspace.y[:B], workspace.w[:B]
    row_order(order, first, rows.X.shape[0], rows.seed, rows.epoch, rows.shuffle)
    gather(x, y, w, rows, order, net)
    predicted = forward(workspace.activations, workspace.slopes, x, order, rows.seed, rows.epoch, net)
    delta = layer_delta(workspace.deltas, net.layers.shape[0] - 1, B, predicted.shape[1])
    return loss_and_delta(delta, predicted, y, w, scale, loss)


@kernel(merge=True)
def batch_gradient(gradient, workspace, rows, first, n, net, loss):
    """gradient = weighted mean over n rows from place `first` on of d loss / d parameters; return their mean loss."""
    gradient[:] = 0
    weight = batch_weight(workspace, rows, first, n)
    scale = 1.0 / weight if weight > 0 else 0.0  # rows that all count nothing move nothing
    transpose_weights(workspace.transposed, net)
    total = 0.0
    for start in range(first, first + n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], first + n - start)
        total += block_loss(workspace, rows, start, B, scale, net, loss)
        x = workspace.x[:B]
        activations, slopes = workspace.activations, workspace.slopes
        backward(gradient, workspace.deltas, activations, slopes, x, workspace.transposed, net)
    return total


@kernel()
def train(net, state, gradient, workspace, progress, rows, first, batch_size, learning_rates, loss, rule):
    """Take one step for each learning rate, the first on the batch that starts at place `first` of the epoch.

    progress (2,) gains each step's loss times its weight, and that weight. Stops before a step whose loss is not
    finite; returns the number of steps taken.
    """
    n_rows = rows.X.shape[0]
    for step in range(learning_rates.shape[0]):
        start = first + step * batch_size
        n = min(batch_size, n_rows - start)
        value = batch_gradient(gradient, workspace, rows, start, n, net, loss)
        if not math.isfinite(value):
            return step
        update(net, state, gradient, rule, learning_rates[step])
        weight = batch_weight(workspace, rows, start, n)
        progress[0] += value * weight
        progress[1] += weight
    return learning_rates.shape[0]


@kernel()
def mean_loss(workspace, rows, net, loss):
    """The weighted mean loss over all rows."""
    n = rows.X.shape[0]
    total = 0.0
    for start in range(0, n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], n - start)
        total += block_loss(workspace, rows, start, B, 1.0, net, loss)
    return total / batch_weight(workspace, rows, 0, n)


@kernel()
def predict(out, workspace, X, net, loss):
    """out (n, O) = predictions for X (n, I), both in the user's units; see respond."""
    n = X.shape[0]
    for start in range(0, n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], n - start)
        order, x = workspace.order[:B], workspace.x[:B]
        for i in range(B):
            order[i] = start + i
        standardise(x, X, order, net.input_mean, net.input_std)
        outputs = forward(workspace.activations, workspace.slopes, x, order, NO_SEED, 0, net)
        respond(out[start : start + B], outputs, net, loss)
