"""The training loop: for each batch gather, forward, loss, backward, update; no Python and no allocation per step.

A batch is walked in blocks of rows (64), so that a block's activations stay in the fastest cache.
"""

from __future__ import annotations

import math

from ..compile import kernel
from .backward import backward, layer_delta, transpose_weights
from .forward import forward, gather, standardise
from .losses import loss_and_delta
from .random import row_order
from .updates import update


@kernel()
def block_loss(workspace, rows, first, B, scale, net, loss):
    """Loss of B rows from place `first` on, times scale; leaves x, activations and the last layer's delta behind."""
    order, x, y = workspace.order[:B], workspace.x[:B], workspace.y[:B]
    row_order(order, first, rows.X.shape[0], rows.seed, rows.epoch, rows.shuffle)
    gather(x, y, rows, order, net)
    predicted = forward(workspace.activations, x, net)
    delta = layer_delta(workspace.deltas, net.layers.shape[0] - 1, B, predicted.shape[1])
    return loss_and_delta(delta, predicted, y, scale, loss)


@kernel()
def batch_gradient(gradient, workspace, rows, first, n, net, loss):
    """gradient = mean over n rows from place `first` on of d loss / d parameters; return their mean loss."""
    gradient[:] = 0
    transpose_weights(workspace.transposed, net)
    total = 0.0
    for start in range(first, first + n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], first + n - start)
        total += block_loss(workspace, rows, start, B, 1.0 / n, net, loss)
        backward(gradient, workspace.deltas, workspace.activations, workspace.x[:B], workspace.transposed, net)
    return total


@kernel()
def train(net, gradient, workspace, progress, rows, first, batch_size, learning_rates, loss, rule):
    """Take one step for each learning rate, the first on the batch that starts at place `first` of the epoch.

    progress[0] gains each step's loss times its rows. Stops before a step whose loss is not finite; returns the
    number of steps taken.
    """
    n_rows = rows.X.shape[0]
    for step in range(learning_rates.shape[0]):
        start = first + step * batch_size
        n = min(batch_size, n_rows - start)
        value = batch_gradient(gradient, workspace, rows, start, n, net, loss)
        if not math.isfinite(value):
            return step
        update(net.parameters, gradient, rule, learning_rates[step])
        progress[0] += value * n
    return learning_rates.shape[0]


@kernel()
def mean_loss(workspace, rows, net, loss):
    """The mean loss over all rows."""
    n = rows.X.shape[0]
    total = 0.0
    for start in range(0, n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], n - start)
        total += block_loss(workspace, rows, start, B, 1.0, net, loss)
    return total / n


@kernel()
def predict(out, workspace, X, net):
    """out (n, O) = predictions for X (n, I), both in the user's units."""
    n = X.shape[0]
    for start in range(0, n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], n - start)
        order, x = workspace.order[:B], workspace.x[:B]
        for i in range(B):
            order[i] = start + i
        standardise(x, X, order, net.input_mean, net.input_std)
        predicted = forward(workspace.activations, x, net)
        for i in range(B):
            for j in range(out.shape[1]):
                out[start + i, j] = predicted[i, j] * net.target_std[j] + net.target_mean[j]
