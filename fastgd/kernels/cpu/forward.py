"""From rows of the table to predictions: gather a block of rows, standardise it, push it through the layers.

In a layer, z = x @ W + b and a = f(z): x (B, I) are its inputs, a (B, O) its outputs. The letters are in records.py.
"""

from __future__ import annotations

from ..codes import ACTIVATION, BIASES, IDENTITY, N_OUT, OUTPUTS, SLOPES, WEIGHTS
from ..formulas import number
from ..machinery.calls import (
    ACTIVATE,
    ACTIVATE_BACKWARD,
    ACTIVATE_WITH_SLOPES,
    LAYERS,
    PER_LAYER,
    PRODUCT,
    call_elementwise,
    call_elementwise_pair,
    call_product,
)
from ..machinery.compile import kernel
from ..machinery.lanes import lanes, load_part, pointer, store_part
from ..machinery.teams import UNIT, meet_over_columns, my_columns
from .lookups import add_lookups, dense_inputs
from .products import NEXT, ONE, SAME_ROW, dots
from .random import drop_units
from .workspace import team_of_one


@kernel(inner=True)
def standardise(x, X, order, mean, std):
    """x (B, I) = (X[order] − mean) · (1 / std), a vector of columns at a time: one division for all rows."""
    x_, X_, I = pointer(x, 0), pointer(X, 0), mean.shape[0]
    one, L = number(x_, 1), lanes(x_)
    for k in range(0, I, L):
        n = I - k
        centre, scale = load_part(pointer(mean, k), 0, n), one / load_part(pointer(std, k), 0, n, 1)
        for i in range(order.shape[0]):
            row = load_part(pointer(X_, order[i] * I), k, n)
            store_part(pointer(x_, i * I), k, (row - centre) * scale, n)


@kernel(merge=True)
def gather(x, y, w, rows, order, net):
    """x (B, I), y (B, T) = the rows that order names, in standard units (class numbers stay); w (B,) their weights."""
    standardise(x, rows.X, order, net.input_mean, net.input_std)
    standardise(y, rows.Y, order, net.target_mean, net.target_std)
    if rows.weights.size:
        for i in range(order.shape[0]):
            w[i] = rows.weights[order[i]]
    else:
        w[:] = 1


@kernel()
def forward(workspace, B, seed, epoch, net):
    """Write every layer's outputs for the first B rows of workspace.x into workspace.activations.

    f′(z) goes to workspace.slopes where a layer asks for it.
    """
    forward_of_team(team_of_one(workspace), workspace, B, seed, epoch, net)


@kernel(inline=True)
def forward_of_team(team, workspace, B, seed, epoch, net):
    """Write the outputs of every layer, for the columns of this thread."""
    x = pointer(workspace.x, 0)
    for index in range(net.layers.shape[0]):
        O, offset = net.layers[index, N_OUT], B * net.layers[index, OUTPUTS]
        begin, end = my_columns(O, team)
        if end > begin:
            weighted_sums(workspace, x, B, index, begin, end, net)  # z = x @ W + b
            activate_columns(workspace, B, index, begin, end, net)  # a = f(z), in place
            if net.dropout[index] > 0:
                a, slopes = pointer(workspace.activations, offset), pointer(workspace.slopes, offset)
                rate = net.dropout[index]
                drop_units(a, slopes, O, workspace.order, B, begin, end, seed, epoch, index, rate)
        if index < net.layers.shape[0] - 1 or O > UNIT:  # a narrow last layer stays with the thread that has the loss
            meet_over_columns(team)
        x = pointer(workspace.activations, offset)  # a layer's outputs are the next one's inputs


@kernel(merge=True)
def weighted_sums(workspace, x, B, index, begin, end, net):
    """z (B, O) = x (B, I) @ W (I, O) + b (O,), columns `begin` to `end`, written to workspace.activations.

    In the first layer, rows of x are `stride` apart: behind the inputs that are multiplied stand those looked up.
    """
    I, O, n = dense_inputs(index, net), net.layers[index, N_OUT], end - begin
    stride = net.input_mean.shape[0] if index == 0 else I
    z = pointer(workspace.activations, B * net.layers[index, OUTPUTS] + begin)
    weights = pointer(net.parameters, net.layers[index, WEIGHTS] + begin)
    biases = pointer(net.parameters, net.layers[index, BIASES] + begin)
    if O == 1:
        dots(z, biases[0], x, stride, weights, B, I)
    else:
        product, room = workspace.addresses[PRODUCT], pointer(workspace.room, 0)
        call_product(product, z, O, biases, SAME_ROW, x, stride, NEXT, weights, O, B, n, I, room)
    if index == 0 and net.lookups.shape[0] > 0:
        add_lookups(z, x, weights, workspace, B, n, net)


@kernel(merge=True)
def activate_columns(workspace, B, index, begin, end, net):
    """a (B, O) = f(z) for columns `begin` to `end`, in place, and f′(z) to workspace.slopes where it is asked for."""
    if net.layers[index, SLOPES] or net.layers[index, ACTIVATION] != IDENTITY:
        O, n, offset = net.layers[index, N_OUT], end - begin, B * net.layers[index, OUTPUTS] + begin
        runs, length = (ONE, B * O) if n == O else (B, n)  # all rows in one go, where they lie side by side
        for run in range(runs):
            activate_run(workspace, index, offset + run * O, length, net)


@kernel(merge=True)
def activate_run(workspace, index, offset, n, net):
    """a = f(z) for n neighbours in workspace.activations, and f′(z) at the same place of workspace.slopes."""
    a, addresses, place = pointer(workspace.activations, offset), workspace.addresses, LAYERS + PER_LAYER * index
    if net.layers[index, SLOPES]:
        slopes = pointer(workspace.slopes, offset)
        if addresses[place + ACTIVATE_WITH_SLOPES]:
            call_elementwise_pair(addresses[place + ACTIVATE_WITH_SLOPES], a, slopes, n)
        else:
            call_elementwise(addresses[place + ACTIVATE], a, n)
            workspace.slopes[offset : offset + n] = 1
            call_elementwise_pair(addresses[place + ACTIVATE_BACKWARD], slopes, a, n)
    else:
        call_elementwise(addresses[place + ACTIVATE], a, n)


@kernel(merge=True, inner=True)
def outputs_of_last_layer(workspace, B, net):
    """The outputs (B, O) of the last layer."""
    layer = net.layers[net.layers.shape[0] - 1]
    O = layer[N_OUT]
    return workspace.activations[B * layer[OUTPUTS] : B * (layer[OUTPUTS] + O)].reshape(B, O)
