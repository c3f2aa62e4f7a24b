"""Compile every kernel that there is, in advance: a step of training for each activation, loss and optimizer.

For images and machines where the first user should not wait; the machine code is kept on disk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..data.encoding import Encoding
from ..mlp import MLP
from ..network.activations import ACTIVATIONS
from ..network.losses import LOSSES
from ..training.optimizers import OPTIMIZERS, SGD, Optimizer


class Warmed(NamedTuple):
    """What has just been made ready."""

    what: str
    seconds: float


def warm_up() -> Iterator[Warmed]:
    """Train tiny networks until nothing is left to compile; says what is ready after each."""
    for dtype in ("float32", "float64"):
        started = time.perf_counter()
        _use(dtype)
        _use(dtype, encoding=Encoding(bins=2))
        yield Warmed(f"{dtype}: tables, training, predicting, measuring", time.perf_counter() - started)
        started = time.perf_counter()
        for name in ACTIVATIONS:
            _use(dtype, activation=name)
            _use(dtype, activation=name, dropout=0.5)
        yield Warmed(f"{dtype}: {len(ACTIVATIONS)} activations", time.perf_counter() - started)
        started = time.perf_counter()
        for name in LOSSES:
            _use(dtype, loss=name)
        yield Warmed(f"{dtype}: {len(LOSSES)} losses", time.perf_counter() - started)
        started = time.perf_counter()
        for optimizer in (SGD(momentum=0.9), *(kind() for kind in OPTIMIZERS.values())):
            _use(dtype, optimizer=optimizer)
        yield Warmed(f"{dtype}: {len(OPTIMIZERS)} optimizers", time.perf_counter() - started)


def _use(dtype: str, loss: str = "mse", optimizer: Optimizer | None = None, **options: object) -> None:
    """Everything that a user would ask of a network, on four rows."""
    n_out = 2 if loss in ("cross_entropy", "gaussian_nll") else 1
    X = np.arange(8.0).reshape(4, 2)
    y = np.arange(4) % 2
    model = MLP([2, 2, n_out], loss=loss, dtype=dtype, **options)  # type: ignore[arg-type]
    model.fit(X, y, epochs=1, optimizer=optimizer, sample_weight=np.ones(4), verbose=0)
    model.predict(X)
    model.evaluate(X, y)
    model.gradient(X, y)
    if model.schema.encoding is None:
        model.compiled()
