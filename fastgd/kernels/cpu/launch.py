"""The Python side of the engine: it allocates scratch, looks up addresses and starts threads for the compiled loops.

What is chosen by name (an activation, a loss, an update rule) is a kernel of its own, compiled when it is first used;
here it is looked up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import ThreadsWarning, warn
from ..codes import ACTIVATION, IDENTITY, N_OUT, OUTPUTS, SGD, SLOPES
from ..machinery import calls, teams
from ..machinery.compile import is_ready, kernel
from ..machinery.lanes import pointer
from ..machinery.packing import packed
from ..machinery.teams import Team
from ..records import aligned_zeros
from . import activations, losses, products, row_by_row, training, updates
from .training import move_my_parameters
from .workspace import BLOCK_ROWS, count_shards, divides_columns, new_scratch, worthwhile_threads


def is_compiled():
    """Whether the training loop has machine code, in this process or on disk, for any dtype."""
    return is_ready(training.train)


def new_workspaces(net, loss=None, rule=None, batch_size=1, n_threads=1, block_rows=None):
    """Scratch for each of the threads that a batch of this size is worth, n_threads at most.

    Without a loss it serves predictions, without a rule gradients and losses.
    """
    table, block_rows = addresses(net, loss, rule), block_rows or BLOCK_ROWS
    n_threads = worthwhile_threads(net, batch_size, n_threads)
    if rule is not None and descends_row_by_row(net, rule, batch_size):
        n_threads = 1
    workspaces = [new_scratch(net, table, block_rows, batch_size) for _ in range(n_threads)]
    if divides_columns(net, batch_size):  # all threads work on the same outputs
        first = workspaces[0]
        shared = {"activations": first.activations, "slopes": first.slopes, "deltas": first.deltas}
        return [workspace._replace(**shared) for workspace in workspaces]
    return workspaces


def new_gradients(net, batch_size):
    """One gradient for each shard of a batch (n_shards, n_parameters)."""
    return aligned_zeros((count_shards(net, batch_size), net.parameters.size), net.parameters.dtype)


TABLES: dict[Any, Any] = {}  # to look up seven addresses takes 0.2 ms, as long as a hundred steps


def addresses(net, loss=None, rule=None):
    """Where the kernels lie that this network, this loss and this rule need; see calls.py."""
    layers = net.layers[:, [ACTIVATION, SLOPES]].tobytes()
    key = net.parameters.dtype, layers, loss and loss.code, rule and updates.kernel_of(rule)
    if key not in TABLES:
        TABLES[key] = new_table(net, loss, rule)
    return TABLES[key]


def new_table(net, loss, rule):
    """The addresses, each looked up or compiled."""
    real = calls.real_type(net.parameters.dtype)
    table = calls.table(len(net.layers))
    table[calls.PAUSE] = calls.pause_address()
    table[calls.PRODUCT] = calls.address(products.product, calls.product(real))
    if loss is not None:
        table[calls.LOSS] = calls.address(losses.KERNELS[loss.code], calls.loss(real))
    if rule is not None:
        table[calls.RULE] = calls.address(updates.kernel_of(rule), calls.update_rule(real, rule))
    for index, layer in enumerate(net.layers):
        code, place = int(layer[ACTIVATION]), calls.LAYERS + calls.PER_LAYER * index
        if code == IDENTITY and not layer[SLOPES]:
            continue
        table[place + calls.ACTIVATE] = calls.address(activations.FORWARD[code], calls.elementwise(real))
        if layer[SLOPES] and code in activations.WITH_SLOPES:
            found = activations.WITH_SLOPES[code]
            table[place + calls.ACTIVATE_WITH_SLOPES] = calls.address(found, calls.elementwise_pair(real))
        elif layer[SLOPES] or loss is not None:
            found = activations.BACKWARD[code]
            table[place + calls.ACTIVATE_BACKWARD] = calls.address(found, calls.elementwise_pair(real))
    return table


def new_team_of_one():
    """A team of one thread, for calls that have no workspace."""
    return Team(0, 1, False, np.zeros(teams.FIRST_COUNTER, np.int64), np.zeros(1), 0)


# The contract, where it is not a kernel itself.


def activate(a, code):
    """a = f(a)."""
    real = calls.real_type(a.dtype)
    apply(calls.address(activations.FORWARD[code], calls.elementwise(real)), a.reshape(-1))


def activate_backward(delta, a, code):
    """delta = delta · f′(z), where a = f(z)."""
    real = calls.real_type(a.dtype)
    address = calls.address(activations.BACKWARD[code], calls.elementwise_pair(real))
    apply_pair(address, delta.reshape(-1), a.reshape(-1))


def activate_with_slopes(a, slopes, code):
    """a holds z: slopes = f′(z), then a = f(z)."""
    if code in activations.WITH_SLOPES:
        real = calls.real_type(a.dtype)
        address = calls.address(activations.WITH_SLOPES[code], calls.elementwise_pair(real))
        apply_pair(address, a.reshape(-1), slopes.reshape(-1))
        return
    activate(a, code)
    slopes[:] = 1
    activate_backward(slopes, a, code)


def loss_and_delta(delta, predicted, y, w, scale, loss):
    """delta = scale · w · d loss / d predicted; returns scale · Σ w · loss over the rows."""
    address = calls.address(losses.KERNELS[loss.code], calls.loss(calls.real_type(delta.dtype)))
    return apply_loss(address, delta, predicted, y, w, float(scale), loss.units, loss.constants)


@kernel()
def apply_update(team, net, state, gradients, rule, learning_rate, number_of_step, address):
    """A step of one thread, from the first gradient."""
    move_my_parameters(team, net, state, gradients, 1, rule, learning_rate, number_of_step, address)


@kernel()
def apply(address, v):
    """f(v), for all of an array."""
    calls.call_elementwise(address, pointer(v, 0), v.size)


@kernel()
def apply_pair(address, d, v):
    """f(d, v), for all of two arrays."""
    calls.call_elementwise_pair(address, pointer(d, 0), pointer(v, 0), v.size)


@kernel()
def apply_loss(address, delta, predicted, y, w, scale, units, constants):
    """A loss of arrays."""
    (B, O), T = delta.shape, y.shape[1]
    return calls.call_loss(
        address,
        pointer(delta, 0),
        pointer(predicted, 0),
        pointer(y, 0),
        pointer(w, 0),
        B,
        O,
        T,
        scale,
        units,
        constants,
    )


def add_product(C, A, B):
    """C += A @ B; A may be a transposed view."""
    products.add_product_with(C, A, B, aligned_zeros(products.room_for(C.shape[1]), C.dtype))


def last_outputs(workspace, B, net):
    """The outputs (B, O) of the last layer."""
    layer = net.layers[-1]
    begin, O = B * layer[OUTPUTS], layer[N_OUT]
    return workspace.activations[begin : begin + B * O].reshape(B, O)


def update(net, state, gradient, rule, learning_rate):
    """Take one step: clip the gradient, move every parameter, and bring the moving average along."""
    updates.clip(gradient, rule)
    address = int(addresses(net, rule=rule)[calls.RULE])
    state.step[0] += 1
    number_of_step, gradients = int(state.step[0]), gradient.reshape(1, -1)
    apply_update(new_team_of_one(), net, state, gradients, rule, learning_rate, number_of_step, address)


def batch_gradient(gradients, workspace, rows, place, n, net, loss):
    """gradients[0] = Σ w · d loss / d parameters of n rows from this place on, over n; returns their loss."""
    of_shards = np.zeros(len(gradients))
    return float(training.whole_gradient(gradients, workspace, of_shards, rows, place, n, net, loss))


def predicting(workspace, net, loss):
    """The function predict(out, X) for these."""
    record = training.Prediction(workspace, net, loss)
    words, predict_packed = packed(record, net.parameters.dtype), training.predict_packed

    def predict(out, X, keep=record):
        return predict_packed(out, X, words)

    return predict


def predict(out, workspace, X, net, loss):
    """out (n, O) = predictions for X (n, I); returns whether all inputs in standard units, and these, are finite."""
    return predicting(workspace, net, loss)(out, X)


def descends_row_by_row(net, rule, batch_size):
    """Whether a step is plain descent on one row: no momentum, penalty, clipping, slopes, lookups or signs."""
    has_more_terms = rule.momentum or rule.weight_decay or rule.l1
    clipped = rule.clip_value < math.inf or rule.clip_norm < math.inf
    needs_gradient = has_more_terms or clipped or net.layers[:, SLOPES].any() or len(net.lookups)
    return batch_size == 1 and rule.code == SGD and not needs_gradient and not net.signs.size


def train_in_threads(net, state, gradients, workspaces, sums, rows, place, batch_size, learning_rates, loss, rule):
    """Take one step for each learning rate, with a thread for each workspace; returns how many steps were taken.

    One thread does it where a step is plain descent on one row, or where threads do not start.
    """
    if descends_row_by_row(net, rule, batch_size) and not state.average.size:
        descend = row_by_row.descend_row_by_row
        return int(descend(net, state, workspaces[0], sums, rows, place, learning_rates, loss))
    of_shards, pause = np.zeros(len(gradients)), int(workspaces[0].addresses[calls.PAUSE])
    failures = []

    def work(thread, n_threads, counters):
        by_columns = len(gradients) == 1 and n_threads > 1
        team = Team(thread, n_threads, by_columns, counters, of_shards, pause)
        try:
            return training.train(
                team, net, state, gradients, workspaces[thread], sums, rows, place, batch_size, learning_rates, loss,
                rule,
            )  # fmt: skip
        except BaseException as failure:
            counters[teams.GIVEN_UP] = 1
            failures.append(failure)
            return 0

    crowd = teams.Crowd(work, len(workspaces))
    try:
        if not crowd.gather():
            warn("Threads do not start here, so that one thread trains: set n_threads=1.", ThreadsWarning)
            crowd.give_up()
            crowd = teams.Crowd(work, 1)
        taken = work(0, crowd.n_threads, crowd.counters)
    except BaseException:  # no thread may wait for another that never comes
        crowd.give_up()
        raise
    finally:
        crowd.join()
    if failures:
        raise failures[0]
    return int(taken)
