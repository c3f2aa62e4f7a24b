"""How good a network is on rows that are given: the loss, and what people compare, against the targets as given."""

from __future__ import annotations

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ..data.rows import Measured
from ..data.schema import Schema
from ..errors import NonFiniteWarning, warn
from ..kernels.plain import loss_and_delta
from ..kernels.records import LossRecord, Net, Reals, Rows, resting
from ..network.losses import Quantile
from .answers import chosen_classes
from .class_metrics import class_metrics, label_metrics, ranking_metrics
from .metrics import accuracy, below, regression_metrics

ROWS = 1 << 14  # that are measured together: what float64 takes beside the table stays small


def metrics(loss_value: float, schema: Schema, rows: Measured, out: Reals) -> dict[str, float]:
    """The loss of rows, as it was measured, and the metrics of their predictions out (n_rows, n_out)."""
    loss, weights = schema.network.loss, rows.weights
    actual = rows.actual.astype(np.float64)
    measured = {"loss": loss_value}
    with np.errstate(over="ignore", invalid="ignore"):
        if loss.task in ("classes", "labels"):
            measured |= {"accuracy": accuracy_of(schema, rows, out)} | _of_classes(schema, rows, out)
        elif isinstance(loss, Quantile):
            for place, level in enumerate(loss.levels):
                measured[f"below_{level:g}"] = below(out[:, place :: len(loss.levels)], actual, weights)
        else:
            measured |= regression_metrics(out[:, : schema.network.n_targets], actual, weights)
    tell_of_infinite(measured, *largest_of(actual))
    return measured


def largest_of(actual: Reals) -> tuple[float, str]:
    """The actual value (n_rows, n_targets) that is farthest from 0, and its row."""
    row, column = np.unravel_index(np.abs(actual).argmax(), actual.shape)
    return float(actual[row, column]), f"row {row}"


def tell_of_infinite(measured: dict[str, float], largest: float, where: str) -> None:
    """Warn of what is not finite, with the largest actual value and its place."""
    wrong = [name for name, value in measured.items() if not np.isfinite(value)]
    if wrong:
        warn(
            f"{', '.join(wrong)}: not finite, because numbers are too large for float64. The largest actual value is "
            f"{largest:.6g}, in {where}.",
            NonFiniteWarning,
        )


def _of_classes(schema: Schema, rows: Measured, out: Reals) -> dict[str, float]:
    """What a classifier is compared by, beside its accuracy; rows that do not count are left out."""
    counting = rows.weights > 0 if rows.weights.size else np.full(len(out), True)
    weights = (rows.weights / rows.weights.max())[counting] if rows.weights.size else np.ones(len(out))
    Y, scores = rows.Y[counting], out[counting]
    if schema.classes is None:  # several yes/no labels
        return label_metrics(Y >= 0.5, scores >= 0.5, weights) | ranking_metrics(scores, Y >= 0.5, weights)
    n = schema.classes.size
    truth = class_numbers(schema, Y)
    named = class_metrics(truth, chosen_classes(schema, out)[counting], [str(name) for name in schema.classes], weights)
    if n == 2:  # the only output, or the second, behind which there may be some whose class has not come yet
        second = min(1, scores.shape[1] - 1)
        return named | ranking_metrics(scores[:, second : second + 1], truth[:, None] == 1, weights)
    return named | ranking_metrics(scores[:, :n], truth[:, None] == np.arange(n), weights)


def class_numbers(schema: Schema, Y: Reals) -> NDArray[np.int64]:
    """The numbers of the classes of targets (n_rows, 1) as kernels take them, (n_rows,)."""
    return (Y[:, 0] >= 0.5 if schema.network.loss.task == "labels" else Y[:, 0]).astype(np.int64)


def accuracy_of(schema: Schema, rows: Measured, out: Reals) -> float:
    """The share of rows whose class is predicted."""
    truth = rows.Y[:, 0] if schema.network.loss.task == "classes" else rows.Y >= 0.5
    return accuracy(chosen_classes(schema, out).reshape(truth.shape) == truth, rows.weights)


def loss_of(schema: Schema, net: Net, rows: Measured, outputs: Reals) -> float:
    """The loss in the user's units of outputs (n_rows, n_out) as the network puts them out, in float64.

    The kernels take targets in the network's dtype, which flattens those that lie close together.
    """
    loss, wide = schema.network.loss, np.float64
    mean, std = net.target_mean.astype(wide), net.target_std.astype(wide)
    record, total = loss.record(std), 0.0
    weights = rows.in_loss / rows.in_loss.max() if rows.in_loss.size else rows.in_loss
    weight = weights.sum() if weights.size else len(outputs)
    with np.errstate(all="ignore"):
        for start in range(0, len(outputs), ROWS):
            part = outputs[start : start + ROWS].astype(wide)
            actual = (schema.target.learned(rows.actual[start : start + ROWS]) - mean) / std
            counts = weights[start : start + ROWS] if weights.size else np.ones(len(part))
            total += loss_and_delta(np.empty_like(part), part, actual, counts, 1 / weight, record)  # type: ignore[no-untyped-call]
    return total * loss.largest_unit(net.target_std)


def gradient_of(engine: ModuleType, net: Net, objective: LossRecord, rows: Rows) -> Reals:
    """The gradient of the mean loss of rows, (n_parameters,), in standard units."""
    net = resting(net)
    gradients = engine.new_gradients(net, len(rows.X))
    (workspace,) = engine.new_workspaces(net, objective, None, len(rows.X))
    engine.batch_gradient(gradients, workspace, rows, 0, len(rows.X), net, objective)
    return np.array(gradients[0])
