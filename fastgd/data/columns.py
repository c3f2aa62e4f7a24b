"""Tables of numbers, text and gaps, column by column: each is either numbers or labels, or one sentence says why not.

A column of numbers has NaN where nothing is known, a column of labels None. Text, categories and booleans are labels.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..options import shortened
from .arrays import as_array, column_name
from .frames import as_frame, ordered_names
from .tables import check_shape

Numbers = NDArray[np.float64]
LARGEST = 1e300  # a larger number has no difference to another one of its size
DATE = "is a date or a time: turn it into numbers first, such as year, month, or days since a day that you choose"


class Column(NamedTuple):
    """One column of a table; one of `numbers` and `labels` is there."""

    where: str  # what messages call it
    numbers: Numbers | None  # (n_rows,), NaN for a gap
    labels: list[str | None] | None  # n_rows

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.labels) if self.numbers is None else len(self.numbers)  # type: ignore[arg-type]


class Columns(NamedTuple):
    """A table that is to be encoded."""

    columns: list[Column]
    names: tuple[str, ...] | None
    n_rows: int
    matrix: Numbers | None = None  # (n_rows, n_columns): all columns side by side, where they came as such numbers


def read_columns(X: Any, n_in: int, wanted: tuple[str, ...] | None) -> Columns:
    """The columns of a user's table, in the order of the names `wanted` where it has names.

    Raises:
        InvalidInputError: no table of n_in columns, or a column that is neither numbers nor labels.
    """
    frame = as_frame(X, "X")
    if frame is not None and hasattr(frame, "columns"):
        names, order = ordered_names(frame, "X", wanted)
        check_shape((len(frame), len(names)), n_in, names)
        columns = [_of_series(frame[:, place], column_name("X", at, names)) for at, place in enumerate(order)]
        return Columns(columns, names, len(frame))
    values = as_array(X, "X", masked=np.nan)
    check_shape(values.shape, n_in, wanted)
    where = [column_name("X", at, wanted) for at in range(n_in)]
    if values.dtype.kind not in "biuf":
        return Columns([_of_array(values[:, at], where[at]) for at in range(n_in)], None, len(values))
    matrix = np.ascontiguousarray(values, np.float64)
    if max(np.fmax.reduce(matrix, axis=None), -np.fmin.reduce(matrix, axis=None)) > LARGEST:
        row, column = (int(place) for place in np.argwhere(np.abs(matrix) > LARGEST)[0])
        raise InvalidInputError(_too_large(where[column], row, values[row, column]))
    return Columns([Column(where[at], matrix[:, at], None) for at in range(n_in)], None, len(values), matrix)


def _of_series(series: Any, where: str) -> Column:
    dtype = series.dtype
    if dtype.is_temporal():
        raise InvalidInputError(f"{where} {DATE}.")
    if dtype.is_nested():
        raise InvalidInputError(f"{where} holds several values in a row: give each a column of its own.")
    empty = series.is_null().to_numpy()
    if dtype.is_numeric() and not dtype.is_decimal():
        filled = series.fill_null(0) if empty.any() else series
        return _of_numbers(np.asarray(filled.to_numpy()), where, empty)
    values = series.to_list()
    if str(dtype) == "String" and not empty.any():
        return Column(where, None, values)
    if str(dtype) in ("Categorical", "Enum", "String", "Boolean"):
        return Column(where, None, [None if gap else _label(value) for value, gap in zip(values, empty, strict=True)])
    return _of_objects(values, where, empty)


def _of_array(values: NDArray[Any], where: str) -> Column:
    if values.dtype.kind in "mM":
        raise InvalidInputError(f"{where} {DATE}.")
    if values.dtype.kind == "c":
        raise InvalidInputError(f"{where} has complex numbers: pass real columns, such as their real part.")
    if values.dtype.kind not in "OUT":
        raise InvalidInputError(
            f"{where} has dtype {values.dtype}, which cannot be read: convert it to text or floats."
        )
    return _of_objects(values.tolist(), where, None)


def _of_numbers(values: NDArray[Any], where: str, empty: NDArray[np.bool_] | None) -> Column:
    numbers = values.astype(np.float64)
    wrong = np.abs(numbers) > LARGEST
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInputError(_too_large(where, row, values[row]))
    if empty is not None:
        numbers[empty] = np.nan
    return Column(where, numbers, None)


def _too_large(where: str, row: int, value: Any) -> str:
    advice = "correct it, or leave the cell empty" if np.isinf(value) else "too large: use other units"
    return f"{where}, row {row} is {value}{':' if np.isinf(value) else ','} {advice}."


def _of_objects(values: list[Any], where: str, empty: NDArray[np.bool_] | None) -> Column:
    """Python's own objects: all numbers, or all text and booleans, besides gaps."""
    kinds: dict[Callable[..., Any], int] = {}
    converted: list[Any] = []
    for row, value in enumerate(values):
        if (empty is not None and empty[row]) or _is_gap(value):
            converted.append(None)
            continue
        kind = _kind(value, f"{where}, row {row}")
        kinds.setdefault(kind, row)
        converted.append(value)
    if len(kinds) > 1:
        row = max(kinds.values())
        raise InvalidInputError(
            f"{where} has both numbers and text; row {row} holds {shortened(repr(values[row]), 40)}: make all of it "
            "numbers or all of it text, and leave cells empty where nothing is known."
        )
    if _label in kinds:
        return Column(where, None, [None if value is None else _label(value) for value in converted])
    numbers = np.array([_number(value, f"{where}, row {row}") for row, value in enumerate(converted)], np.float64)
    return _of_numbers(numbers, where, None)


def _kind(value: Any, cell: str) -> Callable[..., Any]:
    """Whether a cell is a label or a number, as the function that makes it one."""
    if isinstance(value, str | bool | np.bool_):
        return _label
    if isinstance(value, Real | Decimal | Fraction | np.integer | np.floating):
        return float
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta | np.datetime64 | np.timedelta64):
        raise InvalidInputError(f"{cell} {DATE}.")
    raise InvalidInputError(f"{cell} is a {type(value).__name__}: only numbers, text and booleans can be learned from.")


def _number(value: Any, cell: str) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError as error:
        raise InvalidInputError(f"{cell} is too large for float64: use other units.") from error
    except ValueError as error:
        raise InvalidInputError(f"{cell} is {value}: correct it, or leave the cell empty.") from error


def _is_gap(value: Any) -> bool:
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _label(value: Any) -> str:
    """Text for a label; whole numbers read the same however they are stored."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    return str(value)


def as_labels(column: Column) -> list[str | None]:
    """Labels, also where a column has come as numbers now."""
    if column.labels is not None:
        return column.labels
    assert column.numbers is not None
    return [None if value != value else _label(value) for value in column.numbers.tolist()]
