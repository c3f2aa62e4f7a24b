"""A stream in two: rows to learn from, and rows held out, each row by a key that is a function of its place alone.

Every pass has the same rows on the same side, in whatever order its parts come, and so has every number of machines
that share files. The keys are those of the generator SplitMix64 (Steele, Lea and Flood 2014), which has a number for
each count; a count is the line or row of a file, or of a pass where a user's own batches come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError
from ...options import counted
from .around import Around
from .pieces import n_rows_of
from .source import Batch, Source

GOLDEN = 0x9E3779B97F4A7C15
MIXED = (30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)  # shift, then factor
LAST = np.uint64(31)


class Split(Around):
    """The rows of a source on one side.

    Args:
        source: whose rows they are.
        share: of the rows that is held out, about.
        seed: of the keys.
        is_held: whether these are the rows held out, and not all others.
        rank: of the machine that reads this share of a source.
    """

    def __init__(self, source: Source, share: float, seed: int, is_held: bool, rank: int = 0) -> None:
        super().__init__(source)
        self.held_share, self.seed, self.is_held, self.rank = share, seed, is_held, rank
        # A second split with the same seed would find its keys sorted by the first one.
        self.depth: int = source.depth + 1 if isinstance(source, Split) else 0
        self.starts = {name: _start(seed, self.depth, number) for number, name in enumerate(source.files)}
        self.start_of_pass = _start(seed, self.depth, rank)

    def kept(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Of the batches of a pass what is on this side.

        Raises:
            InvalidInputError: nothing is.
        """
        n_read = n_kept = 0
        for batch in batches:
            n = n_rows_of(batch.X)
            rows = np.flatnonzero(self.held(batch, n, n_read) == self.is_held)
            n_read, n_kept = n_read + n, n_kept + len(rows)
            if len(rows):
                yield batch.chosen(rows)
        if not n_kept:
            raise InvalidInputError(
                f"{self.name} has {counted(n_read, 'row')}: to hold out {self.held_share:.6g} of them leaves none "
                f"{'to measure with' if self.is_held else 'to learn from'}."
            )

    def held(self, batch: Batch, n_rows: int, before: int) -> NDArray[np.bool_]:
        """Which rows of a batch of the source are held out; so many came before it in this pass."""
        if self.starts:
            assert batch.places is not None
            start, counts = self.starts[batch.name], np.asarray(batch.places.numbers, np.uint64)
        else:
            start, counts = self.start_of_pass, np.arange(before, before + n_rows, dtype=np.uint64)
        keys: NDArray[np.bool_] = _mixed(counts * np.uint64(GOLDEN) + start) < np.uint64(self.held_share * 2.0**64)
        return keys

    def share(self, rank: int, size: int) -> Split:
        """What one of several machines reads of this side."""
        return Split(self.source.share(rank, size), self.held_share, self.seed, self.is_held, rank)

    def around(self, source: Source) -> Split:
        """The same side of another source."""
        return Split(source, self.held_share, self.seed, self.is_held, self.rank)


def _start(seed: int, depth: int, number: int) -> np.uint64:
    """Where the counts of a file, or of a machine's pass, begin."""
    return np.uint64(np.random.SeedSequence([seed, depth, number]).generate_state(1, np.uint64)[0])


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in MIXED:
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> LAST)
