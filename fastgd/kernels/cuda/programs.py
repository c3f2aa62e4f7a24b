"""What a block does: many steps of one network, a shard of a large batch, or tiles of rows to measure or predict.

A program is `program(tid, c, …)`, see block.py. What it does with numbers is done by phases; all its own whole numbers
are the same in every thread.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .block import (
    GIVEN,
    INDEX,
    LOSS,
    N_ROWS,
    NUMBERS,
    ORDER,
    OUT,
    PLACE,
    RATE,
    RESULTS,
    ROWS,
    SCALE,
    SPAN,
    STATE,
    STEP,
    WEIGHT,
    WIDE,
    G,
    S,
    W,
    X,
)
from .layout import Held, Step
from .losses import to_user_units
from .order import order_functions
from .sources import Phase, Target, functions, together
from .steps import constants_phase, move_phase, norm_phases
from .tile import Plan, backward_of, forward_of, gathering, losses_of

NO_RATE = np.float64(0)


class Parts:
    """The phases of a plan, and what programs have in common."""

    def __init__(self, target: Target, plan: Plan) -> None:
        self.target, self.plan = target, plan
        self.f, self.moves, self.constants = functions(target, plan.shape.dtype)
        self.order = order_functions(target, len(plan.shape.layers), plan.NT)
        self.layers = range(len(plan.shape.layers))

    def forward(self, **options: bool) -> tuple[Phase, ...]:
        """Gather, and each layer."""
        layers = [forward_of(self.target, self.plan, self.f, self.order.is_kept, layer) for layer in self.layers]
        return (gathering(self.target, self.plan, **options), *layers)

    def measured(self) -> tuple[Phase, ...]:
        """A tile's loss."""
        losses, sum_losses = losses_of(self.target, self.plan, self.f, backward=False)
        return (*self.forward(), losses, sum_losses)

    def gradient(self, *beside: Phase) -> tuple[Phase, ...]:
        """A tile's loss and gradient; phases `beside` those of the loss have nothing to do with a tile."""
        losses, sum_losses = losses_of(self.target, self.plan, self.f, backward=True)
        back = [backward_of(self.target, self.plan, self.f, layer) for layer in reversed(self.layers)]
        back[0] = (*back[0], sum_losses)
        of_layers = (together(self.target, *phases) for phases in back)
        return (*self.forward(), together(self.target, losses, *beside), *of_layers)

    def clear(self) -> Phase:
        """c[G] = 0: what lies between its rows counts in its length, and is never written."""
        size, NT, zero = self.plan.parameters.size, self.plan.NT, np.dtype(self.plan.shape.dtype).type(0)

        @self.target.compile
        def clear(tid, c, turn):
            p = tid
            while p < size:
                c[G][p] = zero
                p += NT

        return self.target.at_once(clear)

    def start(self, *, loads: bool) -> Phase:
        """Make the keys of random numbers, and bring the parameters to the block where it has room for them.

        Layers come behind the barrier after a tile is gathered; only who finds rows before that waits for the keys.
        """
        size, NT, w0 = self.plan.parameters.size, self.plan.NT, self.plan.first

        @self.target.compile
        def load(tid, c, turn):
            p = tid
            while p < size and loads:
                c[W][w0 + p] = c[STATE][0, p]
                p += NT

        return together(self.target, self.order.make_keys, load)

    def tiles(self, phases: tuple[Phase, ...]) -> Any:
        """`tiles(tid, c, begin, end, last, scale, rate, step, index, *span)`: phases for all rows from one place of the
        epoch to another, tile by tile. The span, two numbers, says from where to where rows have been found, which goes
        up to `last`; returns the span.
        """
        T, of_tile, find_rows = self.plan.tile.T, self.target.in_turn(phases), self.order.find_rows
        find_rows = self.target.in_turn((find_rows,))

        @self.target.compile
        def tiles(tid, c, begin, end, last, scale, rate, step, index, span_begin, span_end):
            place = begin
            while place < end:
                rows = T if place + T < end else end - place
                if place < span_begin or place + rows > span_end:
                    span_begin = place
                    span_end = place + SPAN if place + SPAN < last else last
                    found = (place, span_end - place, 0, scale, False, rate, step, index)
                    find_rows(tid, c, found)
                of_tile(tid, c, (place, rows, place - span_begin, scale, place == begin, rate, step, index))
                place += T
            return span_begin, span_end

        return tiles


def training(target: Target, plan: Plan, step: Step, held: Held, *, loads: bool) -> Any:
    """`train(tid, c, place, batch_size, steps_before, rates, net)`: a step of one network for each rate.

    Stops before a step whose loss is not finite. results[net] = how many steps were taken, the sum of each one's loss
    times its rows, and the weight of these rows.
    """
    parts, NT, size, dtype = Parts(target, plan), plan.NT, plan.parameters.size, plan.shape.dtype
    w0, constants = plan.first, constants_phase(target, parts.constants, dtype, step, NT)
    start, clear = target.in_turn((parts.start(loads=loads),)), parts.clear()
    tiles = parts.tiles(parts.gradient(constants))
    norm = target.in_turn(norm_phases(target, dtype, size, NT) if step.clips_norm else ())
    move_some = move_phase(target, parts.moves, plan, step, held)

    @target.compile
    def move_all(tid, c, turn):
        move_some(tid, NT, c, turn)

    @target.compile
    def leave(tid, c, turn):
        p = tid
        while p < size and loads:
            c[STATE][0, p] = c[W][w0 + p]
            p += NT

    @target.compile
    def note(tid, c, turn):
        if tid == 0:
            c[RESULTS][turn[INDEX], 0] = turn[STEP]
            c[RESULTS][turn[INDEX], 1] = turn[RATE]
            c[RESULTS][turn[INDEX], 2] = turn[SCALE]

    move, leave, note = target.at_once(move_all), target.at_once(leave), target.at_once(note)

    @target.compile
    def train(tid, c, place, batch_size, steps_before, rates, net):
        begin, end = np.int64(0), np.int64(0)
        loss, weight = np.float64(0), np.float64(0)
        n_steps, taken, alive = rates.shape[0], 0, True
        start(tid, c, (0, 0, 0, loss, False, loss, 0, net))
        clear(tid, c, (0, 0, 0, loss, False, loss, 0, net))
        while taken < n_steps and alive:
            first = place + taken * batch_size
            last = first + batch_size if first + batch_size < c[ORDER][N_ROWS] else c[ORDER][N_ROWS]
            scale, rate, number = 1.0 / np.float64(last - first), rates[taken], steps_before + taken + 1
            begin, end = tiles(tid, c, first, last, c[ORDER][N_ROWS], scale, rate, number, net, begin, end)
            value = c[WIDE][LOSS]
            alive = abs(value) < math.inf
            if alive:
                turn = (first, 0, 0, scale, False, rate, number, net)
                norm(tid, c, turn)
                move(tid, c, turn)
                loss += value * np.float64(last - first)
                weight += c[WIDE][WEIGHT]
                taken += 1
        leave(tid, c, (0, 0, 0, loss, False, loss, 0, net))
        note(tid, c, (0, 0, 0, weight, False, loss, taken, net))

    return train


def noting(target: Target) -> Phase:
    """results[index] = 1, the loss and the weight of what has just been summed."""

    @target.compile
    def note(tid, c, turn):
        if tid == 0:
            c[RESULTS][turn[INDEX], 0] = 1.0
            c[RESULTS][turn[INDEX], 1] = c[WIDE][LOSS]
            c[RESULTS][turn[INDEX], 2] = c[WIDE][WEIGHT]

    return target.at_once(note)


def summing(target: Target, plan: Plan, *, backward: bool, loads: bool) -> tuple[Any, Any]:
    """`start(tid, c, turn)` of a block, and `sum_of(tid, c, begin, end, scale, index)`: loss and weight of all rows
    from one place of the epoch to another go to results[index], and their gradient to c[G].
    """
    parts = Parts(target, plan)
    tiles = parts.tiles(parts.gradient() if backward else parts.measured())
    note, clear, none = noting(target), parts.clear(), np.int64(0)

    @target.compile
    def sum_of(tid, c, begin, end, scale, index):
        if backward:
            clear(tid, c, (begin, 0, 0, scale, False, NO_RATE, 0, index))
        tiles(tid, c, begin, end, end, scale, NO_RATE, none, index, none, none)
        note(tid, c, (begin, 0, 0, scale, False, NO_RATE, 0, index))

    return target.in_turn((parts.start(loads=loads),)), sum_of


def predicting(target: Target, plan: Plan, *, loads: bool) -> tuple[Any, Any]:
    """`start`, and `predict(tid, c, begin, end)`: out = predictions of a tile, and whether all of a row is finite."""
    parts, shape, tile, NT = Parts(target, plan), plan.shape, plan.tile, plan.NT
    answer = to_user_units(target, parts.f, shape, plan.scales)
    O, x0, x_pitch, n_columns = shape.n_out, tile.x, tile.x_pitch, shape.n_columns
    n_dense = n_columns - shape.n_lookups
    p0, pitch = tile.outputs[-1], tile.pitches[-1]
    real = np.dtype(shape.dtype).type
    fine, wrong, infinite = real(1), real(0), real(math.inf)

    @target.compile
    def check(tid, c, turn):
        r = tid
        while r < turn[ROWS]:
            row, is_fine, k = turn[PLACE] + r, fine, 0
            while k < n_columns:  # positions have become other inputs in the tile
                x = c[S][x0 + r * x_pitch + k] if k < n_dense else c[X][row, k]
                is_fine = is_fine if abs(x) < infinite else wrong
                k += 1
            c[OUT][row, O] = is_fine
            r += NT

    @target.compile
    def answers(tid, c, turn):
        r = tid
        while r < turn[ROWS]:
            row, j = turn[PLACE] + r, 0
            answer(c, p0 + r * pitch, c[OUT], row)
            while j < O:
                c[OUT][row, O] = c[OUT][row, O] if abs(c[OUT][row, j]) < infinite else wrong
                j += 1
            r += NT

    # Inputs are checked before the next tile can come, so that nobody waits when answers are given.
    gather, first, *others = parts.forward(finds=False, targets=False)
    of_tile, answers = target.in_turn((gather, together(target, first, check), *others)), target.at_once(answers)

    @target.compile
    def predict(tid, c, begin, end):
        turn = (begin, end - begin, 0, NO_RATE, False, NO_RATE, 0, 0)
        of_tile(tid, c, turn)
        answers(tid, c, turn)

    return target.at_once(parts.start(loads=loads)), predict


def showing(target: Target, plan: Plan, *, loads: bool) -> tuple[Any, Any]:
    """`start`, and `show(tid, c, begin, end)`: every layer's outputs for a tile of rows in standard units.

    out[0] = the outputs, and out[1] = the slopes where they are kept, laid out as in records.Workspace. `given` are
    the numbers of the rows, which dropout asks for.
    """
    parts, shape, tile, NT = Parts(target, plan), plan.shape, plan.tile, plan.NT

    @target.compile
    def name_rows(tid, c, turn):
        r = tid
        while r < turn[ROWS]:
            c[NUMBERS][r] = c[GIVEN][turn[PLACE] + r]
            r += NT

    def copying(layer: int) -> Phase:
        O, (a0, slopes0), pitch = shape.layers[layer][1], (tile.outputs[layer], tile.slopes[layer]), tile.pitches[layer]
        before, keeps = sum(n_out for _, n_out, *_ in shape.layers[:layer]), shape.layers[layer][3]

        @target.compile
        def copy(tid, c, turn):
            i = tid
            while i < turn[ROWS] * O:
                r = i // O
                j = i - r * O
                at = c[X].shape[0] * before + (turn[PLACE] + r) * O + j
                c[OUT][0, at] = c[S][a0 + r * pitch + j]
                if keeps:
                    c[OUT][1, at] = c[S][slopes0 + r * pitch + j]
                i += NT

        return copy

    gather, *layers = parts.forward(finds=False, targets=False, scales=False)
    of_tile = target.in_turn((together(target, name_rows, gather), *layers))
    copies = target.at_once(together(target, *(copying(layer) for layer in parts.layers)))

    @target.compile
    def show(tid, c, begin, end):
        turn = (begin, end - begin, 0, NO_RATE, False, NO_RATE, 0, 0)
        of_tile(tid, c, turn)
        copies(tid, c, turn)

    return target.at_once(parts.start(loads=loads)), show
