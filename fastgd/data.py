"""Tables in: what the user has becomes what kernels read, or one clear sentence about why it cannot.

Lists, NumPy arrays and data frames (pandas, polars, anything that narwhals reads) come in; read-only C-contiguous
arrays of the network's dtype go out. This is the only file that touches the users' arrays, and it never writes to
them. A C-contiguous array that has the right dtype already is used as it is, without a copy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError

Reals = NDArray[Any]

TABLE_LIKE = ("columns", "column_names", "names", "dtype", "schema", "__arrow_c_stream__", "__dataframe__")
CHUNK = 1 << 16  # values looked at together: what is needed beside the table stays small whatever its length


class Table(NamedTuple):
    """A checked table, the names of its columns where it has any, and its columns before the cast to `values`."""

    values: Reals  # (n_rows, n_columns), C-contiguous, read-only, finite
    names: tuple[str, ...] | None
    given: Callable[[int], Reals]  # column number → (n_rows,) as the user has it

    def columns(self, rows: Any = ...) -> Reals:
        """Some rows of the table as it was given; all by default (None, too)."""
        chosen = ... if rows is None else rows
        return np.column_stack([self.given(column)[chosen] for column in range(self.values.shape[1])])


def inputs(X: Any, dtype: np.dtype[Any], n_in: int, names: tuple[str, ...] | None) -> Table:
    """Check a table of inputs: (n_rows, n_in) finite numbers, columns in the order of `names` if named."""
    table = _read(X, "X", dtype, names)
    values = table.values
    if values.size == 0 and values.shape[0] == 0:
        raise InvalidInputError(f"X is empty: it has shape {values.shape} and no rows.")
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
    return table._replace(values=_finished(values, "X", dtype, table.names or names))


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


def targets(y: Any, dtype: np.dtype[Any], n_out: int, n_rows: int) -> Table:
    """Check the actual values: (n_rows, n_out), or (n_rows,) for one output."""
    table = _read(y, "y", np.dtype(np.float64), None)
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
    return Table(_finished(values, "y", dtype, table.names), table.names, lambda column: values[:, column])


def row_weights(weights: Any, n_rows: int) -> NDArray[np.float64]:
    """Check sample weights: (n_rows,) numbers of at least 0, not all 0; (0,) where there are none."""
    wide = np.dtype(np.float64)
    if weights is None:
        return np.zeros(0)
    values = _read(weights, "sample_weight", wide, None).values
    if values.shape not in ((n_rows,), (n_rows, 1)):
        raise InvalidInputError(f"sample_weight has shape {values.shape}, but there are {n_rows} rows.")
    checked: NDArray[np.float64] = _finished(values.reshape(-1, 1), "sample_weight", wide, None)[:, 0]
    if checked.min() < 0:
        row = int(np.argmax(checked < 0))
        raise InvalidInputError(f"sample_weight, row {row} is {checked[row]}: a weight must be at least 0.")
    if checked.max() == 0:
        raise InvalidInputError("sample_weight is 0 in every row: nothing is left to learn from.")
    return checked


def mean_one(weights: NDArray[np.float64], dtype: np.dtype[Any]) -> Reals:
    """Weights (n_rows,) divided by their mean, as kernels take them; (0,) where all count the same.

    Only ratios count: this is done in float64, where neither a tiny weight vanishes nor a sum overflows.
    """
    if weights.size and weights.min() == weights.max():
        weights = weights[:0]
    shares = weights / weights.max() if weights.size else weights
    ready: Reals = np.ascontiguousarray(shares / shares.mean() if weights.size else weights, dtype)
    ready.flags.writeable = False
    return ready


def within(values: Reals, low: float, high: float, what: str) -> None:
    """Check the range of a target."""
    wrong = np.argwhere((values < low) | (values > high))
    if wrong.size:
        row, column = (int(place) for place in wrong[0])
        raise InvalidInputError(f"y, row {row} is {values[row, column]}: {what}.")


def rows_of(numbers: NDArray[np.int64], *arrays: Reals) -> tuple[Any, ...]:
    """Copies of some rows of each array, read-only; an empty array stays as it is."""
    parts = tuple(array[numbers] if array.size else array for array in arrays)
    for part in parts:
        part.flags.writeable = False
    return parts


def split_rows(n: int, fraction: float, groups: Sequence[Any] | None, seed: int) -> tuple[Any, Any]:
    """Row numbers (training, held out), each ascending: at random, and with equal `groups` on the same side.

    Shuffled groups are held out one after another; one that would bring more than `fraction` of the rows is passed
    over, unless it is the only way to hold out any.
    """
    members = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(members)
    if sizes.size < 2:
        what = "There is only 1 row" if n == 1 else f"All {n:,} rows are one group"
        raise InvalidInputError(f"{what}: nothing can be held out from it.")
    wanted = max(round(fraction * n), 1)
    held_out = np.zeros(sizes.size, bool)
    rows = 0
    for group in np.random.default_rng(seed).permutation(sizes.size):
        if rows + sizes[group] <= wanted:
            held_out[group] = True
            rows += int(sizes[group])
    if rows == 0:
        held_out[int(np.argmin(sizes))] = True
    if held_out.all():
        raise InvalidInputError(f"To hold out {fraction:.6g} of {n:,} rows leaves none to train on: hold out fewer.")
    return np.flatnonzero(~held_out[members]), np.flatnonzero(held_out[members])


def _read(source: Any, what: str, dtype: np.dtype[Any], wanted: tuple[str, ...] | None) -> Table:
    """Numbers of any shape and kind, not yet looked at one by one."""
    frame = as_frame(source, what)
    if frame is not None:
        return _read_frame(frame, what, dtype, wanted)
    values = as_array(source, what)
    if values.ndim == 0:
        raise InvalidInputError(f"{what} must be a table of numbers, not {type(source).__name__}.")
    if values.dtype.kind == "O":
        values = _numbers_of_objects(values, what)
    _check_kind(values, what)
    return Table(values, None, lambda column: values[:, column])


def as_array(source: Any, what: str) -> NDArray[Any]:
    """Lists, tuples, arrays and tensors as an array; numbers among text stay what they are."""
    if hasattr(source, "toarray") and not isinstance(source, np.ndarray):
        raise InvalidInputError(f"{what} is a sparse matrix ({type(source).__name__}): pass {what}.toarray().")
    try:
        values = np.asarray(source.detach() if getattr(source, "requires_grad", False) else source)
        if values.dtype.kind in "US" and not isinstance(source, np.ndarray):
            values = np.asarray(source, object)  # NumPy turned the numbers among text into text, too
    except Exception as error:  # each library has errors of its own
        if isinstance(source, list | tuple) and isinstance(error, ValueError):
            why = "its rows differ in length"
        else:
            why = f"{type(source).__name__} cannot be made an array: {' '.join(str(error).split())[:200]}"
        raise InvalidInputError(f"{what} cannot be read: {why}.") from error
    if np.ma.is_masked(source):
        raise InvalidInputError(f"{what} has masked entries: fill them, or drop these rows.")
    return values


def _numbers_of_objects(values: NDArray[Any], what: str) -> NDArray[Any]:
    """Decimals, fractions and whole numbers of any size as float64; anything else stays as it is."""
    if any(entry is None or isinstance(entry, str | bytes | complex | np.complexfloating) for entry in values.flat):
        return values
    try:
        return values.astype(np.float64)
    except OverflowError as error:
        raise InvalidInputError(f"{what} has a number that is too large for float64: use other units.") from error
    except (TypeError, ValueError):
        return values


def _check_kind(values: Reals, what: str) -> None:
    if values.dtype.kind in "biuf":
        return
    if values.dtype.kind == "c":
        raise InvalidInputError(f"{what} has complex numbers ({values.dtype}): pass real columns, such as {what}.real.")
    for place in np.ndindex(values.shape):
        entry = values[place]
        if entry is None or isinstance(entry, str | bytes):
            kind = "nothing" if entry is None else f"text ({str(entry)!r})"
            cell = where(what, place, None)
            raise InvalidInputError(
                f"{cell} holds {kind}, but only numbers can be learned from: {_advice(what, entry)}"
            )
    raise InvalidInputError(f"{what} has dtype {values.dtype}, which cannot be read: convert it with astype(float).")


def _advice(what: str, entry: Any) -> str:
    if what.startswith("y") and entry is not None:
        return "turn it into a number; text in one column may stand for classes, with loss='cross_entropy'."
    return "turn it into a number, or leave it out."


def as_frame(source: Any, what: str) -> Any:
    """A narwhals data frame or series around `source`, or None where it is neither.

    What has names of columns is never read by position: the columns might stand in another order.
    """
    if type(source) in (np.ndarray, list, tuple):
        return None
    if hasattr(type(source), "collect"):
        raise InvalidInputError(f"{what} is a {type(source).__name__}, which holds no rows yet: pass {what}.collect().")
    if not any(hasattr(source, name) for name in TABLE_LIKE):
        return None
    import narwhals as nw

    names = source_names(source)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"{what} has two columns of the same name: {', '.join(twice)}.")
    try:
        return nw.from_native(source, eager_only=True, allow_series=True)
    except TypeError:
        pass
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        with contextlib.suppress(Exception):  # no pyarrow, or none that knows it
            import pyarrow

            return nw.from_native(pyarrow.table(source), eager_only=True)
    if names or hasattr(source, "__dataframe__"):
        raise InvalidInputError(
            f"{what} is a {type(source).__name__} with named columns, which cannot be read by name: "
            "pass a pandas, polars or pyarrow table, or an array."
        )
    return None


def source_names(source: Any) -> list[str]:
    """The names of the columns, if a table has any."""
    places = [(source, "column_names"), (source, "columns"), (getattr(source, "schema", None), "names")]
    if getattr(source, "ndim", 2) == 2:
        places.append((source, "names"))
    for owner, attribute in places:
        with contextlib.suppress(Exception):  # whatever a foreign table does when it is asked
            names = getattr(owner, attribute)
            names = names() if callable(names) else names
            if names is not None and not isinstance(names, str):
                return [str(name) for name in names]
    return []


def _read_frame(frame: Any, what: str, dtype: np.dtype[Any], wanted: tuple[str, ...] | None) -> Table:
    if not hasattr(frame, "columns"):
        values = _column_values(frame, what, dtype, 0)
        return Table(values, None, lambda column: values)
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

    def given(place: int) -> Reals:
        return _column_values(frame[:, order[place]], what, dtype, place)

    table = np.empty((len(frame), len(names)), dtype)
    for place in range(len(names)):
        table[:, place] = given(place)
    return Table(table, names, given)


def _column_values(series: Any, what: str, dtype: np.dtype[Any], place: int) -> Reals:
    where = f"{what}, column {place} ({series.name})" if series.name is not None else what
    native, known = series.to_native(), series.dtype.is_numeric() or str(series.dtype) == "Boolean"
    check_nulls(series, what, f", column {place} ({series.name})" if what == "X" else "")
    try:
        values: Reals = np.asarray(series.to_numpy() if known else native)
    except Exception as error:  # each library has errors of its own
        raise InvalidInputError(f"{where} cannot be read as numbers: convert it to floats first.") from error
    if values.ndim != 1:
        raise InvalidInputError(f"{where} holds several numbers in a row: give each a column of its own.")
    if values.dtype.kind == "O":  # decimals, whole numbers of any size, and columns of Python's objects
        values = _numbers_of_objects(values, where)
    if not known and (values.dtype.kind not in "biuf" or "Categorical" in str(series.dtype)):
        kind = getattr(native, "dtype", series.dtype)
        raise InvalidInputError(f"{where} is {kind}, but only numbers can be learned from: {_advice(what, kind)}")
    _check_kind(values, where)
    if np.isfinite(values).all():
        with np.errstate(over="ignore"):
            small = np.isfinite(values.astype(dtype))
        if not small.all():
            row = int(np.argmin(small))
            raise InvalidInputError(f"{where}, row {row} is {values[row]}, {too_large(dtype)}.")
    return values


def check_nulls(series: Any, what: str, column: str = "") -> None:
    empty = series.is_null()
    if empty.any():
        row = int(np.flatnonzero(empty.to_numpy())[0])
        raise InvalidInputError(f"{what}, row {row}{column} is empty: fill it, or drop the row.")


def too_large(dtype: np.dtype[Any]) -> str:
    advice = "use other units" if dtype == np.float64 else "use other units, or dtype='float64'"
    return f"too large for {dtype}: {advice}"


def _finished(values: Reals, what: str, dtype: np.dtype[Any], names: tuple[str, ...] | None) -> Reals:
    """The table in its dtype, contiguous, read-only, and every value looked at."""
    with np.errstate(over="ignore"):  # a value that is too large becomes infinite and is found below
        converted = np.ascontiguousarray(values, dtype)
    rows = rows_per_chunk(converted)
    for start in range(0, len(converted), rows):
        finite = np.isfinite(converted[start : start + rows])
        if not finite.all():
            row, column = (int(place) for place in np.argwhere(~finite)[0])
            entry = values[start + row, column]
            problem = (
                f"is {entry}: fill it, or drop the row" if not np.isfinite(entry) else f"is {entry}, {too_large(dtype)}"
            )
            raise InvalidInputError(f"{where(what, (start + row, column), names)} {problem}.")
    view = converted.view()
    view.flags.writeable = False
    return view


def rows_per_chunk(values: Reals) -> int:
    return max(1, CHUNK // int(values.shape[1]))


def where(what: str, place: tuple[int, ...], names: tuple[str, ...] | None) -> str:
    row = f"{what}, row {place[0]}"
    if len(place) < 2 or what != "X":
        return row
    return f"{row}, column {place[1]}" + (f" ({names[place[1]]})" if names else "")


def column_name(what: str, column: int, names: tuple[str, ...] | None) -> str:
    if what == "y":
        return "y"
    return f"{what}, column {column}" + (f" ({names[column]})" if names else "")
