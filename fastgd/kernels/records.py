"""The records that kernels take: named tuples of arrays and plain numbers, the same for every engine.

`real` below is float32 or float64, the dtype of the network. Every array is C-contiguous and owned by the caller.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .codes import LAYER_COLUMNS, N_IN, N_OUT, OUTPUTS

Reals = NDArray[Any]  # float32 or float64
Integers = NDArray[np.int64]


class Net(NamedTuple):
    """A network: its weights and everything between the user's units and its own."""

    parameters: Reals  # (n_parameters,) real: for each layer its weights (n_in, n_out), then its biases (n_out,)
    layers: Integers  # (n_layers, LAYER_COLUMNS), see codes.py
    input_mean: Reals  # (n_in,) real
    input_std: Reals  # (n_in,) real
    target_mean: Reals  # (n_out,) real
    target_std: Reals  # (n_out,) real


class Rows(NamedTuple):
    """Labelled examples in the user's units, and the order in which a pass walks them."""

    X: Reals  # (n_rows, n_in) real, read-only
    Y: Reals  # (n_rows, n_out) real, read-only
    seed: np.uint64  # the order is a function of seed and epoch
    epoch: int
    shuffle: bool


class Loss(NamedTuple):
    """What is minimised. The gradient is taken in standard deviations of the target, the value in the user's units."""

    code: int
    unit: Reals  # (n_out,) real: the value of each output's share in the user's units, for one in standard units


class Rule(NamedTuple):
    """How a gradient becomes a step."""

    code: int


class Workspace(NamedTuple):
    """Scratch for one block of rows; a kernel never allocates."""

    order: Integers  # (block,) row numbers
    x: Reals  # (block, n_in) real: the block's inputs, standardised
    y: Reals  # (block, n_out) real: its targets, standardised
    activations: Reals  # (block × all outputs,) real: for each layer an array (rows, n_out), one after the other
    deltas: Reals  # (2, block × widest layer) real: d loss / d outputs of a layer and of the layer before
    transposed: Reals  # (n_parameters,) real: each layer's weights as (n_out, n_in), where its weights start


def new_workspace(net: Net, block_rows: int) -> Workspace:
    """Allocate the scratch that kernels need to work on blocks of `block_rows` rows."""
    dtype = net.parameters.dtype
    widths = net.layers[:, N_OUT]
    outputs = int(net.layers[-1, OUTPUTS] + widths[-1])
    return Workspace(
        order=np.zeros(block_rows, np.int64),
        x=np.zeros((block_rows, int(net.layers[0, N_IN])), dtype),
        y=np.zeros((block_rows, net.target_mean.size), dtype),
        activations=np.zeros(block_rows * outputs, dtype),
        deltas=np.zeros((2, block_rows * int(widths.max())), dtype),
        transposed=np.zeros(net.parameters.size, dtype),
    )


__all__ = ["LAYER_COLUMNS", "Integers", "Loss", "Net", "Reals", "Rows", "Rule", "Workspace", "new_workspace"]
