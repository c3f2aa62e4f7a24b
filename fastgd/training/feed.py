"""What a training learns from: the rows of each pass, as one table in memory or as several that come one by one."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, Protocol

import numpy as np

from ..kernels.records import Rows, taken


class Portion(NamedTuple):
    """As many rows of a pass as are shuffled together; steps are counted in them."""

    rows: Rows
    n_rows: int  # of all that train on their parts of it together; of one alone the rows of `rows`


class Feed(Protocol):
    """Where rows come from, pass after pass."""

    @property
    def n_rows(self) -> int | None:
        """How many rows a pass has; None where only its end tells."""

    @property
    def at_hand(self) -> Rows:
        """Rows that can be had at any time: all, or some from all over the table."""

    @property
    def is_fixed(self) -> bool:
        """Whether every pass has the same rows."""

    @property
    def buffer_rows(self) -> int:
        """How many rows are shuffled together; 0: all."""

    def portions(self, epoch: int) -> Generator[Portion, None, None]:
        """All rows of the pass with this number."""


class Whole:
    """A table in memory, which is one portion."""

    is_fixed, buffer_rows = True, 0

    def __init__(self, rows: Rows) -> None:
        self.at_hand, self.n_rows = rows, len(rows.X)

    def portions(self, epoch: int) -> Generator[Portion, None, None]:
        """All rows, in the order of this pass."""
        yield Portion(self.at_hand._replace(epoch=epoch), self.n_rows)


def probe(rows: Rows, most: int) -> Rows:
    """Some rows that count, from all over the table, in their order."""
    counting = np.flatnonzero(rows.weights) if rows.weights.size else None
    n = len(rows.X) if counting is None else len(counting)
    places = np.arange(min(n, most)) * max(n, most) // most
    return taken(rows, places if counting is None else counting[places])
