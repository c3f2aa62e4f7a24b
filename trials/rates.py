"""Learning rates over twelve decades: what goes wrong is said, and what is said is so.

Whether a network has died is found out here from its parameters alone, by a forward pass of NumPy in float64.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastgd
from fastgd.errors import DeadNetworkWarning, DivergenceError, DivergenceWarning, FastgdError

from .trial import Outcome, Trial

Numbers = NDArray[Any]

# A network is dead for certain if its outputs differ by less than the first, and lives for certain if by more than the
# second, in parts of what targets differ by; between them both may be said.
SAME, OTHER = 1e-7, 1e-3
BLOWN_UP = 100.0  # times the loss at the start and that of zeros: nobody needs to ask whether that must be told
RATES = [10.0**decade for decade in range(-9, 4)]
OPTIMIZERS: dict[str, Callable[[float], Any]] = {
    "SGD": fastgd.SGD,
    "momentum": lambda rate: fastgd.SGD(rate, momentum=0.9),
    "nesterov": lambda rate: fastgd.SGD(rate, momentum=0.9, nesterov=True, ema_decay=0.9),
    "Adagrad": fastgd.Adagrad,
    "RMSprop": fastgd.RMSprop,
    "RMSprop, momentum": lambda rate: fastgd.RMSprop(rate, momentum=0.9),
    "Adam": fastgd.Adam,
    "AdamW": lambda rate: fastgd.AdamW(rate, clip_norm=1.0, ema_decay=0.9),
}
LOSSES: dict[str, tuple[str, int]] = {  # kind of target, outputs
    "mse": ("numbers", 1), "mae": ("numbers", 1), "huber": ("numbers", 1), "log_cosh": ("numbers", 1),
    "quantile": ("numbers", 1), "poisson": ("counts", 1), "binary_cross_entropy": ("labels", 1),
    "cross_entropy": ("classes", 3), "gaussian_nll": ("numbers", 2),
}  # fmt: skip
DEPTHS = (0, 1, 2, 4)  # hidden layers
ACTIVATIONS: dict[str, Callable[[Numbers], Numbers]] = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: np.exp(-np.logaddexp(0, -z)),
    "leaky_relu": lambda z: np.where(z < 0, 0.01 * z, z),
    "elu": lambda z: np.where(z < 0, np.expm1(np.minimum(z, 0)), z),
    "silu": lambda z: z * np.exp(-np.logaddexp(0, -z)),
    "softplus": lambda z: np.logaddexp(0, z),
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
}
FACES = ("fit", "fit", "fit", "plain", "stream", "partial_fit", "fit_many", "estimator")
COMBINATIONS = list(itertools.product(RATES, OPTIMIZERS, LOSSES, DEPTHS))
LATEST = 128  # rows of pieces that are judged together, at least
STRIDE = 1009  # prime: neighbouring cases have nothing in common, so that few of them are like all


class Case(NamedTuple):
    """A training."""

    name: str
    face: str
    options: dict[str, Any]  # of fastgd.MLP
    optimizer: Any
    X: Numbers
    y: Numbers
    batch_size: int
    killed: bool  # its hidden units give 0 from the start, and hardly any rows differ


class Ended(NamedTuple):
    """How it ended."""

    model: Any  # a fastgd.MLP; None where an error has left none
    losses: list[float]  # of the history
    error: BaseException | None
    told: list[type[Warning]]
    X: Numbers  # the rows that it saw last, of pieces some


def case_of(seed: int, number: int) -> Case:
    """The case with this number; the first 3,744 have every rate with every optimizer, loss and depth."""
    rate, optimizer, loss, depth = COMBINATIONS[number * STRIDE % len(COMBINATIONS)]
    draw = np.random.default_rng([seed, number])
    kind, n_out = LOSSES[loss]
    face = str(draw.choice(FACES))
    if face == "estimator" and loss in ("gaussian_nll", "binary_cross_entropy"):
        face = "fit"
    activation = str(draw.choice([*ACTIVATIONS, "relu", "relu"]))
    n_rows = int(draw.integers(150, 300))
    X = draw.normal(size=(n_rows, 3))
    surface = X @ [1.0, -0.7, 0.3] + np.sin(2 * X[:, 0]) + 0.1 * draw.normal(size=n_rows)
    y: Numbers = 3 * surface + 5
    if kind == "counts":
        y = np.rint(np.exp(surface / 2))
    elif kind == "labels":
        y = (surface > 0).astype(int)
    elif kind == "classes":
        y = np.digitize(surface, [-0.7, 0.7])
    elif draw.random() < 0.1:
        y = np.full(n_rows, 5.0)  # nothing to learn: no network is dead for that
    killed = bool(depth and face != "estimator" and draw.random() < 0.1)
    if killed:
        activation, rare = "relu", np.arange(n_rows) % 100 == 50
        if kind == "numbers" or draw.random() < 0.5:
            X[~rare] = X[0]
        else:
            y = np.where(rare, 1, 0)
    options = {
        "layer_sizes": [3, *[int(draw.choice([2, 4, 16]))] * depth, n_out],
        "activation": activation,
        "loss": loss,
        "dtype": str(draw.choice(["float32", "float32", "float64"])),
        "standardize": bool(draw.random() < 0.8),
        "random_state": int(draw.integers(100)),
    }
    name = f"seed {seed}, case {number}: {face}{', killed' * killed}, {optimizer} at {rate:g}, {options}"
    return Case(name, face, options, OPTIMIZERS[optimizer](rate), X, y, int(draw.choice([1, 16, 64, 1000])), killed)


def pieces_of(case: Case) -> Iterator[tuple[Numbers, Numbers]]:
    """Its rows four times, piece by piece."""
    for _ in range(4):
        for first in range(0, len(case.X), 50):
            yield case.X[first : first + 50], case.y[first : first + 50]


def trained(case: Case) -> Ended:
    """Train it by its face."""
    model = new_model(case)
    options: dict[str, Any] = {"epochs": 4, "batch_size": case.batch_size, "optimizer": case.optimizer, "verbose": 0}
    losses: list[float] = []
    seen = case.X
    error: BaseException | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if case.face == "fit_many":
                return of_many(case, options)
            if case.face == "estimator":
                model, losses = of_estimator(case, options)
            elif case.face == "partial_fit":
                for X, y in pieces_of(case):
                    piece = model.partial_fit(X, y, batch_size=case.batch_size, optimizer=case.optimizer)
                    losses += piece.history["loss"]
                    seen = np.concatenate([seen, X])[-LATEST:]
                    if any(issubclass(warning.category, DeadNetworkWarning) for warning in caught):
                        break  # pieces to come may wake it, at rates that throw it about
            elif case.face == "stream":
                batches = [(case.X[first : first + 64], case.y[first : first + 64]) for first in range(0, 300, 64)]
                stream = [(X, y) for X, y in batches if len(X)]
                losses += model.fit(lambda: iter(stream), **options).history["loss"]
            else:
                device = "plain" if case.face == "plain" else "cpu"
                losses += model.fit(case.X, case.y, device=device, **options).history["loss"]
        except FastgdError as met:
            error = met
    return Ended(
        None if error and case.face == "estimator" else model, losses, error, [w.category for w in caught], seen
    )


def new_model(case: Case) -> Any:
    """The network before its first step."""
    model = fastgd.MLP(**case.options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(case.X, case.y, epochs=0, verbose=0)
    if case.killed:
        parameters = model.get_parameters()
        for _, biases in parameters[:-1]:
            biases -= 1e4
        model.set_parameters(parameters)
    return model


def of_many(case: Case, options: dict[str, Any]) -> Ended:
    """One of three networks that train side by side."""
    del options["verbose"]
    specs = [{"model": new_model(case)} for _ in range(3)]
    records = fastgd.fit_many(specs, case.X, case.y, n_threads=1, verbose=0, **options)
    record = records[2]
    assert record.model is not None
    losses = record.history.history["loss"] if record.history else []
    return Ended(record.model, losses, record.error, [category for _, category in record.warnings], case.X)


def of_estimator(case: Case, options: dict[str, Any]) -> tuple[Any, list[float]]:
    """The same by an estimator of scikit-learn's kind."""
    loss = case.options["loss"]
    made = fastgd.MLPClassifier if loss == "cross_entropy" else fastgd.MLPRegressor
    beside = {} if loss == "cross_entropy" else {"loss": loss}
    estimator = made(
        hidden_layer_sizes=tuple(case.options["layer_sizes"][1:-1]), activation=case.options["activation"],
        early_stopping=False, encoding=None, n_networks=1, random_state=case.options["random_state"], **options,
        **beside,
    )  # fmt: skip
    estimator.fit(case.X.astype(case.options["dtype"]), case.y)
    return estimator.model_, estimator.history_.history["loss"]


def layers_of(model: Any, X: Numbers) -> list[Numbers]:
    """The outputs of each layer for rows of a table, (n_rows, n_units), in standard units and in float64."""
    mean, std = (getattr(model.net, name).astype(np.float64) for name in ("input_mean", "input_std"))
    found = [(X - mean) / std]
    parameters = model.get_parameters()
    for index, (weights, biases) in enumerate(parameters):
        z = found[-1] @ weights.astype(np.float64) + biases.astype(np.float64)
        is_last = index == len(parameters) - 1
        found.append(z if is_last else ACTIVATIONS[model.network.activations[index].name](z))
    return found[1:]


def objections(case: Case, ended: Ended) -> Iterator[str]:
    """What was not said, or was said and is not so."""
    if ended.error is not None:
        if not isinstance(ended.error, DivergenceError):
            yield f"ended by {type(ended.error).__name__}: {ended.error}"
        if ended.model is not None and not np.isfinite(ended.model.parameters).all():
            yield "the model of an error has parameters that are not finite"
        return
    if not np.isfinite(ended.model.parameters).all():
        yield "parameters are not finite, and nothing was said"
        return
    if not np.isfinite(ended.losses).all():
        yield f"the history has losses that are not finite: {ended.losses}"
    yield from objections_to_loss(case, ended)
    yield from objections_to_death(case, ended)


def objections_to_loss(case: Case, ended: Ended) -> Iterator[str]:
    """Where the loss rose far above that of zeros. (Estimators start elsewhere; pieces warn where it does not fall.)"""
    start = new_model(case)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            loss = ended.model.evaluate(case.X, case.y)["loss"]
            predictions = np.asarray(ended.model.predict(case.X))
        except FastgdError:
            return  # it says that it has no finite predictions
        if not np.isfinite(loss) and not caught:
            yield "evaluate's loss is not finite, and nothing was said"
        if predictions.dtype.kind == "f" and not np.isfinite(predictions).all():
            yield "predictions are not finite, and nothing was said"
        if case.face in ("estimator", "partial_fit") or any(
            issubclass(category, DivergenceWarning) for category in ended.told
        ):
            return
        first = start.evaluate(case.X, case.y)["loss"]
        start.parameters = np.zeros_like(start.parameters)
        zeros = start.evaluate(case.X, case.y)["loss"]
    if loss > BLOWN_UP * max(abs(first), abs(zeros)):
        yield f"the loss came from {first:.3g} (zeros: {zeros:.3g}) to {loss:.3g}, and nothing was said"


def objections_to_death(case: Case, ended: Ended) -> Iterator[str]:
    """Whether a dead network was told of, and none that lives."""
    with np.errstate(all="ignore"):
        layers = layers_of(ended.model, ended.X)
    outputs = layers[-1]
    if not np.isfinite(outputs).all():
        return
    apart = float(np.ptp(outputs, axis=0).max())
    targets = np.ptp(case.y) / float(ended.model.net.target_std.max())
    is_told = any(issubclass(category, DeadNetworkWarning) for category in ended.told)
    spread = min(targets, 1.0)
    if is_told and (targets == 0 or apart > OTHER * spread + 1e-5 * np.abs(outputs).max()):
        yield f"was called dead, but outputs differ by {apart:.3g}, targets by {targets:.3g}"
    if not is_told and targets > 0 and apart < SAME * spread:
        flat = [index for index, layer in enumerate(layers) if np.ptp(layer, axis=0).max() == 0]
        yield f"is dead and was not told of: outputs differ by {apart:.3g}, layers that say nothing: {flat}"


def try_rates(cases: int, seed: int) -> Outcome:
    """Rates with optimizers, losses and depths."""
    failures, errors, dead, warned = [], 0, 0, 0
    for number in range(cases):
        case = case_of(seed, number)
        ended = trained(case)
        errors += ended.error is not None
        dead += DeadNetworkWarning in ended.told
        warned += DivergenceWarning in ended.told
        failures += [f"{case.name}: {objection}" for objection in objections(case, ended)]
    figure = f"{errors} ended by an error, {dead} were told to be dead, {warned} warned of a rising loss"
    return Outcome(cases, failures, figure)


TRIALS = (
    Trial(
        "rates",
        "Whatever the learning rate, a training ends with finite numbers or says what went wrong, and a network that "
        "has died is told of.",
        "tests/test_rates_of_all_sizes.py::test_no_rate_ends_silently",
        len(COMBINATIONS) * 2,
        try_rates,
    ),
)
