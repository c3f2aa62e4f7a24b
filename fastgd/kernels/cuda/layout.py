"""What a kernel is compiled for: the sizes of a network, and where everything lies in the memory of a block.

Sizes are constants of the machine code, so that every address in an inner loop is one. A tile is T rows that go through
the layers together; rows that a batch does not fill count 0. On the device parameters lie in a layout of their own, in
which each row of weights begins at a multiple of four numbers: vectors of four are loaded at once, and rows that
neighbouring threads read lie in different banks of shared memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..codes import ACTIVATION, N_IN, N_OUT, SLOPES
from ..records import LossRecord, Net, Rule

LEAST_BANKED = 32  # outputs from which on rows of weights are moved by one vector of banks
KEPT_LAYOUTS = 256  # of each kind: each network of a population asks for them before every launch


class Shape(NamedTuple):
    """A network and its loss, as far as machine code depends on them."""

    dtype: str
    layers: tuple[tuple[int, int, int, bool], ...]  # of each inputs, outputs, activation, whether f′(z) is kept
    n_columns: int  # of a row of the table
    n_lookups: int  # of these, the last ones, which stand for several inputs
    n_targets: int
    loss: int
    n_constants: int  # of the loss
    drops: tuple[bool, ...]  # of each layer, whether training drops units

    @property
    def n_in(self) -> int:
        """Inputs of the first layer."""
        return self.layers[0][0]

    @property
    def n_out(self) -> int:
        """Outputs of the last layer."""
        return self.layers[-1][1]


class Step(NamedTuple):
    """What a step consists of, as far as machine code depends on it."""

    code: int
    with_momentum: bool
    nesterov: bool
    has_penalty: bool  # weight decay or l1
    clips_norm: bool
    has_average: bool
    has_signs: bool


class Held(NamedTuple):
    """Which rows of `state` hold what beside the parameters, which are the first; 0 for what there is not."""

    velocity: int
    squares: int
    average: int
    decayed: int
    signs: int
    n_rows: int


def shape_of(net: Net, loss: LossRecord) -> Shape:
    """The shape of a network."""
    layers = tuple((row[N_IN], row[N_OUT], row[ACTIVATION], bool(row[SLOPES])) for row in net.layers.tolist())
    drops = tuple(rate > 0 for rate in net.dropout.tolist())
    return Shape(
        str(net.parameters.dtype), layers, net.input_mean.size, len(net.lookups), net.target_mean.size, loss.code,
        loss.constants.size, drops,
    )  # fmt: skip


def step_of(net: Net, rule: Rule, has_average: bool) -> Step:
    """What a rule does in a step."""
    return Step(
        rule.code, bool(rule.momentum), rule.nesterov, rule.weight_decay > 0 or rule.l1 > 0,
        bool(rule.clip_norm < np.inf), has_average, bool(net.signs.size),
    )  # fmt: skip


def rounded(n: int) -> int:
    """The next multiple of four."""
    return -(-n // 4) * 4


def pitch_of(n: int) -> int:
    """From one row of n numbers to the next."""
    return rounded(n) + (4 if n >= LEAST_BANKED else 0)


class Parameters(NamedTuple):
    """Where the parameters of a network lie on the device."""

    weights: tuple[int, ...]  # of each layer where its weights begin, rows `pitches` apart
    biases: tuple[int, ...]
    pitches: tuple[int, ...]
    size: int  # a multiple of four


@lru_cache(KEPT_LAYOUTS)
def parameters_of(shape: Shape) -> Parameters:
    """The layout of a network's parameters."""
    weights, biases, pitches, end = [], [], [], 0
    for n_in, n_out, *_ in shape.layers:
        pitch = pitch_of(n_out)
        weights.append(end)
        biases.append(end + n_in * pitch)
        pitches.append(pitch)
        end = biases[-1] + rounded(n_out)
    return Parameters(tuple(weights), tuple(biases), tuple(pitches), end)


class Tile(NamedTuple):
    """Where the numbers of a tile lie: rows of x, of y, of each layer's outputs and slopes, and two of deltas."""

    T: int  # rows
    x: int
    x_pitch: int
    y: int
    w: int  # (T,) the weights of the rows
    losses: int  # (T,) their losses
    outputs: tuple[int, ...]
    slopes: tuple[int, ...]  # −1 where none are kept
    pitches: tuple[int, ...]
    deltas: tuple[int, int]
    size: int


@lru_cache(KEPT_LAYOUTS)
def tile_of(shape: Shape, T: int) -> Tile:
    """The memory of a tile of T rows."""
    end = 0

    def taken(n: int) -> int:
        nonlocal end
        start, end = end, end + rounded(n)
        return start

    x_pitch = pitch_of(shape.n_in)
    pitches = tuple(pitch_of(n_out) for _, n_out, *_ in shape.layers)
    x, y, w, losses = taken(T * x_pitch), taken(T * shape.n_targets), taken(T), taken(T)
    outputs = tuple(taken(T * pitch) for pitch in pitches)
    slopes = tuple(taken(T * pitch) if keeps else -1 for pitch, (*_, keeps) in zip(pitches, shape.layers, strict=True))
    widest = max(pitches)
    deltas = taken(T * widest), taken(T * widest)
    return Tile(T, x, x_pitch, y, w, losses, outputs, slopes, pitches, deltas, end)


# Numbers of a network that a kernel reads: a row of reals, and a row of wide ones.


class Scales(NamedTuple):
    """Where the reals lie that are not learned by steps."""

    input_mean: int
    input_scale: int  # 1 / standard deviation
    target_mean: int
    target_scale: int
    target_std: int
    bin_mean: int
    bin_scale: int
    units: int  # of the loss
    constants: int  # of the loss
    size: int


@lru_cache(KEPT_LAYOUTS)
def scales_of(shape: Shape) -> Scales:
    """Their layout."""
    n_bins = shape.n_in - (shape.n_columns - shape.n_lookups)
    sizes = (shape.n_columns,) * 2 + (shape.n_targets,) * 3 + (n_bins,) * 2 + (shape.n_targets, shape.n_constants)
    ends = np.cumsum((0, *sizes)).tolist()
    return Scales(*ends)


# Columns of the table of wide numbers (float64) that a rule has for one network; rates of dropout follow.
(MOMENTUM, BETA1, BETA2, EPSILON, WEIGHT_DECAY, L1, CLIP_NORM, CLIP_VALUE, EMA_DECAY, DROPOUT) = range(10)
