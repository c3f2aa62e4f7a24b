"""Backpropagation."""

from __future__ import annotations

import numpy as np

from ..codes import ACTIVATION, N_IN, N_OUT, SLOPES
from .activations import activate_backward
from .forward import layer_biases, layer_part, layer_weights
from .lookups import features
from .products import add_column_sums, add_product


def layer_delta(deltas, index, B, width):
    """The delta (B, width) of layer `index`: a view of deltas[index % 2], so that neighbours do not meet."""
    return deltas[index % 2, : B * width].reshape(B, width)


def backward(gradient, workspace, B, fresh, net):
    """gradient += d loss / d parameters, from the delta of the last layer; = instead of += if it is fresh.

    The chain rule, from the last layer to the first.
    """
    if fresh:
        gradient[:] = 0
    for index in range(net.layers.shape[0] - 1, -1, -1):
        layer = net.layers[index]
        I, O = layer[N_IN], layer[N_OUT]
        x = layer_part(workspace.activations, net.layers[index - 1], B) if index > 0 else features(workspace.x[:B], net)

        # forward was a = f(z), so dz = da · f′(z); dropout's factors are in the slopes, too
        dz = layer_delta(workspace.deltas, index, B, O)  # it holds da (B, O), and dz from here on
        if layer[SLOPES]:
            dz *= layer_part(workspace.slopes, layer, B)
        else:
            activate_backward(dz, layer_part(workspace.activations, layer, B), layer[ACTIVATION])

        # forward was z = x @ W + b, so db = Σ dz over the rows, dW = xᵀ @ dz, and dx = dz @ Wᵀ
        add_column_sums(layer_biases(gradient, layer), dz)  # db (O,)
        add_product(layer_weights(gradient, layer), x.T, dz)  # dW (I, O)
        if index > 0:
            dx = layer_delta(workspace.deltas, index - 1, B, I)  # the da of the layer before
            np.matmul(dz, layer_weights(net.parameters, layer).T, out=dx)  # dx (B, I)
