"""From rows of the table to predictions."""

from __future__ import annotations

from ..codes import ACTIVATION, BIASES, N_IN, N_OUT, OUTPUTS, WEIGHTS
from .activations import activate
from .products import dense


def standardise(x, X, order, mean, std):
    """x (B, I) = (X[order] − mean) / std."""
    x[:] = (X[order] - mean) / std


def gather(x, y, rows, order, net):
    """x (B, I) and y (B, O) = the rows that order names, in standard units."""
    standardise(x, rows.X, order, net.input_mean, net.input_std)
    standardise(y, rows.Y, order, net.target_mean, net.target_std)


def layer_weights(parameters, layer):
    """The weights (I, O) of one layer, seen inside the flat vector."""
    start = layer[WEIGHTS]
    return parameters[start : start + layer[N_IN] * layer[N_OUT]].reshape(layer[N_IN], layer[N_OUT])


def layer_biases(parameters, layer):
    """The biases (O,) of one layer."""
    return parameters[layer[BIASES] : layer[BIASES] + layer[N_OUT]]


def layer_outputs(activations, layer, B):
    """The outputs (B, O) of one layer for a block of B rows."""
    start = B * layer[OUTPUTS]
    return activations[start : start + B * layer[N_OUT]].reshape(B, layer[N_OUT])


def forward(activations, x, net):
    """Write every layer's outputs for x (B, I) into activations; return those of the last layer (B, O)."""
    a = x
    for layer in net.layers:
        out = layer_outputs(activations, layer, x.shape[0])
        dense(out, a, layer_weights(net.parameters, layer), layer_biases(net.parameters, layer))
        activate(out, layer[ACTIVATION])
        a = out
    return a
