"""Good arguments for everything public, and what is done with what comes of it.

A new public name needs a line in RECIPES, such as `"MLP.predict": lambda: {"self": sample("fitted"), "X": table()}`:
arguments that it leaves out have their defaults. What is not meant for users' values has a reason in EXEMPT.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

import fastgd
from fastgd.training.optimizers import Optimizer
from fastgd.training.schedules import Schedule

from .public_names import Public
from .samples import NAMES, classes, groups, sample, table, targets, weights

Arguments = dict[str, Any]


def _rows(**more: Any) -> Arguments:
    return {"X": table(), "y": targets(), "sample_weight": weights(), **more}


def _of(what: str, **arguments: Any) -> Arguments:
    return {"self": sample(what), **arguments}


def _new(**options: Any) -> fastgd.MLP:
    return fastgd.MLP([4, 3, 1], feature_names=NAMES, **options)


def _file(name: str) -> str:
    return str(Path(mkdtemp(prefix="fastgd-trial-")) / name)


def _net(what: str, **arrays: Any) -> Arguments:
    return {"net": sample(what).compiled(), **arrays}


def _single() -> Any:
    return table().astype(np.float32)


def _stream() -> Arguments:
    return {"self": fastgd.Stream(table(), targets())}


def _state() -> dict[str, Any]:
    ones = {"0.weight": np.ones((3, 4)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3)), "2.bias": np.zeros(1)}
    return {"source": ones}


def _candidates() -> Arguments:
    space = {"layer_sizes": [[4, 3, 1], [4, 2, 1]], "optimizer": [fastgd.SGD()]}
    return {
        "space": space, "X": table(), "y": targets(), "n_candidates": 2, "cv": 2, "groups": groups(), "epochs": 1,
        "n_threads": 1, "verbose": 0,
    }  # fmt: skip


def _estimator() -> Arguments:
    """Options of a small training; n_networks stays 1."""
    return {"hidden_layer_sizes": (3,), "epochs": 2, "random_state": 0}


RECIPES: Mapping[str, Callable[[], Arguments]] = {
    "MLP": lambda: {"layer_sizes": [4, 3, 1]},
    "MLP.fit": lambda: {"self": _new(), **_rows(epochs=2, verbose=0, n_threads=1)},
    "MLP.partial_fit": lambda: {"self": _new(), **_rows(n_threads=1)},
    "MLP.predict": lambda: _of("fitted", X=table()),
    "MLP.predict_proba": lambda: _of("classifier", X=table()),
    "MLP.evaluate": lambda: _of("fitted", **_rows()),
    "MLP.gradient": lambda: _of("fitted", **_rows()),
    "MLP.health": lambda: _of("fitted", X=table(), y=targets()),
    "MLP.blame": lambda: _of("fitted", **_rows()),
    "MLP.nudge": lambda: _of("fitted", **_rows()),
    "MLP.step": lambda: _of("fitted", **_rows()),
    "MLP.find_learning_rate": lambda: _of("fitted", **_rows(epochs=1, lowest=1e-3, highest=0.1, most_steps=20)),
    "MLP.save": lambda: _of("fitted", path=_file("a.safetensors")),
    "MLP.export": lambda: _of("fitted", path=_file("a.py")),
    "MLP.set_parameters": lambda: _of("fitted", pairs=sample("fitted").get_parameters()),
    "MLP.parameters =": lambda: _of("fitted", values=np.arange(19.0)),
    "MLP.classes =": lambda: _of("classifier", labels=np.array([0.0, 1.0])),
    "MLP.device =": lambda: _of("fitted", name="cpu"),
    "MLP.feature_names =": lambda: _of("fitted", names=NAMES),
    "MLP.target_names =": lambda: _of("fitted", names=["price"]),
    "Ensemble": lambda: {"models": list(sample("ensemble").members), "weights": np.array([1.0, 2.0])},
    "Ensemble.blame": lambda: _of("ensemble", **_rows()),
    "Ensemble.calibrate": lambda: _of("ensemble", X=table(), y=targets(), groups=groups()),
    "Ensemble.evaluate": lambda: _of("ensemble", **_rows()),
    "Ensemble.export": lambda: {"self": fastgd.Ensemble([sample("fitted")]), "path": _file("a.h")},
    "Ensemble.predict": lambda: _of("ensemble", X=table()),
    "Ensemble.predict_interval": lambda: _of("ensemble", X=table(), coverage=0.5),
    "Ensemble.predict_proba": lambda: {"self": fastgd.Ensemble([sample("classifier")]), "X": table()},
    "Ensemble.save": lambda: _of("ensemble", path=_file("a.safetensors")),
    "Encoding": dict,
    "SGD": lambda: {"momentum": 0.5},
    "Adagrad": dict,
    "RMSprop": dict,
    "Adam": dict,
    "AdamW": dict,
    "Stream": lambda: {"source": table(), "y": targets(), "sample_weight": weights()},
    "Stream.buffered": lambda: {**_stream(), "buffer_rows": 32},
    "Stream.changed": lambda: {**_stream(), "change": lambda batch: batch},
    "Stream.share": lambda: {**_stream(), "rank": 0, "size": 2},
    "Stream.split": lambda: {**_stream(), "share": 0.5},
    "MLPRegressor": _estimator,
    "MLPRegressor.partial_fit": lambda: _of("regressor", **_rows()),
    "MLPRegressor.predict": lambda: _of("regressor", X=table()),
    "MLPRegressor.calibrate": lambda: _of("regressor", X=table(), y=targets(), groups=groups()),
    "MLPRegressor.predict_interval": lambda: {
        "self": sample("regressor").calibrate(table(), targets()), "X": table(), "coverage": 0.5,
    },
    "MLPClassifier": _estimator,
    "MLPClassifier.decision_function": lambda: _of("mlp classifier", X=table()),
    "MLPClassifier.fit": lambda: _of(
        "mlp classifier", X=table(), y=classes(), sample_weight=weights(), groups=groups()
    ),
    "MLPClassifier.partial_fit": lambda: _of("mlp classifier", X=table(), y=classes(), sample_weight=weights()),
    "MLPClassifier.predict": lambda: _of("mlp classifier", X=table()),
    "MLPClassifier.predict_log_proba": lambda: _of("mlp classifier", X=table()),
    "MLPClassifier.predict_proba": lambda: _of("mlp classifier", X=table()),
    "callbacks.Checkpoint": lambda: {"path": _file("c.safetensors"), "seconds": 1.0, "resume": False},
    "callbacks.EarlyStopping": dict,
    "callbacks.Recorder": dict,
    "datasets.expected_price": lambda: {"X": table()},
    "datasets.houses": lambda: {"n": 20},
    "datasets.irreducible_error": lambda: {"X": table()},
    "explain.Table.sorted_by": lambda: _of("table", name="weight"),
    "explain.blame": lambda: {"model": sample("fitted"), **_rows()},
    "explain.learning_rates": lambda: {
        "model": sample("fitted"), "X": table(), "y": targets(), "rates": np.array([1.0, 2.0]) / 64, "steps": 4,
    },
    "explain.nudge": lambda: {"model": sample("fitted"), **_rows()},
    "explain.step": lambda: {"model": sample("fitted"), **_rows()},
    "features.partial_dependence": lambda: {"model": sample("fitted"), "X": table(), "feature": "size", "grid": 5},
    "features.permutation_importance": lambda: {"model": sample("fitted"), **_rows(repeats=2)},
    "fit_many": lambda: {
        "specs": [{"layer_sizes": [4, 3, 1], "epochs": 1}, {"layer_sizes": [4, 2, 1], "epochs": 1}],
        "X": table(), "y": targets(), "n_threads": 1, "verbose": 0,
    },
    "from_sklearn": lambda: {"estimator": sample("sklearn")},
    "from_torch": _state,
    "load": lambda: {"path": sample("saved")},
    "losses.Huber": dict,
    "losses.Quantile": dict,
    "plots.confusion_matrix": lambda: {"model": sample("classifier"), "X": table(), "y": classes()},
    "plots.importance": lambda: {"table": sample("importance")},
    "plots.learning_rate_search": lambda: {"search": sample("rates")},
    "plots.learning_rates": lambda: {"regimes": sample("regimes")},
    "plots.loss": lambda: {"history": sample("history")},
    "plots.loss_surface": lambda: {
        "model": sample("fitted"), "X": table(), "y": targets(), "recorder": sample("recorder"), "points": 5,
    },
    "plots.nudges": lambda: {"recorder": sample("recorder")},
    "plots.partial_dependence": lambda: {"curve": sample("curve")},
    "plots.predicted_against_actual": lambda: {"model": sample("fitted"), "X": table(), "y": targets()},
    "plots.reliability": lambda: {"model": sample("classifier"), "X": table(), "y": classes()},
    "plots.residuals": lambda: {"model": sample("fitted"), "X": table(), "y": targets()},
    "plots.search": lambda: {"result": sample("searched")},
    "plots.weights": lambda: {"recorder": sample("recorder")},
    "predict_row": lambda: _net("fitted", x=_single()[0], out=np.zeros(1, np.float32)),
    "predict_rows": lambda: _net("fitted", X=_single(), out=np.zeros((24, 1), np.float32)),
    "train_batch": lambda: _net("fitted", X=_single(), y=targets().astype(np.float32), learning_rate=0.01),
    "schedules.Constant": lambda: {"learning_rate": 0.01},
    "schedules.Cosine": lambda: {"learning_rate": 0.01},
    "schedules.CosineRestarts": lambda: {"learning_rate": 0.01, "period": 3},
    "schedules.Exponential": lambda: {"learning_rate": 0.01, "every": 3},
    "schedules.Function": lambda: {"function": lambda step: 0.01},
    "schedules.InverseTime": lambda: {"learning_rate": 0.01, "every": 3},
    "schedules.OneCycle": lambda: {"learning_rate": 0.01},
    "schedules.ReduceOnPlateau": lambda: {"learning_rate": 0.01, "monitor": "loss"},
    "schedules.StepDecay": lambda: {"learning_rate": 0.01, "every": 3},
    "schedules.WarmUp": lambda: {"schedule": 0.01, "steps": 3},
    "search": _candidates,
    "space.Choice": lambda: {"values": [1, 2]},
    "space.Integer": lambda: {"low": 1, "high": 5},
    "space.LogUniform": lambda: {"low": 1, "high": 5},
    "space.Uniform": lambda: {"low": 1, "high": 5},
}  # fmt: skip

_KERNELS = "kernels are made ready with it, of what the package has checked"
_TOLD = "the training tells it; users override it"
_RECORD = "a record that the package makes and users read"
EXEMPT: Mapping[str, str] = {
    "*.new_state": _KERNELS,
    "losses.*.constants": _KERNELS,
    "losses.*.largest_unit": _KERNELS,
    "losses.*.record": _KERNELS,
    "losses.*.n_targets": _KERNELS,
    "schedules.*.rates": "the training asks for the rates of steps that it counts",
    "space.*.draw": "the search draws, with a generator of its own",
    "Encoding.bins_for": _KERNELS,
    "Encoding.least_rows_for": _KERNELS,
    "callbacks.*.on_*": _TOLD,
    "callbacks.Checkpoint.save": _TOLD,
    "callbacks.EarlyStopping.seen*": _TOLD,
    "History": _RECORD,
    "History.*": _TOLD,
    "callbacks.Recorded": _RECORD,
    "callbacks.Spread": _RECORD,
    "explain.Regime": _RECORD,
    "explain.Table": _RECORD,
    "features.Importance": _RECORD,
    "features.PartialDependence": _RECORD,
}

# Arguments that kernels write to.
WRITTEN = {"out"}

# Numbers that ask for so much time or memory: large ones are not wrong, and would be done.
AMOUNTS = {
    "epochs", "most_steps", "steps", "repeats", "grid", "points", "n", "n_candidates", "bins", "layer_sizes",
    "hidden_layer_sizes", "n_networks", "time_budget", "n_threads", "cv", "buffer_rows", "most",
}  # fmt: skip


def reason(name: str) -> str | None:
    """Why a public name needs no recipe."""
    return next((why for pattern, why in EXEMPT.items() if fnmatch.fnmatchcase(name, pattern)), None)


def without_recipe(names: Iterator[Public]) -> list[str]:
    """A sentence for each public name that is not tried."""
    return [
        f"{found.name} has no good arguments: add them to RECIPES in trials/recipes.py, or a reason to EXEMPT."
        for found in names
        if found.name not in RECIPES and reason(found.name) is None
    ]


def called(public: Public, arguments: Arguments) -> Any:
    """Call it with these arguments, and use what comes of it, so that a wrong option is met at the latest there."""
    first = [arguments.pop("self")] if "self" in arguments else []
    if public.name.endswith(" ="):
        public.function(*first, *arguments.values())
        return first[0]
    return used(public.function(*first, **arguments))


def used(value: Any) -> Any:
    """What an object is for, done."""
    X, y = table(), targets()
    if isinstance(value, Optimizer):
        model = _new()
        return model, model.fit(X, y, epochs=2, optimizer=value, verbose=0, n_threads=1)
    if isinstance(value, Schedule):
        return used(fastgd.SGD(learning_rate=value))
    if isinstance(value, fastgd.losses.Loss):
        model = fastgd.MLP([4, len(getattr(value, "levels", [0.5]))], loss=value)
        return model, model.fit(X, y, epochs=2, verbose=0, n_threads=1)
    if isinstance(value, fastgd.callbacks.Callback):
        model = _new()
        return model, model.fit(X, y, epochs=3, callbacks=[value], validation_split=0.3, verbose=0, n_threads=1)
    if isinstance(value, fastgd.Encoding):
        return used(fastgd.MLP([4, 2, 1], encoding=value))
    if isinstance(value, fastgd.Stream):
        model = _new()
        return model, model.fit(value, epochs=2, verbose=0, n_threads=1)
    if type(value) is fastgd.MLP and value.fit_state is None and value.network.n_in == len(NAMES):
        return value, value.predict(X), _learned(value)
    if type(value).__name__ in ("MLPRegressor", "MLPClassifier") and not hasattr(value, "model_"):
        return value.fit(X, classes() if type(value).__name__ == "MLPClassifier" else y)
    if hasattr(value, "draw") and not hasattr(value, "figure"):
        drawn = value.draw(np.random.default_rng(0))
        return None if isinstance(value, fastgd.space.Choice) else drawn  # its values are the user's own
    return value


def _learned(model: fastgd.MLP) -> Any:
    y = classes() if model.network.loss.task in ("classes", "labels") else targets()
    return model.fit(table(), y, epochs=2, verbose=0, n_threads=1)
