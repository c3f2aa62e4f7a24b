"""Slices of whatever holds rows: arrays, lists, tensors, series and data frames, by position and without a copy."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frames import as_frame, source_names

DEEPEST = 64  # lists in lists: as many as an array has dimensions
TABLES = (  # what has one of these holds a table, or what cannot be read and is refused as one
    "__array__", "__array_interface__", "__cuda_array_interface__", "__dlpack__", "__dataframe__",
    "__arrow_c_stream__", "__arrow_c_array__", "shape", "columns", "column_names", "collect", "toarray",
)  # fmt: skip


def is_table(thing: Any) -> bool:
    """Whether a thing is a table to be read as a whole, or is refused as one, although it may be iterable."""
    if isinstance(thing, tuple | str | bytes | dict | set | frozenset):
        return True
    return any(hasattr(type(thing), name) for name in TABLES) or hasattr(thing, "shape")


def rows_of(table: Any, start: int, stop: int) -> Any:
    """Some rows of a table."""
    if isinstance(table, np.ndarray | list | tuple):
        return table[start:stop]
    frame = as_frame(table, "X")
    return table[start:stop] if frame is None else frame[start:stop].to_native()


def own_copy(table: Any) -> Any:
    """A table that stays as it is when its maker writes other rows to the same memory."""
    if isinstance(table, list | tuple):
        return copy.deepcopy(table)
    for name in ("clone", "copy"):  # of tensors; of arrays and frames. What has neither cannot be written to
        if hasattr(table, name):
            return getattr(table, name)()
    return table


def rows_at(table: Any, places: NDArray[np.int64]) -> Any:
    """The rows of a table that stand at these places."""
    if isinstance(table, np.ndarray):
        return table[places]
    if isinstance(table, list | tuple):
        return [table[place] for place in places.tolist()]
    frame = as_frame(table, "X")
    return table[places] if frame is None else frame[places].to_native()


def n_rows_of(table: Any) -> int:
    """How many rows a table has."""
    shape = getattr(table, "shape", None)
    return len(table) if shape is None else int(shape[0])


def depth(table: Any) -> int:
    """How many dimensions a table has: 2 for rows and columns, 1 for a series or a row, 0 for a number or text."""
    n = 0
    while isinstance(table, list | tuple) and n < DEEPEST:
        table, n = table[0] if table else None, n + 1
    shape = getattr(table, "shape", None)
    if shape is not None:
        return n + len(shape)
    return n + 2 if source_names(table) else n


def columns_of(table: Any) -> tuple[str, ...] | int | None:
    """The names of a table's columns, or how many it has; None where nothing tells before it is read."""
    shape = getattr(table, "shape", None)
    if isinstance(table, list | tuple):
        return len(table[0]) if depth(table) > 1 else None
    names = () if isinstance(table, np.ndarray) else tuple(source_names(table))
    return names or (int(shape[1]) if shape is not None and len(shape) > 1 else None)
