"""What a column of a file holds, as far as that tells whether it is a feature: of a whole column, or part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from polars import Series

FEW = 20  # rows; of so few, different values tell nothing
DATE = r"^(\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{4})([T ].*)?$"
SMALLEST = 1 << 12  # hashes that are kept of a column in parts


class Facts(NamedTuple):
    """Of one column."""

    kind: str  # the name of a type that no network reads, or ""
    n_rows: int
    n_known: int
    n_values: float  # different ones
    is_text: bool
    are_dates: bool  # whether all of the text is
    counts_rows: bool  # whether each value is one more than that above it


def facts_of(column: Series) -> Facts:
    """Those of a whole column."""
    import polars as pl

    n_rows, known = len(column), column.drop_nulls()
    n_values = known.n_unique() if not _kind(column) else 0
    is_text = column.dtype == pl.String
    counts = column.dtype.is_numeric() and n_values == n_rows and bool((column.diff().drop_nulls() == 1).all())
    return Facts(_kind(column), n_rows, len(known), n_values, is_text, is_text and _are_dates(known), counts)


def why_not(facts: Facts) -> str:
    """Why a column is no feature, if it is none."""
    if facts.kind:
        return facts.kind
    if facts.n_known == 0:
        return "empty"
    if facts.n_values == 1 and facts.n_known == facts.n_rows:
        return "the same in every row"
    if facts.n_known < FEW:
        return ""
    if facts.is_text:
        return "dates" if facts.are_dates else "different in most rows" if facts.n_values > facts.n_known / 2 else ""
    return "the number of the row" if facts.counts_rows else ""


class FactsSoFar:
    """Those of a column that comes in parts.

    Different values are counted by the smallest of their hashes: exactly as long as there are fewer of them than are
    kept, and with a standard error of 1.6 % beyond (Bar-Yossef and others 2002).
    """

    def __init__(self) -> None:
        self.kind = ""
        self.n_rows = self.n_known = self.n_steps = 0
        self.is_text = self.is_number = False
        self.are_dates = self.are_steps = True
        self.hashes: NDArray[np.uint64] = np.zeros(0, np.uint64)

    def add(self, column: Series) -> None:
        """Look at some rows more, which follow each other in the file."""
        import polars as pl

        known = column.drop_nulls()
        self.kind, self.is_text = self.kind or _kind(column), self.is_text or column.dtype == pl.String
        self.is_number |= column.dtype.is_numeric()
        self.n_rows, self.n_known = self.n_rows + len(column), self.n_known + len(known)
        if self.kind:
            return
        self._keep(known.unique().hash().to_numpy())
        self.are_dates = self.are_dates and (column.dtype != pl.String or _are_dates(known))
        if self.are_steps and column.dtype.is_numeric():
            steps = column.diff().slice(1)
            self.are_steps = not steps.has_nulls() and bool((steps == 1).all())
            self.n_steps += len(steps)

    def merge(self, other: FactsSoFar) -> None:
        """Take in those of other rows."""
        self.kind, self.is_text = self.kind or other.kind, self.is_text or other.is_text
        self.is_number |= other.is_number
        self.n_rows, self.n_known = self.n_rows + other.n_rows, self.n_known + other.n_known
        self.are_dates, self.are_steps = self.are_dates and other.are_dates, self.are_steps and other.are_steps
        self.n_steps += other.n_steps
        self._keep(other.hashes)

    @property
    def facts(self) -> Facts:
        """Of all rows so far."""
        counts_rows = self.is_number and self.are_steps and self.n_steps >= self.n_rows / 2
        return Facts(self.kind, self.n_rows, self.n_known, self._n_values, self.is_text, self.are_dates, counts_rows)

    @property
    def _n_values(self) -> float:
        if len(self.hashes) < SMALLEST:
            return len(self.hashes)
        return (SMALLEST - 1) * 2.0**64 / float(self.hashes[-1])

    def _keep(self, hashes: NDArray[np.uint64]) -> None:
        if len(self.hashes) == SMALLEST:
            hashes = hashes[hashes < self.hashes[-1]]
        if len(hashes):
            self.hashes = np.unique(np.concatenate([self.hashes, hashes]))[:SMALLEST]


def _kind(column: Series) -> str:
    return str(column.dtype) if column.dtype.is_temporal() or column.dtype.is_nested() else ""


def _are_dates(known: Series) -> bool:
    return bool(known.str.contains(DATE).all())
