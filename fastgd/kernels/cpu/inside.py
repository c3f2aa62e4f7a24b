"""The kernels behind calls from a user's compiled code: predictions with scratch on the stack, and one step of descent.

Predictions write nothing but `out`, so that any number of threads may ask one net at once. A step changes parameters,
which one thread does at a time, with the scratch of the net.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError
from ..codes import N_OUT, OUTPUTS, SGD, SLOPES
from ..formulas import exp
from ..machinery.compile import kernel
from ..machinery.lanes import pointer
from ..machinery.memory import claim, matrix_at, on_stack, table_at, vector_at
from ..machinery.nets import compiled_net, prediction, training
from ..machinery.packing import unpacking
from ..machinery.teams import Team, tell
from ..records import Integers, LossRecord, Net, Reals, Rows, Rule, State, aligned_zeros, read_only, resting
from .compiled_calls import (
    BUSY,
    FINE,
    NO_RATE,
    NOT_FINITE,
    OUT_OF_RANGE,
    UNTRAINABLE,
    WRONG_INPUTS,
    WRONG_OUTPUTS,
    WRONG_TARGETS,
)
from .forward import forward_of_team, outputs_of_last_layer, standardise
from .launch import descends_row_by_row, new_workspaces
from .lookups import room_for_knots
from .row_by_row import descend_row_by_row
from .training import NO_SEED, count_not_finite, train
from .user_units import to_user_units
from .workspace import BLOCK_ROWS, CpuWorkspace, count_shards, team_of_one

STACK = 1 << 16  # bytes of scratch for a block of rows: a thread's whole stack may be as small as 512 KB
FAR_APART_ROWS = 8  # rows of a block where products would copy panels, which takes more scratch
WIDE = 512  # columns
ANY_ROWS = 1 << 40  # of a batch: nobody knows how many will come


class Inside(NamedTuple):
    """What the kernels need besides the rows."""

    net: Net
    no_dropout: Reals  # (n_layers,) of 0
    loss: LossRecord
    workspace: CpuWorkspace  # scratch of training; its addresses serve predictions, too
    state: State
    gradients: Reals  # (n_shards, n_parameters) of the largest batches
    losses: NDArray[np.float64]  # (n_shards,)
    sums: NDArray[np.float64]  # (2,)
    rates: NDArray[np.float64]  # (1,)
    range: NDArray[np.float64]  # (2,): the least and the largest value of y
    unit: NDArray[np.float64]  # (1,): a loss of 1 in standard units, in the user's
    bounds: Reals  # (2, n_out): lowest and highest prediction; (0, n_out) for any
    no_weights: Reals  # (0,)
    places: Integers  # (BLOCK_ROWS,): 0, 1, …
    busy: Integers  # (1,): 1 while a thread trains
    block: int  # rows that are predicted together
    seed: int
    is_log: int  # 1: the logarithm of the target was learned
    is_whole: int  # 1: targets are numbers of classes
    descends: int  # 1: one row alone is a step without a gradient array


unpacked = unpacking(Inside)


@kernel(inner=True)
def predict_on_stack(out, n_out, X, n_in, n_rows, words):
    """out (n_rows, n_out) = predictions for X (n_rows, n_in), both in the user's units; returns an answer."""
    it = unpacked(words, out)
    net, w, last = at_rest(it.net, it.no_dropout), it.workspace, it.net.layers.shape[0] - 1
    if n_in != net.input_mean.shape[0]:
        return WRONG_INPUTS
    if n_out != net.layers[last, N_OUT]:
        return WRONG_OUTPUTS
    block = max(min(it.block, n_rows), 1)
    n_outputs, n_positions = block * (net.layers[last, OUTPUTS] + n_out), block * net.lookups.shape[0]
    n_slopes, n_knots = min(n_outputs, w.slopes.shape[0]), w.knots.shape[0]
    x, activations, slopes = on_stack(out, block * n_in), on_stack(out, n_outputs), on_stack(out, n_slopes)
    left, part, knots = on_stack(pointer(it.places, 0), n_positions), on_stack(out, n_positions), on_stack(out, n_knots)
    workspace = CpuWorkspace(
        it.places, matrix_at(x, block, n_in), w.y, w.w, vector_at(activations, n_outputs), vector_at(slopes, n_slopes),
        w.deltas, w.upcoming, w.span, w.transposed, vector_at(knots, n_knots), vector_at(left, n_positions),
        vector_at(part, n_positions), w.zeros, w.room, w.addresses, w.counters, w.losses,
        w.runs,
    )  # fmt: skip
    wrong, team = 0, team_of_one(workspace)
    for start in range(0, n_rows, block):
        B = min(block, n_rows - start)
        rows, into = pointer(X, start * n_in), pointer(out, start * n_out)
        standardise(workspace.x[:B], rows, it.places[:B], net.input_mean, net.input_std)
        wrong += count_not_finite(x, B * n_in)
        forward_of_team(team, workspace, B, NO_SEED, 0, net)
        to_user_units(matrix_at(into, B, n_out), outputs_of_last_layer(workspace, B, net), net, it.loss)
        wrong += count_not_finite(into, B * n_out)
        if it.is_log or it.bounds.shape[0]:
            as_the_target_was(into, B, it)
            wrong += count_not_finite(into, B * n_out)
    return FINE if wrong == 0 else NOT_FINITE


@kernel(merge=True)
def at_rest(net, no_dropout):
    """The network as it predicts: nothing is dropped."""
    return Net(
        net.parameters, net.layers, net.input_mean, net.input_std, net.target_mean, net.target_std, no_dropout,
        net.lookups, net.bin_mean, net.bin_scale, net.signs,
    )  # fmt: skip


@kernel(merge=True)
def as_the_target_was(out, B, it):
    """Of logarithms the numbers, within the range of those of the fit."""
    O = it.bounds.shape[1]
    for i in range(B * O):
        if it.is_log:
            out[i] = exp(out[i])
        if it.bounds.shape[0]:
            out[i] = min(max(out[i], it.bounds[0, i % O]), it.bounds[1, i % O])


@kernel(inner=True)
def train_in_place(X, n_in, y, n_targets, n_rows, learning_rate, words):
    """One step of plain descent on the rows X (n_rows, n_in) and y (n_rows, n_targets): an answer, and their loss."""
    it = unpacked(words, X)
    told = refusal(it, y, n_in, n_targets, n_rows, learning_rate)
    if told != FINE:
        return told, math.nan
    if count_not_finite(X, n_rows * n_in):  # behind tanh and the like the loss would not tell
        return FINE, math.nan
    if not claim(it.busy):
        return BUSY, math.nan
    # As `fit` would: the same shards, and with dropout other units in each step.
    X, y, seed, is_shuffled = table_at(X, n_rows, n_in), table_at(y, n_rows, n_targets), np.uint64(it.seed), n_rows < 0
    rows = Rows(X, y, it.no_weights, seed, it.state.step[0], is_shuffled)
    it.sums[0], it.sums[1], it.rates[0] = 0.0, 0.0, learning_rate
    if n_rows == 1 and it.descends:
        taken = descend_row_by_row(it.net, it.state, it.workspace, it.sums, rows, np.int64(0), it.rates, it.loss)
    else:
        rule = rule_of_descent(np.int64(SGD), is_shuffled)  # plain numbers and words have types of their own
        team = Team(0, 1, is_shuffled, it.workspace.counters, it.losses, 0)
        gradients = it.gradients[: shards_of(it.net, n_rows)]
        taken = train(
            team, it.net, it.state, gradients, it.workspace, it.sums, rows, np.int64(0), n_rows, it.rates, it.loss,
            rule,
        )  # fmt: skip
    value = it.sums[0] / it.sums[1] * it.unit[0] if taken else math.nan
    tell(it.busy, 0, 0)
    return FINE, value


@kernel(merge=True)
def refusal(it, y, n_in, n_targets, n_rows, learning_rate):
    """Why no step can be taken, or FINE."""
    if it.is_log:
        return UNTRAINABLE
    if n_in != it.net.input_mean.shape[0]:
        return WRONG_INPUTS
    if n_targets != it.net.target_mean.shape[0]:
        return WRONG_TARGETS
    if not math.isfinite(learning_rate) or learning_rate < 0:
        return NO_RATE
    for i in range(n_rows * n_targets):
        actual = float(y[i])
        if actual < it.range[0] or actual > it.range[1] or (it.is_whole and actual != np.floor(actual)):
            return OUT_OF_RANGE
    return FINE


def plain_descent(code, no):
    """The rule of fastgd.SGD without momentum, penalties or clipping; `no` is False."""
    return Rule(code, 0.0, no, 0.0, 0.0, 0.0, 0.0, 0.0, no, math.inf, math.inf, 0.0)


shards_of, rule_of_descent = kernel(merge=True)(count_shards), kernel(merge=True)(plain_descent)


def net_for_compiled_code(net, loss, unit, target_range, bounds, is_log, is_whole, seed):
    """What a user's compiled code may hold: a CompiledNet that shares the arrays of net.

    unit: a loss of 1 in standard units, in the user's; target_range: the least and the largest value of y; bounds:
    (2, n_out) of predictions, which the model may change, or (0, n_out).
    """
    dtype, wide, n_out = net.parameters.dtype, bool((net.layers[:, N_OUT] >= WIDE).any()), int(net.layers[-1, N_OUT])
    rule = plain_descent(SGD, False)
    (workspace,) = new_workspaces(net, loss, rule, ANY_ROWS)
    gradients = aligned_zeros((count_shards(net, ANY_ROWS), net.parameters.size), dtype)
    n_outputs, n_lookups = int(net.layers[-1, OUTPUTS]) + n_out, len(net.lookups)
    numbers = net.input_mean.size + n_outputs * (1 + bool(net.layers[:, SLOPES].any())) + n_lookups
    of_row, beside = numbers * dtype.itemsize + 8 * n_lookups, room_for_knots(net) * dtype.itemsize
    if of_row + beside > 4 * STACK:
        raise InvalidInputError(
            f"compiled() is for networks whose outputs of all layers fit into {4 * STACK:,} bytes for one row; "
            f"this one needs {of_row + beside:,}: call predict."
        )
    block = min(max((STACK - beside) // of_row, 1), BLOCK_ROWS, FAR_APART_ROWS if wide else BLOCK_ROWS)
    record = Inside(
        net=net,
        no_dropout=resting(net).dropout,
        loss=loss,
        workspace=workspace,
        state=State(np.zeros(1, np.int64), *(np.zeros(0, dtype) for _ in range(3))),
        gradients=gradients,
        losses=np.zeros(len(gradients)),
        sums=np.zeros(2),
        rates=np.zeros(1),
        range=np.array(target_range, np.float64),
        unit=np.array([unit]),
        bounds=bounds,
        no_weights=read_only(np.zeros(0, dtype)),
        places=np.arange(BLOCK_ROWS),
        busy=np.zeros(1, np.int64),
        block=int(block),
        seed=int(np.uint64(seed).astype(np.int64)),
        is_log=int(is_log),
        is_whole=int(is_whole),
        descends=int(descends_row_by_row(net, rule, 1)),
    )
    return compiled_net(
        (predict_on_stack, train_in_place), (prediction, training), record, net.parameters,
        (net.input_mean.size, n_out),
    )  # fmt: skip
