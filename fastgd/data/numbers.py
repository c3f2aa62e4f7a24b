"""Where the bins of a column of numbers begin and end, and how its values become normally distributed.

Both are read from the sorted distinct values and how much each weighs, so that a row of weight 2 counts as two rows.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

MOST_QUANTILES = 1000  # of the normal value: between them it is interpolated
OUTERMOST = 1e-3  # probability beyond which the normal value stays the same: ±3.09
LEAST_SHARE = 4  # 1 / this of the bins are left for values that few rows share, however many atoms there are


def distinct(values: Numbers, weights: Numbers) -> tuple[Numbers, Numbers]:
    """The different values in ascending order, and the sum of the weights of each."""
    found, place = np.unique(values, return_inverse=True)
    summed = np.bincount(place.reshape(-1), weights if weights.size else None, len(found))
    return found, summed.astype(np.float64)


def bin_edges(values: Numbers, weights: Numbers, n_bins: int) -> Numbers:
    """Edges of about n_bins bins with equal weight, ascending, from distinct values in ascending order.

    A value that has more than its share of the weight, an atom, has bins of its own on both sides, so that it can stand
    apart from its neighbours; the others share the rest. With few distinct values these are the edges.
    """
    if len(values) <= n_bins + 1:
        return values
    atoms = np.flatnonzero(weights > weights.sum() / n_bins)
    beside = np.concatenate([atoms, atoms + 1, atoms - 1])
    chosen = beside[(beside >= 0) & (beside < len(values))]
    rest = weights.copy()
    rest[atoms] = 0
    total, wanted = np.cumsum(rest), max(n_bins - 2 * len(atoms), n_bins // LEAST_SHARE)
    if total[-1] > 0:
        steps = np.linspace(0, total[-1], wanted + 1)
        chosen = np.concatenate([chosen, np.searchsorted(total, steps).clip(0, len(values) - 1)])
    edges: Numbers = values[np.unique(np.concatenate([chosen, [0, len(values) - 1]]))]
    return edges


def normal_values(values: Numbers, weights: Numbers) -> tuple[Numbers, Numbers]:
    """Some of the distinct values, and the number that each becomes in a standard normal distribution.

    It is that of the middle of the rows that have the value, so that ties do not matter.
    """
    middle = (np.cumsum(weights) - weights / 2) / weights.sum()
    if len(values) > MOST_QUANTILES:
        steps = np.linspace(0, 1, MOST_QUANTILES)
        kept = np.unique(np.searchsorted(middle, steps).clip(0, len(values) - 1))
        values, middle = values[kept], middle[kept]
    inverse = NormalDist().inv_cdf
    return values, np.array([inverse(p) for p in middle.clip(OUTERMOST, 1 - OUTERMOST).tolist()])


def positions(values: Numbers, edges: Numbers) -> Numbers:
    """k + f for a value that lies f of the way from edge k to the next: from 0 to the number of bins."""
    with np.errstate(all="ignore"):
        places = np.interp(values, edges, np.arange(len(edges), dtype=np.float64))
    lost = np.isnan(places)  # between edges that are too close, or too far apart, for their difference
    if lost.any():
        places[lost] = np.searchsorted(edges[1:-1], values[lost], side="right")
    return places


def bin_moments(places: Numbers, weights: Numbers, n_bins: int) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of each bin's value clip(p − t, 0, 1) over rows at positions p."""
    whole = np.minimum(places.astype(np.int64), n_bins - 1)
    part, each = places - whole, weights if weights.size else np.ones(len(places))
    at, of_part, of_square = (np.bincount(whole, each * f, n_bins) for f in (1.0, part, part**2))
    above = np.cumsum(at[::-1])[::-1] - at  # the weight of rows beyond the bin, whose value is 1
    total = each.sum()
    mean = (above + of_part) / total
    return mean, np.sqrt(np.maximum((above + of_square) / total - mean**2, 0))
