"""Data frames (pandas, polars, pyarrow, anything that narwhals reads) as numbers, column by column and by name."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from ..kernels.records import Reals
from .arrays import CheckedTable, advice, check_kind, fill, numbers_of_objects, too_large

TABLE_LIKE = ("columns", "column_names", "names", "dtype", "schema", "__arrow_c_stream__", "__dataframe__")


def as_frame(source: Any, what: str) -> Any:
    """A narwhals data frame or series around `source`, or None where it is neither.

    What has names of columns is never read by position: the columns might stand in another order.
    """
    if type(source) in (np.ndarray, list, tuple):
        return None
    if is_lazy(source):
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
        with contextlib.suppress(Exception):  # there is no pyarrow, or it does not know this table
            import pyarrow

            return nw.from_native(pyarrow.table(source), eager_only=True)
    if names or hasattr(source, "__dataframe__"):
        raise InvalidInputError(
            f"{what} is a {type(source).__name__} with named columns, which cannot be read by name: "
            "pass a pandas, polars or pyarrow table, or an array."
        )
    return None


def is_lazy(source: Any) -> bool:
    """Whether this is a plan of a table, which would have to be carried out to tell anything."""
    return hasattr(type(source), "collect")


def source_names(source: Any) -> list[str]:
    """The names of the columns, if a table has any."""
    if is_lazy(source):
        return []
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


def target_names(y: Any, n_targets: int) -> tuple[str, ...] | None:
    """The names of the columns of y, where it is a series or a table that has so many different ones."""
    name = getattr(y, "name", None)
    names = (name,) if isinstance(name, str) and name else tuple(source_names(y))
    return names if len(set(names)) == len(names) == n_targets else None


def frame_like(source: Any, columns: dict[str, Any]) -> Any:
    """A data frame of the library that `source` comes from, with its index where it has one."""
    frame = as_frame(source, "X")
    if frame is None or not hasattr(frame, "columns"):
        raise InvalidInputError(
            f"as_frame=True is for a data frame, but X is a {type(source).__name__}: leave it out to get an array."
        )
    import narwhals as nw

    made = nw.to_native(nw.from_dict(columns, backend=nw.get_native_namespace(frame)))
    index = nw.maybe_get_index(frame)
    if index is not None:
        made.index = index
    return made


def read_frame(frame: Any, what: str, dtype: np.dtype[Any], wanted: tuple[str, ...] | None) -> CheckedTable:
    if not hasattr(frame, "columns"):
        values = _column_values(frame, what, dtype, 0)
        return CheckedTable(values, None, lambda column: values)
    names, order = ordered_names(frame, what, wanted)

    def given(place: int) -> Reals:
        return _column_values(frame[:, order[place]], what, dtype, place)

    table = np.empty((len(frame), len(names)), dtype)
    for place in range(len(names)):
        table[:, place] = given(place)
    return CheckedTable(table, names, given)


def ordered_names(frame: Any, what: str, wanted: tuple[str, ...] | None) -> tuple[tuple[str, ...], list[int]]:
    """The names of the columns in the order that is wanted, and where each stands."""
    names = tuple(map(str, frame.columns))
    if wanted is None:
        return names, list(range(len(names)))
    missing = [name for name in wanted if name not in names]
    unknown = [name for name in names if name not in wanted]
    if missing or unknown:
        problems = [f"lacks {', '.join(missing)}"] if missing else []
        problems += [f"has {', '.join(unknown)} besides"] if unknown else []
        raise InvalidInputError(f"{what} {' and '.join(problems)}: the model was made for {', '.join(wanted)}.")
    return wanted, [names.index(name) for name in wanted]


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
        values = numbers_of_objects(values, where)
    if not known and (values.dtype.kind not in "biuf" or "Categorical" in str(series.dtype)):
        kind = getattr(native, "dtype", series.dtype)
        raise InvalidInputError(f"{where} is {kind}, but only numbers can be learned from: {advice(what, kind)}")
    check_kind(values, where)
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
        raise InvalidInputError(f"{what}, row {row}{column} is empty: {fill(what)}.")
