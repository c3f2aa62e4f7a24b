"""How wrong predictions are, in numbers that people compare: computed in float64 from predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def regression_metrics(predicted: NDArray[Any], actual: NDArray[Any], weights: NDArray[Any]) -> dict[str, float]:
    """RMSE, MAE and R² of predictions (n_rows, n_targets), with weights (n_rows,), or (0,) for none.

    R² is the mean over the outputs of 1 − Σ(y − p)² / Σ(y − ȳ)². For a target that never varies it is 1 if it was
    met and 0 otherwise, as in scikit-learn.
    """
    truth = actual.astype(np.float64)
    error = predicted - truth
    share = _shares(weights, len(truth))
    squares = share @ error**2
    mean = share @ truth
    spread = share @ (truth - mean) ** 2
    spread[spread <= (10 * np.finfo(np.float64).eps * mean) ** 2] = 0  # what rounding makes of a constant
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(spread > 0, 1 - squares / spread, np.where(squares > 0, 0.0, 1.0))
    return {
        "rmse": float(np.sqrt(squares.mean())),
        "mae": float((share @ np.abs(error)).mean()),
        "r2": float(np.mean(r2)),
    }


def accuracy(hits: NDArray[np.bool_], weights: NDArray[Any]) -> float:
    """The share of right answers; hits (n_rows,) or (n_rows, n_labels)."""
    return float((_shares(weights, len(hits)) @ hits.reshape(len(hits), -1)).mean())


def below(predicted: NDArray[Any], actual: NDArray[Any], weights: NDArray[Any]) -> float:
    """The share of actual values that are not above the prediction."""
    return float((_shares(weights, len(actual)) @ (actual <= predicted)).mean())


def _shares(weights: NDArray[Any], n: int) -> NDArray[np.float64]:
    """What each row counts, adding up to 1."""
    if not weights.size:
        return np.full(n, 1 / n)
    wide = weights.astype(np.float64)
    return np.asarray(wide / wide.sum())
