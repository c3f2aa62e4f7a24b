"""Plain descent on one row a step, without a gradient array: backward and update touch each weight once, together."""

from __future__ import annotations

import math

import numpy as np

from ..codes import ACTIVATION, BIASES, IDENTITY, N_IN, N_OUT, OUTPUTS, WEIGHTS
from ..formulas import number
from ..machinery.calls import ACTIVATE_BACKWARD, LAYERS, PER_LAYER, call_elementwise_pair
from ..machinery.compile import kernel
from ..machinery.lanes import lanes, load_part, pointer, store_part, sum_lanes
from .training import forget_order, forward_and_loss
from .workspace import team_of_one


@kernel()
def descend_row_by_row(net, state, workspace, sums, rows, place, learning_rates, loss):
    """A step of plain descent on one row for each learning rate; otherwise as `train`, by one thread.

    Threads gain nothing on one row, and two that step through the same weights would overwrite each other's steps.
    """
    team = team_of_one(workspace)
    forget_order(workspace)
    for step in range(learning_rates.shape[0]):
        value = forward_and_loss(team, workspace, rows, place + step, np.int64(1), 1.0, 0.0, net, loss)
        if not math.isfinite(value):
            return step
        descend_on_row(net, workspace, learning_rates[step])
        state.step[0] += 1
        sums[0] += value
        sums[1] += workspace.w[0]
    return learning_rates.shape[0]


@kernel(inline=True)
def descend_on_row(net, workspace, learning_rate):
    """A step of plain descent on one row, from the delta of the last layer.

    Each row of W gives its entry of dx before the step changes it.
    """
    for index in range(net.layers.shape[0] - 1, -1, -1):
        I, O = net.layers[index, N_IN], net.layers[index, N_OUT]
        weights = pointer(net.parameters, net.layers[index, WEIGHTS])
        biases = pointer(net.parameters, net.layers[index, BIASES])
        x = pointer(workspace.x, 0)
        if index > 0:
            x = pointer(workspace.activations, net.layers[index - 1, OUTPUTS])
        dz = pointer(workspace.deltas, index % 2 * workspace.deltas.shape[1])
        dx = pointer(workspace.deltas, (1 - index % 2) * workspace.deltas.shape[1])
        if net.layers[index, ACTIVATION] != IDENTITY:  # dz = da · f′(z)
            address = workspace.addresses[LAYERS + PER_LAYER * index + ACTIVATE_BACKWARD]
            call_elementwise_pair(address, dz, pointer(workspace.activations, net.layers[index, OUTPUTS]), O)
        rate, L = number(dz, learning_rate), lanes(dz)
        if O == 1:
            for i in range(0, I, L):
                w = load_part(weights, i, I - i)
                if index > 0:
                    store_part(dx, i, dz[0] * w, I - i)
                store_part(weights, i, w - rate * (dz[0] * load_part(x, i, I - i)), I - i)
        else:
            for i in range(I):
                row, xi = pointer(weights, i * O), x[i]
                strands = load_part(dz, 0, 0)  # zeros
                for j in range(0, O, L):
                    w, dzj = load_part(row, j, O - j), load_part(dz, j, O - j)
                    strands = strands + w * dzj
                    store_part(row, j, w - rate * (xi * dzj), O - j)
                if index > 0:
                    dx[i] = sum_lanes(strands)
        for j in range(0, O, L):
            store_part(biases, j, load_part(biases, j, O - j) - rate * load_part(dz, j, O - j), O - j)
