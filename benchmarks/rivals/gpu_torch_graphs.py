"""PyTorch on a GPU with CUDA graphs: up to sixteen steps are recorded once and replayed, rows are gathered in them.

Many networks are stacked: products are `baddbmm`, and all see the same batches. The steps are written as functions of
the weights, and compiled where that is asked for. TF32 is off: all is float32. On the CPU nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .stacked import weights_of

UNROLLED = 16
WARM = 3  # runs before one is recorded, as PyTorch asks for
torch.set_float32_matmul_precision("highest")


def prepare(job: Any, X: Any, y: Any, form: str) -> Any:
    """All on the device; what is replayed is recorded when it is first needed."""
    torch.manual_seed(0)
    one = job.n_networks == 1
    weights = [
        (torch.tensor(w[0] if one else w, device=job.device), torch.tensor(b[0] if one else b, device=job.device))
        for w, b in weights_of(job)
    ]
    state = {
        "job": job, "weights": weights, "X": torch.tensor(X, device=job.device),
        "y": torch.tensor(y, device=job.device), "order": torch.arange(job.n_rows, device=job.device),
        "place": torch.zeros((), dtype=torch.int64, device=job.device), "runs": {},
    }  # fmt: skip
    rates = torch.tensor(job.rates, dtype=torch.float32, device=job.device)
    body = one_step(rates)
    return {**state, "body": torch.compile(body, dynamic=False) if form == "compiled" else body}


def outputs(weights: Any, x: Any) -> Any:
    """Of one network (n_rows, 1), or of the stack (n_networks, n_rows, 1), for rows (n_rows, n_in)."""
    is_stack = weights[0][0].ndim == 3
    a = x.expand(len(weights[0][0]), -1, -1) if is_stack else x
    for i, (w, b) in enumerate(weights):
        z = torch.baddbmm(b[:, None], a, w) if is_stack else torch.addmm(b, a, w)
        a = torch.relu(z) if i < len(weights) - 1 else z
    return a


def one_step(rates: Any) -> Callable[..., None]:
    """A step of all networks, each with its rate."""

    def loss(weights: Any, x: Any, y: Any) -> Any:
        return ((outputs(weights, x)[..., 0] - y) ** 2).mean(-1).sum()

    gradients_of = torch.func.grad(loss)

    def step(weights: Any, x: Any, y: Any) -> None:
        for layer, slopes in zip(weights, gradients_of(weights, x, y), strict=True):
            for w, g in zip(layer, slopes, strict=True):
                w.addcmul_(g, rates.reshape(-1, *[1] * (w.ndim - 1)) if len(rates) > 1 else rates, value=-1)

    return step


def steps_of(state: Any, n: int, rows: int) -> Callable[[], Any]:
    """What takes n steps of so many rows each, from the place on."""
    if (n, rows) not in state["runs"]:
        span = torch.arange(rows, device=state["job"].device)

        def run() -> None:
            for _ in range(n):
                batch = state["order"][state["place"] + span]
                state["body"](state["weights"], state["X"][batch], state["y"][batch])
                state["place"] += rows

        state["runs"][n, rows] = recorded(run, state) if state["X"].is_cuda else run
    return state["runs"][n, rows]  # type: ignore[no-any-return]


def recorded(run: Callable[[], None], state: Any) -> Callable[[], Any]:
    """A graph of what a run launches; weights and place are afterwards as before."""
    kept = [*(part for layer in state["weights"] for part in layer), state["place"]]
    before = [part.clone() for part in kept]
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            state["place"].zero_()  # rows that there are
            run()
    torch.cuda.current_stream().wait_stream(stream)
    state["place"].zero_()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    for part, value in zip(kept, before, strict=True):
        part.copy_(value)
    return graph.replay


def train(state: Any, epochs: int) -> None:
    """All steps of an epoch are replayed; the last is smaller where rows are left."""
    B, n_rows = min(state["job"].batch_size, state["job"].n_rows), state["job"].n_rows
    whole, rest = divmod(n_rows, B)
    with torch.no_grad():
        for _ in range(epochs):
            state["order"].copy_(torch.randperm(n_rows, device=state["X"].device))
            state["place"].zero_()
            at_once = min(UNROLLED, whole)
            for _ in range(whole // at_once):
                steps_of(state, at_once, B)()
            for _ in range(whole % at_once):
                steps_of(state, 1, B)()
            if rest:
                steps_of(state, 1, rest)()
    if state["X"].is_cuda:
        torch.cuda.synchronize()


def predictions(state: Any, X: Any, n: int) -> Any:
    """Those of the first n networks, (n, n_rows)."""
    weights = state["weights"]
    if weights[0][0].ndim == 3:
        weights = [(w[:n], b[:n]) for w, b in weights]
    with torch.no_grad():
        found = outputs(weights, torch.tensor(X, device=state["job"].device))[..., 0]
    return found.reshape(-1, len(X)).cpu().numpy()
