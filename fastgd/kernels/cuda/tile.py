"""A tile of rows through the network: gather, forward, loss, backward, as phases of the threads of a block."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..codes import IDENTITY
from ..formulas import ACTIVATIONS
from . import products
from .block import (
    AT,
    FEATURES,
    FRESH,
    HYPER,
    LOSS,
    NUMBERS,
    PLACE,
    ROW_WEIGHTS,
    ROWS,
    SCALE,
    SCALES,
    WEIGHT,
    WIDE,
    S,
    X,
    Y,
)
from .layout import DROPOUT, Parameters, Scales, Shape, Tile
from .losses import loss_of_row
from .sources import Phase, Target, same


class Plan(NamedTuple):
    """What the phases of a tile are made for."""

    shape: Shape
    parameters: Parameters
    tile: Tile
    scales: Scales
    NT: int  # threads
    first: int  # where the parameters begin in c[W]: shared memory holds the tile before them


def gathering(target: Target, plan: Plan, *, finds: bool = True, targets: bool = True, scales: bool = True) -> Phase:
    """x, y, w of the tile = the rows that `numbers` names, in standard units; rows beyond those in use are 0.

    A looked-up column becomes its bins and levels, see records.py. Where no rows are found (`finds`), row i of the tile
    is row `place` + i of X; without `targets` y and w are left alone; without `scales` X is in standard units already.
    """
    shape, tile, at, NT = plan.shape, plan.tile, plan.scales, plan.NT
    real = np.dtype(shape.dtype).type
    T, I, n_targets = tile.T, shape.n_in, shape.n_targets
    n_dense = shape.n_columns - shape.n_lookups
    x0, x_pitch, y0, w0 = tile.x, tile.x_pitch, tile.y, tile.w
    zero, one = real(0), real(1)

    @target.compile
    def looked_up(position, i, c):
        """What a position is for the looked-up input i."""
        bin_, n_bins = c[FEATURES][i, 1], c[FEATURES][i, 2]
        if bin_ < 0:
            return one if position == real(n_bins - bin_) else zero  # n_bins + 1 + level
        if not position <= real(n_bins):
            return zero
        part = position - real(bin_)
        part = zero if part < zero else (one if part > one else part)
        return (part - c[SCALES][at.bin_mean + i]) * c[SCALES][at.bin_scale + i]

    @target.compile
    def value_of(row, k, c):
        column = k if k < n_dense else c[FEATURES][k - n_dense, 0]
        x = c[X][row, column]
        if scales:
            x = (x - c[SCALES][at.input_mean + column]) * c[SCALES][at.input_scale + column]
        return x if k < n_dense else looked_up(x, k - n_dense, c)

    @target.compile
    def gather(tid, c, turn):
        i = tid
        while i < T * I:
            r = i // I
            k = i - r * I
            value = zero
            if r < turn[ROWS]:
                value = value_of(c[NUMBERS][turn[AT] + r] if finds else turn[PLACE] + r, k, c)
            c[S][x0 + r * x_pitch + k] = value
            i += NT
        i = tid
        while targets and i < T * n_targets:
            r = i // n_targets
            j = i - r * n_targets
            value = zero
            if r < turn[ROWS]:
                y = c[Y][c[NUMBERS][turn[AT] + r], j]
                value = (y - c[SCALES][at.target_mean + j]) * c[SCALES][at.target_scale + j]
            c[S][y0 + i] = value
            i += NT
        r = tid
        while targets and r < T:
            weight = zero
            if r < turn[ROWS]:
                weight = c[ROW_WEIGHTS][c[NUMBERS][turn[AT] + r] if c[ROW_WEIGHTS].size > 1 else 0]
            c[S][w0 + r] = weight
            r += NT

    return gather


def product_of(plan: Plan, layer: int) -> products.Product:
    """Where a layer's inputs, weights and outputs lie; its deltas lie like its outputs, elsewhere."""
    (I, O, *_), at, tile = plan.shape.layers[layer], plan.parameters, plan.tile
    x, x_pitch = (tile.outputs[layer - 1], tile.pitches[layer - 1]) if layer else (tile.x, tile.x_pitch)
    return products.Product(
        plan.shape.dtype, tile.T, plan.NT, I, O, x, x_pitch, plan.first + at.weights[layer], at.pitches[layer],
        plan.first + at.biases[layer], tile.outputs[layer], tile.pitches[layer],
    )  # fmt: skip


def forward_of(target: Target, plan: Plan, f: SimpleNamespace, is_kept: Any, layer: int) -> Phase:
    """a = f(x @ W + b) of one layer, and f′(z) where it is kept; each output by the thread that has summed it."""
    (_, _, code, keeps), tile = plan.shape.layers[layer], plan.tile
    real = np.dtype(plan.shape.dtype).type
    a0, slopes0, pitch, drops = tile.outputs[layer], tile.slopes[layer], tile.pitches[layer], plan.shape.drops[layer]
    formula = ACTIVATIONS[code]
    value, one, zero = same(f, formula.value), real(1), real(0)
    is_plain = code == IDENTITY
    slope, backward = same(f, formula.slope), same(f, formula.backward)
    rate_at = DROPOUT + layer

    if slope is None:

        @target.compile
        def slope_of(z, a):
            return backward(one, a)

    else:

        @target.compile
        def slope_of(z, a):
            return slope(z)

    @target.compile
    def factor_of(c, turn, r, j):
        """What dropout multiplies a unit with. Beyond the rows in use there are no numbers of rows."""
        if r >= turn[ROWS]:
            return zero
        rate = c[HYPER][rate_at]
        row = c[NUMBERS][turn[AT] + r]
        return real(1.0 / (1.0 - rate)) if is_kept(c, layer, row, j, np.uint64(rate * 4294967296.0)) else zero

    @target.compile
    def store(c, turn, r, j, z):
        at = r * pitch + j
        a = z if is_plain else value(z)
        if keeps:
            s = slope_of(z, a)
            if drops:
                factor = factor_of(c, turn, r, j)
                a = a * factor
                s = s * factor
            c[S][slopes0 + at] = s
        c[S][a0 + at] = a

    return products.forward(target, product_of(plan, layer), store)


def backward_of(target: Target, plan: Plan, f: SimpleNamespace, layer: int) -> tuple[Phase, ...]:
    """The gradient of one layer, and the delta of the one before: dW = xᵀ @ dz, db = Σ dz, dx = dz @ Wᵀ · f′(z)."""
    tile, shape = plan.tile, plan.shape
    product = product_of(plan, layer)._replace(z=tile.deltas[layer % 2])
    to_weights = products.to_weights(target, product, plan.first)
    if layer == 0:
        return (to_weights,)
    _, _, code, keeps = shape.layers[layer - 1]
    backward = same(f, ACTIVATIONS[code].backward)
    a0, slopes0, d0 = tile.outputs[layer - 1], tile.slopes[layer - 1], tile.deltas[(layer - 1) % 2]
    pitch = tile.pitches[layer - 1]

    if keeps:

        @target.compile
        def store(c, turn, r, k, dx):
            at = r * pitch + k
            c[S][d0 + at] = dx * c[S][slopes0 + at]

    else:

        @target.compile
        def store(c, turn, r, k, dx):
            at = r * pitch + k
            c[S][d0 + at] = backward(dx, c[S][a0 + at])

    return to_weights, products.to_inputs(target, product, store)


def losses_of(target: Target, plan: Plan, f: SimpleNamespace, *, backward: bool) -> tuple[Phase, Phase]:
    """The loss of each row with the delta of its outputs, and the sum of a tile's losses by one thread.

    The delta is that of the sums z where a gradient is asked for (`backward`): the slope of the last layer's activation
    is in it.
    """
    shape, tile, NT = plan.shape, plan.tile, plan.NT
    of_row = loss_of_row(target, f, shape, plan.scales)
    _, O, code, keeps = shape.layers[-1]
    T, n_targets, last = tile.T, shape.n_targets, len(shape.layers) - 1
    p0, y0, w0, losses0, d0, pitch = (
        tile.outputs[-1],
        tile.y,
        tile.w,
        tile.losses,
        tile.deltas[last % 2],
        tile.pitches[-1],
    )
    slopes0 = tile.slopes[-1]
    real = np.dtype(shape.dtype).type
    zero, ends_here = real(0), code == IDENTITY or not backward
    activate_backward = same(f, ACTIVATIONS[code].backward)

    if keeps:

        @target.compile
        def through(c, d, at):
            return d * c[S][slopes0 + at]

    elif not ends_here:

        @target.compile
        def through(c, d, at):
            return activate_backward(d, c[S][p0 + at])

    else:

        @target.compile
        def through(c, d, at):
            return d

    @target.compile
    def losses(tid, c, turn):
        r = tid
        while r < T:
            at = r * pitch
            if r < turn[ROWS]:
                c[S][losses0 + r] = of_row(c, turn[SCALE], c[S][w0 + r], p0 + at, y0 + r * n_targets, d0 + at)
            else:
                c[S][losses0 + r] = zero
                j = 0
                while j < O:
                    c[S][d0 + at + j] = zero
                    j += 1
            j = 0
            while j < O and not ends_here:
                c[S][d0 + at + j] = through(c, c[S][d0 + at + j], at + j)
                j += 1
            r += NT

    @target.compile
    def sum_losses(tid, c, turn):
        if tid == NT - 1:  # the thread that has least to do in the product beside this
            loss, weight = np.float64(0), np.float64(0)
            r = 0
            while r < T:
                loss += np.float64(c[S][losses0 + r])
                weight += np.float64(c[S][w0 + r])
                r += 1
            c[WIDE][LOSS] = loss if turn[FRESH] else c[WIDE][LOSS] + loss
            c[WIDE][WEIGHT] = weight if turn[FRESH] else c[WIDE][WEIGHT] + weight

    return losses, sum_losses
