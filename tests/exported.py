"""Models to export, each with a table, and what they predict of it: every activation, loss, encoding and mixture."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd

import fastgd
from fastgd.errors import FastgdWarning
from fastgd.files import export
from fastgd.files.exports import formulas
from fastgd.files.exports.plan import plan_of
from fastgd.losses import Quantile
from fastgd.network.activations import ACTIVATIONS
from fastgd.network.losses import LOSSES

N_ROWS, DTYPES = 300, ("float32", "float64")
QUICK = {"epochs": 3, "optimizer": fastgd.Adam(0.01), "verbose": 0}


def numbers():
    """A table of numbers of very different spread, one of them always the same, and a target."""
    generator = np.random.default_rng(0)
    X = generator.normal([5, -100, 0.1, 7], [2, 30, 0.01, 0], size=(N_ROWS, 4))
    return X, 20 + 4 * X[:, 0] + generator.normal(size=N_ROWS)


def table(seed=0, n=N_ROWS):
    """Columns of numbers and text as they come, with gaps, rare labels and what tells nothing, and a target."""
    generator = np.random.default_rng(seed)
    size, age = generator.normal(80, 20, n), generator.gamma(2, 10, n)
    names = ["Eixample", "Born" if seed % 2 else "Gràcia", 'a "quoted" ??/ one\\', "Sants"]
    where = generator.choice(names, n, p=[0.4, 0.3, 0.2, 0.1])
    y = 1000 + 3 * size - age + 20 * (where == "Sants") + generator.normal(size=n)
    where = where.astype(object)
    where[generator.random(n) < 0.1] = None
    where[:6] = "once", "once", "once", "twice", "twice", "thrice"
    age[generator.random(n) < 0.1] = np.nan
    frame = pd.DataFrame({
        "size m2": size, "age*/": age, "where": where, "lift": generator.random(n) < 0.5, "country": "ES",
        "code": generator.choice(["8001", "8002"], n), "year": 1e9 + generator.integers(0, 90, n),
    })  # fmt: skip
    return frame, y


def new_rows():
    """A table with what no fit has seen: unknown labels, gaps where there were none, numbers far outside."""
    frame, _ = table(seed=4, n=60)
    frame.loc[3, "where"], frame.loc[4, "code"], frame.loc[5, "size m2"] = "Nowhere", None, np.nan
    frame.loc[6, "size m2"], frame.loc[7, "size m2"], frame.loc[8, "where"] = 1e9, -1e9, "once"
    frame.loc[9:20, "where"] = "Born"  # which some models of an ensemble have seen
    return frame


def plain(dtype, y=lambda y: y, n_out=1, **options):
    X, target = numbers()
    model = fastgd.MLP([4, 8, 5, n_out], dtype=dtype, random_state=1, **options)
    model.fit(X, y(target), **QUICK)
    return model, X


def wide():
    X, y = fastgd.datasets.houses(2000, random_state=0)
    model = fastgd.MLP([4, 64, 64, 1], random_state=0)
    model.fit(X, y, **QUICK)
    return model, X


def encoded(dtype, y=lambda y: y, n_out=1, seed=0, encoding="auto", **options):
    frame, target = table(seed)
    model = fastgd.MLP([7, 8, n_out], dtype=dtype, encoding=encoding, random_state=seed, **options)
    model.fit(frame, y(target), **QUICK)
    assert model.encoder.codes[2].has_rare
    assert model.encoder.codes[2].has_gaps
    return model, new_rows()


def several(make, *options):
    """An ensemble of such models, with weights."""
    models = [make(**one) for one in options]
    return fastgd.Ensemble([model for model, _ in models], list(range(1, len(models) + 1))), models[0][1]


def empty_labels():
    """A model that has learned empty text as a label, and rows with it."""
    X = pd.DataFrame({"word": ["", "a", "b"] * 40, "x": np.arange(120) % 7.0})
    model = fastgd.MLP([2, 4, 1], encoding="auto", random_state=0)
    model.fit(X, np.arange(120) % 3, **QUICK)
    assert model.encoder.codes[0].levels == ("", "a", "b")
    return model, X[:6], wanted(model, X[:6])


def words(y):
    return np.array(["low", "mid", "high ü"])[np.digitize(y, np.quantile(y, [0.3, 0.6]))]


OF_LOSS = {
    "quantile": {"loss": Quantile([0.1, 0.5, 0.9]), "n_out": 6, "y": lambda y: np.stack([y, -3 * y], axis=1)},
    "poisson": {"y": lambda y: np.floor(np.abs(y) / 9)},
    "binary_cross_entropy": {"y": lambda y: np.where(y > np.median(y), "yes", "no")},
    "cross_entropy": {"y": words, "n_out": 3},
    "gaussian_nll": {"n_out": 4, "y": lambda y: np.stack([y, 1000 - 50 * y], axis=1)},
}
BINS = fastgd.Encoding(bins=8)
CASES = {
    **{f"{name} {dtype}": lambda name=name, dtype=dtype: plain(dtype, activation=name)
       for name in ACTIVATIONS for dtype in DTYPES},
    **{f"{name} {dtype}": lambda name=name, dtype=dtype: plain(dtype, **{"loss": name, **OF_LOSS.get(name, {})})
       for name in LOSSES for dtype in DTYPES},
    "two targets": lambda: plain("float64", n_out=2, y=lambda y: np.stack([y, -9 * y], axis=1)),
    "log and clip": lambda: plain("float32", log_target=True, clip_predictions=True),
    "clipped counts": lambda: plain("float64", loss="poisson", clip_predictions=True, y=lambda y: np.floor(np.abs(y))),
    "range of its own": lambda: plain("float32", output_activation="sigmoid", y=lambda y: y / y.max()),
    "as it is": lambda: plain("float32", standardize=False),
    "wide": wide,
    "one layer": lambda: (fastgd.MLP([4, 1], random_state=3), numbers()[0]),
    "whole numbers as classes": lambda: plain(
        "float32", loss="cross_entropy", n_out=3, y=lambda y: 10 * np.digitize(y, [38, 42])),
    "truth as classes": lambda: plain("float32", loss="binary_cross_entropy", y=lambda y: y > np.median(y)),
    "several labels": lambda: plain(
        "float64", loss="binary_cross_entropy", n_out=2, y=lambda y: np.stack([y > 40, y > 44], 1)),
    "a class that has not come": lambda: plain("float32", loss="cross_entropy", y=words, n_out=4),
    **{f"table {dtype}": lambda dtype=dtype: encoded(dtype) for dtype in DTYPES},
    **{f"table with bins {dtype}": lambda dtype=dtype: encoded(dtype, encoding=BINS) for dtype in DTYPES},
    "classes of a table": lambda: encoded("float32", encoding=BINS, loss="cross_entropy", y=words, n_out=3),
    "ensemble": lambda: several(plain, {"dtype": "float32"}, {"dtype": "float64", "log_target": True}),
    "mixture": lambda: several(
        plain, *({"dtype": dtype, "loss": "gaussian_nll", **OF_LOSS["gaussian_nll"]} for dtype in DTYPES)),
    "ensemble of tables": lambda: several(
        encoded, *({"dtype": "float32", "seed": seed, "encoding": BINS} for seed in range(3))),
    "ensemble of classes": lambda: several(
        encoded, *({"dtype": "float64", "seed": seed, "loss": "cross_entropy", "y": words, "n_out": 3}
                   for seed in range(2))),
}  # fmt: skip


@cache
def case(name):
    """A model, a table, and what is predicted of it: (n_rows, n_out), probabilities of classes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FastgdWarning)  # of what tells nothing, or is not in the fit
        model, X = CASES[name]()
        return model, X, wanted(model, X)


def wanted(model, X):
    has_classes = model.network.loss.task in ("classes", "labels")
    values = model.predict_proba(X) if has_classes else model.predict(X)
    return values.reshape(len(X), -1)


def apart(got, want):
    """The largest difference, beside the largest number of its column."""
    assert got.shape == want.shape
    return float((np.abs(got - want).max(axis=0) / np.abs(want).max(axis=0)).max())


def with_a_wrong_leak(monkeypatch):
    """The slope of leaky_relu is another one in what is exported next."""
    one = formulas.FORMULAS["leaky_relu"]
    wrong = one._replace(c=one.c.replace("0.01", "0.011"), numpy=one.numpy.replace("0.01", "0.011"))
    monkeypatch.setitem(formulas.FORMULAS, "leaky_relu", wrong)
    monkeypatch.setattr(formulas, "LEAK", 0.011)  # which ONNX asks for


def with_swapped_levels(monkeypatch):
    """Two levels of text have each other's weights in what is exported next."""

    def swapped(model):
        plan = plan_of(model)
        readings = list(plan.members[0].readings)
        table = readings[2].table.copy()
        table[[1, 2]] = table[[2, 1]]
        readings[2] = readings[2]._replace(table=table)
        return plan._replace(members=(plan.members[0]._replace(readings=tuple(readings)),))

    monkeypatch.setattr(export, "plan_of", swapped)


CONTROLS = [("leaky_relu float64", with_a_wrong_leak), ("table with bins float64", with_swapped_levels)]
