"""Tables of which any rows can be read: cut into parts that are read in any order, and shared among machines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Protocol

from ...errors import InvalidInputError
from ...options import counted
from .source import Batch, cut

PART = 1 << 24  # bytes: 16 parts fill a buffer of 256 MB
PER_BUFFER = 16  # parts: a buffer mixes the rows of so many places
PER_RANK = 4  # parts at least, so that the machines have nearly as many rows each
MOST = 1 << 17  # rows, a power of two as row groups are


class Table(Protocol):
    """Rows of one file, or of one set of arrays.

    Attributes:
        name: what messages call it.
        n_rows: how many there are.
        row_bytes: about how large one is.
        least: as few rows are cheaply read at once.
    """

    @property
    def name(self) -> str: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def row_bytes(self) -> int: ...
    @property
    def least(self) -> int: ...

    def read(self, first: int, n: int) -> Batch:
        """Rows from `first` on, counted from 0."""
        ...


def rows_that_fit(row_bytes: int) -> int:
    """How many rows a part has: a power of two, so that parts end where the row groups of files do."""
    most = max(1, PART // max(1, row_bytes))
    return min(MOST, 1 << (most.bit_length() - 1))


class Parts:
    """Tables, one after the other, in parts.

    Args:
        tables: with the same columns.
        n_rows: of a part; None for as many as are some MB.
        rank, size: every size-th part is read, from the part `rank` on.
    """

    is_one_pass, is_fixed = False, True

    def __init__(self, tables: Sequence[Table], n_rows: int | None = None, rank: int = 0, size: int = 1) -> None:
        self.tables, self.part_rows, self.rank, self.size = tables, n_rows, rank, size
        self.sizes = [n_rows or rows_that_fit(table.row_bytes) for table in tables]
        numbers = [-(-table.n_rows // rows) for table, rows in zip(tables, self.sizes, strict=True)]
        self.ends = list(accumulate(numbers))  # of each table, in parts

    @property
    def name(self) -> str:
        """What messages call it."""
        more = len(self.tables) - 1
        return self.tables[0].name + (f" and {counted(more, 'more file')}" if more else "")

    @property
    def files(self) -> Sequence[str]:
        """The names of the tables, each once: a file that has been copied is in several."""
        return list(dict.fromkeys(table.name for table in self.tables))

    @property
    def n_parts(self) -> int:
        """How many parts there are."""
        return len(range(self.rank, self.ends[-1], self.size))

    @property
    def n_rows(self) -> int:
        """How many rows the parts have."""
        if self.size == 1:
            return sum(table.n_rows for table in self.tables)
        return sum(self._place(part)[2] for part in range(self.n_parts))

    def batches(self, order: Sequence[int] | None, most: int) -> Iterator[Batch]:
        """The rows of the parts in this order, or as they stand."""
        for part in range(self.n_parts) if order is None else order:
            table, first, n = self._place(int(part))
            yield from cut(table.read(first, n), n, most)

    def share(self, rank: int, size: int) -> Parts:
        """Every size-th part; finer parts where there would be few for each."""
        n_rows = self.n_rows
        if n_rows < size:
            raise InvalidInputError(
                f"{self.name} has {counted(n_rows, 'row')}, fewer than the {size} processes that share it: start "
                f"{n_rows} at most."
            )
        tables, part_rows = self.tables, self.part_rows
        if self.ends[-1] < PER_RANK * size:
            part_rows = min(max(1, n_rows // (PER_RANK * size)), *self.sizes)
        return Parts(tables, part_rows, rank, size)

    def sized(self, buffer_rows: int) -> Parts:
        """In parts of which a buffer of so many rows holds about 16, or as few as are cheaply read."""
        rows = [max(table.least, buffer_rows // PER_BUFFER) for table in self.tables]
        return Parts(self.tables, min(*rows, *self.sizes), self.rank, self.size)

    def once(self) -> Parts:
        """The same: nothing is kept."""
        return self

    def _place(self, part: int) -> tuple[Table, int, int]:
        """The table of a part, its first row and how many it has."""
        part = self.rank + part * self.size
        number = bisect_right(self.ends, part)
        table, rows = self.tables[number], self.sizes[number]
        first = (part - (self.ends[number - 1] if number else 0)) * rows
        return table, first, min(rows, table.n_rows - first)
