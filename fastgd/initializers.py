"""Starting values for the weights; biases start at zero.

A layer's weights are drawn so that signals keep their size from layer to layer: variance 2 / n_in for ReLU (He et
al. 2015, arXiv 1502.01852), 2 / (n_in + n_out) otherwise (Glorot and Bengio 2010).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Initializer = Callable[[np.random.Generator, int, int], NDArray[np.float64]]


def he_normal(generator: np.random.Generator, n_in: int, n_out: int) -> NDArray[np.float64]:
    """Normal with variance 2 / n_in."""
    return generator.normal(0.0, math.sqrt(2 / n_in), (n_in, n_out))


def glorot_uniform(generator: np.random.Generator, n_in: int, n_out: int) -> NDArray[np.float64]:
    """Uniform on ±√(6 / (n_in + n_out))."""
    limit = math.sqrt(6 / (n_in + n_out))
    return generator.uniform(-limit, limit, (n_in, n_out))


INITIALIZERS: dict[str, Initializer] = {"he_normal": he_normal, "glorot_uniform": glorot_uniform}
