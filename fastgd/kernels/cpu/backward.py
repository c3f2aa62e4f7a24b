"""Backpropagation: the chain rule hands the loss back through the layers and gives every weight its share of it.

Shapes: B rows of a block, I inputs and O outputs of a layer, delta (B, O) = d loss / d outputs of the layer.
"""

from __future__ import annotations

import numpy as np

from ..codes import ACTIVATION, BIASES, IDENTITY, N_IN, N_OUT, OUTPUTS, SLOPES, WEIGHTS
from ..machinery.calls import ACTIVATE_BACKWARD, LAYERS, PER_LAYER, PRODUCT, call_elementwise_pair, call_product
from ..machinery.compile import kernel
from ..machinery.lanes import at
from ..machinery.teams import meet, share
from ..records import Team
from .products import column_sums, transposed


@kernel()
def transpose_weights(workspace, net):
    """Write each layer's weights as (O, I), once per step: the input gradient then runs along contiguous columns."""
    transpose_share(Team(0, 1, workspace.calls, workspace.values, 0), workspace, net)


@kernel(inline=True)
def transpose_share(crew, workspace, net):
    """The same for the columns (O, share of I) whose delta this thread of a crew will ask for.

    Every thread does this for itself: to fetch what another one has written takes longer. The first layer's inputs
    need no gradient.
    """
    for index in range(1, net.layers.shape[0]):
        I, O, start = net.layers[index, N_IN], net.layers[index, N_OUT], net.layers[index, WEIGHTS]
        first, last = share(I, crew)
        there, weights = at(workspace.transposed, start + first), at(net.parameters, start + first * O)
        transposed(there, I, weights, last - first, O)


@kernel(noalias=True, inner=True)
def multiply(c, a, n):
    """c = c · a, entry by entry."""
    for i in range(n):
        c[i] = c[i] * a[i]


@kernel()
def backward(gradient, workspace, B, fresh, net):
    """gradient += d loss / d parameters, from the delta of the last layer, which the loss has written.

    `fresh` says that there is no gradient yet: = instead of +=, which spares filling it with zeros.
    """
    backward_columns(gradient, Team(0, 1, workspace.calls, workspace.values, 0), workspace, B, fresh, net)


@kernel(inline=True)
def backward_columns(gradient, crew, workspace, B, fresh, net):
    """The same by a crew of threads: of every layer, each works on its share of the outputs, and then of the inputs."""
    zeros, g = at(workspace.zeros, 0), at(gradient, 0)
    none, one = np.int64(0), np.int64(1)  # a plain 0 would be a type of its own
    product = workspace.calls[PRODUCT]
    for index in range(net.layers.shape[0] - 1, -1, -1):
        I, O, start = net.layers[index, N_IN], net.layers[index, N_OUT], B * net.layers[index, OUTPUTS]
        # Layers take turns with two buffers: the delta of a layer and that of the layer before.
        d, a = at(workspace.deltas, index % 2 * workspace.deltas.shape[1]), at(workspace.x, 0)
        if index > 0:
            a = at(workspace.activations, B * net.layers[index - 1, OUTPUTS])
        first, last = share(O, crew)
        n = last - first

        # forward: outputs = f(z)
        if net.layers[index, SLOPES] or net.layers[index, ACTIVATION] != IDENTITY:
            runs, length = (one, B * O) if n == O else (B, n)
            for run in range(runs if n > 0 else none):
                begin = first + run * O
                if net.layers[index, SLOPES]:
                    multiply(at(d, begin), at(workspace.slopes, start + begin), length)
                else:
                    function = workspace.calls[LAYERS + PER_LAYER * index + ACTIVATE_BACKWARD]
                    call_elementwise_pair(function, at(d, begin), at(workspace.activations, start + begin), length)
        # forward: z = a @ weights + biases
        g_weights, g_biases = at(g, net.layers[index, WEIGHTS]), at(g, net.layers[index, BIASES])
        if n > 0:
            column_sums(at(g_biases, first), zeros if fresh else at(g_biases, first), at(d, first), O, B, n)
        if O == 1 and n == 1:  # the same numbers, seen as one row: a vector over one column would be no vector
            call_product(product, g_weights, I, zeros if fresh else g_weights, none, d, none, one, a, I, one, I, B)
        elif n > 0:
            to = at(g_weights, first)
            begin, row = (zeros, none) if fresh else (to, O)
            call_product(product, to, O, begin, row, a, one, I, at(d, first), O, I, n, B)
        if index > 0:
            meet(crew)
            first, last = share(I, crew)
            before = at(workspace.deltas, (1 - index % 2) * workspace.deltas.shape[1] + first)
            transposes = at(workspace.transposed, net.layers[index, WEIGHTS] + first)
            call_product(product, before, I, zeros, none, d, O, one, transposes, I, B, last - first, O)
