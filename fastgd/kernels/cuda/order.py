"""Which row stands where in an epoch, and which units are dropped: the numbers of ../cpu/random.py, one at a time."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from .block import EPOCH, KEYS, N_LEFT, N_ROWS, NUMBERS, ORDER, PLACE, ROUNDS, ROWS, SEED_HIGH, SEED_LOW, SHUFFLE
from .sources import Target

MASK = np.uint64(0xFFFFFFFF)
FACTOR_1, FACTOR_2 = np.uint64(0x7FEB352D), np.uint64(0x846CA68B)
DROPOUT_STREAM = np.uint64(0x5BD1)
S15, S16, S32 = np.uint64(15), np.uint64(16), np.uint64(32)


def order_functions(target: Target, n_layers: int, NT: int) -> SimpleNamespace:
    """Phases that make keys and find rows, and `is_kept(c, layer, row, unit, threshold)`."""

    @target.compile
    def hash32(v):
        v = v ^ (v >> S16)
        v = (v * FACTOR_1) & MASK
        v = v ^ (v >> S15)
        v = (v * FACTOR_2) & MASK
        return v ^ (v >> S16)

    @target.compile
    def make_keys(tid, c, turn):
        """Keys of the rounds of the order, and of each layer's dropout."""
        v = hash32(np.uint64(c[ORDER][SEED_LOW]))
        v = hash32(v ^ np.uint64(c[ORDER][SEED_HIGH]))
        key = hash32(v ^ np.uint64(c[ORDER][EPOCH]))
        i = tid
        while i < ROUNDS + n_layers:
            stream = np.uint64(i) if i < ROUNDS else np.uint64(i - ROUNDS) + DROPOUT_STREAM
            c[NUMBERS][KEYS + i] = np.int64(hash32(key ^ stream))
            i += NT

    @target.compile
    def moved(value, by, n):
        """`value` moved round a circle of n by a hash."""
        value = value + ((by * n) >> S32)
        return value - n if value >= n else value

    @target.compile
    def row_at(place, c):
        """The row at a place of the epoch."""
        if c[ORDER][SHUFFLE] == 0:
            return np.int64(place)
        n_rows, n_left = np.uint64(c[ORDER][N_ROWS]), np.uint64(c[ORDER][N_LEFT])
        n_right = (n_rows + n_left - np.uint64(1)) // n_left
        row = np.uint64(place)
        inside = False
        while not inside:  # there are more pairs than rows
            left = row // n_right
            right = row - left * n_right
            r = 0
            while r < ROUNDS:
                left = moved(left, hash32(right ^ np.uint64(c[NUMBERS][KEYS + r])), n_left)
                right = moved(right, hash32(left ^ np.uint64(c[NUMBERS][KEYS + r + 1])), n_right)
                r += 2
            row = left * n_right + right
            inside = row < n_rows
        return np.int64(row)

    @target.compile
    def find_rows(tid, c, turn):
        """The numbers of the rows of a span."""
        i = tid
        while i < turn[ROWS]:
            c[NUMBERS][i] = row_at(turn[PLACE] + i, c)
            i += NT

    @target.compile
    def is_kept(c, layer, row, unit, threshold):
        """Whether a unit stays for this row."""
        of_row = hash32(np.uint64(c[NUMBERS][KEYS + ROUNDS + layer]) ^ (np.uint64(row) & MASK))
        return hash32((of_row + np.uint64(unit)) & MASK) >= threshold

    return SimpleNamespace(make_keys=make_keys, find_rows=find_rows, is_kept=is_kept)
