"""From rows of the table to predictions: gather a block of rows, standardise it, push it through the layers.

Shapes: B rows of a block, I inputs, O outputs of a layer.
"""

from __future__ import annotations

from ..codes import ACTIVATION, BIASES, N_IN, N_OUT, OUTPUTS, SLOPES, WEIGHTS
from ..compile import kernel
from .activations import activate, activate_with_slopes
from .products import dense
from .random import drop


@kernel(noalias=True)
def standardise(x, X, order, mean, std):
    """x (B, I) = (X[order] − mean) / std."""
    for i in range(order.shape[0]):
        from_row, to_row = X[order[i]], x[i]
        for k in range(mean.shape[0]):
            to_row[k] = (from_row[k] - mean[k]) / std[k]


@kernel()
def gather(x, y, w, rows, order, net):
    """x (B, I), y (B, T) and w (B,) = the rows that order names, in standard units, and their weights."""
    standardise(x, rows.X, order, net.input_mean, net.input_std)
    standardise(y, rows.Y, order, net.target_mean, net.target_std)
    for i in range(order.shape[0]):
        w[i] = rows.weights[order[i]] if rows.weights.size else w.dtype.type(1)


@kernel(inline=True)
def layer_weights(parameters, layer):
    """The weights (I, O) of one layer, seen inside the flat vector."""
    start = layer[WEIGHTS]
    return parameters[start : start + layer[N_IN] * layer[N_OUT]].reshape(layer[N_IN], layer[N_OUT])


@kernel(inline=True)
def layer_biases(parameters, layer):
    """The biases (O,) of one layer."""
    return parameters[layer[BIASES] : layer[BIASES] + layer[N_OUT]]


@kernel(inline=True)
def layer_outputs(activations, layer, B):
    """The outputs (B, O) of one layer for a block of B rows."""
    start = B * layer[OUTPUTS]
    return activations[start : start + B * layer[N_OUT]].reshape(B, layer[N_OUT])


@kernel()
def forward(activations, slopes, x, order, seed, epoch, net):
    """Write every layer's outputs for x (B, I) into activations; return those of the last layer (B, O)."""
    B = x.shape[0]
    a = x
    for index in range(net.layers.shape[0]):
        layer = net.layers[index]
        out = layer_outputs(activations, layer, B)
        dense(out, a, layer_weights(net.parameters, layer), layer_biases(net.parameters, layer))
        if layer[SLOPES]:
            slope = layer_outputs(slopes, layer, B)
            activate_with_slopes(out, slope, layer[ACTIVATION])
            if net.dropout[index] > 0:
                drop(out, slope, order, seed, epoch, index, net.dropout[index])
        else:
            activate(out, layer[ACTIVATION])
        a = out
    return a
