"""The actual values of some rows, counted: of a whole column, or of one that comes in parts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Tally:
    """How many rows there are; of each class, or between which numbers.

    Args:
        of_classes: whether the values are labels.
        y: the first of them, (n_rows,).
    """

    def __init__(self, of_classes: bool, y: NDArray[Any] | None = None) -> None:
        self.of_classes, self.n_rows = of_classes, 0
        self.counts: Counter[Any] = Counter()
        self.low, self.high = np.inf, -np.inf
        if y is not None:
            self.add(y)

    def add(self, y: NDArray[Any]) -> None:
        """Count some rows more."""
        self.n_rows += len(y)
        if self.of_classes:
            labels, counts = np.unique(y, return_counts=True)
            self.counts.update(dict(zip(labels.tolist(), counts.tolist(), strict=True)))
        elif len(y):
            self.low, self.high = min(self.low, float(y.min())), max(self.high, float(y.max()))

    def merge(self, other: Tally) -> None:
        """Count the rows of another one."""
        self.n_rows += other.n_rows
        self.counts.update(other.counts)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    @property
    def varies(self) -> bool:
        """Whether the numbers are not all the same."""
        return self.low < self.high
