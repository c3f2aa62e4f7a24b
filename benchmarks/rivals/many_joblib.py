"""scikit-learn's MLPRegressor in joblib's processes, one for each core; each has one thread of BLAS."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor


def prepare(job: Any, X: Any, y: Any) -> Any:
    """Estimators that go through as many epochs as asked for."""
    models = [
        MLPRegressor(
            hidden_layer_sizes=job.sizes[1:-1], solver="adam", alpha=0.0, batch_size=job.batch_size,
            learning_rate_init=rate, max_iter=job.epochs, n_iter_no_change=job.epochs + 1, random_state=seed,
        )
        for seed, rate in zip(job.seeds, job.rates, strict=True)
    ]  # fmt: skip
    return {"models": models, "X": X, "y": y, "parallel": Parallel(n_jobs=job.threads)}


def train(state: Any) -> None:
    """All networks, from the start; the processes stay from call to call."""
    state["fitted"] = state["parallel"](delayed(fitted)(model, state["X"], state["y"]) for model in state["models"])


def fitted(model: Any, X: Any, y: Any) -> Any:
    """In a process of joblib: an estimator is trained afresh by each call of its fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it could go on
        return model.fit(X, y)


def predictions(state: Any) -> Any:
    """Those of each network, (n_networks, n_rows)."""
    return np.stack([model.predict(state["X"]) for model in state["fitted"]])
