"""How good a model is on rows that are given: the loss, and what people compare, against the targets as given.

`model` is an MLP; this module stands before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .data import Reals, mean_one
from .errors import InvalidInputError, NonFiniteWarning, warn
from .kernels import engine
from .kernels.records import Net, Rows
from .losses import MeanSquaredError, Quantile
from .metrics import accuracy, below, regression_metrics

Weights = NDArray[np.float64]

FLATTENED = 1e-5  # of the targets' range: by more than that the cast moves a target whose loss it would spoil


class Measured(NamedTuple):
    """Rows to measure with, as they come."""

    X: Reals  # (n_rows, n_in), read-only
    Y: Reals  # (n_rows, n_targets), as kernels take it
    actual: Reals  # (n_rows, n_targets): the targets as they were given
    weights: Weights  # (n_rows,), or (0,) for none: of the rows
    in_loss: Weights  # likewise, times those of classes


def in_order(X: Reals, Y: Reals, weights: Reals) -> Rows:
    """Rows to measure with as kernels take them."""
    return Rows(X, Y, weights, np.uint64(0), 0, False)


def by_row(by_class: Weights, Y: Reals, weights: Weights, purpose: str) -> Weights:
    """Each row's weight, times that of its class; only ratios count."""
    if (np.rint(Y) != Y).any():
        raise InvalidInputError("class_weight is for labels of classes; y holds probabilities: use sample_weight.")
    each = by_class[Y[:, 0].astype(np.int64)]
    largest = each.max()
    product = each / (largest or 1) * (weights / weights.max() if weights.size else 1)
    if not product.any():
        raise InvalidInputError(f"class_weight and sample_weight leave every row with weight 0: nothing {purpose}.")
    return np.asarray(product)


def metrics(model: Any, rows: Measured, out: Reals) -> dict[str, float]:
    """The loss of rows, and the metrics of their responses."""
    loss, weights = model.network.loss, rows.weights
    actual = rows.actual.astype(np.float64)
    measured = {"loss": loss_of(model, rows, engine("cpu"))}
    with np.errstate(over="ignore", invalid="ignore"):
        if loss.task in ("classes", "labels"):
            measured |= {"accuracy": _accuracy(model, rows, out), "log_loss": measured["loss"]}
        elif isinstance(loss, Quantile):
            for place, level in enumerate(loss.levels):
                measured[f"below_{level:g}"] = below(out[:, place :: len(loss.levels)], actual, weights)
        else:
            measured |= regression_metrics(out[:, : model.network.n_targets], actual, weights)
    wrong = [name for name, value in measured.items() if not np.isfinite(value)]
    if wrong:
        row, column = np.unravel_index(np.abs(actual).argmax(), actual.shape)
        warn(
            f"{', '.join(wrong)}: not finite, because numbers are too large for float64. The largest actual value is "
            f"{actual[row, column]:.6g}, in row {row}.",
            NonFiniteWarning,
        )
    return measured


def _accuracy(model: Any, rows: Measured, out: Reals) -> float:
    truth = rows.Y[:, 0] if model.network.loss.task == "classes" else rows.Y >= 0.5
    return accuracy(model._chosen(out).reshape(truth.shape) == truth, rows.weights)


def loss_of(model: Any, rows: Measured, kernels: Any) -> float:
    """The loss in the user's units; in float64 where it or the targets are out of the kernels' reach."""
    net = model._resting()
    wide = np.float64
    with np.errstate(over="ignore"):
        actual = (rows.actual - net.target_mean.astype(wide)) / net.target_std.astype(wide)
        Y: Reals = np.ascontiguousarray(actual, model.dtype)
    Y.flags.writeable = False
    record, unit = model.network.loss.record(net.target_std), float(model._unit())
    net = net._replace(target_mean=np.zeros_like(net.target_mean), target_std=np.ones_like(net.target_std))
    (workspace,) = kernels.new_workspaces(net, record)
    value = float(kernels.mean_loss(workspace, in_order(rows.X, Y, mean_one(rows.in_loss, model.dtype)), net, record))
    with np.errstate(all="ignore"):
        flattened = np.abs(Y - actual).max() > FLATTENED * np.ptp(actual, axis=0).max()
    if not np.isfinite(value) or flattened:
        value = _loss_in_double(model, net, rows, actual)
    return value * unit


def _loss_in_double(model: Any, net: Net, rows: Measured, actual: Reals) -> float:
    """The mean loss of the network's outputs, with the targets in standard units."""
    n, O = len(rows.X), model.network.n_out
    outputs = np.empty((n, O), model.dtype)
    net = net._replace(target_mean=np.zeros(O, model.dtype), target_std=np.ones(O, model.dtype))
    cpu = engine("cpu")
    cpu.predict(outputs, cpu.new_workspaces(net)[0], rows.X, net, MeanSquaredError().record(net.target_std))
    weights = rows.in_loss if rows.in_loss.size else np.ones(n)
    record = model.network.loss.record(model._net.target_std.astype(np.float64))
    with np.errstate(all="ignore"):
        value = engine("plain").loss_and_delta(
            np.empty((n, O)), outputs.astype(np.float64), actual.astype(np.float64), weights, 1 / weights.sum(), record
        )
    return float(value)


def validation(model: Any, rows: Measured, kernels: Any) -> Callable[[int], dict[str, float]]:
    """What is measured on held-out rows after so many epochs: the loss that training makes small, and the accuracy."""
    told = False

    def measure(epoch: int) -> dict[str, float]:
        nonlocal told
        logs = {"val_loss": loss_of(model, rows, kernels)}
        if model.network.loss.task in ("classes", "labels"):
            logs["val_accuracy"] = _accuracy(model, rows, model._respond(rows.X)[0])
        if not told and not np.isfinite(logs["val_loss"]):
            told = True
            wrong = np.flatnonzero(~np.isfinite(model._respond(rows.X)[0]).all(axis=1))
            why = f": the prediction for validation row {wrong[0]} is not finite" if wrong.size else ""
            warn(
                f"After epoch {epoch} val_loss is {logs['val_loss']}{why}. It counts neither as better nor as worse.",
                NonFiniteWarning,
            )
        return logs

    return measure
