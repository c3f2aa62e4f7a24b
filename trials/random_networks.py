"""Random small networks: the compiled loops beside the plain engine in float64, each within its own rounding.

How far rounding may carry a training is measured, not guessed: the plain engine trains once more with all that goes in
(weights, scaling, inputs, targets, how much rows count) off by `OFF` roundings of the dtype in question, a few times
over. What the compiled loops end with must lie within `ROOM` times the farthest of these. A kink (of relu, of |e|, of a
clipped gradient) that one rounding crosses and a few others do not is looked for with more of them. What formulas
cancel inside (1 + tanh z for z far below 0, whose last digits Adam makes as large as any) does not show so: at last a
case may be `ROOM` times as many roundings off as the plain engine in float32 is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastgd
from fastgd.errors import FastgdError

from .trial import Outcome, Trial

Numbers = NDArray[np.float64]

OFF = 8  # roundings: of fewer most would come to nothing
ROOM = 16  # times what these do: a step rounds some dozen times on its way
HALF_ULP = {dtype: float(np.finfo(dtype).eps) / 2 for dtype in ("float64", "float32")}  # of 1: a rounding
FEW, MANY = 2, 48  # trainings from perturbed numbers: for each case, and where these are not enough
ACTIVATIONS = ("identity", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid")
RISING = ("relu", "leaky_relu", "elu", "softplus", "tanh", "sigmoid")
# Loss → how its targets come from a surface, and how many outputs there are for each column of it.
LOSSES: dict[Any, tuple[str, int]] = {
    "mse": ("numbers", 1),
    "mae": ("numbers", 1),
    fastgd.losses.Huber(0.7): ("numbers", 1),
    "log_cosh": ("numbers", 1),
    fastgd.losses.Quantile((0.1, 0.5, 0.9)): ("numbers", 3),
    "poisson": ("counts", 1),
    "binary_cross_entropy": ("labels", 1),
    "cross_entropy": ("classes", 0),
    "gaussian_nll": ("numbers", 2),
}


class Case(NamedTuple):
    """A training: what a model is made of, what it learns from, and how."""

    options: dict[str, Any]  # of fastgd.MLP
    X: Numbers  # (n_rows, n_in), which float32 holds as they are
    y: NDArray[Any]
    fit: dict[str, Any]  # of MLP.fit


class Result(NamedTuple):
    """What a training ended with, in numbers of about 1; `error` says which error it ended by."""

    parameters: Numbers
    losses: Numbers  # of each epoch
    predictions: Numbers
    error: str = ""

    def apart(self, other: Result) -> float:
        """How far two results are apart, in parts of what they are."""
        pairs = zip(self[:3], other[:3], strict=True)
        return max(float(np.abs(a - b).max(initial=0) / max(np.abs(a).max(initial=0), 1e-30)) for a, b in pairs)


def case_of(seed: int, number: int) -> Case:
    """The case with this number."""
    draw = np.random.default_rng([seed, number])
    loss = list(LOSSES)[draw.integers(len(LOSSES))]
    kind, per_target = LOSSES[loss]
    batch_size = int(draw.choice([1, 2, 7, 16, 32, 64, 128]))
    n_rows, n_in = int(draw.integers(2, min(90, 16 * batch_size + 2))), int(draw.integers(1, 8))
    n_targets = int(draw.choice([1, 1, 2, 3]))
    n_out = per_target * n_targets or int(draw.integers(2, 6))
    hidden = [int(draw.choice([1, 2, 3, 5, 8, 15, 16, 17, 33])) for _ in range(draw.integers(0, 4))]
    X = (draw.normal(size=(n_rows, n_in)) * 10.0 ** draw.uniform(-2, 2, n_in) + draw.normal(size=n_in)).astype("f4")
    options: dict[str, Any] = {
        "layer_sizes": [n_in, *hidden, n_out],
        "activation": [str(draw.choice(ACTIVATIONS)) for _ in hidden],
        "loss": loss,
        "dropout": [float(draw.choice([0, 0, 0.25, 0.5])) for _ in hidden],
        "standardize": bool(draw.random() < 0.85),
        "random_state": int(draw.integers(1000)),
    }
    if not options["standardize"]:
        X = np.ascontiguousarray(X / np.abs(X).max(axis=0)).astype("f4")
    kind_of_table = draw.choice(["dense", "dense", "dense", "monotone", "encoded"])
    if kind_of_table == "monotone" and per_target in (1, 3):
        options["monotone"] = {0: int(draw.choice([-1, 1]))}
        options["activation"] = [str(draw.choice(RISING)) for _ in hidden]
    elif kind_of_table == "encoded":
        options["encoding"] = fastgd.Encoding(bins=int(draw.integers(0, 5)))
    y = targets(draw, kind, X, n_targets, n_out)
    fit: dict[str, Any] = {
        "epochs": int(draw.integers(1, 4)),
        "batch_size": batch_size,
        "optimizer": optimizer_of(draw),
        "shuffle": bool(draw.random() < 0.8),
    }
    if draw.random() < 0.4:
        fit["sample_weight"] = (draw.integers(0, 9, n_rows) + (np.arange(n_rows) < 2)) / 4
    return Case(options, X.astype(np.float64), y, fit)


def targets(draw: np.random.Generator, kind: str, X: NDArray[Any], n_targets: int, n_out: int) -> Any:
    """Targets of this kind, which X says something about."""
    mixed = np.tanh((X - X.mean(axis=0)) / (X.std(axis=0) + 1e-3) @ draw.normal(size=(X.shape[1], n_targets)))
    noisy: Numbers = mixed + 0.3 * draw.normal(size=mixed.shape)
    if kind == "counts":
        return np.asarray(np.rint(np.exp(noisy)))
    if kind == "labels":
        labels: Numbers = (noisy > 0).astype(np.float64)
        labels[:2] = np.eye(2)[:, :1]  # both come
        return labels if n_targets > 1 else labels[:, 0]
    if kind == "classes":
        return np.concatenate([np.arange(n_out), draw.integers(0, n_out, len(X))])[: len(X)]
    scaled: Numbers = (100.0 ** draw.uniform(-1, 1) * noisy + draw.normal()).astype("f4").astype(np.float64)
    return scaled if n_targets > 1 else scaled[:, 0]


def optimizer_of(draw: np.random.Generator) -> Any:
    """An optimizer with options of all kinds."""
    kind = draw.choice(["SGD", "SGD", "Adagrad", "RMSprop", "Adam", "AdamW"])
    rate: Any = 10 ** draw.uniform(-4, -1.5)
    options: dict[str, Any] = {}
    if kind == "SGD" and draw.random() < 0.6:
        options["momentum"] = draw.uniform(0.1, 0.9)
        options["nesterov"] = bool(draw.random() < 0.5)
    if kind == "RMSprop" and draw.random() < 0.5:
        options["momentum"] = draw.uniform(0.1, 0.9)
    if kind != "SGD":
        options["epsilon"] = 10 ** draw.uniform(-6, -2)
    for name, low, high in (
        ("weight_decay", 0.01, 0.3), ("l1", 1e-3, 0.1), ("clip_norm", 0.1, 3), ("clip_value", 0.05, 1),
        ("ema_decay", 0.3, 0.99),
    ):  # fmt: skip
        if draw.random() < 0.3:
            options[name] = draw.uniform(low, high)
    options["decay_biases"] = bool(draw.random() < 0.3)
    schedules = fastgd.schedules
    rate = draw.choice(
        [rate, rate, schedules.Cosine(rate), schedules.WarmUp(rate, 5), schedules.InverseTime(rate, 7),
         schedules.OneCycle(rate), schedules.StepDecay(rate, 4, factor=0.5)],
    )  # fmt: skip
    return getattr(fastgd, kind)(rate, **options)


def result_of(case: Case, device: str, dtype: str, off_by: float = 0.0, draw: Any = None) -> Result:
    """Train; all that goes in is off by this part of what it is, or less."""

    def off(values: Any, size: Any = None) -> Any:
        values = np.asarray(values, np.float64)
        return values + off_by * (np.abs(values) if size is None else size) * draw.uniform(-1, 1, values.shape)

    X, y, fit = case.X, case.y, dict(case.fit)
    model = fastgd.MLP(**case.options, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y, epochs=0, verbose=0, device=device, sample_weight=fit.get("sample_weight"))
        if off_by:
            is_number, net = LOSSES[case.options["loss"]][0] == "numbers", model.net
            dense = slice(net.input_mean.size - len(net.lookups))  # positions, as classes, are exact
            scaling = (net.input_mean[dense], net.input_std[dense])
            for part in (model.parameters, *scaling, *((net.target_mean, net.target_std) if is_number else ())):
                part[:] = off(part)
            X = off(X, np.abs(X) + np.abs(X).mean(axis=0))
            y = off(y, np.abs(y) + np.abs(y).mean(axis=0)) if is_number else y
            fit["sample_weight"] = off(fit.get("sample_weight", np.ones(len(X))))
        try:
            history = model.fit(X, y, verbose=0, device=device, **fit)
            out = model.predict_proba(case.X) if model.classes is not None else model.predict(case.X)
        except FastgdError as error:
            return Result(np.zeros(0), np.zeros(0), np.zeros(0), type(error).__name__)
    parts: tuple[Any, ...] = (model.parameters, history.history["loss"], out)
    parameters, losses, predictions = (np.asarray(part, np.float64).ravel() for part in parts)
    return Result(parameters, losses, predictions)


def parts_of_room(case: Case, seed: int, number: int) -> dict[str, float]:
    """For each dtype how far the compiled loops are from the plain ones in float64, in parts of what is allowed."""
    truth, found = result_of(case, "plain", "float64"), {}
    for dtype, rounding in HALF_ULP.items():
        compiled = result_of(case, "cpu", dtype)
        if compiled.error or truth.error:
            found[dtype] = 0.0 if compiled.error == truth.error else float("inf")
            continue
        apart = truth.apart(compiled)
        for moved in movements(case, truth, rounding, np.random.default_rng([seed, number])):
            found[dtype] = apart / (ROOM * moved)
            if found[dtype] <= 1:
                break
    return found


def movements(case: Case, truth: Result, rounding: float, draw: np.random.Generator) -> Iterator[float]:
    """How far roundings of this size carry the plain engine: at first as far as they are, then by trial."""
    moved, done = rounding, 0
    yield moved
    for tries in (FEW, MANY):
        for _ in range(done, tries):
            other = result_of(case, "plain", "float64", OFF * rounding, draw)
            moved = moved if other.error else max(moved, truth.apart(other))
        done = tries
        yield moved
    narrow = result_of(case, "plain", "float32")
    if not narrow.error:
        yield max(moved, truth.apart(narrow) / HALF_ULP["float32"] * rounding)


def try_random_networks(cases: int, seed: int) -> Outcome:
    """Random networks, optimizers, losses and tables."""
    failures, parts = [], []
    for number in range(cases):
        case = case_of(seed, number)
        found = parts_of_room(case, seed, number)
        parts.append([found[dtype] for dtype in HALF_ULP])
        failures += [
            f"seed {seed}, case {number}, {dtype}: {part:.3g} times as far from the plain engine as allowed "
            f"({case.options}, {case.fit['optimizer']})"
            for dtype, part in found.items()
            if not part <= 1
        ]
    return Outcome(cases, failures, figure_of(np.array(parts)))


def figure_of(parts: Numbers) -> str:
    """What was found in cases (n, 2), a column for each dtype, in words."""
    middle, most, worst = np.quantile(parts, [0.5, 0.99, 1], axis=0)
    each = (
        f"{dtype} {middle[i]:.2f} (median), {most[i]:.2f} (99 %), {worst[i]:.2f} (worst)"
        for i, dtype in enumerate(HALF_ULP)
    )
    return f"distance from float64 plain, in parts of what is allowed: {'; '.join(each)}"


TRIALS = (
    Trial(
        "random-networks",
        "Any small network ends its training where the plain engine in float64 does, but for rounding.",
        "tests/test_random_networks.py::test_random_networks_train_as_the_plain_engine_does",
        10_000,
        try_random_networks,
    ),
)
