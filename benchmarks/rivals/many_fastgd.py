"""fastgd: one call of `fit_many`."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastgd


def prepare(job: Any, X: Any, y: Any) -> Any:
    """A spec for each network."""
    specs = [
        {"random_state": seed, "optimizer": fastgd.Adam(learning_rate=rate)}
        for seed, rate in zip(job.seeds, job.rates, strict=True)
    ]
    options = {"layer_sizes": job.sizes, "epochs": job.epochs, "batch_size": job.batch_size}
    options["initializer"] = "glorot_uniform"  # scikit-learn's, which the others have, too
    return {"specs": specs, "options": options, "X": X, "y": y, "threads": job.threads}


def train(state: Any) -> None:
    """All networks, from the start."""
    state["records"] = fastgd.fit_many(
        state["specs"], state["X"], state["y"], n_threads=state["threads"], verbose=0, **state["options"]
    )


def predictions(state: Any) -> Any:
    """Those of each network, (n_networks, n_rows)."""
    return np.stack([record.model.predict(state["X"]) for record in state["records"]])
