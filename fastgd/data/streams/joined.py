"""Batches of a stream put together to the table that they were cut from, where that is small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import InvalidInputError
from ..frames import as_frame
from .source import Batch


def joined(batches: Sequence[Batch]) -> tuple[Any, Any, Any]:
    """X, y and weights of all rows, each of the kind that the batches have; None for what they lack."""
    X, y, weights = (_stacked([batch[place] for batch in batches], batches) for place in range(3))
    return X, y, weights


def _stacked(tables: list[Any], batches: Sequence[Batch]) -> Any:
    """Tables one below the other."""
    if len(tables) == 1 or tables[0] is None:
        return tables[0]
    frames = [as_frame(table, "X") for table in tables]
    try:
        if any(frame is None for frame in frames):
            return np.concatenate([np.asarray(table) for table in tables])
        return _below(frames)
    except Exception as error:  # each library has errors of its own
        last = batches[-1].where
        raise InvalidInputError(
            f"The columns of the batches up to {last} do not fit together: give each column one type, and each batch "
            f"one shape. ({error})"
        ) from error


def _below(frames: list[Any]) -> Any:
    """Frames or series one below the other."""
    import narwhals as nw

    is_series = not hasattr(frames[0], "columns")
    whole = nw.concat([frame.to_frame() if is_series else frame for frame in frames])
    return nw.to_native(whole[:, 0] if is_series else whole)
