"""How wrong predictions are, in numbers that people compare: computed in float64 from predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def regression_metrics(predicted: NDArray[Any], actual: NDArray[Any], weights: NDArray[Any]) -> dict[str, float]:
    """RMSE, MAE and R² of predictions (n_rows, n_targets), with weights (n_rows,), or (0,) for none.

    RMSE is the root of the mean over rows and outputs. R² is the mean over the outputs of
    1 − Σ(y − p)² / Σ(y − ȳ)². For a target that never varies it is 1 if it was met, to the precision of the
    predictions, and 0 otherwise.
    """
    truth = actual.astype(np.float64)
    error = predicted - truth
    squares = _mean(error * error, weights)
    around = truth[int(np.argmax(weights > 0)) if weights.size else 0]  # from one of their own, constants differ by 0
    apart = truth - around
    apart -= _mean(apart, weights)
    spread = _mean(apart * apart, weights)
    constant = spread <= (10 * np.finfo(np.float64).eps * around) ** 2
    if constant.any():
        counts = weights > 0 if weights.size else slice(None)
        met = (predicted == truth.astype(predicted.dtype))[counts].all(axis=0)
        r2 = np.where(constant, met, 1 - squares / np.where(constant, 1, spread))
    else:
        r2 = 1 - squares / spread
    return {
        "rmse": math.sqrt(_over_targets(squares)),
        "mae": _over_targets(_mean(np.abs(error), weights)),
        "r2": _over_targets(r2),
    }


def accuracy(hits: NDArray[np.bool_], weights: NDArray[Any]) -> float:
    """The share of right answers; hits (n_rows,) or (n_rows, n_labels)."""
    return _over_targets(_mean(hits.reshape(len(hits), -1), weights))


def below(predicted: NDArray[Any], actual: NDArray[Any], weights: NDArray[Any]) -> float:
    """The share of actual values that are not above the prediction."""
    return _over_targets(_mean(actual <= predicted, weights))


def _mean(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of each column of values (n_rows, n_columns), weighted where there are weights (n_rows,)."""
    if not weights.size:
        return np.asarray(values.sum(axis=0, dtype=np.float64) / len(values))  # `mean` took twice as long
    wide = weights.astype(np.float64) / weights.max()  # only ratios count
    return np.asarray(wide @ values / wide.sum())


def _over_targets(values: NDArray[Any]) -> float:
    """The mean of (n_targets,) values; np.mean takes 7 µs for them."""
    return float(values.sum()) / len(values)
