"""From a user's tables to what one training learns from: checked, split, weighed and scaled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInputError
from ..kernels.records import Net, Rows
from . import scaling
from .arrays import CheckedTable
from .column_codes import NumberCode
from .columns import Columns
from .encoder import Encoder
from .encoding import learn
from .rows import Measured, Weights, in_order, mean_one, row_weights
from .scaling import InMemory, Source
from .schema import Schema
from .splits import Parts, choice, parted


class Lesson(NamedTuple):
    """Rows to learn from, and what they teach about tables: nothing of it has reached a model yet."""

    schema: Schema  # with the names and classes of these tables
    net: Net  # with their scaling
    rows: Rows
    parts: Parts
    target: CheckedTable

    @property
    def held_out(self) -> Measured | None:
        """The rows to validate with."""
        return self.parts.held_out

    def held_out_rows(self) -> Rows | None:
        """The same as rows for kernels, with the weights that they have in the loss."""
        rows = self.held_out
        return rows and in_order(rows.X, rows.Y, mean_one(rows.in_loss, self.schema.dtype))

    def measured(self) -> Measured:
        """The rows to learn from as rows to measure with."""
        X, Y, weights = self.parts.X, self.parts.Y, self.parts.weights
        return Measured(X, Y, self.target.columns(self.parts.chosen), weights, weights)


def prepared(
    schema: Schema,
    net: Net,
    X: Any,
    y: Any,
    *,
    seed: int,
    epoch: int = 0,
    shuffle: bool = True,
    sample_weight: Any = None,
    class_weight: Any = None,
    validation_data: Any = None,
    validation_split: Any = 0.0,
    initializer: Any = "auto",
    is_piece: bool = False,
) -> Lesson:
    """Check everything that a user gave for a training; `schema` and `net` are the model's, and stay as they are.

    Where the schema learns how tables are encoded, the first layer gets other inputs, and the network new weights. Of
    a piece of a stream it is not told that its target does not vary: the whole may.
    """
    given = schema.inputs(X) if schema.encoding is None else schema.columns(X)
    schema, target = schema.learned(y, given.n_rows, given.names)
    weights = row_weights(sample_weight, given.n_rows, schema.device)
    rows_of = choice(given.n_rows, validation_data, validation_split, seed)
    if isinstance(given, Columns):
        schema, net, table = _encoded(schema, net, given, target, weights, rows_of.chosen, initializer, seed)
    else:
        table = given
    schema, parts = parted(schema, table.values, target, weights, validation_data, rows_of)
    if class_weight is not None:
        parts = parts.weighted_by_class(class_weight, schema)
    rows = Rows(parts.X, parts.Y, mean_one(parts.weights, schema.dtype), np.uint64(seed), epoch, shuffle)
    net = scaling.learn(net, schema, InMemory(rows, Source(table, target, parts.chosen)), is_piece)
    seen = schema.target.seen(target.columns(parts.chosen)) if schema.target.clip else schema.target
    if not schema.scaled or seen is not schema.target:
        schema = replace(schema, scaled=True, target=seen)
    return Lesson(schema, net, rows, parts, target)


def _encoded(
    schema: Schema,
    net: Net,
    table: Columns,
    target: CheckedTable,
    weights: Weights,
    chosen: Any,
    initializer: Any,
    seed: int,
) -> tuple[Schema, Net, CheckedTable]:
    """The table as the schema's encoder makes it; where there is none yet, it and a network for it are made.

    The network stays as it is where its first layer reads the columns themselves.
    """
    if schema.encoder is not None:
        return schema, net, schema.encoded(table)
    assert schema.encoding is not None
    n_classes = schema.network.n_out if schema.network.loss.task == "classes" else 0
    encoder = learn(schema.encoding, table, weights, chosen, target.values, n_classes)
    schema, net = with_encoder(schema, net, encoder, table, initializer, seed)
    return schema, net, schema.encoded(table, is_new=False)


def with_encoder(
    schema: Schema, net: Net, encoder: Encoder, table: Columns, initializer: Any, seed: int
) -> tuple[Schema, Net]:
    """The schema with an encoder that was learned from such a table, and a network that reads what it makes."""
    for column, sign in enumerate(schema.network.monotone):
        if sign and not isinstance(encoder.codes[column], NumberCode):
            raise InvalidInputError(
                f"{table.columns[column].where} has no numbers: predictions cannot be monotone in it."
            )
    schema = replace(schema, encoder=encoder)
    if encoder.inputs != schema.network.inputs:
        schema = replace(schema, network=replace(schema.network, encoded=encoder.inputs))
        net = schema.network.new_net(initializer, schema.dtype, seed)._replace(**encoder.bins(schema.dtype))
    return schema, net
