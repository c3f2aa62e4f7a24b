"""What nobody should pass, and what is odd but says the same: the list that every argument is fed with.

`LIKE` are other forms of a good array, which hold the same numbers: the answer must be the same to the bit. `SPOILT`
are arrays made from a good one by spoiling it, and `ODD` are values of any kind. Each value is made anew for each case.
"""

from __future__ import annotations

import decimal
import fractions
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse  # type: ignore[import-untyped]

from .samples import NAMES

HUGE = 1 << 31  # elements


def _with(place: Any, entry: Any, dtype: Any = np.float64) -> Callable[[Any], Any]:
    """An array with one entry replaced."""

    def spoil(good: Any) -> Any:
        values = np.array(good, dtype)
        if values.size:
            values.reshape(-1)[place % values.size] = entry
        return values

    return spoil


def _apart(good: Any) -> Any:
    """Every second entry of a wider array, along each axis."""
    wide = np.zeros([2 * n for n in good.shape], good.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in good.shape)]
    view[...] = good
    return view


def _misaligned(good: Any) -> Any:
    """An array that begins one byte beside where its numbers should."""
    room = np.zeros(good.nbytes + 1, np.uint8)
    view = room[1:].view(good.dtype).reshape(good.shape)
    view[...] = good
    return view


def _read_only(good: Any) -> Any:
    values = good.copy()
    values.flags.writeable = False
    return values


def _frame(library: Any) -> Callable[[Any], Any]:
    """A data frame of a table, a series of a column."""

    def made(good: Any) -> Any:
        if good.ndim == 2:
            columns = NAMES[: good.shape[1]] if good.shape[1] <= len(NAMES) else map(str, range(good.shape[1]))
            return library.DataFrame(dict(zip(columns, good.T.copy(), strict=True)))
        return library.Series(good) if library is pd else library.Series("y", good)

    return made


def _arrow(good: Any) -> Any:
    frame = _frame(pd)(good)
    return pa.Table.from_pandas(frame) if good.ndim == 2 else pa.chunked_array([good[:3], good[3:]])


class _Labelled(np.ndarray[Any, Any]):
    """A subclass of arrays, as other libraries have them."""


# The same numbers (whole ones below 128) in another form.
LIKE: Mapping[str, Callable[[Any], Any]] = {
    "read-only": _read_only,
    "non-contiguous": _apart,
    "backwards in memory": lambda good: np.flip(np.flip(good).copy()),
    "in Fortran's order": np.asfortranarray,
    "byte-swapped": lambda good: good.astype(good.dtype.newbyteorder()),
    "misaligned": _misaligned,
    "float16": lambda good: good.astype(np.float16),
    "float32": lambda good: good.astype(np.float32),
    "float64": lambda good: good.astype(np.float64),
    "as long double": lambda good: good.astype(np.longdouble),
    "int8": lambda good: good.astype(np.int8),
    "uint16": lambda good: good.astype(np.uint16),
    "int64": lambda good: good.astype(np.int64),
    "objects that are numbers": lambda good: good.astype(object),
    "decimals": lambda good: np.vectorize(decimal.Decimal, [object])(good),
    "as a list": lambda good: good.tolist(),
    "as a tuple": lambda good: tuple(map(tuple, good.tolist())) if good.ndim == 2 else tuple(good.tolist()),
    "as a list of arrays": list,
    "a masked array without a mask": np.ma.masked_array,
    "a subclass of arrays": lambda good: good.view(_Labelled),
    "as pandas": _frame(pd),
    "as polars": _frame(pl),
    "as pyarrow": _arrow,
}

# Made from a good array, and wrong or dangerous.
SPOILT: Mapping[str, Callable[[Any], Any]] = {
    "a NaN": _with(1, math.nan),
    "an infinity": _with(0, math.inf),
    "minus infinity": _with(-1, -math.inf),
    "NaN alone": lambda good: np.full(good.shape, math.nan),
    "a huge value": _with(1, 1e300),
    "the largest float32": _with(1, float(np.finfo(np.float32).max)),
    "huge values of both signs": lambda good: np.where(np.arange(good.size).reshape(good.shape) % 2, 3e38, -3e38),
    "a denormal value": _with(0, 5e-324),
    "denormal values": lambda good: np.asarray(good, np.float64) * 1e-310,
    "tiny values": lambda good: np.asarray(good, np.float64) * 1e-44,
    "negative values": lambda good: -np.asarray(good, np.float64),
    "zeros": lambda good: np.zeros(good.shape),
    "one value": lambda good: np.full(good.shape, 7.5),
    "objects": lambda good: np.full(good.shape, object()),
    "None among numbers": _with(2, None, object),
    "a list among numbers": _with(2, [1], object),
    "text": lambda good: np.asarray(good).astype(str),
    "words": lambda good: np.full(good.shape, "word"),
    "bytes in an array": lambda good: np.full(good.shape, b"1"),
    "complex": lambda good: np.asarray(good, np.complex128) + 1j,
    "dates": lambda good: np.asarray(good, np.int64).astype("datetime64[D]"),
    "durations": lambda good: np.asarray(good, np.int64).astype("timedelta64[s]"),
    "records": lambda good: np.zeros(len(good), [("a", "f8"), ("b", "i4")]),
    "booleans": lambda good: np.asarray(good) > 3,
    "sparse": lambda good: scipy.sparse.csr_matrix(np.atleast_2d(np.asarray(good, np.float64))),
    "a sparse array": lambda good: scipy.sparse.coo_array(np.atleast_2d(np.asarray(good, np.float64))),
    "masked": lambda good: np.ma.masked_array(np.asarray(good, np.float64), np.asarray(good) == np.asarray(good).max()),
    "zero rows": lambda good: good[:0],
    "zero columns": lambda good: np.zeros((len(good), 0)),
    "one row": lambda good: good[:1],
    "a row too many": lambda good: np.concatenate([good, good[:1]]),
    "half the rows": lambda good: good[: len(good) // 2],
    "a column too many": lambda good: np.column_stack([good, good]),
    "one column": lambda good: np.asarray(good).reshape(len(good), -1)[:, :1],
    "transposed": lambda good: np.atleast_2d(good).T if good.ndim == 2 else good[None],
    "flat": np.ravel,
    "three axes": lambda good: np.asarray(good)[..., None, None],
    "no axis": lambda good: np.array(1.0),
    "no axis, an object": lambda good: np.array({}, object),
    "rows of different lengths": lambda good: [[1.0], [1.0, 2.0], 3.0],
    "2**31 rows": lambda good: np.lib.stride_tricks.as_strided(np.ones(1), (HUGE, *good.shape[1:]), (0,) * good.ndim),
    "2**31 columns": lambda good: np.lib.stride_tricks.as_strided(np.ones(1), (len(good), HUGE // len(good)), (0, 0)),
    "2**31 elements": lambda good: np.lib.stride_tricks.as_strided(
        np.ones(1, np.float32), (HUGE // (good.size // len(good)), *good.shape[1:]), (0,) * good.ndim
    ),
    "pandas with other names": lambda good: pd.DataFrame(np.asarray(good)).add_prefix("other "),
    "pandas with a name twice": lambda good: pd.DataFrame(np.ones((len(good), 4)), columns=["size", "size", "b", "c"]),
    "pandas with gaps": lambda good: (
        pd.DataFrame(np.arange(good.size).reshape(good.shape)).astype("Int64").replace(1, pd.NA)
    ),
    "pandas with words": lambda good: pd.DataFrame(np.asarray(good)).astype(str),
    "pandas with categories": lambda good: pd.DataFrame(np.asarray(good)).astype("category"),
    "pandas with an index of its own": lambda good: pd.Series(np.ones(len(good)), range(5, 5 + len(good))),
    "pandas without rows": lambda good: pd.DataFrame(np.asarray(good)[:0]),
    "polars with gaps": lambda good: pl.DataFrame({name: [None, *range(len(good) - 1)] for name in NAMES}),
    "polars with lists": lambda good: pl.DataFrame({name: [[1.0]] * len(good) for name in NAMES}),
    "polars, lazy": lambda good: pl.LazyFrame({name: range(len(good)) for name in NAMES}),
    "pyarrow with gaps": lambda good: pa.table({name: [None, *range(len(good) - 1)] for name in NAMES}),
    "pyarrow with structs": lambda good: pa.table({name: [{"a": 1}] * len(good) for name in NAMES}),
}


class OwnError(Exception):
    """What a user's own function raises: it comes through as it is."""


def _fails(*_: Any) -> Any:
    raise OwnError("of the user")


class _Nothing:
    """A class that is made of no arguments."""


class _Unprintable:
    """What cannot be shown in a message."""

    def __repr__(self) -> str:
        raise RuntimeError("not to be printed")


class _Unreadable:
    """What promises an array, and breaks."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise OwnError("two lines\nof trouble")


class _Uncertain:
    """What compares to something that is no truth value."""

    def __eq__(self, other: object) -> Any:
        return np.ones(3)

    __hash__ = None  # type: ignore[assignment]


def _itself() -> list[Any]:
    """A list that holds itself."""
    values: list[Any] = []
    values.append(values)
    return values


# Values of any kind, for any argument; those in LARGE ask for that much work where a number of them is meant.
ODD: Mapping[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "NumPy's True": lambda: np.True_,
    "0": lambda: 0,
    "1": lambda: 1,
    "-1": lambda: -1,
    "2": lambda: 2,
    "-2**63": lambda: -(2**63),
    "0.0": lambda: 0.0,
    "-0.0": lambda: -0.0,
    "0.5": lambda: 0.5,
    "1.5": lambda: 1.5,
    "-0.25": lambda: -0.25,
    "NaN": lambda: math.nan,
    "infinity": lambda: math.inf,
    "-infinity": lambda: -math.inf,
    "1e-320": lambda: 1e-320,
    "5e-324": lambda: 5e-324,
    "NumPy's NaN": lambda: np.float32("nan"),
    "NumPy's float32": lambda: np.float32(0.5),
    "NumPy's float16": lambda: np.float16(0.5),
    "NumPy's int8": lambda: np.int8(2),
    "NumPy's uint64": lambda: np.uint64(3),
    "long double": lambda: np.longdouble("0.5"),
    "a complex number": lambda: 1j,
    "a Decimal": lambda: decimal.Decimal("0.5"),
    "a Decimal NaN": lambda: decimal.Decimal("sNaN"),
    "a Fraction": lambda: fractions.Fraction(1, 2),
    "a number as text": lambda: "3",
    "an empty text": lambda: "",
    "a word": lambda: "nonsense",
    "a long text": lambda: "long " * 5000,
    "text with a line break": lambda: "one\ntwo",
    "text with a zero": lambda: "a\0b",
    "text with half a character": lambda: "\ud800",
    "a path": lambda: Path("there/is/no/such/file"),
    "bytes": lambda: b"bytes",
    "an empty list": list,
    "a list in a list": lambda: [[]],
    "a list of None": lambda: [None],
    "a list of words": lambda: ["a", "b"],
    "a list of numbers": lambda: [1, 2, 3],
    "a list that holds itself": _itself,
    "an empty tuple": tuple,
    "a tuple": lambda: (1, "a"),
    "an empty dict": dict,
    "a dict": lambda: {"a": 1},
    "a dict with odd keys": lambda: {None: None, 1.5: []},
    "a set": lambda: {1, 2},
    "a range": lambda: range(3),
    "a generator": lambda: (i for i in range(3)),
    "a function": lambda: lambda: None,
    "a function that fails": lambda: _fails,
    "a class": lambda: _Nothing,
    "a module": lambda: math,
    "an object": object,
    "Ellipsis": lambda: ...,
    "a slice": lambda: slice(3),
    "a date": lambda: np.datetime64("2020-01-01"),
    "not a time": lambda: np.datetime64("NaT"),
    "a dtype": lambda: np.dtype("int32"),
    "an array": lambda: np.arange(200.0).reshape(2, 100),
    "an array of 1": lambda: np.array([1.0]),
    "an array without axes": lambda: np.array(0.5),
    "an empty array": lambda: np.zeros(0),
    "a data frame": lambda: pd.DataFrame({"a": range(300), "b": range(300)}),
    "pandas.NA": lambda: pd.NA,
    "pandas.NaT": lambda: pd.NaT,
    "a polars series": lambda: pl.Series("a", range(300)),
    "an arrow array": lambda: pa.array([1, 2, None]),
    "a sparse matrix": lambda: scipy.sparse.eye(3),
    "an error": lambda: ValueError("no"),
    "unprintable": _Unprintable,
    "unreadable": _Unreadable,
    "uncertain": _Uncertain,
}
LARGE: Mapping[str, Callable[[], Any]] = {
    "2**31": lambda: 2**31,
    "2**53": lambda: 2**53,
    "2**63": lambda: 2**63,
    "2**64": lambda: 2**64,
    "10**400": lambda: 10**400,
    "1e300": lambda: 1e300,
    "-1e300": lambda: -1e300,
    "the largest Decimal": lambda: decimal.Decimal("1e999999"),
}
