"""PyTorch with torch.compile over eight steps written as functions of the weights: what its eager mode spends on calls
is spent once in eight steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn import functional

NAME = "PyTorch compiled"
UNROLLED = 8


def prepare(case: Any, data: Any, parameters: Any, threads: int) -> Any:
    """Our weights and the tables as tensors, and the compiled steps."""
    torch.set_num_threads(threads)
    activation = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}[case.activation]
    classes = case.loss == "cross_entropy"

    def loss(weights: Any, x: Any, y: Any) -> Any:
        a = x
        for w, b in weights[:-1]:
            a = activation(torch.addmm(b, a, w))
        p = torch.addmm(weights[-1][1], a, weights[-1][0])
        return functional.cross_entropy(p, y) if classes else functional.mse_loss(p, y)

    gradient = torch.func.grad(loss)

    def steps(weights: Any, X: Any, y: Any, batches: Any) -> Any:
        for rows in batches:
            slopes = gradient(weights, X[rows], y[rows])
            weights = [
                (w - case.learning_rate * dw, b - case.learning_rate * db)
                for (w, b), (dw, db) in zip(weights, slopes, strict=True)
            ]
        return weights

    weights, rest = [], torch.tensor(parameters)
    for n_in, n_out in pairwise(case.sizes):
        weights.append((rest[: n_in * n_out].reshape(n_in, n_out).clone(), rest[n_in * n_out :][:n_out].clone()))
        rest = rest[n_in * n_out + n_out :]
    return {
        "steps": torch.compile(steps, dynamic=False),
        "weights": weights,
        "X": torch.tensor(data.X),
        "y": torch.tensor(data.Y[:, 0].astype(np.int64) if classes else data.Y),
        "batch_size": case.batch_size,
        "threads": threads,
    }


def epochs(state: Any, orders: Any) -> None:
    """Eight batches at a time, then one by one."""
    torch.set_num_threads(state["threads"])
    steps, weights, X, y = (state[name] for name in ("steps", "weights", "X", "y"))
    with torch.no_grad():
        for order in orders:
            batches = torch.from_numpy(order).split(state["batch_size"])
            whole = len(batches) - (len(batches[-1]) < state["batch_size"])
            for first in range(0, whole - whole % UNROLLED, UNROLLED):
                weights = steps(weights, X, y, list(batches[first : first + UNROLLED]))
            for batch in batches[whole - whole % UNROLLED :]:
                weights = steps(weights, X, y, [batch])
    state["weights"] = weights


def parameters(state: Any) -> Any:
    """All parameters as one vector."""
    return torch.cat([part.reshape(-1) for pair in state["weights"] for part in pair]).numpy().copy()
