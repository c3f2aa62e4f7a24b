"""Names as integers: the training loop is compiled once, and finds them in the table of layers and in records.

Append only: a number that has been in a release keeps its meaning.
"""

from __future__ import annotations

from .formulas import ACTIVATION_CODES, LOSS_CODES
from .rules import UPDATE_CODES

# Columns of the table of layers, one row a layer (int64).
N_IN = 0  # inputs of the layer: rows of its weights, which in the first may be looked up, see records.py
N_OUT = 1  # its outputs
WEIGHTS = 2  # where its weights start in the flat parameter vector, stored (n_in, n_out)
BIASES = 3  # where its biases start
OUTPUTS = 4  # outputs of a row in all layers before: the layer's activations start at B times this
ACTIVATION = 5  # one of the codes below
SLOPES = 6  # 1: training keeps f′(z) of the layer, because the outputs alone do not tell it (or units are dropped)
LAYER_COLUMNS = 7

# Columns of the table of records.Codes, one row for each column of a user's table (int64).
DENSE = 0  # where its number stands among the inputs; −1: nowhere
POSITION = 1  # where its position stands; −1: nowhere
FIRST_EDGE = 2  # where its edges start
N_BINS = 3  # how many bins it has; 0: a number stays as it is

# An activation's or a loss's code is its place in the tables of formulas.py. Kernels treat these apart:
IDENTITY = ACTIVATION_CODES["identity"]
QUANTILE = LOSS_CODES["quantile"]
POISSON = LOSS_CODES["poisson"]
BINARY_CROSS_ENTROPY = LOSS_CODES["binary_cross_entropy"]
CROSS_ENTROPY = LOSS_CODES["cross_entropy"]
GAUSSIAN_NLL = LOSS_CODES["gaussian_nll"]

# An update rule's code is its place in the table of rules.py. Kernels treat these apart:
SGD = UPDATE_CODES["SGD"]
ADAMW = UPDATE_CODES["AdamW"]
