"""scikit-learn's MLP. Its own shuffling is off; rows come in the order given. Its loss is ½ (p − y)²."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

NAME = "scikit-learn"


def prepare(case: Any, data: Any, parameters: Any, threads: int) -> Any:
    """An estimator that has been through one step, so that its arrays exist, and then got our weights."""
    classes = case.loss == "cross_entropy"
    kind = MLPClassifier if classes else MLPRegressor
    # ½ (p − y)² has half of our gradient, so that twice our rate makes the same step.
    rate = case.learning_rate * (1 if classes else 2)
    model = kind(
        hidden_layer_sizes=case.sizes[1:-1], activation=case.activation, solver="sgd", learning_rate_init=rate,
        alpha=0.0, momentum=0.0, nesterovs_momentum=False, batch_size=min(case.batch_size, len(data.X)), shuffle=False,
    )  # fmt: skip
    y = data.Y[:, 0]
    labels = {"classes": np.arange(case.sizes[-1], dtype=y.dtype)} if classes else {}
    first = slice(0, model.batch_size)
    model.partial_fit(data.X[first], y[first], **labels)
    start = 0
    for layer, (n_in, n_out) in enumerate(pairwise(case.sizes)):
        model.coefs_[layer][:] = parameters[start : start + n_in * n_out].reshape(n_in, n_out)
        start += n_in * n_out
        model.intercepts_[layer][:] = parameters[start : start + n_out]
        start += n_out
    return {"model": model, "X": data.X, "y": y, "threads": threads}


def epochs(state: Any, orders: Any) -> None:
    """One call of partial_fit is one pass in batches of the estimator's size."""
    with threadpool_limits(state["threads"]):
        for order in orders:
            state["model"].partial_fit(state["X"][order], state["y"][order])


def parameters(state: Any) -> Any:
    """All parameters as one vector."""
    model = state["model"]
    return np.concatenate([p.reshape(-1) for pair in zip(model.coefs_, model.intercepts_, strict=True) for p in pair])
