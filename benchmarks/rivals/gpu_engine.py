"""fastgd's engine of the GPU alone, an epoch a call: what the kernels take, with what launches and copies cost."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastgd

from ..cases import Case
from ..problems import Tables, engine_of, problem
from .stacked import flat_weights

ENGINE = "cuda.engine"


def prepare(job: Any, X: Any, y: Any, form: str) -> Any:
    """What the engine takes: the same network for each seed, with an order of rows of its own."""
    engine, records = engine_of(fastgd, ENGINE), engine_of(fastgd, "records")
    Y = y.reshape(-1, 1).copy()
    case = Case("epoch", job.sizes, job.batch_size, job.n_rows)
    made = problem(fastgd, case, Tables(X, Y), None, ENGINE)
    made.net.parameters[:] = flat_weights(job)
    steps = -(-job.n_rows // job.batch_size)
    X.flags.writeable = Y.flags.writeable = False
    requests = []
    for seed, rate in zip(job.seeds, job.rates, strict=True):
        net = made.net._replace(parameters=made.net.parameters.copy())
        state = made.state._replace(step=made.state.step.copy())
        rows = made.rows._replace(seed=np.uint64(seed))
        requests.append(records.StepRequest(
            net, state, made.gradients, made.workspaces, np.zeros(2), rows, 0, job.batch_size, np.full(steps, rate),
            made.loss, made.rule,
        ))  # fmt: skip
    return {"engine": engine, "requests": requests, "made": made, "epoch": 0}


def train(state: Any, epochs: int) -> None:
    """One call of the engine for each epoch."""
    for _ in range(epochs):
        requests = [request._replace(rows=request.rows._replace(epoch=state["epoch"])) for request in state["requests"]]
        state["engine"].train_many(requests)
        state["epoch"] += 1


def predictions(state: Any, X: Any, n: int) -> Any:
    """Those of the first n networks, (n, n_rows)."""
    engine, made, found = state["engine"], state["made"], []
    for request in state["requests"][:n]:
        found.append(np.empty((len(X), 1), np.float32))
        engine.predict(found[-1], made.workspace, X, request.net, made.loss)
    return np.stack(found)[:, :, 0]
