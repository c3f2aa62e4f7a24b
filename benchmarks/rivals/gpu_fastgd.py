"""fastgd on a GPU, as its users call it: `fit`, `fit_many` and `predict`."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastgd

from ..problems import engine_of
from .stacked import flat_weights


def prepare(job: Any, X: Any, y: Any, form: str) -> Any:
    """A model, or the specs of many; for predictions also the rows where they are to lie."""
    state = {"job": job, "X": X, "y": y, "model": None, "form": form}
    if job.n_networks == 1:
        state["model"] = model = fastgd.MLP(list(job.sizes), standardize=False, random_state=0)
        model.parameters = flat_weights(job)
        if form != "fit":
            model.fit(X[:8], y[:8], epochs=0, device="cuda", verbose=0)
        if form == "device":
            state["X"] = engine_of(fastgd, "cuda.shim").cuda.to_device(X)
    return state


def train(state: Any, epochs: int) -> None:
    """One network goes on; many begin again."""
    job = state["job"]
    options = {"epochs": epochs, "batch_size": job.batch_size, "device": "cuda", "verbose": 0}
    if state["model"] is not None:
        state["model"].fit(state["X"], state["y"], optimizer=fastgd.SGD(job.rates[0]), **options)
        return
    specs = [
        {"random_state": seed, "optimizer": fastgd.SGD(rate)} for seed, rate in zip(job.seeds, job.rates, strict=True)
    ]
    options |= {"layer_sizes": list(job.sizes), "standardize": False, "initializer": "glorot_uniform"}
    state["records"] = fastgd.fit_many(specs, state["X"], state["y"], **options)


def predictions(state: Any, X: Any, n: int) -> Any:
    """Those of the first n networks, (n, n_rows)."""
    models = [state["model"]] if state["model"] is not None else [record.model for record in state["records"][:n]]
    return np.stack([model.predict(X) for model in models])


def predict(state: Any) -> Any:
    """All rows, from where they lie."""
    return state["model"].predict(state["X"])
