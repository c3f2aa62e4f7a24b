"""Batches that the user's own code makes: an iterable, an iterator, or a function that makes one for each pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from ...errors import InvalidInputError
from ...options import counted
from .pieces import columns_of, depth, n_rows_of, own_copy
from .source import Batch, cut


class Batches:
    """Rows as they come.

    A batch is a tuple (X, y) or (X, y, weights), or X alone. A list is one, too, if a table comes first in it: loaders
    of PyTorch give such lists. Batches without rows are skipped. Each is copied, because loaders may write the next one
    to the same memory, and the next one is asked for while this one is used.

    Args:
        made: an iterable, or a function without arguments that makes one.
        rank, size: every size-th batch is read, from the batch `rank` on.
    """

    n_rows = n_parts = None
    is_fixed = False
    files: Sequence[str] = ()

    def __init__(self, made: Iterable[Any] | Callable[[], Iterable[Any]], rank: int = 0, size: int = 1) -> None:
        self._made, self.rank, self.size = made, rank, size
        self.is_one_pass = isinstance(made, Iterator)
        kind = getattr(made, "__name__", None) if not isinstance(made, Iterable) else None
        self.name = f"{kind}()" if kind else f"the {type(made).__name__}"
        self._n_passes = 0
        self._like: Batch | None = None  # the first batch, without its rows: its columns, and what it has besides

    def batches(self, order: Sequence[int] | None, most: int) -> Iterator[Batch]:
        """The rows as they come; they have no parts, so that `order` is None."""
        n_given = n_rows = 0
        for number, given in islice(self._given(), self.rank, None, self.size):
            n_given += 1
            batch = self._batch(given, f"batch {number}")
            n = self._checked(batch)
            n_rows += n
            if n:
                X, y, weights = map(own_copy, batch[:3])
                yield from cut(batch._replace(X=X, y=y, weights=weights), n, most)
        if not n_rows:
            raise InvalidInputError(self._nothing(n_given))

    def share(self, rank: int, size: int) -> Batches:
        """Every size-th batch."""
        return Batches(self._made, rank, size)

    def sized(self, buffer_rows: int) -> Batches:
        """The same: the batches are as they are."""
        return self

    def once(self) -> Batches:
        """The same: nothing is kept."""
        return self

    def _given(self) -> Iterator[tuple[int, Any]]:
        """What the user's code gives, counted from 0; its own errors say which batch was asked for."""
        if self.is_one_pass and self._n_passes:
            raise InvalidInputError(
                f"{self.name} can be read only once, and has been read: pass a function that makes one for each pass."
            )
        self._n_passes += 1
        number = 0
        try:
            for given in self._iterable():
                yield number, given
                number += 1
        except InvalidInputError:
            raise
        except Exception as error:
            error.add_note(
                f"This came from {self.name}, when it was asked for batch {number} of pass {self._n_passes}."
            )
            raise

    def _iterable(self) -> Iterable[Any]:
        made = self._made
        if isinstance(made, Iterable):
            return made
        found = made()
        if not isinstance(found, Iterable) or isinstance(found, str | bytes | dict):
            raise InvalidInputError(
                f"{self.name} must give an iterable of batches such as (X, y), but gave a {type(found).__name__}."
            )
        return found

    def _batch(self, given: Any, where: str) -> Batch:
        is_several = isinstance(given, tuple) or (isinstance(given, list) and bool(given) and depth(given[0]) > 1)
        entries = tuple(given) if is_several else (given,)
        if not 1 <= len(entries) <= 3:
            raise InvalidInputError(
                f"{where} of {self.name} has {len(entries)} entries: give (X, y), (X, y, weights) or X."
            )
        X, y, weights = (*entries, None, None)[:3]
        for table, what in ((X, "X"), (y, "y"), (weights, "weights")):
            if (what == "X" and table is None) or (table is not None and not depth(table)):
                raise InvalidInputError(
                    f"{where} of {self.name}: {what} is a {type(table).__name__}, not a table of rows."
                )
        return Batch(X, y, weights, where, 0)

    def _checked(self, batch: Batch) -> int:
        """How many rows a batch has, which must be like the first one."""
        where, n = f"{batch.where} of {self.name}", n_rows_of(batch.X)
        for table, what in ((batch.y, "y"), (batch.weights, "weights")):
            if table is not None and n_rows_of(table) != n:
                raise InvalidInputError(f"{where}: X has {counted(n, 'row')}, but {what} {n_rows_of(table)}.")
        if not n:
            return 0
        now = Batch(columns_of(batch.X), batch.y is not None, batch.weights is not None, "", 0)
        like = self._like = self._like or now
        if now.X != like.X:
            raise InvalidInputError(f"{where} has {_named(now.X)}, but the batches before have {_named(like.X)}.")
        for has, had, what in ((now.y, like.y, "y"), (now.weights, like.weights, "weights")):
            if has != had:
                words = ("has", "have no") if has else ("has no", "have")
                raise InvalidInputError(f"{where} {words[0]} {what}, but the batches before {words[1]} {what}.")
        return n

    def _nothing(self, n_given: int) -> str:
        if n_given:
            return f"{self.name} gave only batches without rows."
        if self.size > 1:
            return (
                f"{self.name} gave no batch for process {self.rank} of {self.size}: give {self.size} batches at least."
            )
        if self._n_passes > 1:
            return (
                f"{self.name} gave batches in the first pass, but none in pass {self._n_passes}: it must make a new "
                "iterator each time."
            )
        return f"{self.name} gave no batches."


def _named(columns: Any) -> str:
    if isinstance(columns, tuple):
        return f"the columns {', '.join(map(str, columns))}"
    return "rows without columns" if columns is None else counted(columns, "column")
