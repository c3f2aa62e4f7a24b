"""Backpropagation."""

from __future__ import annotations

import numpy as np

from ..codes import ACTIVATION, N_IN, N_OUT, SLOPES
from .activations import activate_backward
from .forward import layer_biases, layer_outputs, layer_weights
from .products import add_column_sums, add_product, transpose


def transpose_weights(workspace, net):
    """Write each layer's weights as (O, I)."""
    transposed = workspace.transposed
    for layer in net.layers[1:]:
        weights = layer_weights(net.parameters, layer)
        transpose(layer_weights(transposed, layer).reshape(layer[N_OUT], layer[N_IN]), weights)


def layer_delta(deltas, index, B, width):
    """Layers take turns with two buffers: the delta of a layer and that of the layer before."""
    return deltas[index % 2, : B * width].reshape(B, width)


def backward(gradient, workspace, B, fresh, net):
    """gradient += (or =, if it is fresh) d loss / d parameters, from the delta of the last layer."""
    x, activations, slopes, deltas = workspace.x[:B], workspace.activations, workspace.slopes, workspace.deltas
    if fresh:
        gradient[:] = 0
    for index in range(net.layers.shape[0] - 1, -1, -1):
        layer = net.layers[index]
        I, O = layer[N_IN], layer[N_OUT]
        delta = layer_delta(deltas, index, B, O)
        a = x if index == 0 else layer_outputs(activations, net.layers[index - 1], B)

        # forward: outputs = f(z)
        if layer[SLOPES]:
            delta *= layer_outputs(slopes, layer, B)
        else:
            activate_backward(delta, layer_outputs(activations, layer, B), layer[ACTIVATION])
        # forward: z = a @ weights + biases
        add_column_sums(layer_biases(gradient, layer), delta)
        add_product(layer_weights(gradient, layer), a.T, delta)
        if index > 0:
            # BLAS reads the weights transposed at full speed, so the copy that the loops need is not used here.
            np.matmul(delta, layer_weights(net.parameters, layer).T, out=layer_delta(deltas, index - 1, B, I))
