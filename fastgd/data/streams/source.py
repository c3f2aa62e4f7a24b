"""What every stream gives, whatever it reads: batches of rows, one after the other, and where each of them stands.

A batch is raw: what the user's file or function holds. Nothing in it has been checked, beyond what reading it needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..files import Places
from .pieces import n_rows_of, rows_at, rows_of


class Batch(NamedTuple):
    """Some rows, as the user's file or function gave them."""

    X: Any  # (n_rows, n_in): an array, or a data frame
    y: Any  # (n_rows,) or (n_rows, n_targets): an array, a series or a frame; None: the stream has no targets
    weights: Any  # (n_rows,), or None
    where: str  # for messages: "houses.csv, lines 2 to 501", "X.npy, rows 20000 to 29999", "batch 7"
    first: int  # the number of its first row in the file, or in the batch, as messages count rows
    name: str = ""  # of the file, with `places`; a batch of a user's function has neither
    places: Places | None = None  # of its rows in the file

    def at(self, row: int) -> str:
        """What messages call the place of one of its rows, counted from 0: "houses.csv, line 17"."""
        if self.places is None:
            return f"{self.where}, row {self.first + row}"
        return f"{self.name}, {self.places.of(row)}"

    def rows(self, start: int, stop: int) -> Batch:
        """Some of its rows as a batch."""
        X, y, weights = (None if table is None else rows_of(table, start, stop) for table in self[:3])
        if self.places is None:
            return Batch(X, y, weights, self.where, self.first + start)
        return placed(X, y, weights, self.name, self.places.at(slice(start, stop)))

    def chosen(self, rows: NDArray[np.int64]) -> Batch:
        """Some of its rows, by ascending numbers, as a batch."""
        n_rows = n_rows_of(self.X)
        if len(rows) == n_rows:
            return self
        X, y, weights = (None if table is None else rows_at(table, rows) for table in self[:3])
        if self.places is None:
            return Batch(X, y, weights, self.where, self.first, self.where, Places("row", self.first + rows))
        return placed(X, y, weights, self.name, self.places.at(rows))


def placed(X: Any, y: Any, weights: Any, name: str, places: Places) -> Batch:
    """A batch whose rows stand at these places of a file."""
    first, last = int(places.numbers[0]), int(places.numbers[-1])
    return Batch(X, y, weights, f"{name}, {places.word}s {first} to {last}", first, name, places)


def cut(batch: Batch, n_rows: int, most: int) -> Iterator[Batch]:
    """A batch of n_rows as batches of at most so many."""
    if n_rows <= most:
        yield batch
        return
    for start in range(0, n_rows, most):
        yield batch.rows(start, min(start + most, n_rows))


class Source(Protocol):
    """Rows that can be read a part at a time.

    Attributes:
        name: what messages call it.
        files: the names of the files that are read, which batches have, too; none of batches that a user makes.
        n_rows: how many there are, as far as it is known before a pass.
        n_parts: how many parts can be read in any order; None where rows come one after the other only.
        is_one_pass: whether it can be read only once, as an iterator.
        is_fixed: whether every pass gives the same rows: files and arrays do, functions and iterables need not.
    """

    @property
    def name(self) -> str: ...
    @property
    def files(self) -> Sequence[str]: ...
    @property
    def n_rows(self) -> int | None: ...
    @property
    def n_parts(self) -> int | None: ...
    @property
    def is_one_pass(self) -> bool: ...
    @property
    def is_fixed(self) -> bool: ...

    def batches(self, order: Sequence[int] | None, most: int) -> Iterator[Batch]:
        """The rows of the parts in this order, or of all as they stand; at most so many rows a batch."""
        ...

    def share(self, rank: int, size: int) -> Source:
        """What one of several machines reads: together they read every row once."""
        ...

    def sized(self, buffer_rows: int) -> Source:
        """The same rows in parts of which a buffer of so many rows holds about 16, where parts can be cut so."""
        ...

    def once(self) -> Source:
        """The same rows for one pass: nothing is kept for another one."""
        ...


class Begun:
    """An iterator's rows, of which some have been looked at: these come again, and the others after them."""

    n_rows = n_parts = None
    is_one_pass, is_fixed = True, False

    def __init__(self, name: str, left: Iterator[Batch]) -> None:
        self.name, self.left = name, left

    def batches(self, order: Sequence[int] | None, most: int) -> Iterator[Batch]:
        """All of them, as they come."""
        return self.left
