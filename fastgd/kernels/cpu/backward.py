"""Backpropagation: the chain rule hands the loss back through the layers and gives every weight its share of it.

Shapes: B rows of a block, I inputs and O outputs of a layer, delta (B, O) = d loss / d outputs of the layer.
"""

from __future__ import annotations

from ..codes import ACTIVATION, N_IN, N_OUT, SLOPES
from ..compile import kernel
from .activations import activate_backward
from .forward import layer_biases, layer_outputs, layer_weights
from .products import add_column_sums, add_product, multiply, transpose


@kernel()
def transpose_weights(transposed, net):
    """Write each layer's weights as (O, I), once per batch: the input gradient then runs along contiguous columns."""
    for layer in net.layers[1:]:
        weights = layer_weights(net.parameters, layer)
        transpose(layer_weights(transposed, layer).reshape(layer[N_OUT], layer[N_IN]), weights)


@kernel(inline=True)
def layer_delta(deltas, index, B, width):
    """Layers take turns with two buffers: the delta of a layer and that of the layer before."""
    return deltas[index % 2, : B * width].reshape(B, width)


@kernel()
def backward(gradient, deltas, activations, slopes, x, transposed, net):
    """gradient += d loss / d parameters, from the delta of the last layer, which the loss has written."""
    B = x.shape[0]
    for index in range(net.layers.shape[0] - 1, -1, -1):
        layer = net.layers[index]
        I, O = layer[N_IN], layer[N_OUT]
        delta = layer_delta(deltas, index, B, O)
        a = x if index == 0 else layer_outputs(activations, net.layers[index - 1], B)

        # forward: outputs = f(z)
        if layer[SLOPES]:
            multiply(delta, layer_outputs(slopes, layer, B))
        else:
            activate_backward(delta, layer_outputs(activations, layer, B), layer[ACTIVATION])
        # forward: z = a @ weights + biases
        add_column_sums(layer_biases(gradient, layer), delta)
        if O == 1:  # the same numbers, seen as one row: a vector over one column would be no vector
            add_product(layer_weights(gradient, layer).reshape(1, I), delta.reshape(1, B), a)
        else:
            add_product(layer_weights(gradient, layer), a.T, delta)
        if index > 0:
            before = layer_delta(deltas, index - 1, B, I)
            before[:] = 0
            add_product(before, delta, layer_weights(transposed, layer).reshape(O, I))
