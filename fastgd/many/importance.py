"""Which options decide how good a candidate is: the share of the variance of ranks that one option explains alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..explain.table import Table
from ..options import is_number
from .candidates import Candidate, written

MOST_GROUPS, LEAST_IN_GROUP = 5, 4  # of numbers
LEAST = 8  # candidates, for anything to be said


def importance_of(ranked: Sequence[Candidate]) -> Table:
    """A row for each option of candidates, best first.

    Candidates are ranked, failures last together. Numbers are cut into up to five groups of equally many candidates,
    and other values are a group each. The share is ε² = (SSB − (g − 1) MSW) / SST of the ranks' sums of squares between
    and within the g groups, at least 0 (Kelley 1935): the correlation ratio, less what chance would give. These are the
    main effects of a functional analysis of variance (Hutter, Hoos and Leyton-Brown 2014), without interactions.
    """
    ranks = np.arange(len(ranked), dtype=np.float64)
    failed = np.array([not candidate.scores or candidate.error is not None for candidate in ranked], bool)
    if failed.any():
        ranks[failed] = ranks[failed].mean()
    names = list(ranked[0].options)
    shares, best = [], []
    for name in names:
        values = [candidate.options[name] for candidate in ranked]
        groups = groups_of(values)
        shares.append(explained(ranks, groups) if len(ranked) >= LEAST else float("nan"))
        means = [ranks[groups == group].mean() for group in range(int(groups.max()) + 1)]
        best.append(_told([value for value, group in zip(values, groups, strict=True) if group == np.argmin(means)]))
    note = "" if len(ranked) >= LEAST else f"Fewer than {LEAST} candidates tell nothing of importance."
    order = np.argsort(-np.nan_to_num(shares), kind="stable")
    columns = {
        "option": [names[i] for i in order],
        "importance": np.array(shares)[order],
        "best on average": [best[i] for i in order],
    }
    return Table(columns, unsigned=("importance",), note=note)


def groups_of(values: Sequence[Any]) -> NDArray[np.int64]:
    """The number of each value's group, (n,)."""
    if all(map(is_number, values)):
        numbers = np.array(values, np.float64)
        distinct = np.unique(numbers)
        n_groups = min(MOST_GROUPS, max(len(values) // LEAST_IN_GROUP, 2))
        if len(distinct) <= n_groups:
            return np.searchsorted(distinct, numbers)
        edges = np.unique(np.quantile(numbers, np.arange(1, n_groups) / n_groups))
        return np.unique(np.searchsorted(edges, numbers, side="right"), return_inverse=True)[1]
    return np.unique([repr(value) for value in values], return_inverse=True)[1]


def explained(ranks: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """ε² of the ranks (n,) in these groups (n,)."""
    n, n_groups = len(ranks), int(groups.max()) + 1
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if n_groups == 1 or n <= n_groups or not total:
        return 0.0
    within = sum(float(((part - part.mean()) ** 2).sum()) for part in (ranks[groups == g] for g in range(n_groups)))
    by_chance = (n_groups - 1) * within / (n - n_groups)
    return max((total - within - by_chance) / total, 0.0)


def _told(values: Sequence[Any]) -> str:
    """The values of a group: from … to, where they are numbers."""
    if all(map(is_number, values)) and min(values) != max(values):
        return f"{written(min(values))} to {written(max(values))}"
    return written(values[0])
