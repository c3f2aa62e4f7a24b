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
SLOPES = 6  # 1: training keeps f′(z) of the layer, because the outputs alone do not tell it (or units are dropped)
LAYER_COLUMNS = 7

IDENTITY = 0
RELU = 1
TANH = 2
SIGMOID = 3
LEAKY_RELU = 4
ELU = 5
GELU = 6
SILU = 7
SOFTPLUS = 8

MSE = 0
MAE = 1
HUBER = 2
LOG_COSH = 3
QUANTILE = 4
POISSON = 5
BINARY_CROSS_ENTROPY = 6
CROSS_ENTROPY = 7
GAUSSIAN_NLL = 8

SGD = 0
ADAGRAD = 1
RMSPROP = 2
ADAM = 3
ADAMW = 4
