"""How wide an interval must be to hold a share of the actual values: split-conformal calibration on held-out rows.

Scores say how far actual values lie outside of what is predicted, in units that grow with how far the models are
apart; the interval reaches as far as the wanted share of the scores. Sources: Vovk, Gammerman and Shafer 2005; Lei et
al. 2018; for bands of quantiles Romano, Patterson and Candès 2019.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError

Wide = NDArray[np.float64]

FEWEST = 20  # groups of rows to calibrate with


class Band(NamedTuple):
    """What is predicted of rows, each (n_rows, n_targets): from where to where, and how far the models are apart."""

    low: Wide
    high: Wide
    spread: Wide

    @property
    def is_point(self) -> bool:
        """Whether one number is predicted, so that the spread tells how far it may be off."""
        return bool((self.low == self.high).all())


class Calibration(NamedTuple):
    """What held-out rows have told.

    Attributes:
        scores: of the rows, (n_rows, n_targets), each column ascending.
        scale: (2, n_targets): a score counts in units of scale[0] + scale[1] · spread.
        n_groups: how many groups of rows there were; rows of one group are alike.
    """

    scores: Wide
    scale: Wide
    n_groups: int

    def reach(self, coverage: float) -> Wide:
        """The score that so many of new rows stay below, (n_targets,).

        With n rows in K groups it is that of rank coverage · n · (1 + 1/K): one more group may lie anywhere.
        """
        n_rows = len(self.scores)
        rank = math.ceil(round(coverage * n_rows * (1 + 1 / self.n_groups), 9))
        if rank > n_rows:
            least = math.ceil(round(coverage / (1 - coverage), 9))
            what = "rows" if self.n_groups == n_rows else "groups"
            raise InvalidInputError(
                f"coverage={coverage:g} takes at least {least:,} {what} to calibrate with; there are {self.n_groups:,}."
            )
        return np.asarray(self.scores[max(rank, 1) - 1])

    def interval(self, band: Band, coverage: float) -> Wide:
        """The intervals of rows, (n_rows, n_targets, 2)."""
        margin = self.reach(coverage) * self.unit(band)
        middle = (band.low + band.high) / 2  # a negative margin must not turn an interval around
        low, high = np.minimum(band.low - margin, middle), np.maximum(band.high + margin, middle)
        return np.stack([low, high], axis=2)

    def unit(self, band: Band) -> Wide:
        """The unit of each row's score."""
        return np.asarray(self.scale[0] + self.scale[1] * band.spread)


def calibrated(band: Band, actual: Wide, groups: NDArray[np.int64] | None) -> Calibration:
    """From rows (n_rows, n_targets) that the models have not learned from, and the number of each row's group.

    The unit is a line through the distances over the spread, fitted by least squares.
    """
    n_groups = check_enough(len(actual), groups)
    outside = np.maximum(band.low - actual, actual - band.high)
    scale = np.stack([np.ones(actual.shape[1]), np.zeros(actual.shape[1])])
    if band.is_point:
        for target, (spread, distance) in enumerate(zip(band.spread.T, outside.T, strict=True)):
            scale[:, target] = _line(spread, distance)
    unit = scale[0] + scale[1] * band.spread
    return Calibration(np.sort(outside / unit, axis=0), scale, n_groups)


def check_enough(n_rows: int, groups: NDArray[np.int64] | None) -> int:
    """How many groups of rows there are.

    Raises:
        InvalidInputError: too few to calibrate with.
    """
    n_groups = n_rows if groups is None else np.unique(groups).size
    if n_groups < FEWEST:
        what = "rows" if groups is None else "groups"
        raise InvalidInputError(
            f"To calibrate takes at least {FEWEST} {what} of which nothing was learned, not {n_groups}."
        )
    return n_groups


def _line(spread: Wide, distance: Wide) -> tuple[float, float]:
    """Base and slope, neither below 0, of the mean distance over the spread."""
    mean, away = float(distance.mean()), spread - spread.mean()
    if mean == 0:
        return 1.0, 0.0
    slope = max(float((away * distance).sum()) / (float((away**2).sum()) or 1.0), 0.0)
    base = mean - slope * float(spread.mean())
    if base <= 0:  # nearly all is told by the spread; where there is none, something is left
        base = 0.01 * mean
        slope = (mean - base) / float(spread.mean())
    return base, slope
