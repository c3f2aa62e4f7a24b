"""Backpropagation: the chain rule hands the loss back through the layers and gives every weight its share of it.

Shapes: B rows of a block, I inputs and O outputs of a layer, delta (B, O) = d loss / d outputs of the layer.
"""

from __future__ import annotations

import numpy as np

from ..calls import ACTIVATE_BACKWARD, LAYERS, PER_LAYER, PRODUCT, call_elementwise_pair, call_product
from ..codes import ACTIVATION, BIASES, IDENTITY, N_IN, N_OUT, OUTPUTS, SLOPES, WEIGHTS
from ..compile import kernel
from ..lanes import at
from .products import column_sums, transposed


@kernel(merge=True)
def transpose_weights(workspace, net):
    """Write each layer's weights as (O, I), once per step: the input gradient then runs along contiguous columns.

    Every thread does this for itself: to fetch what another one has written takes longer. The first layer's inputs
    need no gradient.
    """
    for index in range(1, net.layers.shape[0]):
        I, O, start = net.layers[index, N_IN], net.layers[index, N_OUT], net.layers[index, WEIGHTS]
        transposed(at(workspace.transposed, start), at(net.parameters, start), I, O)


@kernel(noalias=True, inner=True)
def multiply(c, a, n):
    """c = c · a, entry by entry."""
    for i in range(n):
        c[i] = c[i] * a[i]


@kernel(merge=True)
def backward(gradient, workspace, B, fresh, net):
    """gradient += d loss / d parameters, from the delta of the last layer, which the loss has written.

    `fresh` says that there is no gradient yet: = instead of +=, which spares filling it with zeros.
    """
    zeros, g = at(workspace.zeros, 0), at(gradient, 0)
    none, one = np.int64(0), np.int64(1)  # a plain 0 would be a type of its own
    product = workspace.calls[PRODUCT]
    for index in range(net.layers.shape[0] - 1, -1, -1):
        I, O, first = net.layers[index, N_IN], net.layers[index, N_OUT], B * net.layers[index, OUTPUTS]
        # Layers take turns with two buffers: the delta of a layer and that of the layer before.
        d, a = at(workspace.deltas, index % 2 * workspace.deltas.shape[1]), at(workspace.x, 0)
        if index > 0:
            a = at(workspace.activations, B * net.layers[index - 1, OUTPUTS])

        # forward: outputs = f(z)
        if net.layers[index, SLOPES]:
            multiply(d, at(workspace.slopes, first), B * O)
        elif net.layers[index, ACTIVATION] != IDENTITY:
            function = workspace.calls[LAYERS + PER_LAYER * index + ACTIVATE_BACKWARD]
            call_elementwise_pair(function, d, at(workspace.activations, first), B * O)
        # forward: z = a @ weights + biases
        g_weights, g_biases = at(g, net.layers[index, WEIGHTS]), at(g, net.layers[index, BIASES])
        column_sums(g_biases, zeros if fresh else g_biases, d, O, B, O)
        start, start_row = (zeros, none) if fresh else (g_weights, O)
        if O == 1:  # the same numbers, seen as one row: a vector over one column would be no vector
            call_product(product, g_weights, I, start, none, d, none, one, a, I, one, I, B)
        else:
            call_product(product, g_weights, O, start, start_row, a, one, I, d, O, I, O, B)
        if index > 0:
            before = at(workspace.deltas, (1 - index % 2) * workspace.deltas.shape[1])
            transposes = at(workspace.transposed, net.layers[index, WEIGHTS])
            call_product(product, before, I, zeros, none, d, O, one, transposes, I, B, I, O)
