"""PyTorch: stacked networks under torch.func (functional_call, grad, vmap), and Adam by hand on the stacks.

The forms: one thread or all, eager or compiled. Each network has an order of rows of its own, unless the job asks for
one for all, which is less work.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from .stacked import BETA1, BETA2, EPSILON, batches_of, weights_of

FEW_STEPS = 15  # of a form that is tried


def prepare(job: Any, X: Any, y: Any) -> Any:
    """The table as tensors, and the fastest form: first how many threads, then whether to compile."""
    state = {"job": job, "X": torch.tensor(X), "y": torch.tensor(y), "network": network_of(job)}
    run = step_of(state["network"], job)
    forms = [{"threads": threads, "run": run, "how": "eager"} for threads in sorted({1, job.threads})]
    best = min(forms, key=lambda form: seconds_of({**state, **form}))
    compiled = {**best, "run": torch.compile(best["run"]), "how": "compiled"}
    try:
        best = min(best, compiled, key=lambda form: seconds_of({**state, **form}))
    except Exception as error:  # there is no compiler of C++
        best["how"] = f"eager ({type(error).__name__} of torch.compile)"
    return {**state, **best, "form": f"{best['how']}, threads: {best['threads']}"}


def seconds_of(state: Any) -> float:
    """Of some steps, once they are warm."""
    few = FEW_STEPS * state["job"].batch_size
    state |= {"X": state["X"][:few], "y": state["y"][:few]}
    train(state)
    started = time.perf_counter()
    train(state)
    return time.perf_counter() - started


def network_of(job: Any) -> Any:
    """One network, without values."""
    layers: list[Any] = []
    for n_in, n_out in pairwise(job.sizes):
        layers += [nn.Linear(n_in, n_out, device="meta"), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def step_of(network: Any, job: Any) -> Any:
    """A step of Adam for all networks at once."""

    def loss(weights: Any, x: Any, y: Any) -> Any:
        return ((functional_call(network, weights, (x,))[:, 0] - y) ** 2).mean()

    of_rows = None if job.one_order else 0
    gradients_of = vmap(grad(loss), in_dims=(0, of_rows, of_rows))
    rates = torch.tensor(job.rates, dtype=torch.float32)

    def step(weights: Any, means: Any, squares: Any, bias1: Any, bias2: Any, x: Any, y: Any) -> None:
        if job.one_order:
            x, y = x[0], y[0]
        gradients = gradients_of(weights, x, y)
        for name, g in gradients.items():
            m = means[name].lerp_(g, 1 - BETA1)
            v = squares[name].mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            pace = (rates / bias1).reshape(-1, *[1] * (g.ndim - 1))
            weights[name].sub_(pace * m / ((v / bias2).sqrt() + EPSILON))

    return step


def train(state: Any) -> None:
    """All networks, from the start."""
    torch.set_num_threads(state["threads"])
    job, generator, X, y = state["job"], np.random.default_rng(0), state["X"], state["y"]
    weights = {}
    for i, (w, b) in enumerate(weights_of(job)):
        weights[f"{2 * i}.weight"] = torch.tensor(w).transpose(1, 2).contiguous()
        weights[f"{2 * i}.bias"] = torch.tensor(b)
    means, squares = ({name: torch.zeros_like(w) for name, w in weights.items()} for _ in range(2))
    steps = 0
    with torch.no_grad():
        for _ in range(job.epochs):
            batches, rest = batches_of(job, generator, len(y))
            parts = [*torch.from_numpy(batches), *([torch.from_numpy(rest.copy())] if rest.size else [])]
            for rows in parts:
                steps += 1
                biases = torch.tensor([1 - BETA1**steps, 1 - BETA2**steps])
                state["run"](weights, means, squares, biases[0], biases[1], X[rows], y[rows])
    state["weights"] = weights


def predictions(state: Any) -> Any:
    """Those of each network, (n_networks, n_rows)."""
    run = vmap(lambda weights, x: functional_call(state["network"], weights, (x,))[:, 0], in_dims=(0, None))
    with torch.no_grad():
        return run(state["weights"], state["X"]).numpy()
