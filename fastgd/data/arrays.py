"""Lists, arrays and tensors as NumPy arrays of numbers, and how messages name the place of a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..kernels.records import Reals
from . import on_device

FILL = "fill it, or drop the row"
CHUNK = 1 << 16  # values looked at together: what is needed beside the table stays small whatever its length


class CheckedTable(NamedTuple):
    """A checked table, the names of its columns where it has any, and its columns before the cast to `values`."""

    values: Reals  # (n_rows, n_columns), C-contiguous, read-only, finite
    names: tuple[str, ...] | None
    given: Callable[[int], Reals]  # column number → (n_rows,) as the user has it

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.values)

    def columns(self, rows: Any = ...) -> Reals:
        """Some rows of the table as it was given; all by default (None, too)."""
        chosen = ... if rows is None else rows
        return np.column_stack([self.given(column)[chosen] for column in range(self.values.shape[1])])


def as_array(source: Any, what: str, masked: float | None = None) -> NDArray[Any]:
    """Lists, tuples, arrays and tensors as an array; numbers among text stay what they are, as does text of NumPy.

    Masked entries become `masked`, or are refused where it is None.
    """
    if on_device.is_on_device(source):
        raise on_device.refused(what)
    if hasattr(source, "toarray") and not isinstance(source, np.ndarray):
        raise InvalidInputError(f"{what} is a sparse matrix ({type(source).__name__}): pass {what}.toarray().")
    try:
        values = np.asarray(source.detach() if getattr(source, "requires_grad", False) else source)
        if values.dtype.kind in "US" and not isinstance(source, np.ndarray):
            values = np.asarray(source, object)  # NumPy turned the numbers among text into text, too
    except InvalidInputError:
        raise
    except Exception as error:  # each library has errors of its own
        if isinstance(source, list | tuple) and isinstance(error, ValueError):
            why = "its rows differ in length"
        else:
            why = f"{type(source).__name__} cannot be made an array: {' '.join(str(error).split())[:200]}"
        raise InvalidInputError(f"{what} cannot be read: {why}.") from error
    if np.ma.is_masked(source) and masked is not None and values.dtype.kind in "biuf":
        return np.where(np.ma.getmaskarray(source), masked, values)
    if np.ma.is_masked(source):
        raise InvalidInputError(f"{what} has masked entries: fill them, or drop these rows.")
    return values


def numbers_of_objects(values: NDArray[Any], what: str) -> NDArray[Any]:
    """Decimals, fractions and whole numbers of any size as float64; anything else stays as it is."""
    if any(entry is None or isinstance(entry, str | bytes | complex | np.complexfloating) for entry in values.flat):
        return values
    try:
        return values.astype(np.float64)
    except OverflowError as error:
        raise InvalidInputError(f"{what} has a number that is too large for float64: use other units.") from error
    except (TypeError, ValueError):
        return values


def check_kind(values: Reals, what: str) -> None:
    if values.dtype.kind in "biuf":
        return
    if values.dtype.kind == "c":
        raise InvalidInputError(f"{what} has complex numbers ({values.dtype}): pass real columns, such as {what}.real.")
    for place in np.ndindex(values.shape):
        entry = values[place]
        if entry is None or isinstance(entry, str | bytes):
            kind = "nothing" if entry is None else f"text ({str(entry)!r})"
            cell = where(what, place, None)
            raise InvalidInputError(f"{cell} holds {kind}, but only numbers can be learned from: {advice(what, entry)}")
    raise InvalidInputError(f"{what} has dtype {values.dtype}, which cannot be read: convert it with astype(float).")


def advice(what: str, entry: Any) -> str:
    if what.startswith("y") and entry is not None:
        return "turn it into a number; text in one column may stand for classes, with loss='cross_entropy'."
    return "turn it into a number, leave it out, or make the model with encoding='auto'."


def fill(what: str) -> str:
    """What to do about a value that is not there."""
    return f"{FILL}, or make the model with encoding='auto'" if what == "X" else FILL


def too_large(dtype: np.dtype[Any]) -> str:
    advice = "use other units" if dtype == np.float64 else "use other units, or dtype='float64'"
    return f"too large for {dtype}: {advice}"


@contextmanager
def within_memory(what: str) -> Iterator[None]:
    """Where a table is copied: one that memory does not hold is refused as any other."""
    try:
        yield
    except MemoryError as error:
        raise InvalidInputError(
            f"{what} takes more memory than there is: pass fewer rows, or a fastgd.Stream."
        ) from error


def rows_per_chunk(values: Reals) -> int:
    return max(1, CHUNK // max(1, int(values.shape[1])))


def where(what: str, place: tuple[int, ...], names: tuple[str, ...] | None) -> str:
    row = f"{what}, row {place[0]}"
    if len(place) < 2 or what != "X":
        return row
    return f"{row}, column {place[1]}" + (f" ({names[place[1]]})" if names else "")


def column_name(what: str, column: int, names: tuple[str, ...] | None) -> str:
    if what == "y":
        return "y"
    return f"{what}, column {column}" + (f" ({names[column]})" if names else "")
