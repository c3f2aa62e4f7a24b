"""Good arguments, small: a table, its targets, and what is made of them once and copied for each case."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastgd

NAMES = ("size", "rooms", "distance", "age")
ROWS = 24


def table() -> NDArray[Any]:
    """X, (24, 4): whole numbers from 1 to 60, which every dtype holds."""
    return np.random.default_rng(0).integers(1, 60, (ROWS, len(NAMES))).astype(np.float64)


def targets() -> NDArray[Any]:
    """y, (24,): whole numbers above 0, likewise."""
    X = table()
    return np.floor(X[:, 0] + X[:, 1] / 2 + 3)


def weights() -> NDArray[Any]:
    """How much each row counts, (24,): 1 or 2."""
    return np.arange(ROWS) % 2 + 1.0


def classes() -> NDArray[Any]:
    """The class of each row, (24,): 0 or 1."""
    return (table()[:, 0] > 30) * 1.0


def groups() -> NDArray[Any]:
    """The group of each row, (24,): 0 to 21."""
    return np.arange(ROWS) % 22 * 1.0


@functools.cache
def _made(what: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: Callable[[], Any] = _MAKERS[what]
        return made()


def sample(what: str) -> Any:
    """A copy of something that is made once, such as a fitted model."""
    return copy.deepcopy(_made(what))


def _fitted() -> fastgd.MLP:
    model = fastgd.MLP([4, 3, 1], feature_names=NAMES)
    model.fit(table(), targets(), epochs=3, verbose=0)
    return model


def _classifier() -> fastgd.MLP:
    model = fastgd.MLP([4, 3, 2], loss="cross_entropy", feature_names=NAMES)
    model.fit(table(), classes(), epochs=3, verbose=0)
    return model


def _encoded() -> fastgd.MLP:
    model = fastgd.MLP([4, 3, 1], encoding="auto", feature_names=NAMES)
    model.fit(table(), targets(), epochs=3, verbose=0)
    return model


def _ensemble() -> fastgd.Ensemble:
    return fastgd.Ensemble([_fitted(), _fitted()]).calibrate(table(), targets())


def _recorder() -> fastgd.callbacks.Recorder:
    recorder = fastgd.callbacks.Recorder()
    fastgd.MLP([4, 3, 1]).fit(table(), targets(), epochs=3, callbacks=[recorder], verbose=0)
    recorder.model = None  # a copy of it would be another model's
    return recorder


def _history() -> fastgd.History:
    return fastgd.MLP([4, 3, 1]).fit(table(), targets(), epochs=3, verbose=0)


def _saved() -> str:
    path = Path(mkdtemp(prefix="fastgd-trial-")) / "model.safetensors"
    _fitted().save(path)
    return str(path)


def _searched() -> Any:
    space = {"layer_sizes": [[4, 3, 1], [4, 2, 1]]}
    return fastgd.search(space, table(), targets(), n_candidates=2, cv=2, epochs=1, n_threads=1, verbose=0)


def _rates() -> Any:
    return _fitted().find_learning_rate(table(), targets(), epochs=1, lowest=1e-3, highest=0.1, most_steps=20)


def _sklearn() -> Any:
    from sklearn.neural_network import MLPRegressor

    return MLPRegressor(hidden_layer_sizes=[3], learning_rate_init=0.01, random_state=0).partial_fit(table(), targets())


_MAKERS = {
    "fitted": _fitted,
    "classifier": _classifier,
    "encoded": _encoded,
    "ensemble": _ensemble,
    "recorder": _recorder,
    "history": _history,
    "saved": _saved,
    "searched": _searched,
    "rates": _rates,
    "sklearn": _sklearn,
    "regressor": lambda: fastgd.MLPRegressor(hidden_layer_sizes=(3,), epochs=2, random_state=0).fit(table(), targets()),
    "mlp classifier": lambda: fastgd.MLPClassifier(hidden_layer_sizes=(3,), epochs=2, random_state=0).fit(
        table(), classes()
    ),
    "importance": lambda: fastgd.features.permutation_importance(_fitted(), table(), targets()),
    "curve": lambda: fastgd.features.partial_dependence(_fitted(), table(), "size"),
    "regimes": lambda: fastgd.explain.learning_rates(_fitted(), table(), targets(), [0.01, 0.1], steps=4),
    "table": lambda: _fitted().blame(table(), targets()),
}
