"""Tables as users of scikit-learn pass them: looked at by scikit-learn, and left as they are where there is text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..data.arrays import as_array, within_memory
from ..data.frames import as_frame
from ..data.on_device import only_on_host
from ..errors import InvalidInputError
from .library import check_target, num_samples, validate_data

REALS = [np.float64, np.float32]
FLAT = 1000 * float(np.finfo(np.float32).eps)  # standard deviation over mean


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Where scikit-learn looks at tables: what memory or a float does not hold is refused as any other."""
    try:
        with within_memory(what):
            yield
    except (ArithmeticError, IndexError) as error:  # a number beyond float64, a signalling NaN
        raise InvalidInputError(f"{what} cannot be read as numbers: {type(error).__name__}.") from error


def checked_table(estimator: Any, X: Any, y: tuple[Any, ...], encodes: bool, reset: bool, **options: Any) -> Any:
    """X, or X and y, as the network takes them, or the messages that users of scikit-learn know.

    Numbers become an array. A table with columns of another kind stays as it is, if it is to be encoded.
    """
    only_on_host("scikit-learn looks at tables", X=X, y=y[0] if y else None)
    if encodes and _has_labels(X):
        return _left(estimator, X, y, reset, **options)
    finite = {"ensure_all_finite": "allow-nan"} if encodes else {}
    try:
        return validate_data(estimator, X, *y, reset=reset, dtype=REALS, order="C", **finite, **options)
    except ValueError as error:
        if "could not convert string to float" not in str(error):
            raise
        if encodes:
            return _left(estimator, as_array(X, "X"), y, reset, **options)
        raise ValueError(
            f"{error}. With encoding=None {type(estimator).__name__} takes numbers: columns of text and gaps go "
            "through a ColumnTransformer, or leave encoding='auto'."
        ) from None


def _has_labels(X: Any) -> bool:
    """Whether a data frame has columns that are not numbers."""
    frame = as_frame(X, "X")
    if frame is None or not hasattr(frame, "columns"):
        return False
    return any(not dtype.is_numeric() or dtype.is_decimal() for dtype in frame.schema.values())


def _left(estimator: Any, X: Any, y: tuple[Any, ...], reset: bool, **options: Any) -> Any:
    """A table as it is; scikit-learn has looked at its columns' number and names."""
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return (X, check_target(*y, estimator=estimator, **options)) if y else X


def count_rows(X: Any) -> int:
    """How many rows a table has."""
    return int(num_samples(X))


def count_numbers(X: Any) -> int:
    """How many of its columns are numbers."""
    frame = as_frame(X, "X")
    if frame is None or not hasattr(frame, "columns"):
        return int(X.shape[1])
    return sum(dtype.is_numeric() for dtype in frame.schema.values())


def real_dtype_of(X: Any) -> np.dtype[Any]:
    """The precision in which a table came."""
    dtype = getattr(X, "dtype", None)
    return np.dtype(np.float32) if dtype == np.float32 else np.dtype(np.float64)


def hardly_varies(y: Any) -> bool:
    """Whether float32 hardly tells values of a target apart, because they lie close together far from 0."""
    wide = np.asarray(y, np.float64)
    with within_memory("y"), np.errstate(over="ignore", invalid="ignore"):  # what overflows varies
        return bool((wide.std(axis=0) < FLAT * np.abs(wide.mean(axis=0))).any())


def check_is_whole(y: Any) -> None:
    """Whether each row has a label."""
    if y.dtype.kind == "O":
        empty = [value is None or value != value for value in y.ravel().tolist()]
        if any(empty):
            raise ValueError(f"y, row {empty.index(True) // (y.size // len(y))} is empty: fill it, or drop the row.")
