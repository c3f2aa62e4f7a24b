"""How good a network is on rows that are given: the loss, and what people compare, against the targets as given."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from ..data.rows import Measured, in_order, mean_one
from ..data.schema import Schema
from ..errors import NonFiniteWarning, warn
from ..kernels.plain import loss_and_delta
from ..kernels.records import LossRecord, Net, Reals, Rows, read_only, resting
from ..network.losses import MeanSquaredError, Quantile
from .answers import chosen_classes
from .metrics import accuracy, below, regression_metrics

FLATTENED = 1e-5  # of the targets' range: by more than that the cast moves a target whose loss it would spoil


def metrics(loss_value: float, schema: Schema, rows: Measured, out: Reals) -> dict[str, float]:
    """The loss of rows, as it was measured, and the metrics of their predictions out (n_rows, n_out)."""
    loss, weights = schema.network.loss, rows.weights
    actual = rows.actual.astype(np.float64)
    measured = {"loss": loss_value}
    with np.errstate(over="ignore", invalid="ignore"):
        if loss.task in ("classes", "labels"):
            measured |= {"accuracy": accuracy_of(schema, rows, out), "log_loss": measured["loss"]}
        elif isinstance(loss, Quantile):
            for place, level in enumerate(loss.levels):
                measured[f"below_{level:g}"] = below(out[:, place :: len(loss.levels)], actual, weights)
        else:
            measured |= regression_metrics(out[:, : schema.network.n_targets], actual, weights)
    wrong = [name for name, value in measured.items() if not np.isfinite(value)]
    if wrong:
        row, column = np.unravel_index(np.abs(actual).argmax(), actual.shape)
        warn(
            f"{', '.join(wrong)}: not finite, because numbers are too large for float64. The largest actual value is "
            f"{actual[row, column]:.6g}, in row {row}.",
            NonFiniteWarning,
        )
    return measured


def accuracy_of(schema: Schema, rows: Measured, out: Reals) -> float:
    """The share of rows whose class is predicted."""
    truth = rows.Y[:, 0] if schema.network.loss.task == "classes" else rows.Y >= 0.5
    return accuracy(chosen_classes(schema, out).reshape(truth.shape) == truth, rows.weights)


def loss_of(engine: ModuleType, schema: Schema, net: Net, rows: Measured) -> float:
    """The loss in the user's units; in float64 where it or the targets are out of the kernels' reach."""
    net, dtype, wide = resting(net), schema.dtype, np.float64
    with np.errstate(over="ignore"):
        actual = (rows.actual - net.target_mean.astype(wide)) / net.target_std.astype(wide)
        Y = read_only(np.ascontiguousarray(actual, dtype))
    record, unit = schema.network.loss.record(net.target_std), schema.network.loss.largest_unit(net.target_std)
    standard = net._replace(target_mean=np.zeros_like(net.target_mean), target_std=np.ones_like(net.target_std))
    (workspace,) = engine.new_workspaces(standard, record)
    counted = in_order(rows.X, Y, mean_one(rows.in_loss, dtype))
    value = float(engine.mean_loss(workspace, counted, standard, record))
    with np.errstate(all="ignore"):
        flattened = np.abs(Y - actual).max() > FLATTENED * np.ptp(actual, axis=0).max()
    if not np.isfinite(value) or flattened:
        value = _loss_in_double(engine, schema, net, rows, actual)
    return value * unit


def gradient_of(engine: ModuleType, net: Net, objective: LossRecord, rows: Rows) -> Reals:
    """The gradient of the mean loss of rows, (n_parameters,), in standard units."""
    net = resting(net)
    gradients = engine.new_gradients(net, len(rows.X))
    (workspace,) = engine.new_workspaces(net, objective)
    engine.batch_gradient(gradients, workspace, rows, 0, len(rows.X), net, objective)
    return np.array(gradients[0])


def _loss_in_double(engine: ModuleType, schema: Schema, net: Net, rows: Measured, actual: Reals) -> float:
    """The mean loss of the network's outputs, with the targets in standard units."""
    n, O, dtype = len(rows.X), schema.network.n_out, schema.dtype
    outputs = np.empty((n, O), dtype)
    standard = net._replace(target_mean=np.zeros(O, dtype), target_std=np.ones(O, dtype))
    record = MeanSquaredError().record(standard.target_std)  # with it predictions are the outputs as they are
    engine.predict(outputs, engine.new_workspaces(standard)[0], rows.X, standard, record)
    weights = rows.in_loss if rows.in_loss.size else np.ones(n)
    record = schema.network.loss.record(net.target_std.astype(np.float64))
    with np.errstate(all="ignore"):
        value = loss_and_delta(  # type: ignore[no-untyped-call]
            np.empty((n, O)), outputs.astype(np.float64), actual.astype(np.float64), weights, 1 / weights.sum(), record
        )
    return float(value)
