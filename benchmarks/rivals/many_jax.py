"""JAX: stacked networks under vmap, an epoch of them one jitted lax.scan, in the form that is fastest for the job.

The forms: rows gathered step by step or once an epoch; the scan unrolled once or four times. The old weights are given
away (donated). Each network has an order of rows of its own, unless the job asks for one for all, which is less work.
"""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .stacked import BETA1, BETA2, EPSILON, batches_of, weights_of

FORMS = tuple(product((False, True), (1, 4)))  # whether rows are gathered once an epoch, and how far it is unrolled
FEW_STEPS = 15  # of a form that is tried


def prepare(job: Any, X: Any, y: Any) -> Any:
    """The table on the device, and the fastest form."""
    state = {"job": job, "X": jnp.array(X), "y": jnp.array(y)}
    best, few = float("inf"), FEW_STEPS * job.batch_size
    for form in FORMS:
        tried = {**state, "X": state["X"][:few], "y": state["y"][:few], "run": compiled(job.one_order, *form)}
        train(tried)
        started = time.perf_counter()
        train(tried)
        if time.perf_counter() - started < best:
            best, chosen = time.perf_counter() - started, form
    gathered, unroll = chosen
    told = f"rows gathered once {'an epoch' if gathered else 'a step'}, unroll={unroll}"
    return {**state, "run": compiled(job.one_order, *chosen), "form": told}


def outputs(weights: Any, x: Any) -> Any:
    """One network's, (n_rows,)."""
    for w, b in weights[:-1]:
        x = jax.nn.relu(x @ w + b)
    return (x @ weights[-1][0] + weights[-1][1])[:, 0]


def adam(learned: Any, rate: Any, x: Any, y: Any) -> Any:
    """A step of one network: its weights, their two moments, and how many steps it has made."""
    weights, means, squares, steps = learned
    gradients = jax.grad(lambda weights: jnp.mean((outputs(weights, x) - y) ** 2))(weights)
    steps = steps + 1
    means = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, means, gradients)
    squares = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, squares, gradients)
    pace, scale = rate / (1 - BETA1**steps), 1 / (1 - BETA2**steps)
    weights = jax.tree.map(lambda w, m, v: w - pace * m / (jnp.sqrt(v * scale) + EPSILON), weights, means, squares)
    return weights, means, squares, steps


def compiled(one_order: bool, gathered: bool, unroll: int) -> Any:
    """One form of the epoch."""
    of_rows = None if one_order else 0
    adam_of_all = jax.vmap(adam, in_axes=(0, 0, of_rows, of_rows))

    def epoch(learned: Any, rates: Any, X: Any, y: Any, batches: Any, rest: Any) -> Any:
        def step(learned: Any, x: Any, y: Any) -> Any:
            return adam_of_all(learned, rates, *((x[0], y[0]) if one_order else (x, y)))

        if gathered:
            learned, _ = lax.scan(
                lambda learned, rows: (step(learned, *rows), None), learned, (X[batches], y[batches]), unroll=unroll
            )
        else:
            learned, _ = lax.scan(
                lambda learned, rows: (step(learned, X[rows], y[rows]), None), learned, batches, unroll=unroll
            )
        return step(learned, X[rest], y[rest]) if rest.shape[1] else learned

    return jax.jit(epoch, donate_argnums=0)


def train(state: Any) -> None:
    """All networks, from the start."""
    job, generator = state["job"], np.random.default_rng(0)
    weights = jax.tree.map(jnp.array, weights_of(job))
    zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(2)]
    learned, rates = (weights, *zeros, jnp.zeros(len(job.seeds), jnp.int32)), jnp.array(job.rates, jnp.float32)
    for _ in range(job.epochs):
        batches, rest = batches_of(job, generator, len(state["y"]))
        learned = state["run"](learned, rates, state["X"], state["y"], batches, rest)
    state["weights"] = jax.block_until_ready(learned)[0]


def predictions(state: Any) -> Any:
    """Those of each network, (n_networks, n_rows)."""
    return np.asarray(jax.vmap(outputs, in_axes=(0, None))(state["weights"], state["X"]))
