"""Rows of a stream as buffers: one is trained on while another thread fills the next.

Parts of the stream come in an order of their own in every pass, and the rows of a buffer are shuffled by the engine.
Both orders are functions of seed and pass. The first buffer of a pass has the model's own seed, so that a table that
fits into one buffer is walked as the same table in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple, Protocol

import numpy as np

from ..data.streams.ahead import ahead
from ..data.streams.source import Batch
from ..errors import InvalidInputError
from ..kernels import engine
from ..kernels.records import Reals, Rows, aligned_zeros, read_only
from .feed import Portion

PARTS = 1  # keeps the seed of the order of parts apart from those of buffers
BATCH_BYTES = 1 << 23  # of raw rows that are read at a time

NONE = np.zeros(0)
Arrays = tuple[Reals, Reals, Reals]  # X, Y and weights as kernels take them


class Size(NamedTuple):
    """Rows of a buffer."""

    own: int
    all: int  # with those of other machines


class Passes(Protocol):
    """What is read pass after pass, see data/streams/source.py."""

    @property
    def name(self) -> str: ...
    @property
    def n_parts(self) -> int | None: ...
    @property
    def is_one_pass(self) -> bool: ...
    @property
    def is_fixed(self) -> bool: ...
    def batches(self, order: Sequence[int] | None, most: int) -> Iterator[Batch]: ...


class Buffers:
    """A feed whose rows are read anew in every pass."""

    def __init__(
        self,
        source: Passes,
        rows_of: Callable[[Batch], Arrays],
        sizes: Sequence[Size],
        at_hand: Rows,
        most: int,
    ) -> None:
        """sizes: of the buffers of a pass; none where only its end tells, and all have `most` rows.

        at_hand are some rows from all over the table, whose seed and shuffle hold for all.
        """
        self.source, self.rows_of, self.sizes, self.at_hand, self.most = source, rows_of, sizes, at_hand, most
        self.n_rows = sum(size.all for size in sizes) or None
        self.slots: list[Arrays] = []  # made when the first row has come

    @property
    def is_fixed(self) -> bool:
        """Whether every pass has the same rows."""
        return self.source.is_fixed

    @property
    def buffer_rows(self) -> int:
        """How many rows are shuffled together."""
        return self.most

    def portions(self, epoch: int) -> Generator[Portion, None, None]:
        """All buffers of the pass, each valid until the next one is asked for."""
        at_hand = self.at_hand
        at_a_time = rows_at_a_time(at_hand.X.shape[1] + at_hand.Y.shape[1], self.most)
        reading = _Reading(self, self.source.batches(self._order(epoch), at_a_time))
        # An iterator is read where it was made: not all can be used in another thread.
        filled = reading.buffers() if self.source.is_one_pass else ahead(reading.buffers(), reading.stop)
        with closing(filled):
            for number, (n_rows, arrays) in enumerate(filled):
                X, Y, weights = (read_only(array[:n_rows]) for array in arrays)
                seed = derived_seed(int(self.at_hand.seed), number)
                rows = self.at_hand._replace(X=X, Y=Y, weights=weights, seed=seed, epoch=epoch)
                yield Portion(rows, self.sizes[number].all if self.sizes else n_rows)

    def _order(self, epoch: int) -> list[int] | None:
        """The parts in the order of a pass; None: as they stand."""
        n_parts, rows = self.source.n_parts, self.at_hand
        if n_parts is None or not rows.shuffle:
            return None
        order = np.zeros(n_parts, np.int64)
        seed = np.uint64(np.random.SeedSequence([int(rows.seed), PARTS, PARTS]).generate_state(1, np.uint64)[0])
        engine("plain").row_order(order, 0, n_parts, seed, epoch, True)
        return [int(part) for part in order]


def rows_at_a_time(n_columns: int, most: int) -> int:
    """How many rows are read at a time: some MB, `most` at most."""
    return max(1, min(BATCH_BYTES // (8 * n_columns), most))


def buffer_sizes(n_rows: int, most: int) -> list[Size]:
    """The buffers of a pass of so many rows: all have `most`, but the last."""
    own = [min(most, n_rows - start) for start in range(0, n_rows, most)]
    return [Size(n, n) for n in own]


def derived_seed(seed: int, number: int) -> np.uint64:
    """The seed of a buffer: that of the model for the first, others for those behind it."""
    if not number:
        return np.uint64(seed)
    return np.uint64(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])


class _Reading:
    """One pass: where it stands, and what of the last batch is left for the next buffer."""

    def __init__(self, feed: Buffers, batches: Iterator[Batch]) -> None:
        self.feed, self.batches = feed, batches
        self.left: Arrays | None = None
        self.number = self.n_rows = 0
        self.is_over = False  # whether nobody wants more

    def stop(self) -> None:
        """Nobody wants more."""
        self.is_over = True

    def buffers(self) -> Generator[tuple[int, Arrays], None, None]:
        """The buffers, each with its number of rows."""
        sizes = self.feed.sizes
        while not sizes or self.number < len(sizes):
            most = sizes[self.number].own if sizes else self.feed.most
            n, slot = self._filled(most)
            if n < most and sizes and not self.is_over:
                raise self._changed(f"ended after {self.n_rows + n:,} rows")
            if not n:
                return
            self.number += 1
            self.n_rows += n
            yield n, slot
        if self._some(1) is not None:
            raise self._changed("has more rows")

    def _filled(self, most: int) -> tuple[int, Arrays]:
        """The next buffer with so many rows, or what is left."""
        n, slot = 0, (NONE, NONE, NONE)
        while n < most and not self.is_over and (rows := self._some(most - n)) is not None:
            slot = self._slot(rows)
            for array, part in zip(slot, rows, strict=True):
                array[n : n + len(part)] = part
            n += len(rows[0])
        return n, slot

    def _some(self, most: int) -> Arrays | None:
        """At most so many of the next rows."""
        while self.left is None:
            batch = next(self.batches, None)
            if batch is None:
                return None
            rows = self.feed.rows_of(batch)
            self.left = rows if len(rows[0]) else None
        X, Y, weights = self.left
        self.left = (X[most:], Y[most:], weights[most:]) if len(X) > most else None
        return X[:most], Y[:most], weights[:most]

    def _slot(self, rows: Arrays) -> Arrays:
        """The arrays of the buffer that is filled; two take turns."""
        feed = self.feed
        if not feed.slots:
            most = max(size.own for size in feed.sizes) if feed.sizes else feed.most
            for _ in range(1 if len(feed.sizes) == 1 else 2):
                X, Y, weights = (
                    aligned_zeros((most if len(part) else 0, *part.shape[1:]), part.dtype) for part in rows
                )
                feed.slots.append((X, Y, weights))
        return feed.slots[self.number % len(feed.slots)]

    def _changed(self, how: str) -> InvalidInputError:
        before = sum(size.own for size in self.feed.sizes)
        return InvalidInputError(
            f"{self.feed.source.name} {how}, but had {before:,} when it was first read: each pass must have the same "
            "rows. What was learned up to the last whole step is kept."
        )
