"""From rows of the table to predictions: gather a block of rows, standardise it, push it through the layers.

In a layer, z = a @ W + b and a' = f(z): a (B, I) are its inputs, a' (B, O) its outputs. The letters are in records.py.
"""

from __future__ import annotations

from ..codes import ACTIVATION, BIASES, IDENTITY, N_IN, N_OUT, OUTPUTS, SLOPES, WEIGHTS
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
from .products import NEXT, SAME_ROW, dots
from .random import drop_units
from .workspace import alone


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
    """x (B, I), y (B, T) and w (B,) = the rows that order names, in standard units, and their weights."""
    standardise(x, rows.X, order, net.input_mean, net.input_std)
    standardise(y, rows.Y, order, net.target_mean, net.target_std)
    if rows.weights.size:
        for i in range(order.shape[0]):
            w[i] = rows.weights[order[i]]
    else:
        w[:] = 1


@kernel()
def forward(workspace, B, seed, epoch, net):
    """Write every layer's outputs for the first B rows of workspace.x into workspace.activations."""
    forward_of_team(alone(workspace), workspace, B, seed, epoch, net)


@kernel(inline=True)
def forward_of_team(team, workspace, B, seed, epoch, net):
    """The same by a thread of a team, for its columns of every layer."""
    a = pointer(workspace.x, 0)
    for index in range(net.layers.shape[0]):
        O, start = net.layers[index, N_OUT], B * net.layers[index, OUTPUTS]
        begin, end = my_columns(O, team)
        if end > begin:
            sums(a, workspace, B, index, begin, end, net)  # z = a @ W + b
            activate(workspace, B, index, begin, end, net)  # a' = f(z), in place
            if net.dropout[index] > 0:
                outputs, slopes = pointer(workspace.activations, start), pointer(workspace.slopes, start)
                rate = net.dropout[index]
                drop_units(outputs, slopes, O, workspace.order, B, begin, end, seed, epoch, index, rate)
        if index < net.layers.shape[0] - 1 or O > UNIT:  # a narrow last layer stays with the thread that has the loss
            meet_over_columns(team)
        a = pointer(workspace.activations, start)


@kernel(merge=True)
def sums(a, workspace, B, index, begin, end, net):
    """z (B, O) = a (B, I) @ W (I, O) + b (O,) for the columns from `begin` up to `end`, to where the outputs stand."""
    I, O, n = net.layers[index, N_IN], net.layers[index, N_OUT], end - begin
    z = pointer(workspace.activations, B * net.layers[index, OUTPUTS] + begin)
    weights = pointer(net.parameters, net.layers[index, WEIGHTS] + begin)
    biases = pointer(net.parameters, net.layers[index, BIASES] + begin)
    if O == 1:
        dots(z, biases[0], a, I, weights, B, I)
    else:
        call_product(workspace.addresses[PRODUCT], z, O, biases, SAME_ROW, a, I, NEXT, weights, O, B, n, I)


@kernel(merge=True)
def activate(workspace, B, index, begin, end, net):
    """a' = f(z) for these columns, in place, and f′(z) into workspace.slopes where it is asked for."""
    if net.layers[index, SLOPES] or net.layers[index, ACTIVATION] != IDENTITY:
        O, n, start = net.layers[index, N_OUT], end - begin, B * net.layers[index, OUTPUTS] + begin
        runs, length = (NEXT, B * O) if n == O else (B, n)  # all rows in one go, where they lie side by side
        for run in range(runs):
            activate_run(workspace, index, start + run * O, length, net)


@kernel(merge=True)
def activate_run(workspace, index, begin, n, net):
    """The same for n outputs from entry `begin` on."""
    outputs, addresses = pointer(workspace.activations, begin), workspace.addresses
    place = LAYERS + PER_LAYER * index
    if net.layers[index, SLOPES]:
        slopes = pointer(workspace.slopes, begin)
        if addresses[place + ACTIVATE_WITH_SLOPES]:
            call_elementwise_pair(addresses[place + ACTIVATE_WITH_SLOPES], outputs, slopes, n)
        else:
            call_elementwise(addresses[place + ACTIVATE], outputs, n)
            workspace.slopes[begin : begin + n] = 1
            call_elementwise_pair(addresses[place + ACTIVATE_BACKWARD], slopes, outputs, n)
    else:
        call_elementwise(addresses[place + ACTIVATE], outputs, n)


@kernel(merge=True, inner=True)
def outputs_of_last_layer(workspace, B, net):
    """The outputs (B, O) of the last layer."""
    layer = net.layers[net.layers.shape[0] - 1]
    O = layer[N_OUT]
    return workspace.activations[B * layer[OUTPUTS] : B * (layer[OUTPUTS] + O)].reshape(B, O)
