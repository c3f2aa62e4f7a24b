"""From a table of numbers with gaps, and of positions, to the inputs of a network: see records.Codes."""

from __future__ import annotations

import numpy as np


def encode(out, X, codes):
    """out (n, n_dense + n_lookups) = the rows of X (n, n_columns) as the network reads them."""
    for j, (dense, position, first, n_bins) in enumerate(codes.columns):
        column, gap = X[:, j], codes.gaps[j]
        missing = np.isnan(column)
        if n_bins:
            edges, normal = codes.edges[first : first + n_bins + 1], codes.normal[first : first + n_bins + 1]
            k, f = place(column, edges)
            out[:, dense] = np.where(missing, gap, normal[k] + f * (normal[k + 1] - normal[k]))
            out[:, position] = np.where(missing, n_bins + 1, k + f)
        elif dense >= 0:
            out[:, dense] = np.where(missing, gap, np.clip(column, codes.lowest[j], codes.highest[j]))
            if position >= 0:
                out[:, position] = missing
        elif position >= 0:
            out[:, position] = column


def place(column, edges):
    """The last edge k but one that is not right of each number, and how far behind it the number is: 0 ≤ f ≤ 1."""
    k = np.searchsorted(edges[1:-1], column, side="right")
    return k, np.clip((column - edges[k]) / (edges[k + 1] - edges[k]), 0, 1)
