"""Mean and spread of each column, exact however little it varies, and what the cast has taken away is told.

A model learns its scaling from the first rows that it trains on, and keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputWarning, InvalidInputError, PrecisionWarning, warn
from ..kernels.records import Net, Reals, Rows
from .arrays import CheckedTable, rows_per_chunk, too_large
from .on_device import is_on_device
from .schema import Schema

SCALING = ("input_mean", "input_std", "target_mean", "target_std")
NEARLY_CONSTANT = 1e-6  # spread over mean below which sums are taken once more, around a value of the column


class Source(NamedTuple):
    """The tables that rows were taken from, which know what their columns were before the cast."""

    inputs: CheckedTable
    targets: CheckedTable
    chosen: NDArray[np.int64] | None  # the numbers of the rows that were taken; None: all


class Spread(NamedTuple):
    """How columns vary."""

    mean: NDArray[np.float64]  # (n_columns,)
    std: NDArray[np.float64]  # (n_columns,): exactly 0 for a constant column
    before: Callable[[int], Any]  # column number → its standard deviation before the cast: 0 if it did not vary there


class Evidence(Protocol):
    """What rows tell of their columns, whether they are in memory or have gone by."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the tables, as kernels take them."""

    @property
    def n_counted(self) -> int:
        """How many rows count."""

    def inputs(self, first: int, end: int) -> Spread:
        """Of these columns of inputs, in rows that count."""

    def targets(self) -> Spread:
        """Likewise of the targets, as they are learned."""

    def is_always(self, column: int, value: Any) -> bool:
        """Whether an input has this value in every row."""

    def constant_target(self, column: int) -> float | None:
        """What a target is in every row before the cast; None: it varies, or there is one row, which is no news."""


class InMemory:
    """The evidence of rows in memory, which know what their columns were before the cast."""

    def __init__(self, rows: Rows, source: Source) -> None:
        self.rows, self.source = rows, source

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the tables, as kernels take them."""
        dtype: np.dtype[Any] = self.rows.X.dtype
        return dtype

    @property
    def n_counted(self) -> int:
        """How many rows count."""
        weights = self.rows.weights
        return int(np.count_nonzero(weights)) if weights.size else len(self.rows.X)

    def inputs(self, first: int, end: int) -> Spread:
        """Of these columns of inputs, in rows that count."""
        X = self.rows.X if end - first == self.rows.X.shape[1] else self.rows.X[:, first:end]
        return self._spread(X, lambda column: self.source.inputs.given(first + column))

    def targets(self) -> Spread:
        """Likewise of the targets, as they are learned."""
        return self._spread(self.rows.Y, self.source.targets.given)

    def is_always(self, column: int, value: Any) -> bool:
        """Whether an input has this value in every row."""
        return bool((self.rows.X[:, column : column + 1] == value).all())

    def constant_target(self, column: int) -> float | None:
        """What a target is in every row before the cast."""
        kept = self._chosen(self.source.targets.given(column))
        return float(kept[0]) if len(kept) > 1 and (kept == kept[0]).all() else None

    def _chosen(self, given: Reals) -> Reals:
        return given if self.source.chosen is None else given[self.source.chosen]

    def _spread(self, values: Reals, given: Callable[[int], Reals]) -> Spread:
        weights = self.rows.weights

        def before(column: int) -> Any:
            kept = self._chosen(given(column))[weights > 0 if weights.size else ...]
            return 0.0 if kept.min() == kept.max() else kept.astype(np.longdouble).std()

        return Spread(*mean_and_std(values, weights), before)


def learn(net: Net, schema: Schema, seen: Evidence, is_piece: bool = False) -> Net:
    """The network with the scaling of these rows, or with its own if it has one; `net` itself is not changed.

    An input that does not vary is ignored (its standard deviation is infinite), until a fit in which it varies, or is
    another constant. A single row says nothing about what varies: its inputs keep their own unit.
    """
    if schema.scaled and not (schema.standardize and np.isinf(net.input_std).any()):
        return net
    net = net._replace(**{name: getattr(net, name).copy() for name in SCALING})
    if schema.scaled:
        if schema.standardize:
            _learn_what_varies_now(net, schema, seen)
        return net
    standardize, n_dense = schema.standardize, schema.network.inputs.n_dense  # positions stay as they are
    mean, std = scales(seen.inputs(0, n_dense), seen.dtype, schema.where, standardize)
    if standardize:
        std = np.where(std > 0, std, np.inf if seen.n_counted > 1 else 1)
        net.input_mean[:n_dense], net.input_std[:n_dense] = mean, std
    kind = schema.network.loss.scaling
    if kind == "none":
        return net
    standardize = standardize and schema.network.standardizes_target
    mean, std = scales(seen.targets(), seen.dtype, lambda _: "y", standardize)
    if kind == "standard" and not is_piece:
        _tell_of_constants(std, seen)
    if standardize and kind == "standard":
        net.target_mean[:], net.target_std[:] = mean, np.where(std > 0, std, 1)
    elif standardize:
        net.target_std[:] = np.where(mean > 0, mean, 1)
    return net


def _tell_of_constants(std: Reals, seen: Evidence) -> None:
    """Say which targets are the same in all rows; of a single row that is no news."""
    for column in np.flatnonzero(std == 0):
        value = seen.constant_target(int(column))
        if value is not None:
            where = "y" if len(std) == 1 else f"y, column {column}"
            warn(f"{where} is {value:.6g} in every row: there is nothing to learn of it.", InputWarning)


def _learn_what_varies_now(net: Net, schema: Schema, seen: Evidence) -> None:
    """The scaling of inputs that were ignored so far."""
    for column in map(int, np.flatnonzero(np.isinf(net.input_std))):
        before, place = net.input_mean[column], schema.where(column)
        if seen.is_always(column, before):
            continue
        (mean,), (std,) = scales(seen.inputs(column, column + 1), seen.dtype, lambda _, place=place: place)  # type: ignore[misc]
        if std == 0 and mean != before:  # another constant: the two are all that is known
            mean, std = (mean + before) / 2, abs(mean - before) / 2
        if std > 0:
            net.input_mean[column], net.input_std[column] = mean, std


def mean_and_std(values: Reals, weights: Reals) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each column's weighted mean and standard deviation; exactly 0 for a constant column.

    Weights are (n_rows,), or (0,) for none. Sums are float64, in two passes over chunks: no copy of the table. Those of
    a column that hardly varies are taken again around one of its values, or its mean would be off by more than that.
    """
    zeros = np.zeros(values.shape[1])
    mean, std = _moments(values, weights, zeros)
    first = int(np.argmax(weights > 0)) if weights.size else 0
    for column in np.flatnonzero(~(np.isfinite(std) & (std >= NEARLY_CONSTANT * np.abs(mean)))):
        one, around = values[:, column : column + 1], float(values[first, column])
        counted = one[:, 0] if not weights.size else one[weights > 0, 0]
        mean[column], std[column] = around, 0.0
        if not (counted == around).all():
            (mean[column],), (std[column],) = _moments(one, weights, np.array([around]))
    return mean, std


def _moments(values: Reals, weights: Reals, around: NDArray[np.float64]) -> tuple[Any, Any]:
    weight = float(weights.sum(dtype=np.float64)) if weights.size else len(values)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = around + column_sums(values, weights, around) / weight
        return mean, np.sqrt(column_sums(values, weights, mean, is_squared=True) / weight)


def column_sums(values: Any, weights: Reals, around: NDArray[np.float64], is_squared: bool = False) -> Any:
    """Σ weight · (value − around) of each column, or of its square, (n_columns,); weights (0,) are all 1.

    A table on a GPU adds up its own.
    """
    if is_on_device(values):
        return values.column_sums(weights, around, is_squared)
    total: Any = 0
    rows = rows_per_chunk(values)
    for start in range(0, len(values), rows):
        terms, w = values[start : start + rows], weights[start : start + rows]
        if is_squared or around.any():
            terms = terms - around
        terms = terms**2 if is_squared else terms
        weighted = np.multiply(terms, w[:, None], dtype=np.float64) if weights.size else terms
        total = total + weighted.sum(axis=0, dtype=np.float64)
    return total


def scales(
    spread: Spread, dtype: np.dtype[Any], where: Callable[[int], str], needed: bool = True
) -> tuple[Reals, Reals]:
    """Mean and standard deviation of each column in the dtype; 0 for a constant column.

    What the cast has taken away is told, and nothing else where the two are not needed. `where` names a column.
    """
    mean, std = spread.mean, spread.std
    with np.errstate(over="ignore"):
        good = np.isfinite(mean.astype(dtype)) & np.isfinite(std.astype(dtype))
    for column in np.flatnonzero(~good) if needed else ():
        raise InvalidInputError(f"{where(int(column))} has a spread {too_large(dtype)}.")
    tiny = float(np.finfo(dtype).tiny)
    constant = std <= 10 * np.maximum(np.abs(mean) * np.finfo(np.float64).eps, tiny)
    resolution = np.finfo(dtype).eps * np.maximum(np.abs(mean), tiny)
    for column in np.flatnonzero(constant | (std < 1000 * resolution)):
        varies_by, word = std[column], "hardly resolves"
        if constant[column]:
            varies_by, word = spread.before(int(column)), "cannot tell from a constant"
            if not varies_by:
                continue
        advice = "" if dtype == np.float64 else ", or use dtype='float64'"
        warn(
            f"{where(int(column))} varies by {varies_by:.3g} around {mean[column]:.6g}, which {dtype} "
            f"{word}: subtract a constant from it first, use other units{advice}.",
            PrecisionWarning,
        )
    with np.errstate(over="ignore"):
        return mean.astype(dtype), np.where(constant, 0.0, std).astype(dtype)
