"""What a kernel is compiled for: the sizes of a network, and where everything lies in the memory of a block.

Sizes are constants of the machine code, so that every address in an inner loop is one. A tile is T rows that go through
the layers together; rows that a batch does not fill count 0. On the device parameters lie in a layout of their own, in
which each row of weights begins at a multiple of four numbers: vectors of four are loaded at once, and rows that
neighbouring threads read lie in different banks of shared memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codes import ACTIVATION, BIASES, N_IN, N_OUT, SLOPES, WEIGHTS
from ..records import Integers, LossRecord, Net, Reals, Rule

LEAST_BANKED = 32  # outputs from which on rows of weights are moved by one vector of banks


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


def shape_of(net: Net, loss: LossRecord) -> Shape:
    """The shape of a network."""
    layers = tuple(
        (int(row[N_IN]), int(row[N_OUT]), int(row[ACTIVATION]), bool(row[SLOPES])) for row in net.layers
    )
    drops = tuple(bool(rate > 0) for rate in net.dropout)
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


def places_of(layers: Integers, at: Parameters) -> NDArray[np.int64]:
    """For each entry of the flat vector its place on the device, (n_parameters,)."""
    places = []
    for row, weights, biases, pitch in zip(layers, at.weights, at.biases, at.pitches, strict=True):
        n_in, n_out = row[N_IN], row[N_OUT]
        places.append((weights + np.arange(n_in)[:, None] * pitch + np.arange(n_out)).reshape(-1))
        places.append(biases + np.arange(n_out))
    return np.concatenate(places)


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
    slopes = tuple(
        taken(T * pitch) if keeps else -1 for pitch, (*_, keeps) in zip(pitches, shape.layers, strict=True)
    )
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


def scales_of(shape: Shape) -> Scales:
    """Their layout."""
    n_bins = shape.n_in - (shape.n_columns - shape.n_lookups)
    sizes = (shape.n_columns,) * 2 + (shape.n_targets,) * 3 + (n_bins,) * 2 + (shape.n_targets, shape.n_constants)
    ends = np.cumsum((0, *sizes)).tolist()
    return Scales(*ends)


def scales_record(net: Net, loss: LossRecord) -> Reals:
    """The reals of a network and its loss, in this order."""
    one, dtype = net.parameters.dtype.type(1), net.parameters.dtype
    parts = (
        net.input_mean, one / net.input_std, net.target_mean, one / net.target_std, net.target_std, net.bin_mean,
        net.bin_scale, loss.units, loss.constants,
    )  # fmt: skip
    return np.concatenate([np.asarray(part, dtype) for part in parts])


# Columns of the table of wide numbers (float64) that a rule has for one network; rates of dropout follow.
(MOMENTUM, BETA1, BETA2, EPSILON, WEIGHT_DECAY, L1, CLIP_NORM, CLIP_VALUE, EMA_DECAY, DROPOUT) = range(10)


def hyper_record(net: Net, rule: Rule) -> NDArray[np.float64]:
    """The wide numbers of a network and its rule."""
    return np.array(
        [rule.momentum, rule.beta1, rule.beta2, rule.epsilon, rule.weight_decay, rule.l1, rule.clip_norm,
         rule.clip_value, rule.ema_decay, *net.dropout.astype(np.float64)]
    )  # fmt: skip


def features_of(net: Net, shape: Shape) -> Integers:
    """Of each looked-up input its column of the table, its bin (or −1 − its level), and the column's bins."""
    found, first = [], shape.n_columns - shape.n_lookups
    for j, (_, n_bins, n_levels) in enumerate(net.lookups.tolist()):
        found += [(first + j, t, n_bins) for t in range(n_bins)]
        found += [(first + j, -1 - level, n_bins) for level in range(n_levels)]
    return np.array(found, np.int64).reshape(-1, 3)
