"""From a table of numbers with gaps, and of positions, to the inputs of a network: see records.Codes."""

from __future__ import annotations

import math

from ..codes import DENSE, FIRST_EDGE, N_BINS, POSITION
from ..machinery.compile import kernel

BLOCK_ROWS = 256


@kernel(inline=True)
def left_edge(edges, first, n_bins, x):
    """The last k < n_bins with edges[first + k] ≤ x, 0 if there is none, by halving."""
    k, n = first, n_bins
    while n > 1:
        half = n // 2
        if edges[k + half] <= x:
            k, n = k + half, n - half
        else:
            n = half
    return k - first


@kernel()
def encode(out, X, codes):
    """out (n, n_dense + n_lookups) = the rows of X (n, n_columns) as the network reads them.

    A block of rows stays in the fast caches while its columns are walked.
    """
    for start in range(0, X.shape[0], BLOCK_ROWS):
        end = min(start + BLOCK_ROWS, X.shape[0])
        for j in range(X.shape[1]):
            encode_column(out, X, codes, j, start, end)


@kernel(inline=True)
def encode_column(out, X, codes, j, start, end):
    """Column j of the rows from `start` up to `end`."""
    dense, position = codes.columns[j, DENSE], codes.columns[j, POSITION]
    first, n_bins = codes.columns[j, FIRST_EDGE], codes.columns[j, N_BINS]
    for i in range(start, end):
        x = X[i, j]
        if dense < 0:
            if position >= 0:
                out[i, position] = x
        elif math.isnan(x):
            out[i, dense] = codes.gaps[j]
            if position >= 0:
                out[i, position] = n_bins + 1
        elif n_bins == 0:
            out[i, dense] = x
            if position >= 0:
                out[i, position] = 0
        else:
            k = left_edge(codes.edges, first, n_bins, x)
            low, high = codes.edges[first + k], codes.edges[first + k + 1]
            f = min(max((x - low) / (high - low), 0.0), 1.0)
            left, right = codes.normal[first + k], codes.normal[first + k + 1]
            out[i, dense] = left + f * (right - left)
            out[i, position] = k + f
