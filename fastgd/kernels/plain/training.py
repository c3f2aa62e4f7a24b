"""The training loop in NumPy, whole batches at a time."""

from __future__ import annotations

import math

import numpy as np

from .backward import backward, layer_delta
from .forward import forward, gather, standardise
from .losses import loss_and_delta
from .random import row_order
from .responses import respond
from .updates import update


def places(rows, first, n):
    """The rows at n places of the epoch, all at once: done batch by batch, the order would cost more than the rest."""
    order = np.empty(n, np.int64)
    row_order(order, first, rows.X.shape[0], rows.seed, rows.epoch, rows.shuffle)
    return order


def order_weight(rows, order):
    """The sum of the weights of the rows in order."""
    return float(rows.weights[order].sum(dtype=np.float64)) if rows.weights.size else float(order.size)


def batch_weight(workspace, rows, first, n):
    """The sum of the weights of n rows from place `first` on; n itself where all count the same."""
    return order_weight(rows, places(rows, first, n))


def block_loss(workspace, rows, order, scale, net, loss):
    """Loss of the rows in order, times scale; leaves x, activations and the last layer's delta behind."""
    B = order.size
    x, y, w = workspace.x[:B], workspace.y[:B], workspace.w[:B]
    gather(x, y, w, rows, order, net)
    predicted = forward(workspace.activations, workspace.slopes, x, order, rows.seed, rows.epoch, net)
    delta = layer_delta(workspace.deltas, net.layers.shape[0] - 1, B, predicted.shape[1])
    return loss_and_delta(delta, predicted, y, w, scale, loss)


def ordered_gradient(gradient, workspace, rows, order, net, loss):
    """gradient = mean over the rows in order of d loss / d parameters; return their mean loss."""
    gradient[:] = 0
    weight = order_weight(rows, order)
    scale = 1.0 / weight if weight > 0 else 0.0
    total = 0.0
    for start in range(0, order.size, workspace.x.shape[0]):
        block = order[start : start + workspace.x.shape[0]]
        total += float(block_loss(workspace, rows, block, scale, net, loss))
        x = workspace.x[: block.size]
        activations, slopes = workspace.activations, workspace.slopes
        backward(gradient, workspace.deltas, activations, slopes, x, workspace.transposed, net)
    return total


def batch_gradient(gradient, workspace, rows, first, n, net, loss):
    """gradient = mean over n rows from place `first` on of d loss / d parameters; return their mean loss."""
    return ordered_gradient(gradient, workspace, rows, places(rows, first, n), net, loss)


def train(net, state, gradient, workspace, progress, rows, first, batch_size, learning_rates, loss, rule):
    """Take one step for each learning rate; see the compiled twin."""
    order = places(rows, first, min(learning_rates.size * batch_size, rows.X.shape[0] - first))
    for step in range(learning_rates.size):
        batch = order[step * batch_size : (step + 1) * batch_size]
        value = ordered_gradient(gradient, workspace, rows, batch, net, loss)
        if not math.isfinite(value):
            return step
        update(net, state, gradient, rule, learning_rates[step])
        weight = order_weight(rows, batch)
        progress[0] += value * weight
        progress[1] += weight
    return learning_rates.shape[0]


def mean_loss(workspace, rows, net, loss):
    """The mean loss over all rows."""
    n = rows.X.shape[0]
    order = places(rows, 0, n)
    blocks = (order[start : start + workspace.x.shape[0]] for start in range(0, n, workspace.x.shape[0]))
    return sum(float(block_loss(workspace, rows, block, 1.0, net, loss)) for block in blocks) / order_weight(
        rows, order
    )


def predict(out, workspace, X, net, loss):
    """out (n, O) = predictions for X (n, I), both in the user's units."""
    n = X.shape[0]
    for start in range(0, n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], n - start)
        order, x = workspace.order[:B], workspace.x[:B]
        order[:] = range(start, start + B)
        standardise(x, X, order, net.input_mean, net.input_std)
        outputs = forward(workspace.activations, workspace.slopes, x, order, np.uint64(0), 0, net)
        respond(out[start : start + B], outputs, net, loss)
