"""Mean and spread of each column, exact however little it varies, and what the cast has taken away is told.

A model learns its scaling from the first rows that it trains on, and keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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


def learn(net: Net, schema: Schema, rows: Rows, source: Source, is_piece: bool = False) -> Net:
    """The network with the scaling of these rows, or with its own if it has one; `net` itself is not changed.

    An input that does not vary is ignored (its standard deviation is infinite), until a fit in which it varies, or is
    another constant. A single row says nothing about what varies: its inputs keep their own unit.
    """
    if schema.scaled and not (schema.standardize and np.isinf(net.input_std).any()):
        return net
    net = net._replace(**{name: getattr(net, name).copy() for name in SCALING})
    if schema.scaled:
        if schema.standardize:
            _learn_what_varies_now(net, schema, rows, source)
        return net
    standardize, n_dense = schema.standardize, schema.network.inputs.n_dense  # positions stay as they are
    X = rows.X if n_dense == rows.X.shape[1] else rows.X[:, :n_dense]
    mean, std = scales((X, rows.weights), source.inputs, source.chosen, schema.where, standardize)
    if standardize:
        counted = np.count_nonzero(rows.weights) if rows.weights.size else len(rows.X)
        std = np.where(std > 0, std, np.inf if counted > 1 else 1)
        net.input_mean[:n_dense], net.input_std[:n_dense] = mean, std
    kind = schema.network.loss.scaling
    if kind == "none":
        return net
    standardize = standardize and schema.network.standardizes_target
    mean, std = scales((rows.Y, rows.weights), source.targets, source.chosen, lambda _: "y", standardize)
    if kind == "standard" and not is_piece:
        _tell_of_constants(std, source)
    if standardize and kind == "standard":
        net.target_mean[:], net.target_std[:] = mean, np.where(std > 0, std, 1)
    elif standardize:
        net.target_std[:] = np.where(mean > 0, mean, 1)
    return net


def _tell_of_constants(std: Reals, source: Source) -> None:
    """Say which targets are the same in all rows; of a single row that is no news."""
    for column in np.flatnonzero(std == 0):
        given = source.targets.given(int(column))
        kept = given if source.chosen is None else given[source.chosen]
        if len(kept) > 1 and (kept == kept[0]).all():
            where = "y" if len(std) == 1 else f"y, column {column}"
            warn(f"{where} is {kept[0]:.6g} in every row: there is nothing to learn of it.", InputWarning)


def _learn_what_varies_now(net: Net, schema: Schema, rows: Rows, source: Source) -> None:
    """The scaling of inputs that were ignored so far."""
    for column in np.flatnonzero(np.isinf(net.input_std)):
        values, before = rows.X[:, column : column + 1], net.input_mean[column]
        if (values == before).all():
            continue
        one = CheckedTable(values, None, lambda _, column=column: source.inputs.given(int(column)))  # type: ignore[misc]
        place = schema.where(int(column))
        (mean,), (std,) = scales((values, rows.weights), one, source.chosen, lambda _, place=place: place)  # type: ignore[misc]
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
    rows: tuple[Reals, Reals],
    table: CheckedTable,
    chosen: Any,
    where: Callable[[int], str],
    needed: bool = True,
) -> tuple[Reals, Reals]:
    """Mean and standard deviation of each column of rows (values, weights) in their dtype; 0 for a constant column.

    `chosen` are these rows' numbers in the table, whose columns as they were given tell what the cast has taken away.
    Where the two are not needed, only that is told. `where` names a column.
    """
    (values, weights), dtype = rows, rows[0].dtype
    mean, std = mean_and_std(values, weights)
    with np.errstate(over="ignore"):
        good = np.isfinite(mean.astype(dtype)) & np.isfinite(std.astype(dtype))
    for column in np.flatnonzero(~good) if needed else ():
        raise InvalidInputError(f"{where(int(column))} has a spread {too_large(dtype)}.")
    tiny = float(np.finfo(dtype).tiny)
    constant = std <= 10 * np.maximum(np.abs(mean) * np.finfo(np.float64).eps, tiny)
    resolution = np.finfo(dtype).eps * np.maximum(np.abs(mean), tiny)
    for column in np.flatnonzero(constant | (std < 1000 * resolution)):
        spread, word = std[column], "hardly resolves"
        if constant[column]:
            given = table.given(int(column))
            kept = (given if chosen is None else given[chosen])[weights > 0 if weights.size else ...]
            if kept.min() == kept.max():
                continue
            spread, word = kept.astype(np.longdouble).std(), "cannot tell from a constant"
        advice = "" if dtype == np.float64 else ", or use dtype='float64'"
        warn(
            f"{where(int(column))} varies by {spread:.3g} around {mean[column]:.6g}, which {dtype} "
            f"{word}: subtract a constant from it first, use other units{advice}.",
            PrecisionWarning,
        )
    with np.errstate(over="ignore"):
        return mean.astype(dtype), np.where(constant, 0.0, std).astype(dtype)
