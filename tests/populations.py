"""Networks of many kinds for one table, and what each is to come to: what several test files share."""

from __future__ import annotations

import copy

import numpy as np

import fastgd
from fastgd.many import tasks

ROWS = np.arange(300)
STOP = fastgd.callbacks.EarlyStopping(patience=2, min_delta=1e30)  # nothing is such an improvement
MIXED = [
    {"layer_sizes": [4, 16, 1], "optimizer": fastgd.SGD(learning_rate=0.01)},
    {"layer_sizes": [4, 16, 1], "optimizer": fastgd.SGD(learning_rate=0.01), "random_state": 7},
    {"layer_sizes": [4, 8, 8, 1], "activation": "tanh", "dtype": "float64", "dropout": 0.2, "epochs": 2},
    {"layer_sizes": [4, 1], "loss": "mae", "batch_size": 7, "validation_split": 0.2, "shuffle": False},
    {"layer_sizes": [4, 8, 1], "encoding": "auto", "log_target": True, "optimizer": fastgd.AdamW(learning_rate=0.01)},
    {"layer_sizes": [4, 8, 1], "encoding": fastgd.Encoding(bins=8), "rows": ROWS, "validation_rows": ROWS + 300},
    {"layer_sizes": [4, 8, 2], "loss": fastgd.losses.Quantile([0.1, 0.9])},
    {"layer_sizes": [4, 8, 1], "rows": ROWS, "validation_rows": ROWS + 300, "epochs": 40, "callbacks": [STOP]},
    {"layer_sizes": [4, 8, 1], "sample_weight": np.arange(700.0), "rows": np.arange(700) % 3 > 0},
]  # fmt: skip


def alone(spec, X, y, device="cpu", **defaults):
    """The same network by its own fit, with the rows that the spec means."""
    asked = {**defaults, **spec}
    rows, held, weights = (asked.pop(name, None) for name in ("rows", "validation_rows", "sample_weight"))
    model = fastgd.MLP(**{name: value for name, value in asked.items() if name in tasks.OF_NETWORK})
    options = {name: value for name, value in asked.items() if name in tasks.OF_FIT}
    if "callbacks" in options:
        options["callbacks"] = copy.deepcopy(options["callbacks"])
    if held is not None:
        options["validation_data"] = X[held], y[held]
    if weights is not None:
        options["sample_weight"] = weights if rows is None else weights[rows]
    X, y = (X, y) if rows is None else (X[rows], y[rows])
    return model, model.fit(X, y, verbose=0, device=device, **options)
