"""Tables in: what the user has becomes what kernels read, or one clear sentence about why it cannot.

Lists, NumPy arrays and data frames (pandas, polars, anything that narwhals reads) come in; read-only C-contiguous
arrays of the network's dtype go out. This is the only file that touches the users' arrays, and it never writes to
them. A C-contiguous array that has the right dtype already is used as it is, without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError, PrecisionWarning, warn
from .names import is_number

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
    return Table(_finished(values, "X", dtype, table.names or names), table.names)


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


def row_weights(weights: Any, dtype: np.dtype[Any], n_rows: int) -> Reals:
    """Check sample weights: (n_rows,) numbers of at least 0, not all 0; (0,) where there are none."""
    if weights is None:
        none = np.zeros(0, dtype)
        none.flags.writeable = False  # as weights are: to the compiler the two are different types
        return none
    values = _read(weights, "sample_weight", dtype, None).values
    if values.shape not in ((n_rows,), (n_rows, 1)):
        raise InvalidInputError(f"sample_weight has shape {values.shape}, but there are {n_rows} rows.")
    checked = _finished(values.reshape(-1, 1), "sample_weight", dtype, None)[:, 0]
    if checked.min() < 0:
        row = int(np.argmax(checked < 0))
        raise InvalidInputError(f"sample_weight, row {row} is {checked[row]}: a weight must be at least 0.")
    if checked.max() == 0:
        raise InvalidInputError("sample_weight is 0 in every row: nothing is left to learn from.")
    if not 1e-20 < checked.max() < 1e20:  # only their ratios count, and their sums must neither vanish nor overflow
        checked = checked / checked.max()
        checked.flags.writeable = False
    return checked


def labels(y: Any, n_rows: int) -> NDArray[Any]:
    """Check labels of classes: (n_rows,) whole numbers, truth values or text."""
    frame = None if isinstance(y, np.ndarray | list | tuple) else _as_frame(y, "y")
    if frame is not None:
        if hasattr(frame, "columns"):
            if len(frame.columns) != 1:
                raise InvalidInputError(f"y has {len(frame.columns)} columns, but labels of classes are one column.")
            frame = frame[:, 0]
        _check_nulls(frame, "y")
        y = frame.to_numpy()
    try:
        values = np.asarray(y)
        if values.dtype.kind in "US" and not isinstance(y, np.ndarray):
            values = np.asarray(y, object)  # NumPy turned the numbers among text into text, too
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError("y cannot be read as labels: its rows differ in length.") from error
    if np.ma.is_masked(y):
        raise InvalidInputError("y has masked entries: fill them, or drop these rows.")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        hint = " For one column for each class, use y.argmax(axis=1)." if values.ndim == 2 else ""
        raise InvalidInputError(f"y has shape {values.shape}, but labels of classes are one column.{hint}")
    if len(values) != n_rows:
        raise InvalidInputError(
            f"X and y have different lengths: X has {n_rows} rows, y has {len(values)}; each row needs its y."
        )
    if values.dtype.kind == "O":
        if all(isinstance(label, int | np.integer | np.bool_) for label in values):
            return labels(np.array(values.tolist()), n_rows)
        if not all(isinstance(label, str) for label in values):
            row = next(row for row, label in enumerate(values) if not isinstance(label, str))
            raise InvalidInputError(f"y, row {row} is {values[row]!r}: labels must be all text or all whole numbers.")
        values = values.astype(str)
    if values.dtype.kind == "f":
        wrong = np.flatnonzero(~((np.abs(values) < 2.0**53) & (values == np.rint(values))))
        if wrong.size:
            raise InvalidInputError(
                f"y, row {wrong[0]} is {values[wrong[0]]}: labels of classes must be whole numbers or text."
            )
        values = values.astype(np.int64)
    if values.dtype.kind not in "biuU":
        raise InvalidInputError(f"y has dtype {values.dtype}: labels of classes must be whole numbers or text.")
    return values


def has_shares(y: Any) -> bool:
    """Whether y holds numbers that are not whole: probabilities of the second class instead of labels."""
    frame = None if isinstance(y, np.ndarray | list | tuple) else _as_frame(y, "y")
    try:
        values = np.asarray(y if frame is None else frame.to_numpy())
    except (ValueError, TypeError):
        return False
    return values.dtype.kind == "f" and bool((values != np.rint(values)).any())


def classes_of(values: NDArray[Any], n_classes: int) -> NDArray[Any]:
    """The classes that labels stand for, ascending; whole numbers below n_classes need not all occur."""
    found = np.unique(values)
    if found.size == n_classes:
        return found
    if found.dtype.kind in "biu" and found[0] >= 0 and found[-1] < n_classes:
        return np.arange(n_classes)
    plural = "es" if found.size > 1 else ""
    what = f"{found.size} class{plural} ({', '.join(map(str, found[:5]))}{', …' if found.size > 5 else ''})"
    raise InvalidInputError(f"y has {what}, but the network has outputs for {n_classes}.")


def class_numbers(values: NDArray[Any], classes: NDArray[Any], dtype: np.dtype[Any]) -> Reals:
    """Labels as numbers of their classes, (n_rows, 1)."""
    same_kind = (values.dtype.kind == "U") == (classes.dtype.kind == "U")
    places = np.searchsorted(classes, values) if same_kind else np.zeros(len(values), np.int64)
    places = np.minimum(places, classes.size - 1)
    unknown = np.flatnonzero(classes[places] != values) if same_kind else np.arange(1)
    if unknown.size:
        row = int(unknown[0])
        fresh = " It learns labels of text in its first fit." if values.dtype.kind == "U" and not same_kind else ""
        raise InvalidInputError(
            f"y, row {row} has the label {values[row].item()!r}, which the model does not know; "
            f"its classes are: {', '.join(map(str, classes[:20]))}.{fresh}"
        )
    numbers: Reals = places.astype(dtype).reshape(-1, 1)
    numbers.flags.writeable = False
    return numbers


def class_weights(weights: Any, numbers: Reals, classes: NDArray[Any]) -> NDArray[np.float64]:
    """Each row's weight, (n_rows,), from weights of classes: {class: weight}, or "balanced" for n / (K · count)."""
    if (numbers != np.rint(numbers)).any():
        raise InvalidInputError("class_weight is for labels of classes; y holds probabilities: use sample_weight.")
    places = numbers[:, 0].astype(np.int64)
    counts = np.bincount(places, minlength=classes.size)
    if isinstance(weights, str) and weights == "balanced":
        present = np.count_nonzero(counts)
        return (len(places) / (present * np.maximum(counts, 1)))[places]
    if not isinstance(weights, dict):
        raise InvalidInputError(f"class_weight must be a dict such as {{'yes': 2.0}} or 'balanced', not {weights!r}.")
    table = np.ones(classes.size)
    known = {label.item(): place for place, label in enumerate(classes)}
    for label, weight in weights.items():
        if label not in known or counts[known[label]] == 0:
            raise InvalidInputError(
                f"class_weight names the class {label!r}, which y does not have; "
                f"its classes are: {', '.join(str(classes[place]) for place in np.flatnonzero(counts))}."
            )
        if not is_number(weight) or not 0 <= weight < np.inf:
            raise InvalidInputError(f"class_weight of {label!r} must be a number of at least 0, not {weight!r}.")
        table[known[label]] = weight
    if not table[places].any():
        raise InvalidInputError("class_weight leaves every row with weight 0: nothing is left to learn from.")
    return table[places]


def within(values: Reals, low: float, high: float, what: str) -> None:
    """Check the range of a target."""
    wrong = np.argwhere((values < low) | (values > high))
    if wrong.size:
        row, column = (int(place) for place in wrong[0])
        raise InvalidInputError(f"y, row {row} is {values[row, column]}: {what}.")


def mean_and_std(values: Reals, weights: Reals, what: str, names: tuple[str, ...] | None) -> tuple[Reals, Reals]:
    """Each column's weighted mean and standard deviation, in the table's dtype; 1 instead of 0 for a constant column.

    Weights are (n_rows,), or (0,) for none. Sums are float64, in two passes over chunks: no copy of the table.
    """
    n, dtype = len(values), values.dtype
    rows = _rows_per_chunk(values)

    def total(transform: Any) -> Any:
        parts = ((transform(values[i : i + rows]), weights[i : i + rows]) for i in range(0, n, rows))
        return sum((p * w[:, None] if weights.size else p).sum(axis=0, dtype=np.float64) for p, w in parts)

    weight = float(weights.sum(dtype=np.float64)) if weights.size else n
    with np.errstate(over="ignore", invalid="ignore"):
        mean = total(lambda chunk: chunk) / weight
        std = np.sqrt(total(lambda chunk: (chunk - mean) ** 2) / weight)
    for column in np.flatnonzero(~(np.isfinite(mean.astype(dtype)) & np.isfinite(std.astype(dtype)))):
        raise InvalidInputError(f"{_column(what, int(column), names)} has a spread {_too_large(dtype)}.")
    resolution = np.abs(mean) * np.finfo(dtype).eps
    constant = std <= 10 * np.maximum(np.abs(mean) * np.finfo(np.float64).eps, np.finfo(dtype).tiny)
    for column in np.flatnonzero((std < 1000 * resolution) & ~constant):
        warn(
            f"{_column(what, int(column), names)} varies by {std[column]:.3g} around {mean[column]:.6g}, which {dtype} "
            "hardly resolves: subtract a constant from it first, or use dtype='float64'.",
            PrecisionWarning,
        )
    mean_in_dtype = mean.astype(dtype)
    return mean_in_dtype, np.where(constant, 1.0, std).astype(dtype)


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
    if not isinstance(source, np.ndarray | list | tuple):
        frame = _as_frame(source, what)
        if frame is not None:
            return _read_frame(frame, what, dtype, wanted)
    try:
        values = np.asarray(source)
        if values.dtype.kind in "US" and not isinstance(source, np.ndarray):
            values = np.asarray(source, object)  # NumPy turned the numbers among text into text, too
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError(f"{what} cannot be read as a table of numbers: its rows differ in length.") from error
    if values.ndim == 0:
        raise InvalidInputError(f"{what} must be a table of numbers, not {type(source).__name__}.")
    if np.ma.is_masked(source):
        raise InvalidInputError(f"{what} has masked entries: fill them, or drop these rows.")
    _check_kind(values, what)
    return Table(values, None)


def _check_kind(values: Reals, what: str) -> None:
    if values.dtype.kind in "biuf":
        return
    if values.dtype.kind == "c":
        raise InvalidInputError(f"{what} has complex numbers ({values.dtype}): pass real columns, such as {what}.real.")
    for place in np.ndindex(values.shape):
        entry = values[place]
        if entry is None or isinstance(entry, str | bytes):
            kind = "nothing" if entry is None else f"text ({str(entry)!r})"
            where = _place(what, place, None)
            raise InvalidInputError(
                f"{where} holds {kind}, but only numbers can be learned from: {_advice(what, entry)}"
            )
    raise InvalidInputError(f"{what} has dtype {values.dtype}, which is not numbers: convert it with astype(float).")


def _advice(what: str, entry: Any) -> str:
    if what.startswith("y") and entry is not None:
        return "turn it into a number; text in one column may stand for classes, with loss='cross_entropy'."
    return "turn it into a number, or leave it out."


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
    where = f"{what}, column {place} ({series.name})" if series.name is not None else what
    if not (series.dtype.is_numeric() or str(series.dtype) == "Boolean"):
        kind = getattr(series.to_native(), "dtype", series.dtype)
        raise InvalidInputError(f"{where} is {kind}, but only numbers can be learned from: {_advice(what, kind)}")
    _check_nulls(series, what, f", column {place} ({series.name})" if what == "X" else "")
    try:
        values: Reals = np.asarray(series.to_numpy())
        if values.dtype.kind == "O":  # decimals and whole numbers of any size
            values = values.astype(np.float64)
    except Exception as error:  # each library has errors of its own
        raise InvalidInputError(f"{where} cannot be read as numbers: convert it to floats first.") from error
    _check_kind(values, where)
    if np.isfinite(values).all():
        with np.errstate(over="ignore"):
            small = np.isfinite(values.astype(dtype))
        if not small.all():
            row = int(np.argmin(small))
            raise InvalidInputError(f"{where}, row {row} is {values[row]}, {_too_large(dtype)}.")
    return values


def _check_nulls(series: Any, what: str, column: str = "") -> None:
    empty = series.is_null()
    if empty.any():
        row = int(np.flatnonzero(empty.to_numpy())[0])
        raise InvalidInputError(f"{what}, row {row}{column} is empty: fill it, or drop the row.")


def _too_large(dtype: np.dtype[Any]) -> str:
    advice = "use other units" if dtype == np.float64 else "use other units, or dtype='float64'"
    return f"too large for {dtype}: {advice}"


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
                else f"is {entry}, {_too_large(dtype)}"
            )
            raise InvalidInputError(f"{_place(what, (start + row, column), names)} {problem}.")
    view = converted.view()
    view.flags.writeable = False
    return view


def _rows_per_chunk(values: Reals) -> int:
    return max(1, CHUNK // int(values.shape[1]))


def _place(what: str, place: tuple[int, ...], names: tuple[str, ...] | None) -> str:
    row = f"{what}, row {place[0]}"
    if len(place) < 2 or what != "X":
        return row
    return f"{row}, column {place[1]}" + (f" ({names[place[1]]})" if names else "")


def _column(what: str, column: int, names: tuple[str, ...] | None) -> str:
    if what == "y":
        return "y"
    return f"{what}, column {column}" + (f" ({names[column]})" if names else "")
