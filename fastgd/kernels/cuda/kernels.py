"""The programs as kernels: what a block holds in memory of its own, and a barrier between phases.

Kernels get few arrays, because each costs a microsecond at every launch: `state` holds what is learned and what rules
remember, one row after the other, `scales` and `hyper` what layout.py says, `jobs` the whole numbers.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import programs, updating
from .block import N_WIDE, numbers_of
from .layout import Held, Step
from .packing import BATCH_SIZE, N_STEPS, PLACE, STEPS_BEFORE
from .shim import IS_SIMULATOR, cuda, device_function, kernel
from .sources import Phase, Target, together
from .tile import Plan

KEPT_KERNELS = 64  # of each kind, for the shapes that were used last


def in_turn(phases: tuple[Phase, ...]) -> Phase:
    """Phases one after the other, with a barrier after each."""
    if not phases:

        @device_function
        def nothing(tid, c, turn):
            pass

        return nothing
    return together(device(), *map(waited_for, phases))


def waited_for(phase: Phase) -> Phase:
    """A phase, after which all threads wait for each other."""

    @device_function
    def wait(tid, c, turn):
        phase(tid, c, turn)
        cuda.syncthreads()

    return wait


def at_once(phase: Phase) -> Phase:
    """A phase without a barrier."""
    return phase


def given() -> dict[str, Any]:
    """What compilers for GPUs know by other names than NumPy's; see ../cpu/elementary.py."""
    if IS_SIMULATOR:
        return {}
    library = cuda.libdevice

    def from_bits_float32(n):
        return library.int_as_float(np.int32(n))

    def from_bits_float64(n):
        return library.longlong_as_double(np.int64(n))

    def bits_float32(x):
        return np.int32(library.float_as_int(np.float32(x)))

    def bits_float64(x):
        return np.int64(library.double_as_longlong(np.float64(x)))

    def with_sign(x, of):
        return math.copysign(x, of)

    functions = (from_bits_float32, from_bits_float64, bits_float32, bits_float64, with_sign)
    return {function.__name__: device_function(function) for function in functions}


@cache
def device() -> Target:
    """The device as a target."""
    return Target(device_function, in_turn, at_once, given())


class Room(NamedTuple):
    """Where a block keeps what its threads work on."""

    parameters: bool  # whether they are copied to shared memory
    tile: bool  # whether the tile is there; else it is in a row of global scratch
    bytes: int  # of shared memory that a launch asks for


def ordered(jobs, net):
    """The tuple that block.ORDER means."""
    return jobs[net, 0], jobs[net, 1], jobs[net, 2], jobs[net, 3], jobs[net, 4], jobs[net, 5]


@lru_cache(KEPT_KERNELS)
def training_kernel(plan: Plan, step: Step, held: Held, room: Room) -> Any:
    """Many steps of many networks: a block for each."""
    train, order_of = programs.training(device(), plan, step, held, loads=room.parameters), device_function(ordered)
    n_numbers = numbers_of(len(plan.shape.layers))
    real, has_parameters, has_tile = np.dtype(plan.shape.dtype), room.parameters, room.tile

    @kernel
    def train_networks(state, gradients, scratch, scales, hyper, features, jobs, rates, X, Y, weights, results):
        net, tid = cuda.blockIdx.x, cuda.threadIdx.x
        here = cuda.shared.array(0, real)
        numbers = cuda.shared.array(n_numbers, np.int64)
        wide = cuda.shared.array(N_WIDE, np.float64)
        c = (
            here if has_tile else scratch[net],
            here if has_parameters else state[net, 0],
            gradients[net], state[net], scales[net], hyper[net], features, numbers, wide, X, Y, weights, results,
            order_of(jobs, net),
        )  # fmt: skip
        mine = rates[net, : jobs[net, N_STEPS]]
        train(tid, c, jobs[net, PLACE], jobs[net, BATCH_SIZE], jobs[net, STEPS_BEFORE], mine, net)

    return train_networks


@lru_cache(KEPT_KERNELS)
def summing_kernel(plan: Plan, room: Room, *, backward: bool) -> Any:
    """Loss, and gradient, of shards of rows, by any number of blocks."""
    start, sum_of = programs.summing(device(), plan, backward=backward, loads=room.parameters)
    order_of = device_function(ordered)
    n_numbers = numbers_of(len(plan.shape.layers))
    real, has_parameters, has_tile = np.dtype(plan.shape.dtype), room.parameters, room.tile

    @kernel
    def sum_shards(
        state, scratch, scales, hyper, features, jobs, X, Y, weights, partials, results, place, n, per, scale
    ):
        block, tid = cuda.blockIdx.x, cuda.threadIdx.x
        here = cuda.shared.array(0, real)
        numbers = cuda.shared.array(n_numbers, np.int64)
        wide = cuda.shared.array(N_WIDE, np.float64)
        s = here if has_tile else scratch[block]
        w = here if has_parameters else state[0, 0]
        order = order_of(jobs, 0)
        shard = block
        while shard * per < n:
            c = (
                s, w, partials[shard if backward else 0], state[0], scales[0], hyper[0], features, numbers, wide, X, Y,
                weights, results, order,
            )  # fmt: skip
            if shard == block:
                start(tid, c, (0, 0, 0, scale, False, scale, 0, 0))
            end = (shard + 1) * per if (shard + 1) * per < n else n
            sum_of(tid, c, place + shard * per, place + end, scale, shard)
            shard += cuda.gridDim.x

    return sum_shards


@lru_cache(KEPT_KERNELS)
def updating_kernel(plan: Plan, step: Step, held: Held, *, adds: bool, moves: bool) -> Any:
    """Add the gradients of shards, and move the parameters, by any number of blocks."""
    plan = plan._replace(first=0)  # the parameters in global memory
    update = updating.updating(device(), plan, step, held, adds=adds, moves=moves)

    @kernel
    def update_parameters(state, gradient, hyper, partials, shards, norms, results, n_shards, rate, number, index):
        block, tid = cuda.blockIdx.x, cuda.threadIdx.x
        wide = cuda.shared.array(N_WIDE, np.float64)
        mine = state[0, 0]
        c = (
            mine, mine, gradient[0], state[0], mine, hyper[0], wide, wide, wide, partials, shards, norms, results, 0,
        )  # fmt: skip
        update(tid, c, (block, cuda.gridDim.x, n_shards, 0.0, False, rate, number, index))

    return update_parameters


@lru_cache(KEPT_KERNELS)
def norm_kernel(plan: Plan) -> Any:
    """The length of the gradient, by one block, which leaves it in `norms`."""
    measure = updating.measuring_norm(device(), plan)

    @kernel
    def measure_norm(gradient, hyper, norms):
        g = gradient[0]
        c = (
            g, g, g, gradient, g, hyper[0], norms, norms, norms, gradient, gradient, norms, gradient, 0,
        )  # fmt: skip
        measure(cuda.threadIdx.x, c, (0, 0, 0, 0.0, False, 0.0, 0, 0))

    return measure_norm


@lru_cache(KEPT_KERNELS)
def forward_kernel(plan: Plan, room: Room, *, shows: bool) -> Any:
    """Predictions for tiles of rows, or (`shows`) the outputs and slopes of all layers, by any number of blocks."""
    make = programs.showing if shows else programs.predicting
    start, run = make(device(), plan, loads=room.parameters)
    n_numbers, T = numbers_of(len(plan.shape.layers)), plan.tile.T
    real, has_parameters, has_tile = np.dtype(plan.shape.dtype), room.parameters, room.tile
    order_of = device_function(ordered)

    @kernel
    def run_tiles(state, scratch, scales, hyper, features, jobs, X, given, out):
        block, tid = cuda.blockIdx.x, cuda.threadIdx.x
        here = cuda.shared.array(0, real)
        numbers = cuda.shared.array(n_numbers, np.int64)
        wide = cuda.shared.array(N_WIDE, np.float64)
        mine = state[0, 0]
        c = (
            here if has_tile else scratch[block],
            here if has_parameters else mine,
            mine, state[0], scales[0], hyper[0], features, numbers, wide, X, out, given, hyper, order_of(jobs, 0),
        )  # fmt: skip
        start(tid, c, (0, 0, 0, 0.0, False, 0.0, 0, 0))
        place = block * T
        while place < X.shape[0]:
            run(tid, c, place, place + T if place + T < X.shape[0] else X.shape[0])
            place += T * cuda.gridDim.x

    return run_tiles
