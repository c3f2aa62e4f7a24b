"""The training loop in NumPy: for each batch forward and loss, backward, update."""

from __future__ import annotations

import math

import numpy as np

from ..records import new_workspace
from .backward import backward, layer_delta
from .forward import forward, gather, last_outputs, standardise
from .losses import loss_and_delta
from .random import row_order
from .updates import update
from .user_units import to_user_units

silent = np.errstate(all="ignore")  # NumPy says nothing of overflow: the caller looks for finite numbers
BLOCK_ROWS = 1024  # the fewest rows of a workspace, unless the caller says otherwise


def new_workspaces(net, loss=None, rule=None, batch_size=1, n_threads=1, block_rows=None):
    """One workspace for whole batches, on which NumPy is fastest; loss, rule and threads matter to other engines."""
    return [new_workspace(net, block_rows or max(batch_size, BLOCK_ROWS))]


def new_gradients(net, batch_size):
    """One gradient (1, n_parameters): this engine does not cut batches into shards."""
    return np.zeros((1, net.parameters.size), net.parameters.dtype)


def rows_in_order(rows, place, n):
    """The numbers of n rows, from this place of the epoch on."""
    order = np.empty(n, np.int64)
    row_order(order, place, rows.X.shape[0], rows.seed, rows.epoch, rows.shuffle)
    return order


def weight_of(rows, order):
    """The sum of the weights of the rows in order; their number where all count the same."""
    return float(rows.weights[order].sum(dtype=np.float64)) if rows.weights.size else float(order.size)


def batch_weight(workspace, rows, place, n):
    """The sum of the weights of n rows from this place on; n itself where all count the same."""
    return weight_of(rows, rows_in_order(rows, place, n))


def forward_and_loss(workspace, rows, order, scale, net, loss):
    """Returns scale · Σ w · loss over the rows in `order`; leaves x, activations and the last layer's delta behind."""
    B = order.size
    x, y, w = workspace.x[:B], workspace.y[:B], workspace.w[:B]
    workspace.order[:B] = order
    gather(x, y, w, rows, order, net)
    forward(workspace, B, rows.seed, rows.epoch, net)
    predicted = last_outputs(workspace, B, net)
    delta = layer_delta(workspace.deltas, net.layers.shape[0] - 1, B, predicted.shape[1])
    return loss_and_delta(delta, predicted, y, w, scale, loss)


def forward_backward(gradient, workspace, rows, order, net, loss):
    """gradient (n_parameters,) = Σ w · d loss / d parameters over the rows in `order`, divided by their number.

    Returns Σ w · loss, divided likewise.
    """
    total = 0.0
    for start in range(0, order.size, workspace.x.shape[0]):
        block = order[start : start + workspace.x.shape[0]]
        total += float(forward_and_loss(workspace, rows, block, 1.0 / order.size, net, loss))
        backward(gradient, workspace, block.size, start == 0, net)
    return total


@silent
def batch_gradient(gradients, workspace, rows, place, n, net, loss):
    """gradients[0] = Σ weight · d loss / d parameters of n rows from this place on, over n; return their loss."""
    return forward_backward(gradients[0], workspace, rows, rows_in_order(rows, place, n), net, loss)


@silent
def train(net, state, gradients, workspaces, sums, rows, place, batch_size, learning_rates, loss, rule):
    """Take one step for each learning rate, the first on the batch that starts at this place of the epoch.

    sums (2,) gains each step's loss times its rows, and the sum of these rows' weights. Stops before a step whose loss
    is not finite; returns how many steps were taken. There is one thread, and BLAS may have others.
    """
    gradient, workspace = gradients[0], workspaces[0]
    # All batches in one go: done batch by batch, the order would cost more than the rest.
    order = rows_in_order(rows, place, min(learning_rates.size * batch_size, rows.X.shape[0] - place))
    for step in range(learning_rates.size):
        batch = order[step * batch_size : (step + 1) * batch_size]  # next batch
        value = forward_backward(gradient, workspace, rows, batch, net, loss)  # forward and loss, then backward
        if not math.isfinite(value):
            return step
        update(net, state, gradient, rule, learning_rates[step])
        sums[0] += value * batch.size
        sums[1] += weight_of(rows, batch)
    return learning_rates.size


@silent
def mean_loss(workspace, rows, net, loss):
    """Σ weight · loss / Σ weight over all rows."""
    order = rows_in_order(rows, 0, rows.X.shape[0])
    blocks = (order[start : start + workspace.x.shape[0]] for start in range(0, order.size, workspace.x.shape[0]))
    total = sum(float(forward_and_loss(workspace, rows, block, 1.0, net, loss)) for block in blocks)
    return total / weight_of(rows, order)


@silent
def predict(out, workspace, X, net, loss):
    """out (n, O) = predictions for X (n, I), both in the user's units.

    Returns whether all inputs in standard units and all predictions are finite.
    """
    n, finite = X.shape[0], True
    for start in range(0, n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], n - start)
        order, x = workspace.order[:B], workspace.x[:B]
        order[:] = range(start, start + B)
        standardise(x, X, order, net.input_mean, net.input_std)
        finite &= bool(np.isfinite(x).all())
        forward(workspace, B, np.uint64(0), 0, net)
        to_user_units(out[start : start + B], last_outputs(workspace, B, net), net, loss)
    return finite and bool(np.isfinite(out).all())


def predicting(workspace, net, loss):
    """The function predict(out, X) for these."""
    return lambda out, X: predict(out, workspace, X, net, loss)
