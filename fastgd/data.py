"""Tables in: what the user has becomes what kernels read, or one clear sentence about why it cannot.

Lists, NumPy arrays and data frames (pandas, polars, anything that narwhals reads) come in; read-only C-contiguous
arrays of the network's dtype go out. This is the only file that touches the users' arrays, and it never writes to
them. A C-contiguous array that has the right dtype already is used as it is, without a copy.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError, PrecisionWarning

Reals = NDArray[Any]

CHUNK = 1 << 16  # values looked at together: what is needed beside the table stays small whatever its length


class Table(NamedTuple):
    """A checked table, and the names of its columns where it has any."""

    values: Reals  # (n_rows, n_columns), C-contiguous, read-only, finite
    names: tuple[str, ...] | None


def inputs(X: Any, dtype: np.dtype[Any], n_in: int, names: tuple[str, ...] | None) -> Table:
    """Check a table of inputs: (n_rows, n_in) finite numbers, columns in the order of `names` if named."""
    table = _read(X, "X", dtype, names)
    values = table.values
    if values.ndim == 1:
        raise InvalidInputError(
            f"X must be a table of rows and columns, but has shape {values.shape}: "
            f"use X.reshape(-1, {n_in}) for rows of {n_in}, X.reshape(1, -1) for one row."
        )
    if values.ndim != 2:
        raise InvalidInputError(f"X must be a table of rows and columns, but has shape {values.shape}.")
    if values.shape[1] != n_in:
        columns = f" ({', '.join(names)})" if names else ""
        raise InvalidInputError(f"X has {values.shape[1]} columns, but the network has {n_in} inputs{columns}.")
    if values.shape[0] == 0:
        raise InvalidInputError(f"X is empty: it has shape {values.shape} and no rows.")
    return Table(_finished(values, "X", dtype, table.names or names), table.names)


def targets(y: Any, dtype: np.dtype[Any], n_out: int, n_rows: int) -> Reals:
    """Check the actual values: (n_rows, n_out), or (n_rows,) for one output."""
    table = _read(y, "y", dtype, None)
    values = table.values
    if values.ndim == 1:
        values = values.reshape(-1, 1)
    if values.ndim != 2 or values.shape[1] != n_out:
        outputs = "1 output" if n_out == 1 else f"{n_out} outputs"
        raise InvalidInputError(f"y has shape {table.values.shape}, but the network has {outputs}.")
    if values.shape[0] != n_rows:
        raise InvalidInputError(
            f"X and y have different lengths: X has {n_rows} rows, y has {values.shape[0]}; each row needs its y."
        )
    return _finished(values, "y", dtype, table.names)


def mean_and_std(values: Reals, what: str, names: tuple[str, ...] | None) -> tuple[Reals, Reals]:
    """Each column's mean and standard deviation, in the table's dtype; 1 instead of 0 for a constant column.

    Sums are float64, in two passes over chunks: no copy of the table.
    """
    n, dtype = len(values), values.dtype
    rows = _rows_per_chunk(values)
    mean = sum(values[i : i + rows].sum(axis=0, dtype=np.float64) for i in range(0, n, rows)) / n
    squares = sum(((values[i : i + rows] - mean) ** 2).sum(axis=0) for i in range(0, n, rows))
    std = np.sqrt(squares / n)
    resolution = np.abs(mean) * np.finfo(dtype).eps
    constant = std <= 10 * np.maximum(np.abs(mean) * np.finfo(np.float64).eps, np.finfo(dtype).tiny)
    for column in np.flatnonzero((std < 1000 * resolution) & ~constant):
        warnings.warn(
            f"{_column(what, int(column), names)} varies by {std[column]:.3g} around {mean[column]:.6g}, which {dtype} "
            "hardly resolves: subtract a constant from it first, or use dtype='float64'.",
            PrecisionWarning,
            stacklevel=4,
        )
    mean_in_dtype = mean.astype(dtype)
    return mean_in_dtype, np.where(constant, 1.0, std).astype(dtype)


def split_rows(n: int, fraction: float, groups: Sequence[Any] | None, seed: int) -> tuple[Any, Any]:
    """Row numbers (training, held out), each ascending: at random, and with equal `groups` on the same side.

    Of the shuffled groups, as many are held out as bring the number of rows closest to `fraction`.
    """
    labels = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(labels)
    order = np.random.default_rng(seed).permutation(sizes.size)
    reached = np.cumsum(sizes[order])
    count = 1 + int(np.argmin(np.abs(reached - fraction * n)))
    if count >= sizes.size:
        what = "rows" if groups is None else "groups"
        raise InvalidInputError(f"{n} rows in {sizes.size} {what} are too few to hold out {fraction:.0%} of them.")
    held_out = np.zeros(sizes.size, bool)
    held_out[order[:count]] = True
    return np.flatnonzero(~held_out[labels]), np.flatnonzero(held_out[labels])


def _read(source: Any, what: str, dtype: np.dtype[Any], wanted: tuple[str, ...] | None) -> Table:
    """Numbers of any shape and kind, not yet looked at one by one."""
    if not isinstance(source, np.ndarray | list | tuple):
        frame = _as_frame(source, what)
        if frame is not None:
            return _read_frame(frame, what, dtype, wanted)
    try:
        values = np.asarray(source)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"{what} cannot be read as a table of numbers: its rows differ in length.") from error
    if values.ndim == 0:
        raise InvalidInputError(f"{what} must be a table of numbers, not {type(source).__name__}.")
    _check_kind(values, what)
    return Table(values, None)


def _check_kind(values: Reals, what: str) -> None:
    if values.dtype.kind in "biuf":
        return
    if values.dtype.kind == "c":
        raise InvalidInputError(f"{what} has complex numbers ({values.dtype}): pass real columns, such as {what}.real.")
    for place in np.ndindex(values.shape):
        entry = values[place]
        if isinstance(entry, str | bytes) or entry is None:
            kind = "text" if isinstance(entry, str | bytes) else "nothing"
            raise InvalidInputError(
                f"{_place(what, place, None)} holds {kind} ({entry!r}), but only numbers can be learned from: "
                "turn it into a number, or leave the column out."
            )
    raise InvalidInputError(f"{what} has dtype {values.dtype}, which is not numbers: use {what}.astype(float).")


def _as_frame(source: Any, what: str) -> Any:
    """A narwhals data frame or series around `source`, or None where it is neither."""
    if not (hasattr(source, "columns") or hasattr(source, "dtype") or hasattr(source, "schema")):
        return None
    import narwhals as nw

    names = [str(name) for name in getattr(source, "columns", ())]
    if len(set(names)) < len(names):
        raise InvalidInputError(f"{what} has two columns of the same name: {', '.join(names)}.")
    try:
        return nw.from_native(source, eager_only=True, allow_series=True)
    except TypeError:
        return None


def _read_frame(frame: Any, what: str, dtype: np.dtype[Any], wanted: tuple[str, ...] | None) -> Table:
    if not hasattr(frame, "columns"):
        return Table(_column_values(frame, what, dtype, 0), None)
    names = tuple(map(str, frame.columns))
    order = range(len(names))
    if wanted is not None:
        missing = [name for name in wanted if name not in names]
        unknown = [name for name in names if name not in wanted]
        if missing or unknown:
            problems = [f"lacks {', '.join(missing)}"] if missing else []
            problems += [f"has {', '.join(unknown)} besides"] if unknown else []
            raise InvalidInputError(f"{what} {' and '.join(problems)}: the model was made for {', '.join(wanted)}.")
        order = [names.index(name) for name in wanted]  # type: ignore[assignment]
        names = wanted
    values = np.empty((len(frame), len(names)), dtype)
    for place, column in enumerate(order):
        values[:, place] = _column_values(frame[:, column], what, dtype, place)
    return Table(values, names)


def _column_values(series: Any, what: str, dtype: np.dtype[Any], place: int) -> Reals:
    where = f"{what}, column {place} ({series.name})"
    if not (series.dtype.is_numeric() or str(series.dtype) == "Boolean"):
        raise InvalidInputError(
            f"{where} is {series.dtype}, but only numbers can be learned from: "
            "turn it into numbers, or leave the column out."
        )
    if series.is_null().any():
        row = int(np.flatnonzero(series.is_null().to_numpy())[0])
        raise InvalidInputError(f"{what}, row {row}, column {place} ({series.name}) is empty: fill or drop the row.")
    values: Reals = series.to_numpy()
    _check_kind(values, where)
    return values


def _finished(values: Reals, what: str, dtype: np.dtype[Any], names: tuple[str, ...] | None) -> Reals:
    """The table in its dtype, contiguous, read-only, and every value looked at."""
    with np.errstate(over="ignore"):  # a value that is too large becomes infinite and is found below
        converted = np.ascontiguousarray(values, dtype)
    rows = _rows_per_chunk(converted)
    for start in range(0, len(converted), rows):
        finite = np.isfinite(converted[start : start + rows])
        if not finite.all():
            row, column = (int(place) for place in np.argwhere(~finite)[0])
            entry = values[start + row, column]
            problem = (
                f"is {entry}: fill it, or drop the row"
                if not np.isfinite(entry)
                else f"is {entry}, too large for {dtype}: use other units, or dtype='float64'"
            )
            raise InvalidInputError(f"{_place(what, (start + row, column), names)} {problem}.")
    view = converted.view()
    view.flags.writeable = False
    return view


def _rows_per_chunk(values: Reals) -> int:
    return max(1, CHUNK // int(values.shape[1]))


def _place(what: str, place: tuple[int, ...], names: tuple[str, ...] | None) -> str:
    row = f"{what}, row {place[0]}"
    if len(place) < 2 or what.startswith("y"):
        return row
    return f"{row}, column {place[1]}" + (f" ({names[place[1]]})" if names else "")


def _column(what: str, column: int, names: tuple[str, ...] | None) -> str:
    if what == "y":
        return "y"
    return f"{what}, column {column}" + (f" ({names[column]})" if names else "")
