"""The records that kernels take: named tuples of arrays and plain numbers, the same for every engine.

`real` below is float32 or float64, the dtype of the network. The arrays of records are C-contiguous; the caller owns
them.

The letters for sizes, here and in all kernels:

    B   rows of a block: as many rows of a batch as go through the layers together
    I   inputs of a layer          O   outputs of a layer          T   targets, columns of y
    Q   levels of a quantile loss  L   numbers in a vector of the processor
    M, N, K                        a product's sizes: C (M, N) = A (M, K) @ B (K, N)

In a layer, z (B, O) = x (B, I) @ W (I, O) + b (O,) and a (B, O) = f(z). A d before a letter is the loss's derivative in
it: dz, dW, db, dx; dx is the da of the layer before. delta is the da of the last layer, which the loss writes.

A column of a table may stand for many inputs of the first layer, which looks them up: rows then hold, behind the dense
columns, one number for each such column, its position p. It has n_bins + n_levels rows of weights, behind all before.
A number is at 0 ≤ p ≤ n_bins: bin t = 0, 1, … is filled to clip(p − t, 0, 1), which is standardised by the bin's mean
and scale; all levels are 0. Level l, a category or a gap, is at p = n_bins + 1 + l: it is 1, and all else is 0, as if
each bin stood at its mean. At p = n_bins + 1 + n_levels all is 0: nothing is known.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .codes import N_OUT, OUTPUTS, SLOPES

Reals = NDArray[Any]  # float32 or float64
Integers = NDArray[np.int64]


ALIGNMENT = 64  # bytes: a vector that starts elsewhere lies in two cache lines, which costs products 5 to 15 %


def aligned_zeros(shape: int | tuple[int, ...], dtype: Any) -> Reals:
    """np.zeros whose first entry lies at the beginning of a cache line."""
    dtype = np.dtype(dtype)
    n = int(np.prod(shape))
    room = np.zeros(n + ALIGNMENT // dtype.itemsize, dtype)
    first = -room.ctypes.data % ALIGNMENT // dtype.itemsize
    return room[first : first + n].reshape(shape)


def read_only(array: Reals) -> Reals:
    """The array itself, no longer writable: for a writable table Numba would compile the kernels once more."""
    array.flags.writeable = False
    return array


class Net(NamedTuple):
    """A network: its weights and everything between the user's units and its own."""

    parameters: Reals  # (n_parameters,) real: for each layer its weights (n_in, n_out), then its biases (n_out,)
    layers: Integers  # (n_layers, LAYER_COLUMNS), see codes.py
    input_mean: Reals  # (n_in,) real, n_in the columns of a row; 0 for a position
    input_std: Reals  # (n_in,) real; 1 for a position
    target_mean: Reals  # (n_targets,) real
    target_std: Reals  # (n_targets,) real
    dropout: Reals  # (n_layers,) real: the share of a layer's outputs that training sets to zero
    lookups: Integers  # (n_lookups, 3): of each looked-up column its first row of weights, n_bins, n_levels
    bin_mean: Reals  # (n_looked_up,) real: for each looked-up row of weights its bin's mean; 0 for a level
    bin_scale: Reals  # likewise 1 / its standard deviation; 1 for a level
    signs: Reals  # (n_parameters,) real: 1 or -1 where a parameter must not have the other sign, else 0; or (0,)


class Codes(NamedTuple):
    """How the columns of a user's table become the inputs of a network. A gap is NaN.

    A number without bins stays as it is, up to the lowest and the highest of its column. With bins it becomes a
    position k + f, f of the way from edge k to the next, and the number `normal` there, both as they are at the
    outermost edges beyond them. A column without a number among the inputs holds positions already.
    """

    columns: Integers  # (n_columns, 4): where inputs and edges of a column are, see codes.py
    edges: NDArray[np.float64]  # (n_edges,) of all columns one after the other, those of one ascending
    normal: NDArray[np.float64]  # (n_edges,)
    gaps: NDArray[np.float64]  # (n_columns,): what stands for a gap
    lowest: NDArray[np.float64]  # (n_columns,): of a number without bins
    highest: NDArray[np.float64]  # likewise


class Rows(NamedTuple):
    """Labelled examples in the user's units, and the order in which a pass walks them."""

    X: Reals  # (n_rows, n_in) real, read-only
    Y: Reals  # (n_rows, n_targets) real, read-only; for classes one column with the number of the class
    weights: Reals  # (n_rows,) real, read-only: how much each row counts, 1 on average; (0,) if all count the same
    seed: np.uint64  # the order is a function of seed and epoch
    epoch: int
    shuffle: bool


def resting(net: Net) -> Net:
    """The network as it predicts: nothing is dropped."""
    return net._replace(dropout=np.zeros_like(net.dropout))


def taken(rows: Rows, numbers: Any) -> Rows:
    """Copies of the rows with these numbers, walked in this order."""
    weights = rows.weights[numbers] if rows.weights.size else rows.weights
    X, Y, weights = (read_only(part) for part in (rows.X[numbers], rows.Y[numbers], weights))
    return rows._replace(X=X, Y=Y, weights=weights, shuffle=False)


class LossRecord(NamedTuple):
    """What is minimised. The gradient counts targets in standard units, the value each target in its unit."""

    code: int
    units: Reals  # (n_targets,) real: each target's unit over the largest one, raised to the loss's power
    constants: Reals  # (any,) real: huber's threshold, the quantile levels, the logarithms of the targets' units, …


class Rule(NamedTuple):
    """How a gradient becomes a step."""

    code: int
    momentum: float  # SGD, RMSprop
    nesterov: bool  # SGD
    beta1: float  # Adam: decay of the mean of gradients
    beta2: float  # Adam, RMSprop: decay of the mean of squared gradients
    epsilon: float
    weight_decay: float
    l1: float
    decay_biases: bool  # whether weight_decay and l1 hold for biases, too
    clip_norm: float  # longest gradient; inf for no limit
    clip_value: float  # largest entry of a gradient; inf for no limit
    ema_decay: float  # of the moving average of the parameters, where there is one


class State(NamedTuple):
    """What an update rule remembers from step to step."""

    step: Integers  # (1,): steps taken
    velocity: Reals  # (n_parameters,) real, or (0,) where the rule needs none: velocity, or mean of gradients
    squares: Reals  # likewise: sums or means of squared gradients
    average: Reals  # likewise: moving average of the parameters


class StepRequest(NamedTuple):
    """The steps of one network: what an engine's `train` takes, in its order."""

    net: Net
    state: State
    gradients: Reals
    workspaces: Any  # as the engine has made them
    sums: NDArray[np.float64]  # (2,)
    rows: Rows
    place: int
    batch_size: int
    learning_rates: NDArray[np.float64]  # (n_steps,)
    loss: LossRecord
    rule: Rule


class Workspace(NamedTuple):
    """Scratch for one block of rows. Compiled loops never allocate; an engine may add fields of its own."""

    order: Integers  # (block,) row numbers
    x: Reals  # (block, n_in) real: the block's inputs, standardised
    y: Reals  # (block, n_targets) real: its targets, standardised
    w: Reals  # (block,) real: its weights
    activations: Reals  # (block × all outputs,) real: for each layer (B, n_out), one after the other, B the rows in use
    slopes: Reals  # the same layout: f′(z), times 0 or 1 / (1 − rate) with dropout; (0,) if no layer asks for it
    deltas: Reals  # (2, block × widest layer) real: row index % 2 holds da of layer `index`, then its dz


def new_workspace(net: Net, block_rows: int) -> Workspace:
    """Allocate the scratch that kernels need to work on blocks of `block_rows` rows."""
    dtype = net.parameters.dtype
    widths = net.layers[:, N_OUT]
    outputs = int(net.layers[-1, OUTPUTS] + widths[-1])
    return Workspace(
        order=np.zeros(block_rows, np.int64),
        x=aligned_zeros((block_rows, net.input_mean.size), dtype),
        y=np.zeros((block_rows, net.target_mean.size), dtype),
        w=np.zeros(block_rows, dtype),
        activations=aligned_zeros(block_rows * outputs, dtype),
        slopes=aligned_zeros(block_rows * outputs if net.layers[:, SLOPES].any() else 0, dtype),
        deltas=aligned_zeros((2, block_rows * int(widths.max())), dtype),
    )
