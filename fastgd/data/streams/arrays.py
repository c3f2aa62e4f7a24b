"""Arrays in memory, np.memmap and .npy files, whose rows are read a part at a time.

A .npy file is read by plain reads. Where a file is cut short meanwhile, to touch a mapping of it would end the process
(SIGBUS), and no program can catch that as an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError
from ...options import called
from ..files import Places
from .pieces import depth, n_rows_of, rows_of
from .source import Batch, placed
from .state import FileState

KINDS = "biufcUS"  # of arrays in files; which of them are learned from is decided where X and y are checked


class Rows(Protocol):
    """Rows of one array: X, y or the weights."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def row_bytes(self) -> int: ...

    def read(self, first: int, n: int) -> Any:
        """Some rows."""
        ...


class InMemory:
    """Rows that are in memory: an array, a list or a series."""

    def __init__(self, table: Any, name: str) -> None:
        if not depth(table):
            raise InvalidInputError(f"{name} is a {type(table).__name__}: pass an array, or the path of a .npy file.")
        self.name, self._table = name, table
        self.shape = tuple(np.shape(table)) if isinstance(table, np.ndarray) else (n_rows_of(table),)
        self.row_bytes = 8 * int(np.prod(self.shape[1:]))

    def read(self, first: int, n: int) -> Any:
        """Some rows, without a copy."""
        return rows_of(self._table, first, first + n)


class Mapped:
    """Rows of a mapping that the user has made.

    The file is looked at before each part, so that one that has been cut short is an error. What happens to it while a
    part of some MB is being copied cannot be seen.
    """

    def __init__(self, table: np.memmap[Any, Any], name: str) -> None:
        path = getattr(table, "filename", None)
        self.name, self._table, self.shape = str(path or name), table, table.shape
        self.row_bytes = int(table.itemsize * np.prod(self.shape[1:]))
        self._state = FileState.of(Path(path)) if path is not None else None
        # Writing to a mapping changes the time of its file, but not its size.
        self._is_written = table.mode in ("r+", "w+")

    def read(self, first: int, n: int) -> Any:
        """A copy of some rows."""
        if self._state is not None:
            self._state.check(f"{self.name}, rows {first} to {first + n - 1}", self._is_written)
        return np.array(self._table[first : first + n])


class NpyFile:
    """Rows of a .npy file."""

    def __init__(self, path: Path) -> None:
        self.name, self._state = str(path), FileState.of(path)
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # its head is read, and none of its rows
        except Exception as error:  # whatever a broken head is taken for
            raise InvalidInputError(
                f"{called(path)} is not a whole .npy file of numbers: {_in_a_line(error)}."
            ) from error
        if not isinstance(mapped, np.memmap):
            mapped.close()
            raise InvalidInputError(
                f"{called(path)} is an archive of arrays: save each as a file of its own, with np.save."
            )
        if mapped.ndim not in (1, 2) or mapped.dtype.kind not in KINDS or not mapped.itemsize:
            kind = "records" if mapped.dtype.names else f"values of {mapped.dtype}"
            what = kind if mapped.ndim in (1, 2) else f"an array of shape {mapped.shape}"
            raise InvalidInputError(f"{path} holds {what}, not rows and columns: save a table of numbers.")
        self.shape, self._dtype, self._offset = mapped.shape, mapped.dtype, mapped.offset
        self._is_by_column = mapped.ndim == 2 and not mapped.flags.c_contiguous
        self.row_bytes = int(self._dtype.itemsize * np.prod(self.shape[1:]))

    def read(self, first: int, n: int) -> NDArray[Any]:
        """Some rows, read straight into an array."""
        last = f"rows {first} to {first + n - 1}"
        self._state.check(f"{self.name}, {last}")
        size = self._dtype.itemsize
        try:
            with open(self._state.path, "rb", buffering=0) as file:
                if not self._is_by_column:
                    table = np.empty((n, *self.shape[1:]), self._dtype)
                    self._fill(file, self._offset + first * self.row_bytes, table, last)
                    return table
                columns = np.empty((self.shape[1], n), self._dtype)
                for number, column in enumerate(columns):
                    self._fill(file, self._offset + (number * self.shape[0] + first) * size, column, last)
                return columns.T
        except OSError as error:
            raise InvalidInputError(f"{self.name}, {last} cannot be read: {error.strerror or error}.") from error

    def _fill(self, file: Any, place: int, array: NDArray[Any], rows: str) -> None:
        file.seek(place)
        view = memoryview(array).cast("B") if array.size else memoryview(b"")  # type: ignore[arg-type]
        while view:
            n_bytes = file.readinto(view)
            if not n_bytes:
                raise InvalidInputError(f"{self.name}, {rows}: the file ends before them: write it anew.")
            view = view[n_bytes:]


@dataclass(frozen=True)
class Arrays:
    """X, and y and weights where they are given, row by row."""

    X: Rows
    y: Rows | None
    weights: Rows | None

    least: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """That of X."""
        return self.X.name

    @property
    def n_rows(self) -> int:
        """As many as X has."""
        return self.X.shape[0]

    @property
    def row_bytes(self) -> int:
        """Of all that belongs to a row."""
        return sum(rows.row_bytes for rows in (self.X, self.y, self.weights) if rows is not None)

    def read(self, first: int, n: int) -> Batch:
        """Some rows of each."""
        X, y, weights = (rows and rows.read(first, n) for rows in (self.X, self.y, self.weights))
        return placed(X, y, weights, self.name, Places("row", range(first, first + n)))


def arrays(X: Any, y: Any, sample_weight: Any) -> Arrays:
    """Each of them a path of a .npy file, an np.memmap, or in memory.

    Raises:
        InvalidInputError: a file that is none, no rows, or not as many in each.
    """
    given = (y, "y"), (sample_weight, "sample_weight")
    found = Arrays(_rows(X, "X"), *(None if table is None else _rows(table, name) for table, name in given))
    if not found.X.shape or not found.n_rows:
        raise InvalidInputError(f"{found.name} has no rows.")
    for other, what in ((found.y, "y"), (found.weights, "weight")):
        if other is not None and other.shape[0] != found.n_rows:
            raise InvalidInputError(
                f"{found.name} has {found.n_rows} rows, but {other.name} has {other.shape[0]}: each row needs its "
                f"{what}."
            )
    return found


def _rows(table: Any, name: str) -> Rows:
    if isinstance(table, str | Path):
        return NpyFile(Path(table))
    return Mapped(table, name) if isinstance(table, np.memmap) else InMemory(table, name)


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
