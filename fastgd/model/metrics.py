"""How wrong predictions are, in numbers that people compare: computed in float64 from predictions."""

from __future__ import annotations

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
    counts = weights > 0 if weights.size else np.ones(len(truth), bool)
    squares = _mean(error**2, weights)
    around = truth[int(np.argmax(counts))]  # from a value of their own, constants differ by exactly 0
    apart = truth - around
    spread = _mean((apart - _mean(apart, weights)) ** 2, weights)
    spread[spread <= (10 * np.finfo(np.float64).eps * around) ** 2] = 0
    met = (predicted == truth.astype(predicted.dtype))[counts].all(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(spread > 0, 1 - squares / spread, met.astype(np.float64))
    return {
        "rmse": float(np.sqrt(squares.mean())),
        "mae": float(_mean(np.abs(error), weights).mean()),
        "r2": float(np.mean(r2)),
    }


def accuracy(hits: NDArray[np.bool_], weights: NDArray[Any]) -> float:
    """The share of right answers; hits (n_rows,) or (n_rows, n_labels)."""
    return float(_mean(hits.reshape(len(hits), -1), weights).mean())


def below(predicted: NDArray[Any], actual: NDArray[Any], weights: NDArray[Any]) -> float:
    """The share of actual values that are not above the prediction."""
    return float(_mean(actual <= predicted, weights).mean())


def _mean(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of each column of values (n_rows, n_columns), weighted where there are weights (n_rows,)."""
    if not weights.size:
        return np.asarray(values.sum(axis=0, dtype=np.float64) / len(values))  # `mean` took twice as long
    wide = weights.astype(np.float64) / weights.max()  # only ratios count
    return np.asarray(wide @ values / wide.sum())
