"""fastgd as its users call it: `fit`, with its defaults, all epochs in one call."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastgd

from ..problems import model

NAME = "fastgd"


def prepare(case: Any, data: Any, parameters: Any, threads: int) -> Any:
    """A model with these weights. It takes as many threads as are fastest, of those that the process may use."""
    made = model(fastgd, case)
    made.parameters = parameters
    y = data.Y[:, 0].astype(np.int64) if case.loss == "cross_entropy" else data.Y
    optimizer = fastgd.SGD(learning_rate=case.learning_rate)
    return {"model": made, "X": data.X, "y": y, "optimizer": optimizer, "batch_size": case.batch_size}


def epochs(state: Any, orders: Any) -> None:
    """One call; it makes the orders itself (those of seed 0, from epoch 0 on)."""
    history = state["model"].fit(
        state["X"], state["y"], epochs=len(orders), batch_size=state["batch_size"], optimizer=state["optimizer"],
        verbose=0,
    )  # fmt: skip
    state["threads"] = history.n_threads


def parameters(state: Any) -> Any:
    """All parameters as one vector."""
    return state["model"].parameters.copy()
