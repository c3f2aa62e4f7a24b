"""How wrong predictions are, in numbers that people compare: computed in float64 from predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def regression_metrics(predicted: NDArray[Any], actual: NDArray[Any]) -> dict[str, float]:
    """RMSE, MAE and R² of predictions (n_rows, n_out).

    R² is the mean over the outputs of 1 − Σ(y − p)² / Σ(y − ȳ)². For a target that never varies it is 1 if it was
    met and 0 otherwise, as in scikit-learn.
    """
    truth = actual.astype(np.float64)
    error = predicted - truth
    squares = (error**2).sum(axis=0)
    spread = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(spread > 0, 1 - squares / spread, np.where(squares > 0, 0.0, 1.0))
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "r2": float(np.mean(r2)),
    }
