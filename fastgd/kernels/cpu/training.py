"""The training loop: for each batch gather, forward, loss, backward, update; no Python and no allocation per step.

A batch is walked in blocks of rows, so that a block's activations stay in the fast caches. A large batch is cut into
shards, by its size alone: each has a gradient of its own, and these are added in the order of the shards, so that the
bits are the same whatever the number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from ..codes import ACTIVATION, BIASES, IDENTITY, N_IN, N_OUT, OUTPUTS, WEIGHTS
from ..machinery.calls import ACTIVATE_BACKWARD, LAYERS, LOSS, PER_LAYER, RULE, call_elementwise_pair, call_loss
from ..machinery.compile import kernel
from ..machinery.lanes import at, lanes, load_part, number, store_part, sum_lanes
from ..machinery.teams import meet, share
from ..records import Team
from .backward import backward_columns, transpose_share
from .forward import forward_columns, gather, outputs_of_last_layer, standardise
from .random import row_order
from .responses import respond
from .updates import accumulate, clip, update_block

NO_SEED = np.uint64(0)  # predictions drop no units
SHARD_ROWS = 128  # the fewest that are worth a gradient of their own


@kernel(merge=True)
def batch_weight(workspace, rows, first, n):
    """The sum of the weights of n rows from place `first` on; n itself where all count the same."""
    if rows.weights.size == 0:
        return float(n)
    total = 0.0
    for start in range(first, first + n, workspace.x.shape[0]):
        order = workspace.order[: min(workspace.x.shape[0], first + n - start)]
        row_order(order, start, rows.X.shape[0], rows.seed, rows.epoch, rows.shuffle)
        for row in order:
            total += rows.weights[row]
    return total


@kernel(inline=True)
def block_loss(crew, workspace, rows, first, B, scale, net, loss):
    """Loss of B rows from place `first` on, times scale; leaves x, activations and the last layer's delta behind.

    Where a crew shares the block, its last thread, to which a narrow last layer belongs, tells the loss to the others.
    """
    order, x, y, w = workspace.order[:B], workspace.x[:B], workspace.y[:B], workspace.w[:B]
    row_order(order, first, rows.X.shape[0], rows.seed, rows.epoch, rows.shuffle)
    gather(x, y, w, rows, order, net)
    forward_columns(crew, workspace, B, rows.seed, rows.epoch, net)
    value = 0.0
    if crew.thread == crew.n_threads - 1:
        value = outputs_loss(workspace, B, scale, net, loss)
    if crew.n_threads > 1:
        if crew.thread == crew.n_threads - 1:
            crew.values[0] = value
        meet(crew)
    return value


@kernel(merge=True)
def outputs_loss(workspace, B, scale, net, loss):
    """Loss of the last layer's outputs, times scale; leaves their delta behind."""
    last = net.layers.shape[0] - 1
    predicted = at(workspace.activations, B * net.layers[last, OUTPUTS])
    delta = at(workspace.deltas, last % 2 * workspace.deltas.shape[1])
    y, w, O, T = at(workspace.y, 0), at(workspace.w, 0), net.layers[last, N_OUT], workspace.y.shape[1]
    unit, constants = loss.unit, loss.constants
    return float(call_loss(workspace.calls[LOSS], delta, predicted, y, w, B, O, T, scale, unit, constants))


@kernel(merge=True)
def shard_rows(n, n_shards):
    """How many rows of a batch of n each of at most n_shards shards has; the last may have fewer."""
    return max(SHARD_ROWS, (n + 8 * n_shards - 1) // (8 * n_shards) * 8)


@kernel(inline=True)
def gradients_of_shards(gradients, team, crew, workspace, rows, first, n, scale, net, loss):
    """For each shard its gradient, and its loss into team.values: a thread does its own shards, a crew all of them."""
    per, block = shard_rows(n, gradients.shape[0]), workspace.x.shape[0]
    own, step = (team.thread, team.n_threads) if crew.n_threads == 1 else (0, 1)
    for shard in range(own, (n + per - 1) // per, step):
        begin, end = first + shard * per, first + min(n, (shard + 1) * per)
        total = 0.0
        for start in range(begin, end, block):
            B = min(block, end - start)
            total += block_loss(crew, workspace, rows, start, B, scale, net, loss)
            backward_columns(gradients[shard], crew, workspace, B, start == begin, net)
        if crew.n_threads == 1:
            team.values[shard] = total


@kernel(merge=True)
def add_shards(gradients, n_shards, first, last):
    """gradients[0] += the gradients of the other shards, in order, for parameters from `first` up to `last`."""
    for shard in range(1, n_shards):
        accumulate(at(gradients, first), at(gradients, shard * gradients.shape[1] + first), last - first)


@kernel()
def batch_gradient(gradients, team, workspace, rows, first, n, net, loss):
    """gradients[0] = Σ weight · d loss / d parameters of n rows from place `first` on, over n; returns their loss.

    For a team of one.
    """
    transpose_share(team, workspace, net)
    gradients_of_shards(gradients, team, team, workspace, rows, first, n, 1.0 / n, net, loss)
    per = shard_rows(n, gradients.shape[0])
    add_shards(gradients, (n + per - 1) // per, np.int64(0), gradients.shape[1])
    total = 0.0
    for shard in range((n + per - 1) // per):
        total += team.values[shard]
    return total


@kernel()
def descend_row_by_row(net, state, workspace, progress, rows, first, learning_rates, loss):
    """A step of plain descent on one row for each learning rate; otherwise as `train`, by one thread.

    Threads gain nothing on one row, and two that step through the same weights would overwrite each other's steps.
    """
    alone = Team(0, 1, workspace.calls, workspace.values, 0)
    for step in range(learning_rates.shape[0]):
        value = block_loss(alone, workspace, rows, first + step, np.int64(1), 1.0, net, loss)
        if not math.isfinite(value):
            return step
        descend_on_row(net, workspace, learning_rates[step])
        state.step[0] += 1
        progress[0] += value
        progress[1] += workspace.w[0]
    return learning_rates.shape[0]


@kernel(inline=True)
def descend_on_row(net, workspace, learning_rate):
    """A step of plain descent on one row, from the delta of the last layer: each weight is read and written once.

    There is no gradient and there are no transposed weights: while a row of weights is at hand for the step, its
    product with delta is the input's delta.
    """
    for index in range(net.layers.shape[0] - 1, -1, -1):
        I, O = net.layers[index, N_IN], net.layers[index, N_OUT]
        weights, biases = at(net.parameters, net.layers[index, WEIGHTS]), at(net.parameters, net.layers[index, BIASES])
        d, a = at(workspace.deltas, index % 2 * workspace.deltas.shape[1]), at(workspace.x, 0)
        before = at(workspace.deltas, (1 - index % 2) * workspace.deltas.shape[1])
        if index > 0:
            a = at(workspace.activations, net.layers[index - 1, OUTPUTS])
        if net.layers[index, ACTIVATION] != IDENTITY:
            function = workspace.calls[LAYERS + PER_LAYER * index + ACTIVATE_BACKWARD]
            call_elementwise_pair(function, d, at(workspace.activations, net.layers[index, OUTPUTS]), O)
        rate, L = number(d, learning_rate), lanes(d)
        if O == 1:
            for i in range(0, I, L):
                w = load_part(weights, i, I - i)
                if index > 0:
                    store_part(before, i, d[0] * w, I - i)
                store_part(weights, i, w - rate * (d[0] * load_part(a, i, I - i)), I - i)
        else:
            for i in range(I):
                row, ai = at(weights, i * O), a[i]
                strands = load_part(d, 0, 0)  # zeros
                for j in range(0, O, L):
                    w, dj = load_part(row, j, O - j), load_part(d, j, O - j)
                    strands = strands + w * dj
                    store_part(row, j, w - rate * (ai * dj), O - j)
                if index > 0:
                    before[i] = sum_lanes(strands)
        for j in range(0, O, L):
            store_part(biases, j, load_part(biases, j, O - j) - rate * load_part(d, j, O - j), O - j)


@kernel(inline=True)
def update_share(team, crew, net, state, gradients, n_shards, rule, learning_rate, step, function):
    """This thread's share of a step: of every layer its rows of weights, or as one of a crew its columns.

    A crew's thread reads the weights of its own columns in the next forward pass: what another one has written would
    have to be fetched first. The biases are the last thread's, or go with their columns.
    """
    parameters, none, one = net.parameters, np.int64(0), np.int64(1)
    if team.n_threads == 1 and rule.weight_decay == 0 and rule.l1 == 0:
        decayed = rule.decay_biases
        update_block(
            parameters, state, gradients[0], rule, learning_rate, step, none, one, none, parameters.size, decayed,
            function,
        )  # fmt: skip
        return
    for index in range(net.layers.shape[0]):
        I, O = net.layers[index, N_IN], net.layers[index, N_OUT]
        weights, biases = net.layers[index, WEIGHTS], net.layers[index, BIASES]
        if crew.n_threads > 1:
            first, last = share(O, crew)
            first_bias, last_bias, rows, row, n = biases + first, biases + last, I, O, last - first
            first = weights + first
        else:
            first, last = share(I, team)
            first, last = weights + first * O, weights + last * O
            first_bias, last_bias = biases, biases + (O if team.thread == team.n_threads - 1 else 0)
            rows, row, n = one, none, last - first
            add_shards(gradients, n_shards, first, last)
            add_shards(gradients, n_shards, first_bias, last_bias)
        update_block(parameters, state, gradients[0], rule, learning_rate, step, first, rows, row, n, bool(O), function)
        update_block(
            parameters, state, gradients[0], rule, learning_rate, step, first_bias, one, none, last_bias - first_bias,
            rule.decay_biases, function,
        )  # fmt: skip


@kernel()
def train(team, crew, net, state, gradients, workspace, progress, rows, first, batch_size, learning_rates, loss, rule):
    """Take one step for each learning rate, the first on the batch that starts at place `first` of the epoch.

    Every thread of the team runs this, alone on shards of its own or with the whole team as the crew that shares every
    block. progress (2,) gains each step's loss times its rows, and the sum of these rows' weights. Stops before a step
    whose loss is not finite; returns the number of steps taken, or −1 if the team was given up.
    """
    if not meet(team):  # whoever came here stays to the end, so that the meetings inside a step may be relied on
        return -1
    n_rows, function = rows.X.shape[0], workspace.calls[RULE]
    clipped = rule.clip_value < math.inf or rule.clip_norm < math.inf
    for step in range(learning_rates.shape[0]):
        start = first + step * batch_size
        n = min(batch_size, n_rows - start)
        taken = state.step[0] + 1
        transpose_share(crew, workspace, net)
        gradients_of_shards(gradients, team, crew, workspace, rows, start, n, 1.0 / n, net, loss)
        # A crew has met since it heard the loss, and a thread of it needs no gradient but that of its own columns.
        if (crew.n_threads == 1 or clipped or net.layers.shape[0] == 1) and not meet(team):
            return -1
        per = shard_rows(n, gradients.shape[0])
        n_shards = (n + per - 1) // per
        value = 0.0
        for shard in range(n_shards):
            value += team.values[shard]
        if not math.isfinite(value):
            return step
        if clipped or team.n_threads == 1:  # a gradient is clipped as a whole
            if team.thread == 0:
                add_shards(gradients, n_shards, np.int64(0), gradients.shape[1])
                clip(gradients[0], rule)
            n_shards = 1
            if not meet(team):
                return -1
        update_share(team, crew, net, state, gradients, n_shards, rule, learning_rates[step], taken, function)
        if team.thread == 0:
            state.step[0] = taken
            progress[0] += value * n
            progress[1] += batch_weight(workspace, rows, start, n)
        if not meet(team):
            return -1
    return learning_rates.shape[0]


@kernel()
def mean_loss(workspace, rows, net, loss):
    """The weighted mean loss over all rows."""
    n, alone = rows.X.shape[0], Team(0, 1, workspace.calls, workspace.values, 0)
    total = 0.0
    for start in range(0, n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], n - start)
        total += block_loss(alone, workspace, rows, start, B, 1.0, net, loss)
    return total / batch_weight(workspace, rows, 0, n)


@kernel()
def predict(out, workspace, X, net, loss):
    """out (n, O) = predictions for X (n, I), both in the user's units; see respond.

    Returns whether all inputs in standard units and all predictions are finite.
    """
    n, alone = X.shape[0], Team(0, 1, workspace.calls, workspace.values, 0)
    block, wrong = workspace.x.shape[0], 0
    for start in range(0, n, block):
        B = min(block, n - start)
        order, x = workspace.order[:B], workspace.x[:B]
        for i in range(B):
            order[i] = start + i
        standardise(x, X, order, net.input_mean, net.input_std)
        wrong += count_not_finite(at(x, 0), x.size)
        forward_columns(alone, workspace, B, NO_SEED, 0, net)
        respond(out[start : start + B], outputs_of_last_layer(workspace, B, net), net, loss)
        wrong += count_not_finite(at(out, start * out.shape[1]), B * out.shape[1])
    return wrong == 0


@kernel(inner=True)
def count_not_finite(v, n):
    """How many of n numbers are infinite or NaN."""
    count, infinite = 0, number(v, math.inf)
    for i in range(n):
        count += not abs(v[i]) < infinite
    return count
