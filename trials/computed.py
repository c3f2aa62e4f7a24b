"""What is computed to compare bits: one hash for each item, of numbers that depend on nothing but the sources.

    python -m trials.computed                  every item, as JSON
    python -m trials.computed --part engine    one part: "small", "engine" or "around"

It needs no more than the package itself does, so that any environment in which that is installed can run it. The tables
are made of whole numbers and fractions of powers of two: no library's logarithm or normal numbers come in, except in
the items about these.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np

import fastgd
from fastgd.kernels import cpu, portable
from fastgd.kernels.records import read_only
from fastgd.network.activations import ACTIVATIONS
from fastgd.network.initializers import INITIALIZERS
from fastgd.network.losses import LOSSES
from tests.golden import make_hashes

N_ROWS = 500
Item = Callable[[], Any]
LISTED: dict[str, Any] = {"quantile": fastgd.losses.Quantile((0.1, 0.5, 0.9))}
OPTIMIZERS: dict[str, Any] = {
    "SGD": fastgd.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adagrad": fastgd.Adagrad(0.02, l1=0.001),
    "RMSprop": fastgd.RMSprop(0.002, momentum=0.5, clip_value=0.1),
    "Adam": fastgd.Adam(0.01, clip_norm=0.5, ema_decay=0.9),
    "AdamW": fastgd.AdamW(learning_rate=0.01, weight_decay=0.1, decay_biases=True),
}
SCHEDULES = {
    "StepDecay": fastgd.schedules.StepDecay(0.02, 7, factor=0.7),
    "Exponential": fastgd.schedules.Exponential(0.02, 9, factor=0.6),
    "InverseTime": fastgd.schedules.InverseTime(0.02, 11),
    "Cosine": fastgd.schedules.Cosine(0.02),
    "CosineRestarts": fastgd.schedules.CosineRestarts(0.02, 5, multiply=1.5),
    "OneCycle": fastgd.schedules.OneCycle(0.02),
    "WarmUp": fastgd.schedules.WarmUp(fastgd.schedules.Cosine(0.02), 9),
}


def table(n_out: int = 1) -> tuple[Any, Any, Any]:
    """Inputs (500, 4), a target (500, n_out) and weights, each an exact multiple of a power of two."""
    generator = np.random.default_rng(5)
    X = (generator.integers(-512, 512, (N_ROWS, 4)) / 128).astype(np.float32)
    mix = generator.integers(-16, 16, (4, n_out)) / 16
    y = X @ mix.astype(np.float32) + np.abs(X[:, :1]) + (generator.integers(-64, 64, (N_ROWS, n_out)) / 128)
    return X, y.astype(np.float32), generator.integers(1, 9, N_ROWS) / 4


def for_task(model: Any, y: Any) -> Any:
    """The target as the model's loss wants it."""
    task = model.network.loss.task
    if task == "classes":
        return np.digitize(y[:, 0], [-1.0, 1.0])
    if task == "labels":
        return (y > 0).astype(np.int64)
    return np.floor(np.abs(y)) if task == "counts" else y


def trained(sizes: list[int], fit: dict[str, Any] | None = None, **options: Any) -> tuple[Any, Any, Any, Any]:
    """A model after three epochs, its history, and the table it has learned from."""
    model = fastgd.MLP(sizes, **{"activation": "tanh", "random_state": 3, **options})
    X, y, weights = table(model.network.n_targets if model.network.loss.task != "classes" else 1)
    y = for_task(model, y)
    history = model.fit(X, y, sample_weight=weights, **{"epochs": 3, "batch_size": 48, "verbose": 0, **(fit or {})})
    return model, history, X, y


def training(sizes: list[int], fit: dict[str, Any] | None = None, **options: Any) -> Any:
    """All that a training leaves: parameters, scaling, history, predictions, measures and a gradient."""
    model, history, X, y = trained(sizes, fit, **options)
    scaling = [getattr(model.net, name) for name in ("input_mean", "input_std", "target_mean", "target_std")]
    return (
        model.parameters, scaling, history.history, model.predict(X), model.predict(X[7:8]), measures(model, X, y),
        measures(model, X, y, sample_weight=np.linspace(0, 1, len(X))),
        model.gradient(X, y),
    )  # fmt: skip


def measures(model: Any, *rows: Any, **options: Any) -> dict[str, float]:
    """What `evaluate` tells, but the loss, for which NumPy takes exponentials: docs/reproducibility.md says so."""
    return {name: value for name, value in model.evaluate(*rows, **options).items() if name != "loss"}


def streamed() -> Any:
    """A stream that does not fit into its buffer, and pieces of it taken one by one."""
    X, y, weights = table()
    pieces = [tuple(part[first : first + 60] for part in (X, y, weights)) for first in range(0, N_ROWS, 60)]
    model = fastgd.MLP([4, 16, 1], random_state=3)
    history = model.fit(pieces, epochs=2, buffer_rows=150, verbose=0)
    other = fastgd.MLP([4, 16, 1], random_state=3)
    for piece in pieces:
        other.partial_fit(piece[0], piece[1], sample_weight=piece[2])
    return model.parameters, history.history, measures(model, pieces), other.parameters


def encoded(bins: int | str) -> Any:
    """A table of numbers with gaps, and text, and what has been learned of how to encode it."""
    X, y, _ = table()
    rows = [[*map(float, row[:2]), "abcde"[int(4 * abs(row[2])) % 5], float(row[3])] for row in X]
    for number in range(0, N_ROWS, 7):
        rows[number][1] = None
    model = fastgd.MLP([4, 16, 1], random_state=3, encoding=fastgd.Encoding(bins=bins), feature_names=list("pqrs"))
    model.fit(rows, y, epochs=2, verbose=0)
    encoder = model.schema.encoder
    assert encoder
    return model.parameters, encoder.record, encoder.bins(np.dtype(np.float64)), model.predict(rows)


def logarithms(dtype: str) -> Any:
    """A network that learns the logarithm of its target, clipped."""
    X, y, _ = table()
    y = np.abs(y) + 1
    model = fastgd.MLP([4, 16, 1], random_state=3, dtype=dtype, log_target=True, clip_predictions=True)
    model.fit(X, y, epochs=3, validation_split=0.2, verbose=0)
    return model.parameters, model.predict(X), model.predict(X[7:8]), measures(model, X, y)


def explained() -> Any:
    """What is told of a network: whose fault, next steps, health, importance, dependence, a learning rate."""
    model, _, X, y = trained([4, 16, 1])
    y = y[:, 0]
    found = [model.blame(X, y, layer="all", biases=True), model.nudge(X, y, layer="all", optimizer=fastgd.Adam(0.01))]
    importance = fastgd.features.permutation_importance(model, X, y, random_state=1)
    dependence = fastgd.features.partial_dependence(model, X, 0)
    search = model.find_learning_rate(X, y, epochs=2)
    told = [vars(importance), vars(dependence), vars(search), str(model.health(X, y))]
    return [{name: one[name] for name in one.columns} for one in found], told


def several(loss: Any, n_out: int) -> Any:
    """Networks trained side by side, and the mean of them, with intervals where they predict numbers."""
    X, y, _ = table()
    specs = [{"layer_sizes": [4, 8, n_out], "loss": loss, "random_state": number} for number in range(3)]
    of_task = for_task(fastgd.MLP(**specs[0]), y)
    models: list[Any] = [one.model for one in fastgd.fit_many(specs, X[:400], of_task[:400], epochs=2, verbose=0)]
    whole = fastgd.Ensemble(models)
    found = [whole.predict(X), measures(whole, X, of_task), [model.parameters for model in models]]
    if models[0].network.loss.task in ("classes", "labels"):
        return [*found, whole.predict_proba(X)]
    if models[0].network.loss.task == "numbers":
        whole.calibrate(X[400:], of_task[400:])
        found.append(whole.predict_interval(X[:50], coverage=0.8))
    return found


def kept() -> Any:
    """The bytes of a file, and a training that goes on from it."""
    model, _, X, y = trained([4, 16, 1], {"optimizer": fastgd.AdamW(0.01, ema_decay=0.9)})
    again: Any = None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path, training_state=True)
        content, again = path.read_bytes(), fastgd.load(path)
    again.fit(X, y, epochs=1, verbose=0)
    return content, again.parameters


def initial(name: str) -> Any:
    """Starting weights, of both dtypes."""
    return [fastgd.MLP([6, 9, 4, 2], initializer=name, dtype=dtype, random_state=3).parameters for dtype in REALS]


REALS = ("float32", "float64")


def of_engine() -> Iterator[tuple[str, Item]]:
    """Trainings with every activation, loss, optimizer and schedule, for one and two threads, of both dtypes."""
    for case in make_hashes.CASES:
        yield f"golden, {case}", partial(make_hashes.trained, case)
    for dtype in REALS:
        for name in ACTIVATIONS:
            yield f"activation {name}, {dtype}", partial(training, [4, 17, 5, 1], activation=name, dtype=dtype)
        for name in LOSSES:
            n_out = {"quantile": 3, "cross_entropy": 3, "binary_cross_entropy": 1}.get(name, 2)
            chosen = LISTED.get(name, name)
            yield f"loss {name}, {dtype}", partial(training, [4, 17, n_out], loss=chosen, dtype=dtype)
        for name, optimizer in OPTIMIZERS.items():
            yield f"optimizer {name}, {dtype}", partial(training, [4, 20, 1], {"optimizer": optimizer}, dtype=dtype)
        for name, schedule in SCHEDULES.items():
            steps: dict[str, Any] = {"optimizer": fastgd.SGD(schedule)}
            yield f"schedule {name}, {dtype}", partial(training, [4, 12, 1], steps, dtype=dtype)
        for n_threads in (1, 2):
            said = f"{n_threads} thread{'s' * (n_threads > 1)}, {dtype}"
            fit: dict[str, Any] = {"n_threads": n_threads, "batch_size": 400, "optimizer": OPTIMIZERS["Adam"]}
            yield f"shards, {said}", partial(training, [4, 33, 5, 1], fit, dtype=dtype)
            fit = {"n_threads": n_threads, "batch_size": 64}
            yield f"columns, {said}", partial(training, [4, 96, 130, 3], fit, activation=["gelu", "silu"], dtype=dtype)
        fit = {"optimizer": OPTIMIZERS["Adam"], "validation_split": 0.2}
        yield f"dropout and average, {dtype}", partial(training, [4, 40, 1], fit, dropout=0.25, dtype=dtype)


def of_all_around() -> Iterator[tuple[str, Item]]:
    """What NumPy computes around the engine: tables, starting weights, measures, explanations, files."""
    yield "houses", partial(fastgd.datasets.houses, 2000, random_state=0)
    for name in sorted(INITIALIZERS.keys() - {"orthogonal"}):  # which LAPACK factorises, see docs/reproducibility.md
        yield f"initializer {name}", partial(initial, name)
    yield "streams and pieces", streamed
    for bins in (0, 12):
        yield f"encoding with {bins} bins", partial(encoded, bins)
    for dtype in REALS:
        yield f"logarithm of the target, {dtype}", partial(logarithms, dtype)
    yield "explanations", explained
    for loss, n_out in (("mse", 1), ("poisson", 1), ("cross_entropy", 3), ("gaussian_nll", 2)):
        yield f"several networks, {loss}", partial(several, loss, n_out)
    yield "a file", kept


def products() -> Any:
    """Products of all small sizes, each with what lies behind it in memory, where nothing may be written."""
    engine: Any = cpu
    X, found = table(17)[1], []
    for n_rows in range(1, 28):
        for n_columns in (2, 3, 11, 17):
            memory = np.full(n_rows * n_columns + 4 * 17, -7, np.float32)
            C = memory[: n_rows * n_columns].reshape(n_rows, n_columns)
            engine.add_product(C, read_only(X[:n_rows, :9].copy()), read_only(X[30:39, :n_columns].copy()))
            found.append(memory)
    return found


def functions() -> Any:
    """What Python computes around the kernels."""
    x = np.linspace(0, 1, 999)
    return [portable.exp(x), portable.log(x), portable.power(0.7, 99 * x), portable.cos_pi(x)]


def of_both() -> Iterator[tuple[str, Item]]:
    """What a test has time for, where nothing is compiled yet."""
    yield "products", products
    yield "functions", functions


PARTS = {"small": of_both, "engine": of_engine, "around": of_all_around}


def taken_apart(value: Any) -> Iterator[bytes]:
    """All numbers and texts in a value, as bytes."""
    if isinstance(value, dict):
        for name in value:
            yield str(name).encode()
            yield from taken_apart(value[name])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from taken_apart(one)
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, np.ndarray) and value.dtype.kind not in "OU":
        yield f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    elif isinstance(value, float | np.floating):
        yield float(value).hex().encode()
    else:
        yield str(value.tolist() if isinstance(value, np.ndarray) else value).encode()


def hash_of(value: Any) -> str:
    """The first 16 digits of the hash of all bits of a value."""
    return hashlib.sha256(b"\0".join(taken_apart(value))).hexdigest()[:16]


def hashes(parts: list[str]) -> dict[str, str]:
    """The hash of each item of these parts."""
    return {name: hash_of(item()) for part in parts for name, item in PARTS[part]()}


def versions() -> str:
    """Of what a process computes with."""
    return f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {numba.__version__}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m trials.computed")
    parser.add_argument("--part", action="append", choices=PARTS, help="which part; by default engine and around")
    warnings.simplefilter("ignore")  # of trainings as short as these
    found = {"versions": versions(), "hashes": hashes(parser.parse_args().part or ["engine", "around"])}
    json.dump(found, sys.stdout, indent=1)
