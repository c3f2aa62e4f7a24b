"""A step that many blocks take together: the shards' gradients are added in their order, and the parameters move.

Threads of different blocks wait for each other only between launches.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .block import (
    BLOCK,
    INDEX,
    LOSS,
    N_BLOCKS,
    N_SHARDS,
    N_WIDE,
    NORMS,
    PARTIALS,
    PARTS,
    RESULTS,
    SHARDS,
    WEIGHT,
    WIDE,
    G,
)
from .layout import Held, Step
from .sources import Target, functions, together
from .steps import constants_phase, move_phase, norm_phases
from .tile import Plan


def updating(target: Target, plan: Plan, step: Step, held: Held, *, adds: bool, moves: bool) -> Any:
    """`update(tid, c, share)`: add the shards' gradients in their order, and move the parameters.

    results[index] = whether the step was taken (it is not where its loss is not finite, nor is any after it), its loss
    and its weight. A gradient whose norm is clipped is added by one launch and moves by another.
    """
    is_taken = adding(target, plan, moves=moves) if adds else was_taken(target)
    if not moves:
        return is_taken
    move = moving(target, plan, step, held)

    @target.compile
    def update(tid, c, share):
        if is_taken(tid, c, share):
            move(tid, c, share)

    return update


def was_taken(target: Target) -> Any:
    """`was_taken(tid, c, share)`: whether a launch before has added the gradients of a step that is taken."""

    @target.compile
    def was_taken(tid, c, share):
        return c[RESULTS][share[INDEX], 0] > 0.0

    return was_taken


def adding(target: Target, plan: Plan, *, moves: bool) -> Any:
    """`add(tid, c, share)`: add what shards have; where the same launch `moves`, returns whether the step is taken."""
    NT, size, zero = plan.NT, plan.parameters.size, np.float64(0)

    @target.compile
    def sum_shards(tid, c, share):
        if tid == 0:
            loss, weight = zero, zero
            i = 0
            while i < share[N_SHARDS]:
                loss += c[SHARDS][i, 1]
                weight += c[SHARDS][i, 2]
                i += 1
            c[WIDE][LOSS], c[WIDE][WEIGHT] = loss, weight

    @target.compile
    def add_shards(tid, c, share):
        p = share[BLOCK] * NT + tid
        while p < size:
            g = c[PARTIALS][0, p]
            i = 1
            while i < share[N_SHARDS]:
                g = g + c[PARTIALS][i, p]
                i += 1
            c[G][p] = g
            p += NT * share[N_BLOCKS]

    @target.compile
    def is_alive(c, share):
        return share[INDEX] == 0 or c[RESULTS][share[INDEX] - 1, 0] > 0.0

    @target.compile
    def note(tid, c, share):
        if tid == 0 and share[BLOCK] == 0:
            taken = is_alive(c, share) and abs(c[WIDE][LOSS]) < math.inf
            c[RESULTS][share[INDEX], 0] = 1.0 if taken else 0.0
            c[RESULTS][share[INDEX], 1] = c[WIDE][LOSS]
            c[RESULTS][share[INDEX], 2] = c[WIDE][WEIGHT]

    # The thread that sums what the shards have lost also notes it: others wait for it only to know whether to move.
    sum_shards = target.in_turn((sum_shards,)) if moves else target.at_once(sum_shards)
    add_shards, note = target.at_once(add_shards), target.at_once(note)

    @target.compile
    def add(tid, c, share):
        sum_shards(tid, c, share)
        add_shards(tid, c, share)
        note(tid, c, share)
        return moves and is_alive(c, share) and abs(c[WIDE][LOSS]) < math.inf

    return add


def moving(target: Target, plan: Plan, step: Step, held: Held) -> Any:
    """`move(tid, c, share)`: a step of all parameters, by any number of blocks."""
    NT, dtype, clips_norm = plan.NT, plan.shape.dtype, step.clips_norm
    _, moves, constants = functions(target, dtype)
    constants = constants_phase(target, constants, dtype, step, NT)
    move_some = move_phase(target, moves, plan, step, held)

    @target.compile
    def read_norm(tid, c, share):
        i = PARTS + tid
        while i < N_WIDE and clips_norm:
            c[WIDE][i] = c[NORMS][i]
            i += NT

    @target.compile
    def move_all(tid, c, share):
        move_some(share[BLOCK] * NT + tid, NT * share[N_BLOCKS], c, share)

    prepare, move_all = target.in_turn((together(target, constants, read_norm),)), target.at_once(move_all)

    @target.compile
    def move(tid, c, share):
        prepare(tid, c, share)
        move_all(tid, c, share)

    return move


def measuring_norm(target: Target, plan: Plan) -> Any:
    """`measure(tid, c, turn)`: what steps.length_of reads, by one block."""
    *phases, last = norm_phases(target, plan.shape.dtype, plan.parameters.size, plan.NT)
    most, rest = target.in_turn(tuple(phases)), target.at_once(last)

    @target.compile
    def measure(tid, c, turn):
        most(tid, c, turn)
        rest(tid, c, turn)

    return measure
