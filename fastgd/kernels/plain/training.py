"""The training loop in NumPy, whole batches at a time."""

from __future__ import annotations

import math

import numpy as np

from ..records import new_workspace
from .backward import backward, layer_delta
from .forward import forward, gather, last_outputs, standardise
from .losses import loss_and_delta
from .random import row_order
from .responses import respond
from .updates import update

BLOCK_ROWS = 1024  # of predictions


def new_workspaces(net, loss=None, rule=None, batch_size=1, n_threads=1, block_rows=None):
    """Scratch for whole batches, on which NumPy is fastest."""
    return [new_workspace(net, block_rows or max(batch_size, BLOCK_ROWS))]


def new_gradients(net, batch_size):
    """One gradient (1, n_parameters): a batch is one shard."""
    return np.zeros((1, net.parameters.size), net.parameters.dtype)


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
    workspace.order[:B] = order
    gather(x, y, w, rows, order, net)
    forward(workspace, B, rows.seed, rows.epoch, net)
    predicted = last_outputs(workspace, B, net)
    delta = layer_delta(workspace.deltas, net.layers.shape[0] - 1, B, predicted.shape[1])
    return loss_and_delta(delta, predicted, y, w, scale, loss)


def ordered_gradient(gradient, workspace, rows, order, net, loss):
    """gradient = Σ weight · d loss / d parameters of the rows in order, over their number; return their loss."""
    total = 0.0
    for start in range(0, order.size, workspace.x.shape[0]):
        block = order[start : start + workspace.x.shape[0]]
        total += float(block_loss(workspace, rows, block, 1.0 / order.size, net, loss))
        backward(gradient, workspace, block.size, start == 0, net)
    return total


def batch_gradient(gradients, workspace, rows, first, n, net, loss):
    """gradients[0] = Σ weight · d loss / d parameters of n rows from place `first` on, over n; return their loss."""
    return ordered_gradient(gradients[0], workspace, rows, places(rows, first, n), net, loss)


def train(net, state, gradients, workspaces, progress, rows, first, batch_size, learning_rates, loss, rule):
    """Take one step for each learning rate; see the compiled twin. There is one thread, and BLAS may have others."""
    gradient, workspace = gradients[0], workspaces[0]
    order = places(rows, first, min(learning_rates.size * batch_size, rows.X.shape[0] - first))
    for step in range(learning_rates.size):
        batch = order[step * batch_size : (step + 1) * batch_size]
        value = ordered_gradient(gradient, workspace, rows, batch, net, loss)
        if not math.isfinite(value):
            return step
        update(net, state, gradient, rule, learning_rates[step])
        progress[0] += value * batch.size
        progress[1] += order_weight(rows, batch)
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
    """out (n, O) = predictions for X (n, I), both in the user's units. Returns whether all of both is finite."""
    n, finite = X.shape[0], True
    for start in range(0, n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], n - start)
        order, x = workspace.order[:B], workspace.x[:B]
        order[:] = range(start, start + B)
        standardise(x, X, order, net.input_mean, net.input_std)
        finite &= bool(np.isfinite(x).all())
        forward(workspace, B, np.uint64(0), 0, net)
        respond(out[start : start + B], last_outputs(workspace, B, net), net, loss)
    return finite and bool(np.isfinite(out).all())
