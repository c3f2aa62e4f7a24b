"""Random order of rows, and dropout, without a table: the same numbers as the compiled loops."""

from __future__ import annotations

import math

import numpy as np

ROUNDS = 8
MASK = np.uint64(0xFFFFFFFF)
DROPOUT_STREAM = np.uint64(0x5BD1)
S15, S16, S32 = np.uint64(15), np.uint64(16), np.uint64(32)


def hash32(v):
    """Scramble 32 bits, one to one (lowbias32, see kernels/cpu/random.py)."""
    v = v ^ (v >> S16)
    v = (v * np.uint64(0x7FEB352D)) & MASK
    v = v ^ (v >> S15)
    v = (v * np.uint64(0x846CA68B)) & MASK
    return v ^ (v >> S16)


def key32(seed, epoch):
    """32 bits that depend on all of seed and epoch."""
    v = hash32(np.uint64(seed) & MASK)
    v = hash32(v ^ (np.uint64(seed) >> S32))
    return hash32(v ^ (np.uint64(epoch) & MASK))


def drop(a, slopes, order, seed, epoch, layer, rate):
    """Set each entry of a and slopes (B, O) to 0 with probability `rate`; multiply the others by 1 / (1 − rate)."""
    key = hash32(key32(seed, epoch) ^ (np.uint64(layer) + DROPOUT_STREAM))
    row = hash32(key ^ (order.astype(np.uint64) & MASK))
    bits = hash32((row[:, None] + np.arange(a.shape[1], dtype=np.uint64)) & MASK)
    factor = np.where(bits >= np.uint64(rate * 4294967296.0), 1.0 / (1.0 - rate), 0.0).astype(a.dtype)
    a *= factor
    slopes *= factor


def permute(place, n_left, n_right, keys):
    """Map the numbers below n_left · n_right one to one onto themselves.

    A number is a pair (left, right); each half in turn is moved round its circle by a hash of the other half.
    """
    left, right = place // n_right, place % n_right
    for r in range(0, ROUNDS, 2):
        left = (left + ((hash32(right ^ keys[r]) * n_left) >> S32)) % n_left
        right = (right + ((hash32(left ^ keys[r + 1]) * n_right) >> S32)) % n_right
    return left * n_right + right


def row_order(order, place, n_rows, seed, epoch, shuffle):
    """order[i] = the row at place + i of the epoch; without shuffling, place + i itself."""
    places = np.arange(place, place + order.size, dtype=np.uint64)
    if shuffle:
        n_left = np.uint64(math.ceil(math.sqrt(n_rows)))
        n_right = (np.uint64(n_rows) + n_left - np.uint64(1)) // n_left
        keys = [hash32(key32(seed, epoch) ^ np.uint64(r)) for r in range(ROUNDS)]
        places = permute(places, n_left, n_right, keys)
        # There are more pairs than rows: a place that falls outside moves on until it is inside again.
        while (outside := places >= n_rows).any():
            places[outside] = permute(places[outside], n_left, n_right, keys)
    order[:] = places
