"""Means and spreads of columns whose rows come in parts, in float64, as exact as over all rows at once.

Parts are added by the formula of Chan, Golub and LeVeque (1979), which never subtracts large sums. A mean is kept as
two numbers, so that a column that varies little around a large number is added without an error of that size.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...kernels.portable import weighted_sum
from ...kernels.records import Reals
from ..arrays import CheckedTable, rows_per_chunk
from ..scaling import NEARLY_CONSTANT

Numbers = NDArray[Any]  # float64, or longdouble
SIDE_BY_SIDE = 512  # numbers


class Weighed(NamedTuple):
    """How many rows there are, and how much they count. The sum is in units of the largest weight."""

    n_rows: int
    n_counted: int  # whose weight is not 0
    total: float
    smallest: float
    largest: float

    def scaled(self, factor: float) -> Weighed:
        """The same rows with this many times the weight."""
        if not factor * self.largest:
            return Weighed(self.n_rows, 0, 0.0, 0.0, 0.0)
        return self._replace(smallest=factor * self.smallest, largest=factor * self.largest)

    def merged(self, other: Weighed) -> tuple[Weighed, float]:
        """Both together, and which share of the weight the other has."""
        largest = max(self.largest, other.largest)
        here, there = (part.total * (part.largest / largest) if largest else 0.0 for part in (self, other))
        total = here + there
        whole = Weighed(
            self.n_rows + other.n_rows, self.n_counted + other.n_counted, total,
            min(self.smallest, other.smallest), largest,
        )  # fmt: skip
        return whole, there / total if total else 0.0


class Moments(NamedTuple):
    """Of each column, (n_columns,): of the rows that count."""

    head: Numbers  # head + tail is the mean
    tail: Numbers
    variance: Numbers
    low: Numbers  # infinite where no row counts
    high: Numbers

    @property
    def mean(self) -> Numbers:
        """The mean; of a constant column its value, to the bit."""
        mean: Numbers = np.where(self.low == self.high, self.low, self.head + self.tail)
        return mean

    @property
    def std(self) -> Numbers:
        """The standard deviation; exactly 0 for a constant column."""
        std: Numbers = np.where(self.low == self.high, 0.0, np.sqrt(self.variance))
        return std

    def merged(self, other: Moments, share: float) -> Moments:
        """Both together, where the other has this share of the weight."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        if not 0 < share < 1:
            return (other if share else self)._replace(low=low, high=high)
        with np.errstate(over="ignore", invalid="ignore"):
            apart = (other.head - self.head) + (other.tail - self.tail)
            step = self.tail + apart * share
            head = self.head + step
            tail = step - (head - self.head)
            variance = (1 - share) * self.variance + share * other.variance + apart * apart * (share * (1 - share))
        return Moments(head, tail, variance, low, high)


def weighed(weights: NDArray[np.float64], n_rows: int) -> Weighed:
    """How much n_rows count; weights (n_rows,), or (0,) where all are 1."""
    if not weights.size:
        return Weighed(n_rows, n_rows, float(n_rows), 1.0, 1.0)
    largest = float(weights.max())
    total = float((weights / largest).sum()) if largest else 0.0
    return Weighed(n_rows, int(np.count_nonzero(weights)), total, float(weights.min()), largest)


def moments(values: Reals, weights: NDArray[np.float64], wide: Any = np.float64) -> Moments:
    """Those of some rows, values (n_rows, n_columns), weights (n_rows,) or (0,); computed in the dtype `wide`.

    A part of the rows at a time stays in the processor's cache, for two passes: the mean, and what lies around it.
    """
    largest = weights.max() if weights.size else 0
    shares = weights / largest if largest else weights
    rows, parts = rows_per_chunk(values), []
    for start in range(0, len(values), rows):
        part, each = values[start : start + rows], shares[start : start + rows]
        if each.size and not each.all():
            part, each = part[each > 0], each[each > 0]
        if len(part):
            parts.append((_of_part(part, each, wide), weighed(each, len(part))))
    return nothing(values.shape[1], wide) if not parts else reduce(_together, parts)[0]


def nothing(n_columns: int, wide: Any = np.float64) -> Moments:
    """The moments of no row."""
    none = np.zeros(n_columns, wide)
    return Moments(none, none, none, none + np.inf, none - np.inf)


def before_cast(table: CheckedTable, rows: Any, weights: NDArray[np.float64], found: Moments) -> Moments:
    """The moments of some rows of a table as it was given, where those `found` after the cast do not tell them.

    They do where a column varies: only what hardly varies is looked at once more, with all digits that it has.
    """
    fields = Moments(*(field.astype(np.longdouble) for field in found))
    with np.errstate(over="ignore"):
        varies = found.high - found.low > NEARLY_CONSTANT * np.maximum(np.abs(found.low), np.abs(found.high))
    for column in np.flatnonzero(~varies):
        given = np.asarray(table.given(int(column))[rows]).astype(np.longdouble).reshape(-1, 1)
        for field, value in zip(fields, moments(given, weights, np.longdouble), strict=True):
            field[column] = value[0]
    return fields


def _together(one: tuple[Moments, Weighed], other: tuple[Moments, Weighed]) -> tuple[Moments, Weighed]:
    whole, share = one[1].merged(other[1])
    return one[0].merged(other[0], share), whole


def _of_part(values: Reals, weights: NDArray[np.float64], wide: Any) -> Moments:
    """Those of rows that all count."""
    low, high = (_reduced(ufunc, values).astype(wide) for ufunc in (np.minimum, np.maximum))
    apart = values.astype(wide)
    with np.errstate(over="ignore", invalid="ignore"):
        head = _mean(apart, weights)
        head = np.where((low < high) & np.isfinite(head), head, low)
        apart -= head
        tail = _mean(apart, weights)
        variance = _mean(np.square(apart, out=apart), weights) - tail**2
    return Moments(head, tail, np.maximum(variance, 0), low, high)


def _mean(values: Numbers, weights: NDArray[np.float64]) -> Numbers:
    mean: Numbers = (
        weighted_sum(weights, values) / weights.sum() if weights.size else _reduced(np.add, values) / len(values)
    )
    return mean


def _reduced(ufunc: np.ufunc, values: Reals) -> Reals:
    """ufunc.reduce over the rows of a table; of a narrow one many side by side, which takes a quarter of the time."""
    n_rows, n_columns = values.shape
    side_by_side = max(1, SIDE_BY_SIDE // max(1, n_columns))
    whole = n_rows - n_rows % side_by_side
    if whole > side_by_side > 1:
        top = ufunc.reduce(values[:whole].reshape(whole // side_by_side, side_by_side * n_columns), axis=0)
        values = np.concatenate([top.reshape(side_by_side, n_columns), values[whole:]])
    return ufunc.reduce(values, axis=0)  # type: ignore[no-any-return]
