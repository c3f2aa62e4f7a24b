"""How one column of a table becomes dense values, and positions by which the first layer looks up its weights."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..options import shortened
from . import numbers
from .columns import Column, Numbers, as_labels

RARE, MISSING = "rare", "missing"


class NumberCode(NamedTuple):
    """How a column of numbers is encoded; without edges it is standardised by the model."""

    edges: Numbers  # (n_bins + 1,) or (0,)
    values: Numbers  # (n_quantiles,): where the normal value is known, and between which it is interpolated
    normal: Numbers  # (n_quantiles,): what it is there
    bin_mean: Numbers  # (n_bins,)
    bin_std: Numbers  # (n_bins,)
    mean: float  # what stands for a gap where there are no bins
    has_gaps: bool  # whether the rows of the fit have some

    @property
    def n_bins(self) -> int:
        """How many bins there are."""
        return max(len(self.edges) - 1, 0)

    @property
    def n_levels(self) -> int:
        """One for a gap, where the fit has seen some."""
        return int(self.has_gaps)

    @property
    def is_dense(self) -> bool:
        """Whether it has a dense column."""
        return True

    def encoded(self, column: Column) -> tuple[Numbers, Numbers | None, str]:
        """Dense values, positions, and what is to be said of them."""
        given = as_numbers(column)
        gaps = np.isnan(given)
        known = np.where(gaps, self.mean, given) if gaps.any() else given
        said = "" if self.has_gaps or not gaps.any() else _said(column.where, gaps, "is empty", "its mean", "gaps")
        if not self.n_bins:
            return known, gaps.astype(np.float64) if self.has_gaps else None, said
        dense = np.interp(known, self.values, self.normal)
        dense[gaps] = 0
        places = numbers.positions(known, self.edges)
        places[gaps] = self.n_bins + 1
        return dense, places, said

    def described(self) -> str:
        """What a person is told of it."""
        how = f"by rank, and {self.n_bins} bins from {self.edges[0]:.6g} to {self.edges[-1]:.6g}" if self.n_bins else ""
        return (how or "as it is") + ", with gaps" * self.has_gaps

    def names(self, name: str) -> tuple[str, list[str]]:
        """What the dense value is called, and what the rows of its weights are."""
        bins = [f"{name} {low} to {high}" for low, high in pairwise(_told_apart(self.edges))]
        return name, bins + [f"{name} is missing"] * self.has_gaps


class LevelCode(NamedTuple):
    """How a column of labels is encoded."""

    levels: tuple[str, ...]
    has_rare: bool
    has_gaps: bool

    @property
    def is_dense(self) -> bool:
        """Whether it has a dense column."""
        return False

    @property
    def n_bins(self) -> int:
        """Labels have none."""
        return 0

    @property
    def n_levels(self) -> int:
        """With those for rare labels and for gaps."""
        return len(self.levels) + self.has_rare + self.has_gaps

    def encoded(self, column: Column) -> tuple[None, Numbers, str]:
        """Positions, and what is to be said of them."""
        nothing = self.n_levels + 1
        unseen = len(self.levels) + 1 if self.has_rare else nothing
        place_of: dict[str | None, int] = {level: place + 1 for place, level in enumerate(self.levels)}
        place_of[None] = self.n_levels if self.has_gaps else nothing
        labels = as_labels(column)
        places = np.fromiter((place_of.get(label, unseen) for label in labels), np.float64, len(labels))
        return None, places, ""

    def unseen(self, column: Column, known: frozenset[str] | None) -> str:
        """What is to be said of labels that the fit has not seen."""
        labels = as_labels(column)
        known = frozenset(filter(None, labels)) if known is None else known
        wrong = np.array([label is not None and label not in known for label in labels], bool)
        if wrong.any():
            what, rule = f"is {labels[int(np.argmax(wrong))]!r}", "a rare one" if self.has_rare else "none"
            return _said(column.where, wrong, f"{what}, which the fit has not seen", rule, "such categories")
        gaps = np.array([label is None for label in labels], bool)
        return "" if self.has_gaps or not gaps.any() else _said(column.where, gaps, "is empty", "none", "gaps")

    def described(self) -> str:
        """What a person is told of it."""
        own = shortened(", ".join(self.levels), 50)
        return f"{self.n_levels} levels: {own}" + f", {RARE}" * self.has_rare + f", {MISSING}" * self.has_gaps

    def names(self, name: str) -> tuple[str, list[str]]:
        """What the rows of its weights are."""
        own = [f"{name} = {level}" for level in self.levels]
        return name, own + [f"{name} is {RARE}"] * self.has_rare + [f"{name} is {MISSING}"] * self.has_gaps


def _told_apart(edges: Numbers) -> list[str]:
    """Edges with as few digits as tell them apart, three at least."""
    for digits in range(3, 18):
        rounded = [float(f"{edge:.{digits}g}") for edge in edges]
        if len(set(rounded)) == len(rounded):
            break
    return [f"{edge:.{max(digits, 15)}g}" for edge in rounded]


def as_numbers(column: Column) -> Numbers:
    """Numbers, also of a column that has only gaps now."""
    if column.numbers is not None:
        return column.numbers
    assert column.labels is not None
    row = next((row for row, label in enumerate(column.labels) if label is not None), None)
    if row is None:  # a column of gaps has no kind
        return np.full(len(column.labels), np.nan)
    raise InvalidInputError(
        f"{column.where}, row {row} holds text ({shortened(repr(column.labels[row]), 40)}), but the model has learned "
        "numbers there: turn it into a number, or leave the cell empty."
    )


def _said(where: str, wrong: NDArray[np.bool_], what: str, rule: str, others: str) -> str:
    row, count = int(np.argmax(wrong)), int(wrong.sum())
    more = f" ({count:,} of {wrong.size:,} rows have {others})" if count > 1 else ""
    return f"{where}, row {row} {what}{more}: it counts as {rule}."
