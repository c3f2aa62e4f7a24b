"""Gradients of several ranks, added in the order of the ranks: all get the same bits, whichever way the numbers go.

A short vector goes to everybody, who adds all of them up. A long one is cut into as many slices as there are ranks:
each adds up one slice and hands it round, so that a rank sends and receives about twice the vector, however many
there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.records import Reals
from .ranks import Ranks

# Bytes that a rank may receive beyond what slices cost, before these are worth a second exchange: some 50 µs of a line
# with 10 Gbit/s, about what an exchange between machines costs. An estimate, not measured between machines.
WORTH_SLICES = 1 << 16
NUMBERS = 3  # that travel with each rank's part, in float64
WORD = 8  # bytes: parts begin where float64 may lie


class OrderedSum:
    """For vectors of n entries of a dtype; it owns the room that they are sent and received in."""

    def __init__(self, ranks: Ranks, n: int, dtype: Any) -> None:
        self.ranks, self.n, self.dtype = ranks, n, np.dtype(dtype)
        extra = (ranks.size - 1) * (ranks.size - 2) / ranks.size * n * self.dtype.itemsize
        self.is_sliced = extra > WORTH_SLICES
        parts = ranks.size if self.is_sliced else 1
        per_word = WORD // self.dtype.itemsize
        self.width = -(-n // (parts * per_word)) * per_word  # entries of a part
        size = self.width * self.dtype.itemsize + NUMBERS * WORD
        self.sent = np.zeros((parts, size), np.uint8)
        self.received = np.zeros((ranks.size, size), np.uint8)
        self.whole = np.zeros((parts, self.width), self.dtype)
        self.slice = np.zeros(self.width if self.is_sliced else 0, self.dtype)

    def add(self, vector: Reals, factor: float, numbers: tuple[float, ...]) -> NDArray[np.float64]:
        """vector (n,) = Σ factor · vector over the ranks, each product rounded; returns their numbers, (size, 3)."""
        self._put(vector, factor, numbers)
        exchange = self.ranks.comm.Alltoall if self.is_sliced else self.ranks.comm.Allgather
        self.ranks.reached(exchange, self.sent, self.received)
        parts, told = self._values(self.received), self.received[:, -NUMBERS * WORD :].view(np.float64)
        if self.is_sliced:
            _add_up(self.slice, parts)
            self.ranks.reached(self.ranks.comm.Allgather, self.slice, self.whole)
        else:
            _add_up(self.whole[0], parts)
        vector[:] = self.whole.reshape(-1)[: self.n]
        return told

    def _put(self, vector: Reals, factor: float, numbers: tuple[float, ...]) -> None:
        """Have this rank's part ready: the products, slice by slice, and behind each slice the numbers."""
        factor = self.dtype.type(factor)
        for place, values in enumerate(self._values(self.sent)):
            part = vector[place * self.width : (place + 1) * self.width]
            np.multiply(part, factor, out=values[: len(part)])
        self.sent[:, -NUMBERS * WORD :].view(np.float64)[:] = numbers

    def _values(self, room: NDArray[np.uint8]) -> Reals:
        values: Reals = room[:, : -NUMBERS * WORD].view(self.dtype)
        return values


def _add_up(total: Reals, parts: Reals) -> None:
    """total = Σ parts, one after the other; np.sum may choose another order."""
    total[:] = parts[0]
    for part in parts[1:]:
        total += part
