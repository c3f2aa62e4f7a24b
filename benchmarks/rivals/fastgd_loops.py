"""fastgd itself, through the same three names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fastgd

from ..problems import engine_of, problem

cpu = engine_of(fastgd)
NAME = "fastgd"


def prepare(case: Any, data: Any, parameters: Any, threads: int) -> Any:
    """The problem with these weights."""
    p = problem(fastgd, case, data, n_threads=threads)
    p.net.parameters[:] = parameters
    n = len(data.X)
    rates = np.full(math.ceil(n / case.batch_size), case.learning_rate)
    return {"p": p, "rates": rates, "batch_size": min(case.batch_size, n), "threads": len(p.workspaces)}


def epoch(state: Any, order: Any) -> None:
    """One call of the compiled training loop; it makes the order itself (that of seed 0, epoch 0)."""
    p = state["p"]
    cpu.train(
        p.net,
        p.state,
        p.gradients,
        p.workspaces,
        np.zeros(2),
        p.rows,
        0,
        state["batch_size"],
        state["rates"],
        p.loss,
        p.rule,
    )


def parameters(state: Any) -> Any:
    """All parameters as one vector."""
    return state["p"].net.parameters.copy()
