"""What every stream gives, whatever it reads: batches of rows, one after the other, and where each of them stands.

A batch is raw: what the user's file or function holds. Nothing in it has been checked, beyond what reading it needed.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Batch(NamedTuple):
    """Some rows, as the user's file or function gave them."""

    X: Any  # (n_rows, n_in): an array, or a data frame
    y: Any  # (n_rows,) or (n_rows, n_targets): an array, a series or a frame; None: the stream has no targets
    weights: Any  # (n_rows,), or None
    where: str  # for messages: "houses.csv, lines 2 to 501", "X.npy, rows 20000 to 29999", "batch 7"
    first: int  # the number of its first row in the file, or in the batch, as messages count rows

    def at(self, row: int) -> str:
        """What messages call the place of one of its rows, counted from 0: "batch 7, row 17"."""
        return f"{self.where}, row {self.first + row}"
