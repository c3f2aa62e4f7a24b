"""From rows of the table to predictions.

The letters are in records.py, the columns of the table of layers (WEIGHTS, SLOPES, …) in codes.py.
"""

from __future__ import annotations

from ..codes import ACTIVATION, BIASES, N_IN, N_OUT, OUTPUTS, SLOPES, WEIGHTS
from .activations import activate, activate_with_slopes
from .lookups import features
from .products import dense
from .random import drop


def standardise(x, X, order, mean, std):
    """x (B, I) = (X[order] − mean) / std."""
    x[:] = (X[order] - mean) / std


def gather(x, y, w, rows, order, net):
    """x (B, I), y (B, T) = the rows that order names, in standard units (class numbers stay); w (B,) their weights."""
    standardise(x, rows.X, order, net.input_mean, net.input_std)
    standardise(y, rows.Y, order, net.target_mean, net.target_std)
    w[:] = rows.weights[order] if rows.weights.size else 1


def layer_weights(parameters, layer):
    """The weights (I, O) of one layer, seen inside the flat vector."""
    start = layer[WEIGHTS]
    return parameters[start : start + layer[N_IN] * layer[N_OUT]].reshape(layer[N_IN], layer[N_OUT])


def layer_biases(parameters, layer):
    """The biases (O,) of one layer."""
    return parameters[layer[BIASES] : layer[BIASES] + layer[N_OUT]]


def layer_part(activations, layer, B):
    """The part (B, O) of one layer in activations or slopes, for a block of B rows."""
    start = B * layer[OUTPUTS]
    return activations[start : start + B * layer[N_OUT]].reshape(B, layer[N_OUT])


def forward(workspace, B, seed, epoch, net):
    """Write every layer's outputs for the first B rows of workspace.x into workspace.activations.

    f′(z) goes to workspace.slopes where a layer asks for it.
    """
    x = features(workspace.x[:B], net)
    for index, layer in enumerate(net.layers):
        a = layer_part(workspace.activations, layer, B)
        # z = x @ W + b
        dense(a, x, layer_weights(net.parameters, layer), layer_biases(net.parameters, layer))
        # a = f(z), in place
        if layer[SLOPES]:
            slopes = layer_part(workspace.slopes, layer, B)
            activate_with_slopes(a, slopes, layer[ACTIVATION])
            if net.dropout[index] > 0:
                drop(a, slopes, workspace.order[:B], seed, epoch, index, float(net.dropout[index]))
        else:
            activate(a, layer[ACTIVATION])
        x = a  # a layer's outputs are the next one's inputs


def last_outputs(workspace, B, net):
    """The outputs (B, O) of the last layer."""
    return layer_part(workspace.activations, net.layers[-1], B)
