"""One pass over a file that memory need not hold: what its columns are, and how many rows there are to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.files import check_columns
from .facts import FactsSoFar
from .targets import TargetSoFar

if TYPE_CHECKING:
    from polars import DataFrame, Series

    from ..data.streams.source import Batch


class Missing(NamedTuple):
    """Rows without a target."""

    n_rows: int
    first: str  # where the first one stands, of those that were found first


class Look:
    """What the rows tell that have gone by; those of several processes are merged.

    Args:
        target: the column to predict.
        others: further columns that must be there.
        n_sides: how many kinds of rows there are: to learn from, held out, kept for other things.
    """

    def __init__(self, target: str, others: Sequence[str], n_sides: int) -> None:
        self.target, self.others = TargetSoFar(target), others
        self.columns: dict[str, FactsSoFar] = {}
        self.missing = Missing(0, "")
        self.n_rows = 0
        self.sides: NDArray[np.int64] = np.zeros(n_sides, np.int64)  # rows of each that have a target

    def add(self, batch: Batch, sides: NDArray[np.int64]) -> None:
        """Look at some rows; `sides` (n_rows,) are the numbers of their kinds.

        Raises:
            InvalidInputError: a column is not there.
        """
        frame = batch.X
        if not self.columns:
            check_columns(batch.name, frame.columns, [self.target.name, *self.others])
            self.columns = {name: FactsSoFar() for name in frame.columns if name != self.target.name}
        target = without_nan(frame[self.target.name])
        missing = target.is_null()
        if n_missing := int(missing.sum()):
            first = self.missing.first or batch.at(int(missing.arg_max() or 0))
            self.missing = Missing(self.missing.n_rows + n_missing, first)
            sides = sides[~missing.to_numpy()]
            frame = frame.filter(~missing)
        self.n_rows += len(missing)
        self.sides += np.bincount(sides, minlength=len(self.sides))
        self.target.add(target.drop_nulls())
        for name, column in self.columns.items():
            column.add(without_nan(frame[name]))

    def merge(self, other: Look) -> Look:
        """Take in what another process has seen."""
        for name, column in other.columns.items():
            self.columns.setdefault(name, FactsSoFar()).merge(column)
        self.target.merge(other.target)
        self.missing = Missing(self.missing.n_rows + other.missing.n_rows, self.missing.first or other.missing.first)
        self.n_rows, self.sides = self.n_rows + other.n_rows, self.sides + other.sides
        return self


def without_nan(column: Series) -> Series:
    """A column whose gaps are all of one kind."""
    return column.fill_nan(None) if column.dtype.is_float() else column


class Prepared:
    """Makes batches of a file those that a training takes: features and target, of rows that have one."""

    def __init__(self, features: Sequence[str], target: str, classes: NDArray[Any] | None) -> None:
        self.features, self.target, self.classes = features, target, classes

    def __call__(self, batch: Batch) -> Batch | None:
        """The batch with X and y; None where no row has a target."""
        from .targets import values_of

        known: NDArray[np.bool_] = without_nan(batch.X[self.target]).is_not_null().to_numpy()
        if not known.any():
            return None
        batch = batch.chosen(np.flatnonzero(known))
        frame: DataFrame = batch.X
        return batch._replace(X=frame[list(self.features)], y=values_of(frame[self.target], self.classes))
