"""Backpropagation: the chain rule hands the loss back through the layers and gives every weight its share of it.

In a layer, z = a @ W + b and a' = f(z): a (B, I) are its inputs, a' (B, O) its outputs. dz is d loss / d z, and so on.
The letters are in records.py.
"""

from __future__ import annotations

from ..codes import ACTIVATION, BIASES, IDENTITY, N_IN, N_OUT, OUTPUTS, SLOPES, WEIGHTS
from ..machinery.calls import (
    ACTIVATE_BACKWARD,
    LAYERS,
    PER_LAYER,
    PRODUCT,
    call_elementwise_pair,
    call_product,
)
from ..machinery.compile import kernel
from ..machinery.lanes import pointer
from ..machinery.teams import meet_over_columns, my_columns
from .products import NEXT, SAME_ROW, column_sums, transposed
from .workspace import alone


@kernel()
def transpose_weights(workspace, net):
    """Write each layer's weights as (O, I), once per step: the input gradient then runs along contiguous columns."""
    transpose_weights_of_team(alone(workspace), workspace, net)


@kernel(inline=True)
def transpose_weights_of_team(team, workspace, net):
    """The same for the columns (O, a part of I) whose gradient this thread of a team will ask for.

    Every thread does this for itself: to fetch what another one has written takes longer. The first layer's inputs
    need no gradient.
    """
    for index in range(1, net.layers.shape[0]):
        I, O, start = net.layers[index, N_IN], net.layers[index, N_OUT], net.layers[index, WEIGHTS]
        begin, end = my_columns(I, team)
        to, weights = pointer(workspace.transposed, start + begin), pointer(net.parameters, start + begin * O)
        transposed(to, I, weights, end - begin, O)


@kernel()
def backward(gradient, workspace, B, fresh, net):
    """gradient += d loss / d parameters, from the delta of the last layer, which the loss has written.

    `fresh` says that there is no gradient yet: = instead of +=, which spares filling it with zeros.
    """
    backward_of_team(gradient, alone(workspace), workspace, B, fresh, net)


@kernel(inline=True)
def backward_of_team(gradient, team, workspace, B, fresh, net):
    """The same by a thread of a team: of every layer, it works on its part of the outputs, and then of the inputs."""
    for index in range(net.layers.shape[0] - 1, -1, -1):
        a = pointer(workspace.x, 0)
        if index > 0:
            a = pointer(workspace.activations, B * net.layers[index - 1, OUTPUTS])
        # Layers take turns with two buffers: that of a layer holds da' (B, O), and dz from the next line on.
        dz = pointer(workspace.deltas, index % 2 * workspace.deltas.shape[1])
        da = pointer(workspace.deltas, (1 - index % 2) * workspace.deltas.shape[1])
        begin, end = my_columns(net.layers[index, N_OUT], team)
        if end > begin:
            # forward was a' = f(z), so dz = da' · f′(z)
            multiply_by_slopes(dz, workspace, B, index, begin, end, net)
            # forward was z = a @ W + b, so db = Σ dz over the rows, dW = aᵀ @ dz, and da = dz @ Wᵀ
            bias_gradient(gradient, dz, workspace, B, index, begin, end, fresh, net)
            weight_gradient(gradient, a, dz, workspace, B, index, begin, end, fresh, net)
        if index > 0:
            meet_over_columns(team)
            begin, end = my_columns(net.layers[index, N_IN], team)
            input_gradient(da, dz, workspace, B, index, begin, end, net)


@kernel(noalias=True, inner=True)
def multiply(c, a, n):
    """c = c · a, entry by entry."""
    for i in range(n):
        c[i] = c[i] * a[i]


@kernel(merge=True)
def multiply_by_slopes(dz, workspace, B, index, begin, end, net):
    """dz (B, O) = dz · f′(z) for the columns from `begin` up to `end`."""
    if net.layers[index, SLOPES] or net.layers[index, ACTIVATION] != IDENTITY:
        O, n, start = net.layers[index, N_OUT], end - begin, B * net.layers[index, OUTPUTS]
        runs, length = (NEXT, B * O) if n == O else (B, n)  # all rows in one go, where they lie side by side
        for run in range(runs):
            place = begin + run * O
            if net.layers[index, SLOPES]:
                multiply(pointer(dz, place), pointer(workspace.slopes, start + place), length)
            else:
                address = workspace.addresses[LAYERS + PER_LAYER * index + ACTIVATE_BACKWARD]
                outputs = pointer(workspace.activations, start + place)
                call_elementwise_pair(address, pointer(dz, place), outputs, length)


@kernel(merge=True)
def bias_gradient(gradient, dz, workspace, B, index, begin, end, fresh, net):
    """db (O,) += Σ dz (B, O) over the rows, for these columns."""
    db = pointer(gradient, net.layers[index, BIASES] + begin)
    start = pointer(workspace.zeros, 0) if fresh else db
    column_sums(db, start, pointer(dz, begin), net.layers[index, N_OUT], B, end - begin)


@kernel(merge=True)
def weight_gradient(gradient, a, dz, workspace, B, index, begin, end, fresh, net):
    """dW (I, O) += aᵀ (I, B) @ dz (B, O), for these columns of dz."""
    product, zeros = workspace.addresses[PRODUCT], pointer(workspace.zeros, 0)
    I, O = net.layers[index, N_IN], net.layers[index, N_OUT]
    dW = pointer(gradient, net.layers[index, WEIGHTS] + begin)
    if O == 1:  # the same numbers, seen as one row: a vector over one column would be no vector
        call_product(product, dW, I, zeros if fresh else dW, SAME_ROW, dz, SAME_ROW, NEXT, a, I, NEXT, I, B)
    else:
        start, stride = (zeros, SAME_ROW) if fresh else (dW, O)
        call_product(product, dW, O, start, stride, a, NEXT, I, pointer(dz, begin), O, I, end - begin, B)


@kernel(merge=True)
def input_gradient(da, dz, workspace, B, index, begin, end, net):
    """da (B, I) = dz (B, O) @ Wᵀ (O, I), for the columns of da from `begin` up to `end`."""
    product, zeros = workspace.addresses[PRODUCT], pointer(workspace.zeros, 0)
    I, O = net.layers[index, N_IN], net.layers[index, N_OUT]
    transposes = pointer(workspace.transposed, net.layers[index, WEIGHTS] + begin)
    call_product(product, pointer(da, begin), I, zeros, SAME_ROW, dz, O, NEXT, transposes, I, B, end - begin, O)
