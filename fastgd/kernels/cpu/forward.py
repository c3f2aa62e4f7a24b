"""From rows of the table to predictions: gather a block of rows, standardise it, push it through the layers.

Shapes: B rows of a block, I inputs, O outputs of a layer.
"""

from __future__ import annotations

import numpy as np

from ..codes import ACTIVATION, BIASES, IDENTITY, N_IN, N_OUT, OUTPUTS, SLOPES, WEIGHTS
from ..machinery.calls import (
    ACTIVATE,
    ACTIVATE_BACKWARD,
    ACTIVATE_WITH_SLOPES,
    LAYERS,
    PER_LAYER,
    PRODUCT,
    call_elementwise,
    call_elementwise_pair,
    call_product,
)
from ..machinery.compile import kernel
from ..machinery.lanes import at, lanes, load_part, number, store_part
from ..machinery.teams import WHOLE, meet, share
from ..records import Team
from .products import dots
from .random import drop_units


@kernel(inner=True)
def standardise(x, X, order, mean, std):
    """x (B, I) = (X[order] − mean) · (1 / std), a vector of columns at a time: one division for all rows."""
    x_, X_, I = at(x, 0), at(X, 0), mean.shape[0]
    one, L = number(x_, 1), lanes(x_)
    for k in range(0, I, L):
        n = I - k
        centre, scale = load_part(at(mean, k), 0, n), one / load_part(at(std, k), 0, n, 1)
        for i in range(order.shape[0]):
            row = load_part(at(X_, order[i] * I), k, n)
            store_part(at(x_, i * I), k, (row - centre) * scale, n)


@kernel(merge=True)
def gather(x, y, w, rows, order, net):
    """x (B, I), y (B, T) and w (B,) = the rows that order names, in standard units, and their weights."""
    standardise(x, rows.X, order, net.input_mean, net.input_std)
    standardise(y, rows.Y, order, net.target_mean, net.target_std)
    if rows.weights.size:
        for i in range(order.shape[0]):
            w[i] = rows.weights[order[i]]
    else:
        w[:] = 1


@kernel()
def forward(workspace, B, seed, epoch, net):
    """Write every layer's outputs for the first B rows of workspace.x into workspace.activations."""
    forward_columns(Team(0, 1, workspace.calls, workspace.values, 0), workspace, B, seed, epoch, net)


@kernel(inline=True)
def forward_columns(crew, workspace, B, seed, epoch, net):
    """The same by a crew of threads: of every layer, each works on its share of the columns."""
    x, calls = at(workspace.x, 0), workspace.calls
    none, one = np.int64(0), np.int64(1)  # a plain 0 would be a type of its own
    for index in range(net.layers.shape[0]):
        I, O = net.layers[index, N_IN], net.layers[index, N_OUT]
        start, (first, last) = B * net.layers[index, OUTPUTS], share(O, crew)
        out, n = at(workspace.activations, start + first), last - first
        weights, biases = at(net.parameters, net.layers[index, WEIGHTS]), at(net.parameters, net.layers[index, BIASES])
        if O == 1 and n == 1:
            dots(out, biases[0], x, I, weights, B, I)
        elif n > 0:
            weights, biases = at(weights, first), at(biases, first)
            call_product(calls[PRODUCT], out, O, biases, none, x, I, one, weights, O, B, n, I)
        if net.layers[index, SLOPES] or net.layers[index, ACTIVATION] != IDENTITY:
            # All rows in one go, where they lie side by side.
            runs, length = (one, B * O) if n == O else (B, n)
            for run in range(runs if n > 0 else none):
                activate_run(workspace, index, start + first + run * O, length, net)
        if net.dropout[index] > 0 and n > 0:
            a, s = at(workspace.activations, start), at(workspace.slopes, start)
            drop_units(a, s, O, workspace.order, B, first, last, seed, epoch, index, net.dropout[index])
        if index < net.layers.shape[0] - 1 or O > WHOLE:  # a narrow last layer stays with the thread that has the loss
            meet(crew)
        x = at(workspace.activations, start)


@kernel(merge=True)
def activate_run(workspace, index, first, n, net):
    """The activation of a layer on n outputs from entry `first` on, and its slopes where they are asked for."""
    out, calls, functions = at(workspace.activations, first), workspace.calls, LAYERS + PER_LAYER * index
    if net.layers[index, SLOPES]:
        s = at(workspace.slopes, first)
        if calls[functions + ACTIVATE_WITH_SLOPES]:
            call_elementwise_pair(calls[functions + ACTIVATE_WITH_SLOPES], out, s, n)
        else:
            call_elementwise(calls[functions + ACTIVATE], out, n)
            workspace.slopes[first : first + n] = 1
            call_elementwise_pair(calls[functions + ACTIVATE_BACKWARD], s, out, n)
    else:
        call_elementwise(calls[functions + ACTIVATE], out, n)


@kernel(merge=True, inner=True)
def outputs_of_last_layer(workspace, B, net):
    """The outputs (B, O) of the last layer."""
    layer = net.layers[net.layers.shape[0] - 1]
    O = layer[N_OUT]
    return workspace.activations[B * layer[OUTPUTS] : B * (layer[OUTPUTS] + O)].reshape(B, O)
