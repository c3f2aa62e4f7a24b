"""One batch of a stream, checked as fit and evaluate check whole tables."""

from __future__ import annotations

from typing import Any

from ...errors import InvalidInputError
from ..arrays import CheckedTable
from ..columns import Columns
from ..on_device import only_on_host
from ..rows import Measured, Weights, weights_of_some
from ..schema import Schema
from .located import located
from .source import Batch


def inputs(schema: Schema, batch: Batch, is_new: bool = True) -> CheckedTable | Columns:
    """The inputs of a batch as kernels take them; as they are where the encoder has yet to be learned.

    `is_new` is whether rows unlike those of the fit are to be told of.
    """
    only_on_host("streams are read", X=batch.X, y=batch.y, sample_weight=batch.weights)
    if schema.encoding is None:
        return schema.inputs(batch.X)
    columns = schema.columns(batch.X)
    return columns if schema.encoder is None else schema.encoded(columns, is_new)


def targets_of(batch: Batch) -> Any:
    """The actual values, which must be there."""
    if batch.y is None:
        raise InvalidInputError("there is no y, but each row needs its actual value.")
    return batch.y


def measured(schema: Schema, batch: Batch) -> Measured:
    """A batch as rows to measure with, of which none need count.

    Raises:
        InvalidInputError: a table that cannot be used; the message names the place of its row in the stream.
    """
    with located(batch):
        only_on_host("streams are read", X=batch.X, y=batch.y, sample_weight=batch.weights)
        values = schema.inputs(batch.X).values
        target = schema.targets(targets_of(batch), len(values))
        weights: Weights = weights_of_some(batch.weights, len(values))
        return Measured(values, target.values, target.columns(), weights, weights)
