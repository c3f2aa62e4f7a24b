"""Mean and spread of each column, exact however little it varies, and what the cast has taken away is told."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Reals, Table, column_name, rows_per_chunk, too_large
from .errors import InvalidInputError, PrecisionWarning, warn

NEARLY_CONSTANT = 1e-6  # spread over mean below which sums are taken once more, around a value of the column


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
    n, rows = len(values), rows_per_chunk(values)

    def total(transform: Any) -> Any:
        parts = ((transform(values[i : i + rows]), weights[i : i + rows]) for i in range(0, n, rows))
        return sum(
            (np.multiply(p, w[:, None], dtype=np.float64) if weights.size else p).sum(axis=0, dtype=np.float64)
            for p, w in parts
        )

    weight = float(weights.sum(dtype=np.float64)) if weights.size else n
    with np.errstate(over="ignore", invalid="ignore"):
        mean = around + total(lambda chunk: chunk - around if around.any() else chunk) / weight
        return mean, np.sqrt(total(lambda chunk: (chunk - mean) ** 2) / weight)


def scales(
    rows: tuple[Reals, Reals],
    table: Table,
    chosen: Any,
    what: str,
    names: tuple[str, ...] | None,
    needed: bool = True,
) -> tuple[Reals, Reals]:
    """Mean and standard deviation of each column of rows (values, weights) in their dtype; 0 for a constant column.

    `chosen` are these rows' numbers in the table, whose columns as they were given tell what the cast has taken away.
    Where the two are not needed, only that is told.
    """
    (values, weights), dtype = rows, rows[0].dtype
    mean, std = mean_and_std(values, weights)
    with np.errstate(over="ignore"):
        good = np.isfinite(mean.astype(dtype)) & np.isfinite(std.astype(dtype))
    for column in np.flatnonzero(~good) if needed else ():
        raise InvalidInputError(f"{column_name(what, int(column), names)} has a spread {too_large(dtype)}.")
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
            f"{column_name(what, int(column), names)} varies by {spread:.3g} around {mean[column]:.6g}, which {dtype} "
            f"{word}: subtract a constant from it first, use other units{advice}.",
            PrecisionWarning,
        )
    with np.errstate(over="ignore"):
        return mean.astype(dtype), np.where(constant, 0.0, std).astype(dtype)
