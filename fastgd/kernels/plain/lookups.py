"""Looked-up columns as what they stand for: a position becomes bins and levels, inputs of the first layer."""

from __future__ import annotations

import numpy as np


def features(x, net):
    """The inputs (B, I) of the first layer: the dense columns of x (B, n_in), and each position's bins and levels."""
    if not len(net.lookups):
        return x
    n_dense = x.shape[1] - len(net.lookups)
    parts = [x[:, :n_dense]]
    for j, (row, n_bins, n_levels) in enumerate(net.lookups - [n_dense, 0, 0]):
        p, of_bins = x[:, n_dense + j, None], slice(row, row + n_bins)
        left_knots, levels = (np.arange(n, dtype=x.dtype) for n in (n_bins, n_levels))
        bins = (np.clip(p - left_knots, 0, 1) - net.bin_mean[of_bins]) * net.bin_scale[of_bins]
        parts += [np.where(p <= n_bins, bins, 0), p == n_bins + 1 + levels]
    return np.hstack(parts, dtype=x.dtype)
