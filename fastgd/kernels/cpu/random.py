"""Random order of rows and dropout without a table: the row at a place is a function of seed, epoch and place; what is
dropped, of seed, epoch, layer, row and unit.

A permutation of n rows by a Feistel cipher (rounds that move each half by a hash of the other half) needs no memory
that grows with n, can start anywhere (a chunk, a resumed training, another thread) and gives the same order on every
engine. All numbers are 32-bit values held in uint64.
"""

from __future__ import annotations

import math

import numpy as np

from ..formulas import number
from ..machinery.compile import kernel
from ..machinery.lanes import pointer
from ..machinery.words import COUNT, lower_halves, share, store_numbers, upper_halves, wrapped

ROUNDS = 8  # 4 already pass the tests of uniformity for 12 rows or more; tiny tables need more
MASK = np.uint64(0xFFFFFFFF)
ZERO, ONE = np.uint64(0), np.uint64(1)
FACTOR_1 = np.uint64(0x7FEB352D)
FACTOR_2 = np.uint64(0x846CA68B)
DROPOUT_STREAM = np.uint64(0x5BD1)  # keeps the keys of dropout apart from those of the order
S15, S16, S32 = np.uint64(15), np.uint64(16), np.uint64(32)
R0, R1, R2, R3, R4, R5, R6, R7 = (np.uint64(r) for r in range(ROUNDS))


@kernel(inline=True)
def hash32(v):
    """Scramble 32 bits, one to one. Source: lowbias32 of Chris Wellons' "Hash Function Prospector" (public domain)."""
    v = v ^ (v >> S16)
    v = (v * FACTOR_1) & MASK
    v = v ^ (v >> S15)
    v = (v * FACTOR_2) & MASK
    return v ^ (v >> S16)


@kernel(inline=True)
def key32(seed, epoch):
    """32 bits that depend on all of seed and epoch."""
    v = hash32(seed & MASK)
    v = hash32(v ^ (seed >> S32))
    return hash32(v ^ (np.uint64(epoch) & MASK))


@kernel()
def drop(a, slopes, order, seed, epoch, layer, rate):
    """Set each entry of a and slopes (B, O) to 0 with probability `rate`; multiply the others by 1 / (1 − rate).

    Which units are dropped depends on seed, epoch, row and layer, not on the batch. Source: Srivastava et al. 2014,
    in the form that needs no scaling of predictions.
    """
    B, O = a.shape
    drop_units(pointer(a, 0), pointer(slopes, 0), O, order, B, np.int64(0), O, seed, epoch, layer, rate)


@kernel(inner=True)
def drop_units(a, slopes, O, order, B, begin, end, seed, epoch, layer, rate):
    """Drop units in columns `begin` to `end`."""
    threshold = np.uint64(rate * 4294967296.0)
    scale, zero = number(a, 1.0 / (1.0 - rate)), number(a, 0)
    key = hash32(key32(seed, epoch) ^ (np.uint64(layer) + DROPOUT_STREAM))
    for i in range(B):
        row = hash32(key ^ (np.uint64(order[i]) & MASK))
        outputs, row_slopes = pointer(a, i * O), pointer(slopes, i * O)
        for j in range(begin, end):
            kept = hash32((row + np.uint64(j)) & MASK) >= threshold
            factor = scale if kept else zero
            outputs[j] = outputs[j] * factor
            row_slopes[j] = row_slopes[j] * factor


@kernel(inline=True)
def permute(left, right, n_left, n_right, keys):
    """Map the numbers below n_left · n_right one to one onto themselves.

    A number, left · n_right + right, is a pair; each half in turn is moved round its circle by a hash of the other.
    """
    for r in range(0, ROUNDS, 2):
        left = wrapped(left + share(hash32(right ^ keys[r]), n_left), n_left)
        right = wrapped(right + share(hash32(left ^ keys[r + 1]), n_right), n_right)
    return left, right


@kernel()
def row_order(order, place, n_rows, seed, epoch, shuffle):
    """order[i] = the row at place + i of the epoch; without shuffling, place + i itself."""
    if not shuffle:
        for i in range(order.shape[0]):
            order[i] = place + i
        return
    n_left = np.uint64(math.ceil(math.sqrt(n_rows)))
    n_right = (np.uint64(n_rows) + n_left - ONE) // n_left
    key = key32(seed, epoch)
    keys = (
        hash32(key ^ R0), hash32(key ^ R1), hash32(key ^ R2), hash32(key ^ R3),
        hash32(key ^ R4), hash32(key ^ R5), hash32(key ^ R6), hash32(key ^ R7),
    )  # fmt: skip
    # Pairs first, then 32 of them at a time: 5 ns a row, where a division and single numbers took 41.
    left, right = np.uint64(place) // n_right, np.uint64(place) % n_right
    for i in range(order.shape[0]):
        order[i] = np.int64((left << S32) | right)
        right += ONE
        if right == n_right:
            left, right = left + ONE, ZERO
    rows, whole = pointer(order, 0), order.shape[0] - order.shape[0] % COUNT
    for i in range(0, whole, COUNT):
        lefts, rights = permute(upper_halves(rows, i), lower_halves(rows, i), n_left, n_right, keys)
        store_numbers(rows, i, lefts, n_right, rights)
    for i in range(whole, order.shape[0]):
        pair = np.uint64(order[i])
        left, right = permute(pair >> S32, pair & MASK, n_left, n_right, keys)
        order[i] = np.int64(left * n_right + right)
    # There are fewer than n_left pairs beyond the rows: a place that falls outside moves on until it is inside again.
    for i in range(order.shape[0]):
        while order[i] >= n_rows:
            outside = np.uint64(order[i])
            left, right = permute(outside // n_right, outside % n_right, n_left, n_right, keys)
            order[i] = np.int64(left * n_right + right)
