"""JAX with the whole epoch as one jitted lax.scan, in the form that is fastest for the case.

The forms: rows gathered step by step or once an epoch; the scan unrolled once, four or eight times. In all of them the
old weights are given away (donated).
"""

from __future__ import annotations

import time
from itertools import pairwise, product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

NAME = "JAX, tuned"
FORMS = tuple(product((False, True), (1, 4, 8)))  # whether rows are gathered once an epoch, and how far it is unrolled
TURNS = 3  # of which a form's fastest counts


def prepare(case: Any, data: Any, parameters: Any, threads: int) -> Any:
    """The tables on the device, our weights, and the fastest form. Threads are set by the process that runs this."""
    if case.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    classes = case.loss == "cross_entropy"
    Y = data.Y.astype(np.int32) if classes else data.Y
    state = {"X": jnp.array(data.X), "Y": jnp.array(Y), "batch_size": min(case.batch_size, len(data.X))}
    order, best = np.random.default_rng(0).permutation(len(data.X)), float("inf")
    for gathered, unroll in FORMS:
        run = compiled(case, gathered, unroll)
        tried = {**state, "run": run, "weights": weights_of(case, parameters)}
        for turn in range(TURNS + 1):
            started = time.perf_counter()
            epochs(tried, [order])
            if turn and time.perf_counter() - started < best:  # the first turn compiles
                best = time.perf_counter() - started
                state["run"], state["form"] = (
                    run,
                    f"unroll={unroll}, gathered once {'an epoch' if gathered else 'a step'}",
                )
    return {**state, "weights": weights_of(case, parameters)}


def weights_of(case: Any, parameters: Any) -> Any:
    """The parameters as pairs of weights and biases on the device."""
    weights, start = [], 0
    for n_in, n_out in pairwise(case.sizes):
        middle, end = start + n_in * n_out, start + n_in * n_out + n_out
        weights.append((jnp.array(parameters[start:middle].reshape(n_in, n_out)), jnp.array(parameters[middle:end])))
        start = end
    return weights


def compiled(case: Any, gathered: bool, unroll: int) -> Any:
    """One form of the epoch."""
    activation = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}[case.activation]
    classes = case.loss == "cross_entropy"

    def loss(weights: Any, x: Any, y: Any) -> Any:
        a = x
        for w, b in weights[:-1]:
            a = activation(a @ w + b)
        p = a @ weights[-1][0] + weights[-1][1]
        if classes:
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(p), y, axis=1))
        return jnp.mean((p - y) ** 2)

    def step(weights: Any, batch: Any) -> Any:
        gradients = jax.grad(loss)(weights, *batch)
        return jax.tree.map(lambda w, g: w - case.learning_rate * g, weights, gradients), None

    def run(weights: Any, X: Any, Y: Any, batches: Any, rest: Any) -> Any:
        if gathered:
            weights, _ = lax.scan(step, weights, (X[batches], Y[batches]), unroll=unroll)
        else:
            weights, _ = lax.scan(lambda w, rows: step(w, (X[rows], Y[rows])), weights, batches, unroll=unroll)
        return step(weights, (X[rest], Y[rest]))[0] if rest.size else weights

    return jax.jit(run, donate_argnums=0)


def epochs(state: Any, orders: Any) -> None:
    """For each epoch all whole batches in one scan, then the smaller rest."""
    B = state["batch_size"]
    for order in orders:
        whole = len(order) // B * B
        batches, rest = order[:whole].reshape(-1, B).astype(np.int32), order[whole:].astype(np.int32)
        state["weights"] = state["run"](state["weights"], state["X"], state["Y"], batches, rest)
    jax.block_until_ready(state["weights"])


def parameters(state: Any) -> Any:
    """All parameters as one vector."""
    return np.concatenate([np.asarray(part).reshape(-1) for pair in state["weights"] for part in pair])
