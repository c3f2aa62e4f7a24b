"""What the host sends to the device and reads back: a network, its rule and its rows as arrays of numbers.

Parameters, and what the update rule remembers of each, lie in the layout of the device; see layout.Parameters.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codes import BIASES, N_IN, N_OUT
from ..records import Integers, LossRecord, Net, Reals, Rows, Rule, State
from .layout import Held, Parameters, Shape, Step
from .tile import Plan

# Columns of `jobs`, one row for each network (int64): the order of rows, see block.ORDER, and then
PLACE, BATCH_SIZE, STEPS_BEFORE, N_STEPS = range(6, 10)
JOB_COLUMNS = 10
KEPT_PLACES = 4  # networks of a launch are alike; those of a large network are as long as it


def places_of(layers: Integers, at: Parameters) -> NDArray[np.int64]:
    """For each entry of the flat vector its place on the device, (n_parameters,)."""
    return _places(tuple(map(tuple, layers[:, [N_IN, N_OUT]].tolist())), at)


@lru_cache(KEPT_PLACES)
def _places(sizes: tuple[tuple[int, ...], ...], at: Parameters) -> NDArray[np.int64]:
    places = []
    for (n_in, n_out), weights, biases, pitch in zip(sizes, at.weights, at.biases, at.pitches, strict=True):
        places.append((weights + np.arange(n_in)[:, None] * pitch + np.arange(n_out)).reshape(-1))
        places.append(biases + np.arange(n_out))
    found = np.concatenate(places)
    found.flags.writeable = False  # all networks of this shape have it
    return found


def decayed_places(layers: Integers, at: Parameters, rule: Rule, dtype: Any) -> Reals:
    """1 for each entry on the device that weight decay and l1 hold for, else 0."""
    decayed = np.ones(int(layers[-1, BIASES] + layers[-1, N_OUT]), dtype)
    if not rule.decay_biases:
        for row in layers:
            decayed[row[BIASES] : row[BIASES] + row[N_OUT]] = 0
    return spread(decayed, places_of(layers, at), at.size)


def spread(values: Reals, places: NDArray[np.int64], size: int) -> Reals:
    """A flat vector as it lies on the device; what is between rows is 0."""
    padded = np.zeros(size, values.dtype)
    padded[places] = values
    return padded


def scales_record(net: Net, loss: LossRecord) -> Reals:
    """The reals of a network and its loss, in this order."""
    one, dtype = net.parameters.dtype.type(1), net.parameters.dtype
    parts = (
        net.input_mean, one / net.input_std, net.target_mean, one / net.target_std, net.target_std, net.bin_mean,
        net.bin_scale, loss.units, loss.constants,
    )  # fmt: skip
    return np.concatenate([np.asarray(part, dtype) for part in parts])


def hyper_record(net: Net, rule: Rule) -> NDArray[np.float64]:
    """The wide numbers of a network and its rule."""
    return np.array(
        [rule.momentum, rule.beta1, rule.beta2, rule.epsilon, rule.weight_decay, rule.l1, rule.clip_norm,
         rule.clip_value, rule.ema_decay, *net.dropout.astype(np.float64)]
    )  # fmt: skip


def features_of(net: Net, shape: Shape) -> Integers:
    """Of each looked-up input its column of the table, its bin (or −1 − its level), and the column's bins.

    One row of nothing where there is none.
    """
    found, first = [], shape.n_columns - shape.n_lookups
    for j, (_, n_bins, n_levels) in enumerate(net.lookups.tolist()):
        found += [(first + j, t, n_bins) for t in range(n_bins)]
        found += [(first + j, -1 - level, n_bins) for level in range(n_levels)]
    return np.array(found or [(0, 0, 0)], np.int64)


def held_of(step: Step, state: State) -> Held:
    """Where the rows of a network's state are, see pack_state."""
    row, places = 0, []
    for there in (state.velocity.size, state.squares.size, state.average.size, step.has_penalty, step.has_signs):
        row += bool(there)
        places.append(row if there else 0)
    velocity, squares, average, decayed, signs = places
    return Held(velocity, squares, average, decayed, signs, row + 1)


def pack_parameters(net: Net, plan: Plan) -> Reals:
    """What a network has learned and nothing else, (1, 1, parameters)."""
    return spread(net.parameters, places_of(net.layers, plan.parameters), plan.parameters.size).reshape(1, 1, -1)


def pack_state(into: Reals, net: Net, state: State, rule: Rule, plan: Plan) -> None:
    """Write what kernels learn with to rows (n_rows, parameters): parameters first, then what there is, see Held."""
    at = plan.parameters
    places, dtype = places_of(net.layers, at), net.parameters.dtype
    has_penalty = rule.weight_decay > 0 or rule.l1 > 0
    rows = [net.parameters, *(array for array in (state.velocity, state.squares, state.average) if array.size)]
    into[:] = 0
    for row, values in zip(into, rows, strict=False):
        row[places] = values
    row_number = len(rows)
    if has_penalty:
        into[row_number] = decayed_places(net.layers, at, rule, dtype)
        row_number += 1
    if net.signs.size:
        into[row_number][places] = net.signs


def unpack_state(rows: Reals, net: Net, state: State, plan: Plan) -> None:
    """Read back what has been learned."""
    places = places_of(net.layers, plan.parameters)
    arrays = [net.parameters, *(array for array in (state.velocity, state.squares, state.average) if array.size)]
    for row, array in zip(rows, arrays, strict=False):
        array[:] = row[places]


def job_of(rows: Rows, place: int = 0, batch_size: int = 0, steps_before: int = 0, n_steps: int = 0) -> Integers:
    """The whole numbers of a launch for one network."""
    n, seed = rows.X.shape[0], int(rows.seed)
    n_left = int(np.ceil(np.sqrt(n)))
    job = (n, n_left, seed & 0xFFFFFFFF, seed >> 32, rows.epoch & 0xFFFFFFFF, int(rows.shuffle), place, batch_size,
           steps_before, n_steps)  # fmt: skip
    return np.array(job, np.int64).reshape(1, JOB_COLUMNS)
