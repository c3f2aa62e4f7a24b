"""Real listings: the promise that the engine is good for something."""

from __future__ import annotations

import numpy as np
import pytest

import fastgd
from fastgd.data import split_rows
from fastgd.tables import read_columns

FEATURES = ["size_m2", "bedrooms", "distance_km", "age_years"]


@pytest.mark.data
def test_barcelona(data_folder):
    table, text = read_columns(data_folder / "barcelona_houses.csv.gz", [*FEATURES, "price_eur"], ["asset_id"])
    X, y = table[:, :-1], table[:, -1]
    train, test = split_rows(len(X), 0.2, text["asset_id"], 0)
    model = fastgd.MLP([4, 64, 64, 1], random_state=0)
    model.fit(X[train], y[train], epochs=40, batch_size=32, optimizer=fastgd.SGD(learning_rate=0.05), verbose=0)
    assert model.evaluate(X[test], y[test])["r2"] >= 0.80
    design = np.column_stack([X, np.ones(len(X))])
    linear = design[test] @ np.linalg.lstsq(design[train], y[train])[0]
    linear_r2 = 1 - np.mean((linear - y[test]) ** 2) / y[test].var()
    assert 0.77 < linear_r2 < 0.80, "the same split, so that the comparison means something"
