"""Names as integers, for kernels: one compiled kernel serves every architecture, loss and update rule.

Append only: a number that has been in a release keeps its meaning.
"""

from __future__ import annotations

# Columns of the table of layers, one row a layer (int64).
N_IN = 0  # inputs of the layer
N_OUT = 1  # its outputs
WEIGHTS = 2  # where its weights start in the flat parameter vector, stored (n_in, n_out)
BIASES = 3  # where its biases start
OUTPUTS = 4  # how many outputs a row has in the layers before: where the activations start, per row
ACTIVATION = 5  # one of the codes below
LAYER_COLUMNS = 6

IDENTITY = 0
RELU = 1
TANH = 2
SIGMOID = 3

MSE = 0

SGD = 0

ACTIVATIONS = {"identity": IDENTITY, "relu": RELU, "tanh": TANH, "sigmoid": SIGMOID}
LOSSES = {"mse": MSE}
UPDATES = {"sgd": SGD}
