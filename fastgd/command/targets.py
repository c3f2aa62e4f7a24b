"""What the target of a file is: numbers or classes, of a whole column, or of one in parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..options import shortened
from .terminal import remark

if TYPE_CHECKING:
    from polars import Series

LONGEST = 40  # characters of a name or a value
MOST_NAMED = 6  # of a list
MOST_CLASSES, MOST_NUMBERED = 200, 20
MOST_COUNTED = 10_000  # different values of a column in parts


class Target(NamedTuple):
    """What is to be known of the column."""

    name: str
    is_number: bool  # by the type of the column
    labels: NDArray[Any] | None  # the different ones, ascending; None for fractions
    has_more: bool  # than those
    are_numbers: bool  # whether text could be read as such
    example: Any


def target_of(column: Series, labels: NDArray[Any] | None) -> Target:
    """That of a whole column."""
    known = None if labels is None else np.unique(labels)
    return Target(column.name, column.dtype.is_numeric(), known, False, _are_numbers(column), column[0])


class TargetSoFar:
    """That of a column that comes in parts, and how it is spread over them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.n_rows = 0
        self.is_number = self.are_whole = self.are_numbers = True
        self.has_more = False
        self.values: set[Any] = set()
        self.example: Any = None

    def add(self, column: Series) -> None:
        """Look at some rows more, none of which is empty."""
        if not len(column):
            return
        self.n_rows += len(column)
        self.example = column[0] if self.example is None else self.example
        self.is_number &= column.dtype.is_numeric()
        if self.is_number:
            self.are_whole = self.are_whole and _are_whole(column)
        elif self.are_numbers:
            self.are_numbers = _are_numbers(column)
        if self.are_whole and not self.has_more:
            self._learn(set(column.unique().to_list()))

    def merge(self, other: TargetSoFar) -> None:
        """Take in what was seen of other rows."""
        self.n_rows += other.n_rows
        self.example = other.example if self.example is None else self.example
        self.is_number, self.are_whole = self.is_number and other.is_number, self.are_whole and other.are_whole
        self.are_numbers, self.has_more = self.are_numbers and other.are_numbers, self.has_more or other.has_more
        self._learn(other.values)

    @property
    def target(self) -> Target:
        """Of all rows so far."""
        import polars as pl

        labels = None
        if self.are_whole:
            column = pl.Series(self.name, sorted(self.values, key=str), strict=False)
            labels = np.unique(labels_of(column)) if len(column) else None  # type: ignore[arg-type]
        return Target(self.name, self.is_number, labels, self.has_more, self.are_numbers, self.example)

    def _learn(self, values: set[Any]) -> None:
        self.values |= values
        if len(self.values) > MOST_COUNTED:
            self.has_more = True
            self.values = set(sorted(self.values, key=str)[:MOST_COUNTED])


def classes_of(file: Path | str, target: Target, as_classes: bool | None) -> NDArray[Any] | None:
    """The labels of the classes that a target has, ascending; None for numbers. Says what it was taken for.

    Raises:
        InvalidInputError: a target that cannot be what is asked for.
    """
    other = ""
    name, known = shortened(target.name, LONGEST), target.labels
    n_known = 0 if known is None else len(known) + target.has_more
    if as_classes is None:
        is_text = not target.is_number
        as_classes = is_text or n_known == 2
        if not as_classes:
            n = f" with {n_known} different values" if 2 < n_known <= MOST_NUMBERED else ""
            also = "; --classes to treat them as classes" if n else ""
            remark(f"The target {name!r} has numbers{n}, which are predicted as such{also}.")
        elif not is_text:
            other = "; --regression to treat them as numbers"
    if not as_classes:
        return None
    if known is None:
        raise InvalidInputError(f"{file}: {name!r} holds fractions such as {target.example}, which are no classes.")
    if n_known < 2:
        raise InvalidInputError(f"{file}: {name} is {str(known[0])!r} in every row: there is nothing to tell apart.")
    if n_known > MOST_CLASSES:
        advice = (
            ": leave --classes out to predict numbers"
            if target.are_numbers
            else ", and no numbers: name another --target"
        )
        more = "more than " if target.has_more else ""
        raise InvalidInputError(
            f"{file}: {name!r} has {more}{len(known):,} different values, such as {some(known[:2])}: too many for "
            f"classes{advice}."
        )
    remark(f"The target {name!r} has {n_known} values, which are predicted as classes: {some(known)}{other}.")
    return known


def values_of(column: Series, classes: NDArray[Any] | None) -> NDArray[Any]:
    """Rows of a target as numbers, or as labels like these."""
    import polars as pl

    if classes is None:
        return np.asarray(column.to_numpy(), np.float64)
    if classes.dtype.kind == "U":
        return np.array([str(value) for value in column.to_list()])
    return np.asarray(column.cast(pl.Int64).to_numpy())


def labels_of(column: Series) -> NDArray[Any] | None:
    """A column as text, or as whole numbers where it can be; None for fractions, which are no labels."""
    import polars as pl

    if column.dtype.is_numeric():
        return column.to_numpy().astype(np.float64).astype(np.int64) if _are_whole(column) else None
    whole = column.cast(pl.Int64, strict=False) if column.dtype == pl.String else None
    if whole is not None and not whole.has_nulls() and (whole.cast(pl.String) == column).all():
        return np.asarray(whole.to_numpy())
    return np.array([str(value) for value in column.to_list()])


def some(values: NDArray[Any]) -> str:
    """The first of some values."""
    shown = ", ".join(shortened(str(value), LONGEST) for value in values[:MOST_NAMED].tolist())
    return shown + (", …" if len(values) > MOST_NAMED else "")


def _are_whole(column: Series) -> bool:
    values = column.to_numpy().astype(np.float64)
    return bool((values == np.rint(values)).all() and np.abs(values).max() < 2**53)


def _are_numbers(column: Series) -> bool:
    import polars as pl

    return not column.cast(pl.Float64, strict=False).has_nulls()
