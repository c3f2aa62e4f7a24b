"""Models in files, and tables for them, as a person at a command line has both."""

from __future__ import annotations

import numpy as np
import polars as pl

import fastgd

KINDS = ["cheap", "dear", "middling"]


def houses(n=400, seed=0):
    """A table of houses: an id with leading zeros, numbers, text, and what each costs."""
    random = np.random.default_rng(seed)
    size = random.uniform(30, 200, n).round(1)
    town = random.choice(["Bern", "Oslo", "Rome"], n)
    price = (size * 3000 + (town == "Oslo") * 50_000).round()
    return pl.DataFrame(
        {
            "id": [f"{number:05}" for number in range(n)],
            "size": size,
            "rooms": random.integers(1, 7, n),
            "town": town,
            "price": price,
            "kind": np.array(KINDS)[np.searchsorted([150_000, 400_000], price)],
        }
    )


FEATURES = ["size", "rooms", "town"]


def write_models(folder):
    """One model of each sort, by name."""
    table = houses()
    X, price, kind = table.select(FEATURES), table["price"].to_numpy(), table["kind"].to_list()
    numbers = table.select("size", "rooms")
    several = np.column_stack([price, table["size"]])
    models = {
        "tables": (fastgd.MLP([3, 8, 1], encoding=fastgd.Encoding(bins=8)), X, price),
        "logs": (fastgd.MLP([3, 8, 1], encoding=fastgd.Encoding(bins=8), log_target=True), X, price),
        "kinds": (fastgd.MLP([3, 8, 3], encoding="auto", loss="cross_entropy"), X, kind),
        "numbers": (fastgd.MLP([2, 8, 1]), numbers, price),
        "nameless": (fastgd.MLP([2, 8, 1]), numbers.to_numpy(), price),
        "several": (fastgd.MLP([2, 8, 2]), numbers, several),
        "quantiles": (fastgd.MLP([2, 8, 2], loss=fastgd.losses.Quantile([0.1, 0.9])), numbers, price),
        "yes_or_no": (fastgd.MLP([2, 8, 1], loss="binary_cross_entropy"), numbers, (price > 3e5).astype(int)),
    }
    for name, (model, inputs, y) in models.items():
        model.fit(inputs, y, epochs=3, verbose=0)
        model.save(folder / name)
    whole = fastgd.Ensemble([models["tables"][0], models["logs"][0]]).calibrate(X, price)
    whole.save(folder / "whole")
    return {name: model for name, (model, _, _) in models.items()} | {"whole": whole}
