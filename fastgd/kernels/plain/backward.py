"""Backpropagation."""

from __future__ import annotations

import numpy as np

from ..codes import ACTIVATION, N_IN, N_OUT, SLOPES
from .activations import activate_backward
from .forward import layer_biases, layer_outputs, layer_weights
from .products import add_column_sums, add_product


def layer_delta(deltas, index, B, width):
    """Layers take turns with two buffers: the delta of a layer and that of the layer before."""
    return deltas[index % 2, : B * width].reshape(B, width)


def backward(gradient, workspace, B, fresh, net):
    """gradient += (or =, if it is fresh) d loss / d parameters, from the delta of the last layer.

    The chain rule, from the last layer to the first. In a layer, z = a @ W + b and a' = f(z); a' are its outputs.
    """
    if fresh:
        gradient[:] = 0
    for index in range(net.layers.shape[0] - 1, -1, -1):
        layer = net.layers[index]
        I, O = layer[N_IN], layer[N_OUT]
        a = workspace.x[:B] if index == 0 else layer_outputs(workspace.activations, net.layers[index - 1], B)

        # forward was a' = f(z), so dz = da' · f′(z)
        dz = layer_delta(workspace.deltas, index, B, O)  # it holds da' (B, O), and dz from here on
        if layer[SLOPES]:
            dz *= layer_outputs(workspace.slopes, layer, B)
        else:
            activate_backward(dz, layer_outputs(workspace.activations, layer, B), layer[ACTIVATION])

        # forward was z = a @ W + b, so db = Σ dz over the rows, dW = aᵀ @ dz, and da = dz @ Wᵀ
        add_column_sums(layer_biases(gradient, layer), dz)  # (O,)
        add_product(layer_weights(gradient, layer), a.T, dz)  # (I, O)
        if index > 0:
            da = layer_delta(workspace.deltas, index - 1, B, I)
            np.matmul(dz, layer_weights(net.parameters, layer).T, out=da)  # (B, I)
