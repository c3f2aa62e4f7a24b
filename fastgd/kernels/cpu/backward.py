"""Backpropagation: gradient (n_parameters,) gets d loss / d parameter by the chain rule, from the last layer on.

In a layer, z = x @ W + b and a = f(z): x (B, I) are its inputs, a (B, O) its outputs. dz is d loss / d z, and so on.
The letters are in records.py.
"""

from __future__ import annotations

import numpy as np

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
from .lookups import dense_inputs, lookup_gradient
from .products import NEXT, ONE, SAME_ROW, column_sums, transposed
from .workspace import team_of_one

MANY_ROWS = np.int64(1 << 40)  # in a batch of which weights are transposed


@kernel()
def transpose_weights(workspace, net):
    """Write the weights of each layer but the first as (O, I): the input gradient runs along contiguous columns.

    Once a step, before `backward`.
    """
    transpose_weights_of_team(team_of_one(workspace), workspace, MANY_ROWS, net)


@kernel(merge=True)
def turns_rows(I, O, n, team):
    """Whether it is less work to transpose dz and dx of a batch of n rows than the weights (I, O) of a layer.

    Not where threads divide columns: half of the weights come from another's cache, and are better read in one go.
    """
    return n * (I + O) <= I * O and not team.by_columns


@kernel(inline=True)
def transpose_weights_of_team(team, workspace, n, net):
    """Write Wᵀ (O, I) of each layer but the first, for the columns of dx that this thread works on.

    Not where dz and dx are transposed instead, because the batch has few rows, n.

    Every thread does this for itself: to fetch what another thread has written takes longer. The first layer's inputs
    need no gradient.
    """
    for index in range(1, net.layers.shape[0]):
        I, O, start = net.layers[index, N_IN], net.layers[index, N_OUT], net.layers[index, WEIGHTS]
        begin, end = my_columns(I, team)
        if turns_rows(I, O, n, team):
            continue
        to, weights = pointer(workspace.transposed, start + begin), pointer(net.parameters, start + begin * O)
        transposed(to, I, weights, end - begin, O)


@kernel()
def backward(gradient, workspace, B, fresh, net):
    """gradient += d loss / d parameters, from the delta of the last layer, which the loss has written.

    `fresh` says that there is no gradient yet: = instead of +=, which spares filling it with zeros. It reads
    workspace.transposed, which transpose_weights has written in this step.
    """
    backward_of_team(gradient, team_of_one(workspace), workspace, B, MANY_ROWS, fresh, net)


@kernel(inline=True)
def backward_of_team(gradient, team, workspace, B, n, fresh, net):
    """`backward` by one thread of a team: for all columns of a layer, or its own where the team divides them.

    The block has B rows, its batch n.
    """
    for index in range(net.layers.shape[0] - 1, -1, -1):
        x = pointer(workspace.x, 0)
        if index > 0:
            x = pointer(workspace.activations, B * net.layers[index - 1, OUTPUTS])
        # Layers take turns with two buffers. This one holds da (B, O) of the layer, which becomes dz in place.
        dz = pointer(workspace.deltas, index % 2 * workspace.deltas.shape[1])
        dx = pointer(workspace.deltas, (1 - index % 2) * workspace.deltas.shape[1])  # the da of the layer before
        begin, end = my_columns(net.layers[index, N_OUT], team)
        if end > begin:
            # forward was a = f(z), so dz = da · f′(z); dropout's factors are in the slopes, too
            multiply_by_slopes(dz, workspace, B, index, begin, end, net)
            # forward was z = x @ W + b, so db = Σ dz over the rows,
            bias_gradient(gradient, dz, workspace, B, index, begin, end, fresh, net)
            # dW = xᵀ @ dz,
            weight_gradient(gradient, x, dz, workspace, B, index, begin, end, fresh, net)
        if index > 0:
            meet_over_columns(team)
            begin, end = my_columns(net.layers[index, N_IN], team)
            # and dx = dz @ Wᵀ
            input_gradient(dx, dz, team, workspace, B, n, index, begin, end, net)


@kernel(noalias=True, inner=True)
def multiply(dz, slopes, n):
    """dz = dz · slopes, entry by entry."""
    for i in range(n):
        dz[i] = dz[i] * slopes[i]


@kernel(merge=True)
def multiply_by_slopes(dz, workspace, B, index, begin, end, net):
    """dz (B, O) = da · f′(z) in place, columns `begin` to `end`."""
    if net.layers[index, SLOPES] or net.layers[index, ACTIVATION] != IDENTITY:
        O, n, offset = net.layers[index, N_OUT], end - begin, B * net.layers[index, OUTPUTS]
        runs, length = (ONE, B * O) if n == O else (B, n)  # all rows in one go, where they lie side by side
        for run in range(runs):
            place = begin + run * O  # within dz
            if net.layers[index, SLOPES]:
                multiply(pointer(dz, place), pointer(workspace.slopes, offset + place), length)
            else:
                address = workspace.addresses[LAYERS + PER_LAYER * index + ACTIVATE_BACKWARD]
                outputs = pointer(workspace.activations, offset + place)
                call_elementwise_pair(address, pointer(dz, place), outputs, length)


@kernel(merge=True)
def bias_gradient(gradient, dz, workspace, B, index, begin, end, fresh, net):
    """db (O,) += Σ dz (B, O) over the rows (= if fresh), columns `begin` to `end`."""
    db = pointer(gradient, net.layers[index, BIASES] + begin)
    initial = pointer(workspace.zeros, 0) if fresh else db
    column_sums(db, initial, pointer(dz, begin), net.layers[index, N_OUT], B, end - begin)


@kernel(merge=True)
def weight_gradient(gradient, x, dz, workspace, B, index, begin, end, fresh, net):
    """dW (I, O) += xᵀ (I, B) @ dz (B, O) (= if fresh), columns `begin` to `end` of dW and dz."""
    product, zeros, room = workspace.addresses[PRODUCT], pointer(workspace.zeros, 0), pointer(workspace.room, 0)
    I, O, n = dense_inputs(index, net), net.layers[index, N_OUT], end - begin
    x_stride = net.input_mean.shape[0] if index == 0 else I
    dW, dz = pointer(gradient, net.layers[index, WEIGHTS] + begin), pointer(dz, begin)
    if O == 1:  # one column fills no vector, so dWᵀ (1, I) = dzᵀ (1, B) @ x (B, I)
        call_product(product, dW, I, zeros if fresh else dW, SAME_ROW, dz, SAME_ROW, NEXT, x, x_stride, ONE, I, B, room)
    else:
        initial, stride = (zeros, SAME_ROW) if fresh else (dW, O)
        call_product(product, dW, O, initial, stride, x, NEXT, x_stride, dz, O, I, n, B, room)
    if index == 0 and net.lookups.shape[0] > 0:
        lookup_gradient(dW, dz, workspace, B, n, fresh, net)


@kernel(merge=True)
def input_gradient(dx, dz, team, workspace, B, n, index, begin, end, net):
    """dx (B, I) = dz (B, O) @ Wᵀ (O, I), columns `begin` to `end` of dx; in a batch of few rows, n, dxᵀ = W @ dzᵀ."""
    product, zeros, room = workspace.addresses[PRODUCT], pointer(workspace.zeros, 0), pointer(workspace.room, 0)
    I, O, start = net.layers[index, N_IN], net.layers[index, N_OUT], net.layers[index, WEIGHTS]
    if turns_rows(I, O, n, team):
        dzT, dxT = pointer(workspace.transposed, start), pointer(workspace.transposed, start + O * B)
        transposed(dzT, B, dz, B, O)
        W = pointer(net.parameters, start + begin * O)
        call_product(product, dxT, B, zeros, SAME_ROW, W, O, NEXT, dzT, B, end - begin, B, O, room)
        transposed(pointer(dx, begin), I, dxT, end - begin, B)
    else:
        WT = pointer(workspace.transposed, start + begin)
        call_product(product, pointer(dx, begin), I, zeros, SAME_ROW, dz, O, NEXT, WT, I, B, end - begin, O, room)
