"""Labels of classes in: whole numbers, truth values or text become the numbers of their classes.

A model knows its classes from the labels that it meets, or from a list: `classes=`, or the categories of a column.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputWarning, InvalidInputError, warn
from ..kernels.records import Reals, read_only
from ..options import is_number, listed, shown
from .arrays import as_array
from .frames import as_frame, check_nulls

NO_CLASSES = "class_weight is for labels of classes; y holds probabilities: use sample_weight."
EXACT = 2.0**53  # whole numbers up to here are exact in float64


class Labels(NamedTuple):
    """One label for each row, and the classes that their column names, whether they occur or not."""

    values: NDArray[Any]  # (n_rows,) whole numbers, truth values or text
    categories: NDArray[Any] | None


def labels(y: Any, n_rows: int) -> Labels:
    """Check labels of classes: (n_rows,) whole numbers, truth values or text."""
    if isinstance(y, Labels):
        return y
    frame = as_frame(y, "y")
    if frame is not None:
        if hasattr(frame, "columns"):
            if len(frame.columns) != 1:
                raise InvalidInputError(f"y has {len(frame.columns)} columns, but labels of classes are one column.")
            frame = frame[:, 0]
        check_nulls(frame, "y")
    values = as_array(y if frame is None else frame.to_native(), "y")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        hint = " For one column for each class, use y.argmax(axis=1)." if values.ndim == 2 else ""
        raise InvalidInputError(f"y has shape {values.shape}, but labels of classes are one column.{hint}")
    if len(values) != n_rows:
        raise InvalidInputError(
            f"X and y have different lengths: X has {n_rows} rows, y has {len(values)}; each row needs its y."
        )
    return Labels(_plain(values, "y"), _categories(y if frame is None else frame.to_native()))


def _plain(values: NDArray[Any], what: str) -> NDArray[Any]:
    """Labels as an array of whole numbers, truth values or text."""
    if values.dtype.kind == "O":
        kinds = {str if isinstance(v, str) else float if is_number(v) else type(v) for v in values}
        if kinds <= {float, bool, np.bool_}:
            values = np.array(values.tolist())
        elif kinds == {str}:
            values = values.astype(str)
        else:
            text = isinstance(values[0], str)
            alike = (isinstance(v, str) if text else is_number(v) or isinstance(v, bool | np.bool_) for v in values)
            row = next(row for row, is_alike in enumerate(alike) if not is_alike)
            raise InvalidInputError(
                f"{what}, row {row} is {_shown(values[row])}: labels must be all text or all whole numbers."
            )
    if values.dtype.kind == "O" or (values.dtype.kind == "u" and values.max(initial=0) > np.iinfo(np.int64).max):
        row = int(np.argmax([not -(2**63) <= v < 2**63 for v in values]))
        raise InvalidInputError(
            f"{what}, row {row} is {_shown(values[row])}: numbers of classes must be whole, and below 2**63."
        )
    if values.dtype.kind == "f":
        wide = values.astype(np.float64)  # of float16, which does not hold EXACT
        wrong = np.flatnonzero(~((np.abs(wide) < EXACT) & (wide == np.rint(wide))))
        if wrong.size:
            raise InvalidInputError(
                f"{what}, row {wrong[0]} is {values[wrong[0]]}: labels of classes must be whole numbers or text."
            )
        values = values.astype(np.int64)
    if values.dtype.kind not in "biuU":
        raise InvalidInputError(f"{what} has dtype {values.dtype}: labels of classes must be whole numbers or text.")
    return values


def _shown(label: Any) -> str:
    """A label as text; Python does not write whole numbers of thousands of digits."""
    whole = isinstance(label, int | np.integer) and not isinstance(label, bool)
    return "a number of over 60 digits" if whole and abs(label) > 2**200 else str(label) if whole else repr(label)


def _categories(column: Any) -> NDArray[Any] | None:
    """The categories of a column of pandas or polars whose type lists them."""
    names = getattr(getattr(column, "dtype", None), "categories", None)
    try:
        return None if names is None else _plain(np.asarray(list(names)), "y")
    except (TypeError, ValueError):  # a type that lists none, or categories that are no labels
        return None


def declared_classes(classes: Any, n_classes: int | None) -> NDArray[Any]:
    """Check the classes that a user names beforehand: one for each output (two for a single one)."""
    if n_classes is None:
        raise InvalidInputError("classes= is for classes: that takes loss='cross_entropy' or 'binary_cross_entropy'.")
    given = listed(classes, n_classes)
    if given is not None:
        named = classes.to_pylist() if hasattr(classes, "to_pylist") else given
        known = _plain(as_array(named, "classes").reshape(-1), "classes")
        if known.size == n_classes == np.unique(known).size:
            return known
    raise InvalidInputError(f"classes must be a list of {n_classes} different labels, not {shown(classes)}.")


def has_shares(y: Any) -> bool:
    """Whether y holds numbers that are not whole: probabilities of the second class instead of labels."""
    if isinstance(y, Labels):
        return False
    frame = as_frame(y, "y")
    try:
        values = as_array(y if frame is None else frame.to_native(), "y")
    except InvalidInputError:
        return False
    return values.dtype.kind == "f" and bool((values != np.rint(values)).any())


def first_classes(given: Labels, n_classes: int) -> NDArray[Any]:
    """The classes of a model that has none yet.

    Those of the column's type, or what occurs, ascending; whole numbers below n_classes need not all occur. Others may
    come later.
    """
    found = np.unique(given.values)
    if found.size > n_classes:
        names = f"{', '.join(map(str, found[:5]))}{', …' if found.size > 5 else ''}"
        raise InvalidInputError(f"y has {found.size} classes ({names}), but the network has outputs for {n_classes}.")
    if found.dtype.kind in "biu" and found.size < n_classes and found[0] >= 0 and found[-1] < n_classes:
        return np.arange(n_classes)
    if given.categories is not None and found.size <= given.categories.size <= n_classes:
        found = given.categories
    if found.size < n_classes:
        warn(
            f"y has {found.size} class{'es' if found.size > 1 else ''} ({', '.join(map(str, found[:5]))}), but the "
            f"network has outputs for {n_classes}: if the others come later, name all of them with classes=[…].",
            InputWarning,
        )
    return found


def more_classes(known: NDArray[Any], given: Labels, n_classes: int) -> NDArray[Any]:
    """The known classes, and behind them what is new, as long as the network has outputs for it."""
    if known.size == n_classes or (given.values.dtype.kind == "U") != (known.dtype.kind == "U"):
        return known
    new = np.setdiff1d(given.values, known)
    return known if known.size + new.size > n_classes or not new.size else np.concatenate([known, new])


def class_numbers(values: NDArray[Any], classes: NDArray[Any], dtype: np.dtype[Any]) -> Reals:
    """Labels as numbers of their classes, (n_rows, 1)."""
    same_kind = (values.dtype.kind == "U") == (classes.dtype.kind == "U")
    order = np.argsort(classes)
    places = np.searchsorted(classes, values, sorter=order) if same_kind else np.zeros(len(values), np.int64)
    places = order[np.minimum(places, classes.size - 1)]
    unknown = np.flatnonzero(classes[places] != values) if same_kind else np.arange(1)
    if unknown.size:
        row = int(unknown[0])
        fresh = " It learns labels of text in its first fit." if values.dtype.kind == "U" and not same_kind else ""
        raise InvalidInputError(
            f"y, row {row} has the label {values[row].item()!r}, which the model does not know; "
            f"its classes are: {', '.join(map(str, classes[:20]))}.{fresh}"
        )
    return read_only(places.astype(dtype).reshape(-1, 1))


def class_weights(weights: Any, numbers: Reals, classes: NDArray[Any]) -> NDArray[np.float64]:
    """Each class's weight, (n_classes,), from {class: weight}, or "balanced" for n / (K · count) of the rows given.

    `numbers` (n_rows, 1) are those of the classes of the rows to train on.
    """
    if (numbers != np.rint(numbers)).any():
        raise InvalidInputError(NO_CLASSES)
    return weights_by_count(weights, np.bincount(numbers[:, 0].astype(np.int64), minlength=classes.size), classes)


def weights_by_count(weights: Any, counts: NDArray[np.int64], classes: NDArray[Any]) -> NDArray[np.float64]:
    """The same, from how many rows each class has, (n_classes,)."""
    check_class_weights(weights)
    if weights == "balanced":
        present = np.count_nonzero(counts)
        return np.where(counts > 0, counts.sum() / (present * np.maximum(counts, 1)), 1.0)
    table = np.ones(classes.size)
    known = {label.item(): place for place, label in enumerate(classes)}
    for label, weight in weights.items():
        if label not in known:
            raise InvalidInputError(
                f"class_weight names the class {shown(label)}, which the model does not know; its classes are: "
                f"{', '.join(map(str, classes[:20]))}. A class that comes later is named with classes=[…]."
            )
        if not is_number(weight) or not 0 <= weight < np.inf:
            raise InvalidInputError(
                f"class_weight of {shown(label)} must be a number of at least 0, not {shown(weight)}."
            )
        table[known[label]] = weight
    if not table[counts > 0].any():
        raise InvalidInputError("class_weight leaves every row with weight 0: nothing is left to learn from.")
    return table


def check_class_weights(weights: Any) -> None:
    """Whether this is something that class_weight may be."""
    if not isinstance(weights, dict) and not (isinstance(weights, str) and weights == "balanced"):
        raise InvalidInputError(
            f"class_weight must be a dict such as {{'yes': 2.0}} or 'balanced', not {shown(weights)}."
        )
