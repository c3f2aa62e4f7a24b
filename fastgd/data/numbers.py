"""Where the bins of a column of numbers begin and end, and what its values are in a normal distribution.

Both are read from the sorted distinct values and how much each weighs, so that a row of weight 2 counts as two rows.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ..kernels.plain.encoding import place

Numbers = NDArray[np.float64]

OUTERMOST = 1e-3  # probability beyond which the normal value stays the same: ±3.09
STEPS_OF_BINS = 8, 16, 32, 64, 128
PRICE = 4.0
MIDDLES = 0.25, 0.05, 0.01
FAR = 10.0  # so far lie 3 of 1,000 lognormal values, and none of a normal distribution
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


def fences(values: Numbers, weights: Numbers) -> tuple[float, float]:
    """The numbers beyond which one is an outlier, from distinct values in ascending order; infinite where none is.

    They are FAR times the range of the middle half beyond it, or of more of the rows where the half is one value.
    """
    total = np.cumsum(weights)
    for share in MIDDLES:
        places = np.searchsorted(total, np.array([share, 1 - share]) * total[-1])
        low, high = values[places.clip(0, len(values) - 1)]
        if low < high:
            return float(low - FAR * (high - low)), float(high + FAR * (high - low))
    return -np.inf, np.inf


def telling_edges(values: Numbers, weights: Numbers, targets: Numbers, most: int) -> Numbers:
    """Edges of as many bins, `most` at most, as tell more of the targets (n_rows, n_targets) than noise would.

    Where the means of a column's bins leave less of the targets' variance with twice as many bins, that many are
    taken, but each bin must take away PRICE times what a bin of pure noise would. Source: Mallows 1973, whose Cp has
    a price of 2.
    """
    each = weights if weights.size else np.ones(len(values))
    centred = targets - np.average(targets, axis=0, weights=each)
    spread = np.average(centred**2, axis=0, weights=each)
    centred = centred[:, spread > 0] / np.sqrt(spread[spread > 0])
    found, place = np.unique(values, return_inverse=True)
    sums = (np.bincount(place.reshape(-1), each * column, len(found)) for column in (1.0, *centred.T))
    of_value: list[Numbers] = [of_column.astype(np.float64) for of_column in sums]
    up_to = np.concatenate([np.zeros((1, len(of_value))), np.cumsum(np.column_stack(of_value), axis=0)])
    tried = []
    for n_bins in [n for n in STEPS_OF_BINS if n < most] + [most]:
        edges = bin_edges(found, of_value[0], n_bins)
        starts = np.searchsorted(found, edges[:-1])
        in_bin = np.diff(up_to[[*starts, len(found)]], axis=0)
        counted = in_bin[in_bin[:, 0] > 0]  # beside a row of a huge weight, a bin's may vanish in the sums
        tried.append((float((counted[:, 1:] ** 2 / counted[:, :1]).sum()), edges))
    finest, edges = tried[-1]
    noise = (each.sum() * centred.shape[1] - finest) / max(len(values) - len(edges), 1)
    return max(tried, key=lambda each: each[0] - PRICE * noise * len(each[1]))[1]


def normal_values(values: Numbers, weights: Numbers, edges: Numbers) -> Numbers:
    """The number that each edge, a distinct value, becomes in a standard normal distribution, by its rank.

    It is that of the middle of the rows that have the value, so that ties do not matter. (With 1,000 quantiles in place
    of the edges, networks were no better.)
    """
    middle = (np.cumsum(weights) - weights / 2) / weights.sum()
    ranks = middle[np.searchsorted(values, edges)].clip(OUTERMOST, 1 - OUTERMOST)
    return np.array([NormalDist().inv_cdf(rank) for rank in ranks.tolist()])


def bin_moments(values: Numbers, weights: Numbers, edges: Numbers) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of each bin's value, which runs from 0 to 1 between its edges.

    The deviation is at least that of a bin that a quarter of a row lies beside: beside a row that counts next to
    nothing it would be so small that this row lies thousands of them away, and has absurd predictions.
    """
    n_bins = len(edges) - 1
    whole, part = place(values, edges)  # type: ignore[no-untyped-call]
    each = weights if weights.size else np.ones(len(values))
    at, of_part, of_square = (np.bincount(whole, each * f, n_bins) for f in (1.0, part, part**2))
    beyond = np.cumsum(at[::-1])[::-1] - at  # the weight of rows right of the bin, whose value is 1
    mean = (beyond + of_part) / each.sum()
    return mean, np.sqrt(np.maximum((beyond + of_square) / each.sum() - mean**2, 0.25 / len(values)))
