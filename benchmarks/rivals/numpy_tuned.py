"""The tuned NumPy baseline, through the same three names."""

from __future__ import annotations

from typing import Any

from threadpoolctl import threadpool_limits

from ..baselines import Tuned

NAME = "NumPy, tuned"


def prepare(case: Any, data: Any, parameters: Any, threads: int) -> Any:
    """Buffers and weights."""
    return {"tuned": Tuned(case, data, parameters), "threads": threads}


def epochs(state: Any, orders: Any) -> None:
    """All batches."""
    with threadpool_limits(state["threads"]):
        for order in orders:
            state["tuned"].epoch(order)


def parameters(state: Any) -> Any:
    """All parameters as one vector."""
    return state["tuned"].parameters()
