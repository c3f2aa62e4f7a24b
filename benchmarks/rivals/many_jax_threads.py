"""JAX: one jitted training for all networks, one after another in threads, without vmap; JAX releases the GIL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from . import many_jax


def prepare(job: Any, X: Any, y: Any) -> Any:
    """As stacks of one network, which have their own rate each; the program is that of the first."""
    first = one_of(job, 0)
    state = many_jax.prepare(first, X, y)
    states = [{**state, "job": one_of(job, i)} for i in range(len(job.seeds))]
    return {"states": states, "pool": ThreadPoolExecutor(job.threads), "form": state["form"]}


def one_of(job: Any, number: int) -> Any:
    """The same job for one network."""
    return job._replace(seeds=job.seeds[number : number + 1], rates=job.rates[number : number + 1])


def train(state: Any) -> None:
    """All networks, from the start."""
    list(state["pool"].map(many_jax.train, state["states"]))


def predictions(state: Any) -> Any:
    """Those of each network, (n_networks, n_rows)."""
    return np.concatenate([many_jax.predictions(one) for one in state["states"]])
