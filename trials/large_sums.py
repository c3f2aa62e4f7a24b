"""Sums over very many rows in float32: losses, gradients, metrics, scaling and weights, beside what they are.

The table repeats a thousand rows, so that each mean is that of a thousand, added up in float64 with `math.fsum` or by a
network in float64. A case is a row.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastgd
from fastgd.data.rows import mean_one

from .trial import Outcome, Trial

Numbers = NDArray[Any]

PERIOD = 1000  # rows that are repeated
WITHIN = 1e-6  # of the whole: a row's own rounding is 6e-8, and sums must not make more than this of it
PART = 1 << 20  # rows that a stream brings at a time
NO_STEP = fastgd.SGD(1e-30)  # a rate that moves nothing: the loss of all batches is that of one network


def period() -> tuple[Numbers, Numbers, Numbers]:
    """X (PERIOD, 1), y and weights: uneven, and far from mean 0, so that sums grow and roundings have one sign."""
    places = np.arange(PERIOD)
    X = (3 + np.sin(places)).astype("f4")[:, None]
    return X, (5 + 2 * np.sin(0.7 * places) + np.cos(X[:, 0])).astype("f4"), (1 + places % 7).astype("f4")


def network(dtype: str, standardize: bool = False) -> fastgd.MLP:
    """A small network, with the same weights in either dtype."""
    model = fastgd.MLP([1, 3, 1], activation="tanh", dtype=dtype, standardize=standardize, random_state=0)
    model.parameters = fastgd.MLP([1, 3, 1], activation="tanh", random_state=0).parameters
    return model


def repeated(values: Numbers, n_rows: int) -> Numbers:
    """The rows over and over."""
    return np.tile(values, (n_rows // PERIOD,) + (1,) * (values.ndim - 1))


def batches(n_rows: int) -> Iterator[tuple[Numbers, Numbers]]:
    """The table in parts."""
    X, y, _ = period()
    whole = PART // PERIOD * PERIOD
    for first in range(0, n_rows, whole):
        yield repeated(X, min(whole, n_rows - first)), repeated(y, min(whole, n_rows - first))


def off_by(found: Any, expected: Any) -> float:
    """How far numbers are off, in parts of the largest."""
    wide = np.asarray(expected, np.float64)
    return float(np.abs(np.asarray(found, np.float64) - wide).max() / np.abs(wide).max())


def errors(n_rows: int) -> Iterator[tuple[str, float]]:
    """What is summed over so many rows, and how far off it is."""
    X, y, weights = period()
    wide = network("float64")
    truth = wide.evaluate(X, y)
    big_X, big_y = repeated(X, n_rows), repeated(y, n_rows)
    yield "gradient", off_by(network("float32").gradient(big_X, big_y), wide.gradient(X, y))
    for name, batch_size in (("loss of a full batch", n_rows), ("loss of batches of 1,024 rows", 1024)):
        model = network("float32")
        history = model.fit(big_X, big_y, epochs=1, batch_size=batch_size, optimizer=NO_STEP, verbose=0)
        yield name, off_by(history.history["loss"], truth["loss"])
    model, start = network("float32"), network("float64").parameters.copy()
    model.fit(big_X, big_y, epochs=1, batch_size=n_rows, optimizer=fastgd.SGD(1.0), verbose=0)
    wide.fit(X, y, epochs=1, batch_size=PERIOD, optimizer=fastgd.SGD(1.0), verbose=0)
    yield "full step", off_by(model.parameters - start, wide.parameters - start)
    model = network("float32", standardize=True)
    model.fit(big_X, big_y, epochs=0, verbose=0)
    net, columns = model.net, (X[:, 0].tolist(), y.tolist())
    means = [math.fsum(column) / PERIOD for column in columns]
    spreads = [
        math.sqrt(math.fsum((v - mean) ** 2 for v in column) / PERIOD)
        for mean, column in zip(means, columns, strict=True)
    ]
    yield "means of columns", off_by([net.input_mean[0], net.target_mean[0]], means)
    yield "spreads of columns", off_by([net.input_std[0], net.target_std[0]], spreads)
    del big_X, big_y
    shares = mean_one(repeated(weights, n_rows).astype(np.float64), np.dtype(np.float32))
    yield "mean of weights", abs(float(shares.mean(dtype=np.float64)) - 1)
    yield "shares of weights", off_by(shares[:PERIOD], weights / np.float64(math.fsum(weights.tolist()) / PERIOD))
    del shares
    found = network("float32").evaluate(fastgd.Stream(lambda: batches(n_rows)))
    for name, value in found.items():
        yield f"evaluate's {name}", off_by(value, truth[name])


def try_large_sums(cases: int, seed: int) -> Outcome:
    """Sums over so many rows; nothing is drawn by the seed."""
    n_rows = max(cases // PERIOD, 2) * PERIOD
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(errors(n_rows))
    failures = [f"{name} over {n_rows:,} rows is off by {error:.3g}" for name, error in found if not error <= WITHIN]
    name, worst = max(found, key=lambda pair: pair[1])
    return Outcome(n_rows, failures, f"{len(found)} sums, off by at most {worst:.1e} ({name})")


TRIALS = (
    Trial(
        "large-sums",
        "Losses, gradients, metrics, scaling and weights over 100 million rows in float32 are right to a millionth.",
        "tests/test_large_sums.py::test_sums_over_many_rows",
        100_000_000,
        try_large_sums,
    ),
)
