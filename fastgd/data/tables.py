"""Tables in: what the user has becomes what kernels read, or one clear sentence about why it cannot.

Lists, NumPy arrays and data frames (pandas, polars, anything that narwhals reads) come in; read-only C-contiguous
arrays of the network's dtype go out. The users' arrays are never written to. A C-contiguous array that has the right
dtype already is used as it is, without a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from ..kernels.records import Reals, read_only
from .arrays import (
    CHUNK,
    FILL,
    CheckedTable,
    as_array,
    check_kind,
    fill,
    numbers_of_objects,
    rows_per_chunk,
    too_large,
    where,
    within_memory,
)
from .frames import as_frame, read_frame
from .on_device import borrowed, is_on_device, table_of


def inputs(X: Any, dtype: np.dtype[Any], n_in: int, names: tuple[str, ...] | None) -> CheckedTable:
    """Check a table of inputs: (n_rows, n_in) finite numbers, columns in the order of `names` if named."""
    if fits(X, dtype, n_in) and X.size <= CHUNK and np.isfinite(X).all():  # next to no time for a few rows
        return CheckedTable(read_only(X.view()), None, lambda column: X[:, column])
    table = read(X, "X", dtype, names)
    values = table.values
    check_shape(values.shape, n_in, names)
    return table._replace(values=finished(values, "X", dtype, table.names or names))


def inputs_on_device(X: Any, dtype: np.dtype[Any], n_in: int, names: tuple[str, ...] | None, device: str) -> Any:
    """The same of an array on a GPU, as the table that kernels take; its values are not looked at."""
    found = borrowed(X, "X", device)
    check_shape(found.shape, n_in, names)
    return table_of(found, "X", dtype)


def check_shape(shape: tuple[int, ...], n_in: int, names: tuple[str, ...] | None) -> None:
    """Whether this is the shape of a table of inputs, (n_rows, n_in)."""
    if 0 in shape and shape[0] == 0:
        raise InvalidInputError(f"X is empty: it has shape {shape} and no rows.")
    if len(shape) == 1:
        raise InvalidInputError(
            f"X must be a table of rows and columns, but has shape {shape}: "
            f"use X.reshape(-1, {n_in}) for rows of {n_in}, X.reshape(1, -1) for one row."
        )
    if len(shape) != 2:
        raise InvalidInputError(f"X must be a table of rows and columns, but has shape {shape}.")
    if shape[1] != n_in:
        columns = f" ({', '.join(names)})" if names else ""
        raise InvalidInputError(f"X has {shape[1]} columns, but the network has {n_in} inputs{columns}.")


def fits(X: Any, dtype: np.dtype[Any], n_in: int) -> bool:
    """Whether X is an array as kernels take it, so that only its values are left to be looked at."""
    return (
        type(X) is np.ndarray
        and X.dtype == dtype
        and X.ndim == 2
        and X.shape[1] == n_in
        and X.shape[0] > 0
        and X.flags.c_contiguous
        and X.flags.aligned
    )


def targets(
    y: Any, dtype: np.dtype[Any], n_out: int, n_rows: int, learned: Callable[[Reals], Reals] | None = None
) -> CheckedTable:
    """Check the actual values: (n_rows, n_out), or (n_rows,) for one output; `values` are what is learned of them."""
    table = read(y, "y", np.dtype(np.float64), None)
    values = table.values
    _check_target_shape(values.shape, n_out, n_rows)
    if values.ndim == 1:
        values = values.reshape(-1, 1)
    kept = finished(values, "y", dtype, table.names)
    if values.dtype == np.longdouble:  # what is measured against them is float64, whatever they came in
        values = values.astype(np.float64)
    if learned is not None:
        kept = finished(learned(values.astype(np.float64)), "y", dtype, table.names)
    return CheckedTable(kept, table.names, lambda column: values[:, column])


def targets_on_device(y: Any, dtype: np.dtype[Any], n_out: int, n_rows: int, device: str) -> CheckedTable:
    """The same of an array on a GPU, which stays there."""
    found = borrowed(y, "y", device)
    _check_target_shape(found.shape, n_out, n_rows)
    return looked_at(table_of(found, "y", dtype), "y", None)


def _check_target_shape(shape: tuple[int, ...], n_out: int, n_rows: int) -> None:
    if len(shape) not in (1, 2) or (shape[1] if len(shape) == 2 else 1) != n_out:
        outputs = "1 output" if n_out == 1 else f"{n_out} outputs"
        raise InvalidInputError(f"y has shape {shape}, but the network has {outputs}.")
    if shape[0] != n_rows:
        raise InvalidInputError(
            f"X and y have different lengths: X has {n_rows} rows, y has {shape[0]}; each row needs its y."
        )


def looked_at(table: Any, what: str, names: tuple[str, ...] | None) -> CheckedTable:
    """A table on a GPU whose values are all finite; a column as it was given is copied to the host."""
    largest = float(np.finfo(table.dtype).max)
    cell = table.first_outside(-largest, largest)
    if cell is not None:
        raise _not_finite(table[cell], what, cell, table.dtype, names)
    return CheckedTable(table, None, lambda column: table[:, column])


def _not_finite(
    entry: Any, what: str, cell: tuple[int, int], dtype: np.dtype[Any], names: tuple[str, ...] | None
) -> InvalidInputError:
    """The error where a cell is no finite number, or none in the dtype that it is cast to."""
    problem = (
        f"is {entry}: {fill(what) if np.isnan(entry) else FILL}"
        if not np.isfinite(entry)
        else f"is {entry}, {too_large(dtype)}"
    )
    return InvalidInputError(f"{where(what, cell, names)} {problem}.")


def within(values: Any, low: float, high: float, what: str) -> None:
    """Check the range of a target."""
    if is_on_device(values):
        wrong = [cell] if (cell := values.first_outside(low, high)) else []
    else:
        wrong = np.argwhere((values < low) | (values > high))[:1].tolist()
    for row, column in wrong:
        raise InvalidInputError(f"y, row {row} is {values[row, column]}: {what}.")


def read(source: Any, what: str, dtype: np.dtype[Any], wanted: tuple[str, ...] | None) -> CheckedTable:
    """Numbers of any shape and kind, not yet looked at one by one."""
    if type(source) is np.ndarray and source.dtype.kind in "biuf" and source.ndim:
        return CheckedTable(source, None, lambda column: source[:, column])
    frame = as_frame(source, what)
    if frame is not None:
        return read_frame(frame, what, dtype, wanted)
    values = as_array(source, what)
    if values.ndim == 0:
        raise InvalidInputError(f"{what} must be a table of numbers, not {type(source).__name__}.")
    if values.dtype.kind == "O":
        values = numbers_of_objects(values, what)
    check_kind(values, what)
    return CheckedTable(values, None, lambda column: values[:, column])


def finished(values: Reals, what: str, dtype: np.dtype[Any], names: tuple[str, ...] | None) -> Reals:
    """The table in its dtype, contiguous, read-only, and every value looked at."""
    with within_memory(what), np.errstate(over="ignore"):  # what is too large becomes infinite and is found below
        converted = np.ascontiguousarray(values, dtype)
    rows = rows_per_chunk(converted)
    for start in range(0, len(converted), rows):
        finite = np.isfinite(converted[start : start + rows])
        if not finite.all():
            row, column = (int(place) for place in np.argwhere(~finite)[0])
            row += start
            raise _not_finite(values[row, column], what, (row, column), dtype, names)
    return read_only(converted.view())
