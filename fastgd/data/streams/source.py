"""What every stream gives, whatever it reads: batches of rows, one after the other, and where each of them stands.

A batch is raw: what the user's file or function holds. Nothing in it has been checked, beyond what reading it needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol


class Batch(NamedTuple):
    """Some rows, as the user's file or function gave them."""

    X: Any  # (n_rows, n_in): an array, or a data frame
    y: Any  # (n_rows,) or (n_rows, n_targets): an array, a series or a frame; None: the stream has no targets
    weights: Any  # (n_rows,), or None
    where: str  # for messages: "houses.parquet, row group 3", "X.npy, rows 20,000 to 29,999", "batch 7"
    first: int  # the number of its first row in the file, or in the pass, as messages count rows


class Source(Protocol):
    """Rows that can be read a part at a time.

    Attributes:
        name: what messages call it.
        n_rows: how many there are, as far as it is known before a pass.
        n_parts: how many parts can be read in any order; None where rows come one after the other only.
        is_one_pass: whether it can be read only once, as an iterator.
        is_fixed: whether every pass gives the same rows: files and arrays do, functions and iterables need not.
    """

    @property
    def name(self) -> str: ...
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
