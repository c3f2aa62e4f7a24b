"""The training loop: for each batch forward and loss, backward, update; no Python and no allocation per step.

A batch is walked in blocks of rows, so that a block's activations stay in the fast caches. It is cut into shards by its
rows and the number of parameters, never by the number of threads: each shard has a gradient of its own, and these are
added in their order, so that the bits are the same whatever the number of threads.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..codes import BIASES, N_IN, N_OUT, OUTPUTS, WEIGHTS
from ..formulas import number
from ..machinery.calls import LOSS, RULE, call_loss
from ..machinery.compile import kernel
from ..machinery.lanes import pointer
from ..machinery.packing import unpacking
from ..machinery.teams import Team, meet, my_columns, my_range
from ..records import LossRecord, Net
from .backward import backward_of_team, transpose_weights_of_team
from .forward import forward_of_team, gather, outputs_of_last_layer, standardise
from .products import ONE
from .random import row_order
from .updates import accumulate, clip, update_block
from .user_units import to_user_units
from .workspace import RUN_ROWS, CpuWorkspace, shard_rows, team_of_one

NO_SEED = np.uint64(0)  # predictions drop no units: their network is resting, see records.py
ZERO = np.int64(0)  # the begin and the stride of a range of parameters that has one row


@kernel()
def train(team, net, state, gradients, workspace, sums, rows, place, batch_size, learning_rates, loss, rule):
    """Take one step for each learning rate, the first on the batch that starts at this place of the epoch.

    Every thread of the team runs this. sums (2,) gains each step's loss times its rows, and the sum of these rows'
    weights. Stops before a step whose loss is not finite, and where the team is given up; returns the number of steps
    taken.
    """
    forget_order(workspace)
    if not meet(team):  # whoever came here stays to the end, so that meetings inside a step need no look at the answer
        return 0
    for step in range(learning_rates.shape[0]):
        start, n = next_batch(rows, place, step, batch_size)
        number_of_step = state.step[0] + 1
        # Forward and loss, then backward.
        value = forward_backward(gradients, team, workspace, rows, start, n, net, loss)
        if not math.isfinite(value):
            return step
        if not update_of_team(gradients, team, net, state, workspace, n, rule, learning_rates[step], number_of_step):
            return step
        if team.thread == 0:
            sums[0] += value * n
            sums[1] += batch_weight(workspace, rows, start, n)
    return learning_rates.shape[0]


@kernel(merge=True)
def next_batch(rows, place, step, batch_size):
    """Where a step's batch starts in the epoch, and how many rows it has; the last may have fewer."""
    start = place + step * batch_size
    return start, min(batch_size, rows.X.shape[0] - start)


@kernel(merge=True)
def forward_backward(gradients, team, workspace, rows, start, n, net, loss):
    """gradients (n_shards, n_parameters) = each shard's part of the batch's gradient.

    Returns the batch's loss; NaN if a team with shards was given up.
    """
    transpose_weights_of_team(team, workspace, n, net)
    gradients_of_shards(gradients, team, workspace, rows, start, n, net, loss)
    if not team.by_columns and not meet(team):  # until other threads have written the losses of their shards
        return math.nan
    value = 0.0
    for shard in range(shards_in(n, gradients)):
        value += team.losses[shard]
    return value


@kernel(inline=True)
def gradients_of_shards(gradients, team, workspace, rows, start, n, net, loss):
    """Gradient and loss of each shard, block by block: forward and loss, then backward.

    A thread does shards of its own, or its columns of every shard. Float32 alone would lose all but four digits of a
    gradient over 20 million rows (see tests/test_large_sums.py): so a shard's runs of blocks are added in float64.
    """
    per, block = shard_rows(n, gradients.shape[0]), workspace.x.shape[0]
    run = max(RUN_ROWS // block, 1) * block
    own, step = (0, 1) if team.by_columns else (team.thread, team.n_threads)
    for shard in range(own, shards_in(n, gradients), step):
        begin, end = start + shard * per, start + min(n, (shard + 1) * per)
        total, is_long = 0.0, workspace.runs.size > 0 and end - begin > run
        for place in range(begin, end, block):
            B = min(block, end - place)
            total += forward_and_loss(team, workspace, rows, place, B, 1.0 / n, total, net, loss)
            begins_run = place == begin or (is_long and (place - begin) % run == 0)
            ends_run = place + B == end or (place + B - begin) % run == 0
            backward_of_team(gradients[shard], team, workspace, B, n, begins_run, net)
            if is_long and ends_run:
                add_run(gradients[shard], team, workspace, place - begin < run, place + B == end, net)
        if not team.by_columns:
            team.losses[shard] = total


@kernel(merge=True)
def add_run(gradient, team, workspace, is_first, is_last, net):
    """workspace.runs += (=, if first) the gradient of a run, for the columns of this thread; if last, the reverse."""
    for index in range(net.layers.shape[0]):
        O, I = net.layers[index, N_OUT], net.layers[index, N_IN]
        begin, end = my_columns(O, team)
        places, length = (ONE, (I + 1) * O) if end - begin == O else (I + 1, end - begin)  # the biases lie behind
        for row in range(places):
            start = net.layers[index, WEIGHTS] + row * O + begin
            total, part = pointer(workspace.runs, start), pointer(gradient, start)
            add_to_run(total, part, length, is_first, is_last)


@kernel(noalias=True, inner=True)
def add_to_run(total, part, n, is_first, is_last):
    """total += part, of n numbers; = if first. If last, part = total."""
    for p in range(n):
        total[p] = float(part[p]) + (0.0 if is_first else total[p])
    if is_last:
        for p in range(n):
            part[p] = total[p]


@kernel(inline=True)
def forward_and_loss(team, workspace, rows, place, B, scale, before, net, loss):
    """Returns scale · Σ w · loss of B rows from this place on; leaves x, activations and the last layer's delta behind.

    Where threads divide the columns, the last of them, to which a narrow last layer belongs, computes the loss and adds
    it to what was `before`, in team.losses[0]: the others return 0 and read that.
    """
    order, x, y, w = workspace.order[:B], workspace.x[:B], workspace.y[:B], workspace.w[:B]
    copy_order(order, workspace, rows, place)
    gather(x, y, w, rows, order, net)
    forward_of_team(team, workspace, B, rows.seed, rows.epoch, net)
    value = 0.0
    if not team.by_columns:
        value = loss_of_outputs(workspace, B, scale, net, loss)
    else:
        if team.thread == team.n_threads - 1:
            value = loss_of_outputs(workspace, B, scale, net, loss)
            team.losses[0] = before + value
        meet(team)
    return value


@kernel(merge=True)
def copy_order(order, workspace, rows, place):
    """order (B,) = the rows from this place on.

    For many steps of few rows it is found out at once, because 32 rows take no longer than one.
    """
    upcoming, span, B = workspace.upcoming, workspace.span, order.shape[0]
    if place < span[0] or place + B > span[1]:
        whole = upcoming.size - upcoming.size % B  # for as many batches or blocks
        span[0], span[1] = place, min(place + whole, rows.X.shape[0])
        row_order(upcoming[: span[1] - place], place, rows.X.shape[0], rows.seed, rows.epoch, rows.shuffle)
    for i in range(B):
        order[i] = upcoming[place - span[0] + i]


@kernel(merge=True)
def forget_order(workspace):
    """The rows that are still to come may be others than those that copy_order has left."""
    workspace.span[1] = 0


@kernel(merge=True)
def loss_of_outputs(workspace, B, scale, net, loss):
    """Returns scale · Σ w · loss of the last layer's outputs; leaves their delta behind."""
    last = net.layers.shape[0] - 1
    predicted = pointer(workspace.activations, B * net.layers[last, OUTPUTS])
    delta = pointer(workspace.deltas, last % 2 * workspace.deltas.shape[1])
    y, w, O, T = pointer(workspace.y, 0), pointer(workspace.w, 0), net.layers[last, N_OUT], workspace.y.shape[1]
    units, constants = loss.units, loss.constants
    return float(call_loss(workspace.addresses[LOSS], delta, predicted, y, w, B, O, T, scale, units, constants))


@kernel(merge=True)
def update_of_team(gradients, team, net, state, workspace, n, rule, learning_rate, number_of_step):
    """Move every parameter; returns False if the team was given up.

    Each thread adds up and moves a part of them. A gradient that is clipped is added up and clipped by one thread.
    """
    n_shards, address = shards_in(n, gradients), workspace.addresses[RULE]
    is_clipped = rule.clip_value < math.inf or rule.clip_norm < math.inf
    # Threads that divide columns met in all layers but the first: with clipping, or a single layer, they meet here.
    if team.by_columns and (is_clipped or net.layers.shape[0] == 1) and not meet(team):
        return False
    if is_clipped or team.n_threads == 1:
        if team.thread == 0:
            add_shards(gradients, n_shards, np.int64(0), gradients.shape[1])
            clip(gradients[0], rule)
        n_shards = 1
        if not meet(team):
            return False
    move_my_parameters(team, net, state, gradients, n_shards, rule, learning_rate, number_of_step, address)
    if team.thread == 0:
        state.step[0] = number_of_step
    return meet(team)


@kernel(merge=True)
def shards_in(n, gradients):
    """How many shards a batch of n rows has, each with a row of gradients (n_shards, n_parameters)."""
    per = shard_rows(n, gradients.shape[0])
    return (n + per - 1) // per


@kernel(merge=True)
def add_shards(gradients, n_shards, begin, end):
    """gradients[0] += the gradients of the other shards, in order, for parameters from `begin` up to `end`."""
    for shard in range(1, n_shards):
        other = pointer(gradients, shard * gradients.shape[1] + begin)
        accumulate(pointer(gradients, begin), other, end - begin)


@kernel(inline=True)
def move_my_parameters(team, net, state, gradients, n_shards, rule, learning_rate, number_of_step, address):
    """This thread's part of a step: of every layer its rows of weights, or its columns where the team divides those.

    By columns, a thread moves the weights that it reads next, so that they are in its cache. The biases go with their
    columns; by rows, they are the last thread's.
    """
    gradient = gradients[0]
    if team.n_threads == 1 and rule.weight_decay == 0 and rule.l1 == 0:  # all in one go
        update_block(
            net, state, gradient, rule, learning_rate, number_of_step, ZERO, ONE, ZERO,
            gradient.size, rule.decay_biases, address,
        )  # fmt: skip
        return
    for index in range(net.layers.shape[0]):
        I, O = net.layers[index, N_IN], net.layers[index, N_OUT]
        weights, biases = net.layers[index, WEIGHTS], net.layers[index, BIASES]
        if team.by_columns:
            begin, end = my_range(O, team)
            first_bias, last_bias, rows, stride, n = biases + begin, biases + end, I, O, end - begin
            begin = weights + begin
        else:
            begin, end = my_range(I, team)
            begin, end = weights + begin * O, weights + end * O
            first_bias, last_bias = biases, biases + (O if team.thread == team.n_threads - 1 else 0)
            rows, stride, n = ONE, ZERO, end - begin
            add_shards(gradients, n_shards, begin, end)
            add_shards(gradients, n_shards, first_bias, last_bias)
        is_decayed = O > 0  # always: a plain True would be a type of its own
        update_block(
            net, state, gradient, rule, learning_rate, number_of_step, begin, rows, stride, n, is_decayed,
            address,
        )  # fmt: skip
        update_block(
            net, state, gradient, rule, learning_rate, number_of_step, first_bias, ONE, ZERO,
            last_bias - first_bias, rule.decay_biases, address,
        )  # fmt: skip


@kernel()
def whole_gradient(gradients, workspace, losses, rows, start, n, net, loss):
    """gradients[0] = Σ w · d loss / d parameters of n rows from this place on, over n; returns their loss, likewise.

    By one thread; losses (n_shards,) gets each shard's loss.
    """
    team = Team(0, 1, False, workspace.counters, losses, 0)
    forget_order(workspace)
    value = forward_backward(gradients, team, workspace, rows, start, n, net, loss)
    add_shards(gradients, shards_in(n, gradients), np.int64(0), gradients.shape[1])
    return value


@kernel(merge=True)
def batch_weight(workspace, rows, place, n):
    """The sum of the weights of n rows from this place on; n itself where all count the same."""
    if rows.weights.size == 0:
        return float(n)
    total = 0.0
    for start in range(place, place + n, workspace.x.shape[0]):
        order = workspace.order[: min(workspace.x.shape[0], place + n - start)]
        row_order(order, start, rows.X.shape[0], rows.seed, rows.epoch, rows.shuffle)
        for row in order:
            total += rows.weights[row]
    return total


@kernel()
def mean_loss(workspace, rows, net, loss):
    """Σ weight · loss / Σ weight over all rows."""
    n, team = rows.X.shape[0], team_of_one(workspace)
    forget_order(workspace)
    total = 0.0
    for start in range(0, n, workspace.x.shape[0]):
        B = min(workspace.x.shape[0], n - start)
        total += forward_and_loss(team, workspace, rows, start, B, 1.0, total, net, loss)
    return total / batch_weight(workspace, rows, 0, n)


class Prediction(NamedTuple):
    """What predictions need besides the rows."""

    workspace: CpuWorkspace
    net: Net
    loss: LossRecord


unpacked = unpacking(Prediction)


@kernel()
def predict_packed(out, X, words):
    """out (n, O) = predictions for X (n, I), both in the user's units; see to_user_units. words: see Prediction.

    Returns whether all inputs in standard units and all predictions are finite.
    """
    workspace, net, loss = unpacked(words, out)
    n, team = X.shape[0], team_of_one(workspace)
    block, wrong = workspace.x.shape[0], 0
    for start in range(0, n, block):
        B = min(block, n - start)
        order, x = workspace.order[:B], workspace.x[:B]
        for i in range(B):
            order[i] = start + i
        standardise(x, X, order, net.input_mean, net.input_std)
        wrong += count_not_finite(pointer(x, 0), x.size)
        forward_of_team(team, workspace, B, NO_SEED, 0, net)
        to_user_units(out[start : start + B], outputs_of_last_layer(workspace, B, net), net, loss)
        wrong += count_not_finite(pointer(out, start * out.shape[1]), B * out.shape[1])
    return wrong == 0


@kernel(inner=True)
def count_not_finite(v, n):
    """How many of n numbers are infinite or NaN."""
    count, infinite = 0, number(v, math.inf)
    for i in range(n):
        count += not abs(v[i]) < infinite
    return count
