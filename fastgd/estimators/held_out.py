"""Rows of a fit, and parts of them that are held out: at random, of each class the same share, or groups as a whole."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.splits import group_numbers, split_rows
from .library import safe_indexing, train_test_split
from .tables import count_rows


class Rows(NamedTuple):
    """What is learned from, as scikit-learn has looked at it."""

    X: Any
    y: Any
    weights: Any = None
    groups: Any = None  # (n_rows,): rows of one group are never parted

    @property
    def told(self) -> tuple[Any, ...]:
        """X, y and weights, if there are any, as fit takes validation_data."""
        return (self.X, self.y) if self.weights is None else (self.X, self.y, self.weights)

    def at(self, places: Any) -> Rows:
        """Some of them."""
        return Rows(*(None if part is None else safe_indexing(part, places) for part in self))


def rows_of(X: Any, y: Any, weights: Any, groups: Any) -> Rows:
    """Rows, with the numbers of their groups."""
    return Rows(X, y, weights, None if groups is None else group_numbers(groups, count_rows(X)))


def parted(rows: Rows, fraction: float, seed: int, is_stratified: bool, option: str) -> tuple[Rows, Rows]:
    """Rows to learn from, and those that are held out."""
    if rows.groups is not None:
        learned, held = split_rows(count_rows(rows.X), fraction, rows.groups, seed)
    else:
        stratify = rows.y if is_stratified and rows.y.ndim == 1 else None
        places = np.arange(count_rows(rows.X))
        learned, held = train_test_split(places, test_size=fraction, stratify=stratify, random_state=seed)
    if len(held) < 2:
        other = (
            ", or give X_val and y_val" if option == "validation_fraction" else ", or call calibrate with other rows"
        )
        raise ValueError(f"The validation set is too small: increase {option}{other}.")
    if rows.weights is not None and not (rows.weights[learned].any() and rows.weights[held].any()):
        raise ValueError(f"sample_weight is 0 in all rows that {option}={fraction:g} parts: give another random_state.")
    return rows.at(learned), rows.at(held)
