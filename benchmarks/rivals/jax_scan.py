"""JAX with the whole epoch as one jitted lax.scan: gather, gradient and step in one compiled program."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

NAME = "JAX scan"


def prepare(case: Any, data: Any, parameters: Any, threads: int) -> Any:
    """The compiled epoch, the tables on the device, and our weights. Threads are set by the process that runs this."""
    if case.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    activation = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}[case.activation]
    weights, start = [], 0
    for n_in, n_out in pairwise(case.sizes):
        middle, end = start + n_in * n_out, start + n_in * n_out + n_out
        weights.append((jnp.array(parameters[start:middle].reshape(n_in, n_out)), jnp.array(parameters[middle:end])))
        start = end
    classes = case.loss == "cross_entropy"

    def loss(weights: Any, x: Any, y: Any) -> Any:
        a = x
        for w, b in weights[:-1]:
            a = activation(a @ w + b)
        p = a @ weights[-1][0] + weights[-1][1]
        if classes:
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(p), y, axis=1))
        return jnp.mean((p - y) ** 2)

    @jax.jit
    def run(weights: Any, X: Any, Y: Any, batches: Any, rest: Any) -> Any:
        def step(weights: Any, rows: Any) -> Any:
            gradients = jax.grad(loss)(weights, X[rows], Y[rows])
            return jax.tree.map(lambda w, g: w - case.learning_rate * g, weights, gradients), None

        weights, _ = lax.scan(step, weights, batches)
        return step(weights, rest)[0] if rest.size else weights

    Y = data.Y.astype(np.int32) if classes else data.Y
    return {"run": run, "weights": weights, "X": jnp.array(data.X), "Y": jnp.array(Y), "batch_size": case.batch_size}


def epoch(state: Any, order: Any) -> None:
    """All whole batches in one scan, then the smaller rest."""
    B = min(state["batch_size"], len(order))
    whole = len(order) // B * B
    batches, rest = order[:whole].reshape(-1, B).astype(np.int32), order[whole:].astype(np.int32)
    state["weights"] = jax.block_until_ready(state["run"](state["weights"], state["X"], state["Y"], batches, rest))


def parameters(state: Any) -> Any:
    """All parameters as one vector."""
    return np.concatenate([np.asarray(part).reshape(-1) for pair in state["weights"] for part in pair])
