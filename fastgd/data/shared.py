"""One table for many networks: read and checked once for each way in which they take it.

An array that has a network's dtype already is not copied. Rows that a network alone learns from are copied when its
turn comes, and forgotten with it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..kernels import DEFAULT_DEVICE
from . import labels, tables
from .arrays import CheckedTable
from .columns import Column, Columns
from .labels import Labels
from .on_device import is_on_device
from .rows import at, row_weights
from .schema import Schema

Places = NDArray[np.int64]  # numbers of rows


class SharedTable:
    """Inputs and targets as a user has them, and as networks took them so far; on a device, or on that of each."""

    def __init__(self, X: Any, y: Any = None, device: str | None = None) -> None:
        self.X, self.y, self.device = X, y, device
        self.kept: dict[Hashable, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "kept": {}}  # whoever unpickles it reads it anew: what was read is larger

    def inputs(self, schema: Schema) -> CheckedTable | Columns:
        """The inputs as a model with this schema reads them; it lets them through."""
        encoded = schema.encoding is not None
        key = "X", encoded or schema.dtype, schema.network.n_in, schema.feature_names
        if key not in self.kept:
            self.kept[key] = schema.columns(self.X) if encoded else self.here(schema).inputs(self.X)
        table: CheckedTable | Columns = self.kept[key]
        return table

    def targets(self, schema: Schema, n_rows: int) -> NDArray[Any] | Labels:
        """The targets likewise. Numbers are cast by each network: that takes next to no time."""
        schema, key = self.here(schema), ("y at hand", schema.network.n_classes is None)
        if key not in self.kept:
            self.kept[key] = schema.at_hand(self.y)
        y = self.kept[key]
        takes_labels = schema.takes_labels(y)
        if ("y", takes_labels) not in self.kept:
            if takes_labels:
                found: Any = labels.labels(y, n_rows)
            elif is_on_device(y):
                found = tables.targets_on_device(
                    y, schema.dtype, schema.network.n_targets, n_rows, schema.device
                ).values
            else:
                found = tables.read(y, "y", np.dtype(np.float64), None).values
                if len(found) != n_rows:
                    told = f"X has {n_rows} rows, y has {len(found)}; each row needs its y."
                    raise InvalidInputError(f"X and y have different lengths: {told}")
            self.kept["y", takes_labels] = found
        targets: NDArray[Any] | Labels = self.kept["y", takes_labels]
        return targets

    def here(self, schema: Schema) -> Schema:
        """The schema on the table's device."""
        return schema if self.device is None else replace(schema, device=self.device)

    def weights(self, sample_weight: Any, n_rows: int) -> NDArray[np.float64] | None:
        """Checked weights of the rows; the same object is looked at once."""
        if sample_weight is None:
            return None
        key = "weights", id(sample_weight)
        if key not in self.kept:
            checked = row_weights(sample_weight, n_rows, self.device or DEFAULT_DEVICE)
            self.kept[key] = sample_weight, checked  # kept alive, so that its id stays its
        weights: NDArray[np.float64] = self.kept[key][1]
        return weights


def row_numbers(given: Any, n_rows: int, what: str) -> Places:
    """Numbers of rows from a list of them, or from a mask (n_rows,) of booleans."""
    try:
        values = np.asarray(given)
    except ValueError:
        values = np.zeros((0, 0))
    if values.dtype.kind == "b" and values.shape == (n_rows,):
        values = np.flatnonzero(values)
    elif (values.dtype.kind not in "iu" and values.size) or values.ndim != 1:
        raise InvalidInputError(f"{what} must be numbers of rows, or a mask of {n_rows} booleans, one for each row.")
    if not values.size:
        raise InvalidInputError(f"{what} is empty: it names no row.")
    wrong = np.flatnonzero((values < 0) | (values >= n_rows))
    if wrong.size:
        raise InvalidInputError(f"{what} names row {values[wrong[0]]}, but rows count from 0 to {n_rows - 1}.")
    return values.astype(np.int64)


def inputs_at(rows: Places | None, table: CheckedTable | Columns) -> CheckedTable | Columns:
    """The same table with these rows alone; None: with all."""
    if rows is None:
        return table
    if isinstance(table, CheckedTable):
        return CheckedTable(at(rows, table.values), table.names, lambda column: table.given(column)[rows])
    columns = [
        Column(
            column.where,
            None if column.numbers is None else column.numbers[rows],
            None if column.labels is None else [column.labels[row] for row in rows],
        )
        for column in table.columns
    ]
    return Columns(columns, table.names, len(rows), None if table.matrix is None else table.matrix[rows])


def targets_at(rows: Places | None, targets: NDArray[Any] | Labels) -> NDArray[Any] | Labels:
    """The same targets with these rows alone."""
    if rows is None:
        return targets
    return targets._replace(values=targets.values[rows]) if isinstance(targets, Labels) else at(rows, targets)
