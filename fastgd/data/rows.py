"""Rows as kernels take them, and rows to measure with; weights with a mean of 1.

Tables are checked in tables.py and labels.py; here rows are chosen and weighed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..kernels import DEFAULT_DEVICE
from ..kernels.records import Reals, Rows, read_only, taken
from .labels import NO_CLASSES
from .on_device import is_on_device, on_host
from .schema import Schema
from .tables import finished, read

Weights = NDArray[np.float64]
NO_WEIGHT_LEFT = "class_weight and sample_weight leave every row with weight 0"
NOTHING_COUNTS = "sample_weight is 0 in every row: nothing is left to learn from."


class Measured(NamedTuple):
    """Rows to measure with, as they come."""

    X: Reals  # (n_rows, n_in), read-only
    Y: Reals  # (n_rows, n_targets), as kernels take it
    actual: Reals  # (n_rows, n_targets): the targets as they were given
    weights: Weights  # (n_rows,), or (0,) for none: of the rows
    in_loss: Weights  # likewise, times those of classes


def in_order(X: Reals, Y: Reals, weights: Reals) -> Rows:
    """Rows as kernels take them, walked in their order."""
    return Rows(X, Y, weights, np.uint64(0), 0, False)


def labelled(schema: Schema, X: Any, y: Any, sample_weight: Any) -> Rows:
    """A user's table and targets, checked, as rows in their order."""
    values = schema.inputs(X).values
    weights = mean_one(row_weights(sample_weight, len(values), schema.device), schema.dtype)
    return in_order(values, schema.targets(y, len(values)).values, weights)


def unlabelled(schema: Schema, values: Reals) -> Rows:
    """Checked inputs alone as rows, for kernels that gather them."""
    Y = read_only(np.zeros((len(values), schema.network.n_targets), schema.dtype))
    return in_order(values, Y, mean_one(np.zeros(0), schema.dtype))


def measured(schema: Schema, X: Any, y: Any, sample_weight: Any) -> Measured:
    """A user's table and targets, checked, as rows to measure with."""
    values = schema.inputs(X).values
    target = schema.targets(y, len(values))
    weights = row_weights(sample_weight, len(values), schema.device)
    return Measured(values, target.values, target.columns(), weights, weights)


def at(places: NDArray[np.int64], values: Any) -> Any:
    """Copies of the rows with these numbers, where the table lies."""
    return values.take(places) if is_on_device(values) else read_only(values[places])


def row_weights(weights: Any, n_rows: int, device: str = DEFAULT_DEVICE) -> Weights:
    """Check sample weights: (n_rows,) numbers of at least 0, not all 0; (0,) where there are none."""
    checked = weights_of_some(weights, n_rows, device)
    if checked.size and checked.max() == 0:
        raise InvalidInputError(NOTHING_COUNTS)
    return checked


def weights_of_some(weights: Any, n_rows: int, device: str = DEFAULT_DEVICE) -> Weights:
    """The same for some rows of a table, of which none need count."""
    wide = np.dtype(np.float64)
    if weights is None:
        return np.zeros(0)
    values = read(on_host(weights, "sample_weight", device), "sample_weight", wide, None).values
    if values.shape not in ((n_rows,), (n_rows, 1)):
        raise InvalidInputError(f"sample_weight has shape {values.shape}, but there are {n_rows} rows.")
    checked: Weights = finished(values.reshape(-1, 1), "sample_weight", wide, None)[:, 0]
    if checked.min() < 0:
        row = int(np.argmax(checked < 0))
        raise InvalidInputError(f"sample_weight, row {row} is {checked[row]}: a weight must be at least 0.")
    return checked


def mean_one(weights: Weights, dtype: np.dtype[Any]) -> Reals:
    """Weights (n_rows,) divided by their mean, as kernels take them; (0,) where all count the same.

    Only ratios count: this is done in float64, where neither a tiny weight vanishes nor a sum overflows.
    """
    if weights.size and weights.min() == weights.max():
        weights = weights[:0]
    shares = weights / weights.max() if weights.size else weights
    return read_only(np.ascontiguousarray(shares / shares.mean() if weights.size else weights, dtype))


def sample(rows: Rows, most: int) -> Rows:
    """At most `most` of the rows, drawn at random but always the same, in their order."""
    return rows if len(rows.X) <= most else taken(rows, drawn(len(rows.X), most))


def drawn(n_rows: int, most: int) -> NDArray[np.int64]:
    """The numbers of at most `most` of so many rows, drawn likewise."""
    return np.sort(np.random.default_rng(0).choice(n_rows, min(most, n_rows), replace=False))


def by_row(by_class: Weights, Y: Reals, weights: Weights, purpose: str) -> Weights:
    """Each row's weight, times that of its class; only ratios count."""
    if (np.rint(Y) != Y).any():
        raise InvalidInputError(NO_CLASSES)
    each = by_class[Y[:, 0].astype(np.int64)]
    largest = each.max()
    product = each / (largest or 1) * (weights / weights.max() if weights.size else 1)
    if not product.any():
        raise InvalidInputError(f"{NO_WEIGHT_LEFT}: nothing {purpose}.")
    return np.asarray(product)
