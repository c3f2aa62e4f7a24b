"""How wrong predictions are, in numbers that people compare: computed in float64 from predictions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.portable import weighted_sum


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
    constant = never_varies(spread, around)
    met = met_exactly(predicted, truth, weights) if constant.any() else constant
    return told(squares, _mean(np.abs(error), weights), spread, constant, met)


def never_varies(spread: NDArray[np.float64], around: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether targets of this variance, (n_targets,), are constant; `around` is one of the values of each."""
    return np.asarray(spread <= (10 * np.finfo(np.float64).eps * around) ** 2)


def met_exactly(predicted: NDArray[Any], truth: NDArray[np.float64], weights: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether every row that counts is predicted to the precision of predictions, (n_targets,)."""
    counts = weights > 0 if weights.size else slice(None)
    return np.asarray((predicted == truth.astype(predicted.dtype))[counts].all(axis=0))


def told(
    squares: NDArray[np.float64], distances: NDArray[np.float64], spread: NDArray[np.float64],
    constant: NDArray[np.bool_], met: NDArray[np.bool_],
) -> dict[str, float]:  # fmt: skip
    """The metrics from the means of squares and distances, and the variance of the actual values, each (n_targets,)."""
    r2 = np.where(constant, met, 1 - squares / np.where(constant, 1, spread))
    return {"rmse": math.sqrt(over_targets(squares)), "mae": over_targets(distances), "r2": over_targets(r2)}


def accuracy(hits: NDArray[np.bool_], weights: NDArray[Any]) -> float:
    """The share of right answers; hits (n_rows,) or (n_rows, n_labels)."""
    return over_targets(_mean(hits.reshape(len(hits), -1), weights))


def below(predicted: NDArray[Any], actual: NDArray[Any], weights: NDArray[Any]) -> float:
    """The share of actual values that are not above the prediction."""
    return over_targets(_mean(actual <= predicted, weights))


def _mean(values: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of each column of values (n_rows, n_columns), weighted where there are weights (n_rows,)."""
    if not weights.size:
        return np.asarray(values.sum(axis=0, dtype=np.float64) / len(values))  # `mean` took twice as long
    wide = weights.astype(np.float64) / weights.max()  # only ratios count
    return np.asarray(weighted_sum(wide, values) / wide.sum())


def over_targets(values: NDArray[Any]) -> float:
    """The mean of (n_targets,) values; np.mean takes 7 µs for them."""
    return float(values.sum()) / len(values)
