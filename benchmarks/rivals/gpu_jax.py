"""JAX on a GPU: an epoch is one jitted lax.scan, of many networks under vmap, which all see the same batches.

The order of rows is drawn on the device, rows are gathered once an epoch, the old weights are given away (donated), and
products are in full float32. The scan is unrolled as far as is fastest.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .stacked import weights_of

UNROLLS = (1, 8)
jax.config.update("jax_default_matmul_precision", "highest")


def prepare(job: Any, X: Any, y: Any, form: str) -> Any:
    """Tables and weights on the device, and the fastest form of the epoch."""
    if job.device == "cuda" and jax.default_backend() != "gpu":
        raise RuntimeError("JAX sees no GPU: install jax[cuda12] or jax[cuda13]")
    state = {"job": job, "X": jnp.array(X), "y": jnp.array(y), "key": jax.random.key(0), "weights": start(job)}
    if form == "device":
        return {**state, "outputs": jax.jit(outputs)}
    best = float("inf")
    for unroll in UNROLLS:
        tried = {**state, "run": epoch_of(job, unroll), "weights": start(job)}
        train(tried, 1)
        began = time.perf_counter()
        train(tried, 1)
        if time.perf_counter() - began < best:
            best, state["run"] = time.perf_counter() - began, tried["run"]
    return state


def start(job: Any) -> Any:
    """The weights that all begin with, (n_networks, …); of one network without the first axis."""
    stacks = jax.tree.map(jnp.array, weights_of(job))
    return stacks if job.n_networks > 1 else jax.tree.map(lambda stack: stack[0], stacks)


def outputs(weights: Any, x: Any) -> Any:
    """One network's, (n_rows,)."""
    for w, b in weights[:-1]:
        x = jax.nn.relu(x @ w + b)
    return (x @ weights[-1][0] + weights[-1][1])[:, 0]


def epoch_of(job: Any, unroll: int) -> Any:
    """The jitted epoch."""
    rates = jnp.array(job.rates, jnp.float32)
    B = min(job.batch_size, job.n_rows)
    whole = job.n_rows // B * B

    def step_of_one(weights: Any, rate: Any, x: Any, y: Any) -> Any:
        slopes = jax.grad(lambda weights: jnp.mean((outputs(weights, x) - y) ** 2))(weights)
        return jax.tree.map(lambda w, g: w - rate * g, weights, slopes)

    if job.n_networks == 1:

        def step(weights: Any, x: Any, y: Any) -> Any:
            return step_of_one(weights, rates[0], x, y)

    else:

        def step(weights: Any, x: Any, y: Any) -> Any:
            return jax.vmap(step_of_one, in_axes=(0, 0, None, None))(weights, rates, x, y)

    def epoch(weights: Any, key: Any, X: Any, y: Any) -> Any:
        order = jax.random.permutation(key, job.n_rows)
        batches = X[order[:whole]].reshape(-1, B, X.shape[1]), y[order[:whole]].reshape(-1, B)
        weights, _ = lax.scan(lambda weights, batch: (step(weights, *batch), None), weights, batches, unroll=unroll)
        return step(weights, X[order[whole:]], y[order[whole:]]) if whole < job.n_rows else weights

    return jax.jit(epoch, donate_argnums=0)


def train(state: Any, epochs: int) -> None:
    """Epoch after epoch."""
    for _ in range(epochs):
        state["key"], key = jax.random.split(state["key"])
        state["weights"] = state["run"](state["weights"], key, state["X"], state["y"])
    jax.block_until_ready(state["weights"])


def predictions(state: Any, X: Any, n: int) -> Any:
    """Those of the first n networks, (n, n_rows)."""
    if state["job"].n_networks == 1:
        return np.asarray(outputs(state["weights"], X))[None]
    few = jax.tree.map(lambda stack: stack[:n], state["weights"])
    return np.asarray(jax.vmap(outputs, in_axes=(0, None))(few, X))


def predict(state: Any) -> Any:
    """All rows, and back to the host."""
    return np.asarray(state["outputs"](state["weights"], state["X"]))
