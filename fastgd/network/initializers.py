"""Starting values for the weights; biases start at zero.

A layer's weights are drawn with a variance that keeps the size of a signal from layer to layer:

    he       2 / n_in               for ReLU and its kin       He et al. 2015, arXiv 1502.01852
    glorot   2 / (n_in + n_out)     for tanh, sigmoid, none    Glorot and Bengio 2010
    lecun    1 / n_in                                          LeCun et al. 1998
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
Initializer = Callable[[np.random.Generator, int, int], Weights]

VARIANCES: dict[str, Callable[[int, int], float]] = {
    "he": lambda n_in, n_out: 2 / n_in,
    "glorot": lambda n_in, n_out: 2 / (n_in + n_out),
    "lecun": lambda n_in, n_out: 1 / n_in,
}


def normal(rule: str, generator: np.random.Generator, n_in: int, n_out: int) -> Weights:
    """Normal with the variance of the rule."""
    return generator.normal(0.0, math.sqrt(VARIANCES[rule](n_in, n_out)), (n_in, n_out))


def uniform(rule: str, generator: np.random.Generator, n_in: int, n_out: int) -> Weights:
    """Uniform on ±√(3 · the variance of the rule)."""
    limit = math.sqrt(3 * VARIANCES[rule](n_in, n_out))
    return generator.uniform(-limit, limit, (n_in, n_out))


def orthogonal(generator: np.random.Generator, n_in: int, n_out: int) -> Weights:
    """Orthonormal columns (or rows, where there are fewer). Source: Saxe et al. 2013, arXiv 1312.6120."""
    tall = generator.normal(size=(max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # without the signs, the factorisation would not be uniform
    return q if n_in >= n_out else q.T


def zeros(generator: np.random.Generator, n_in: int, n_out: int) -> Weights:
    """All zero: units of a hidden layer then stay equal for ever, which a teacher may want to show."""
    return np.zeros((n_in, n_out))


INITIALIZERS: dict[str, Initializer] = {
    **{f"{rule}_normal": partial(normal, rule) for rule in VARIANCES},
    **{f"{rule}_uniform": partial(uniform, rule) for rule in VARIANCES},
    "orthogonal": orthogonal,
    "zeros": zeros,
}
