"""How one column of a table becomes dense values, and positions by which the first layer looks up its weights."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..options import shortened
from .columns import Column, Numbers, as_labels

RARE, MISSING = "rare", "missing"
BOOLEANS = "False", "True"


class NumberCode(NamedTuple):
    """How a column of numbers is encoded; without edges it is standardised by the model."""

    edges: Numbers  # (n_bins + 1,) or (0,), ascending
    normal: Numbers  # likewise: what a number is there, by its rank, in a standard normal distribution
    bin_mean: Numbers  # (n_bins,)
    bin_std: Numbers  # (n_bins,)
    mean: float  # what stands for a gap where there are no bins
    has_gaps: bool  # whether the rows of the fit have some
    low: float  # where there are no bins: what lies below counts as this number,
    high: float  # and what lies above as this one

    @property
    def is_dense(self) -> bool:
        """Whether it has a number among the inputs."""
        return True

    @property
    def n_bins(self) -> int:
        """How many bins there are."""
        return max(len(self.edges) - 1, 0)

    @property
    def n_levels(self) -> int:
        """One for a gap, where the fit has seen some."""
        return int(self.has_gaps)

    def read(self, column: Column) -> Numbers:
        """What the kernels encode, (n_rows,): numbers, NaN for a gap."""
        return as_numbers(column)

    def unlike_the_fit(self, column: Column) -> Iterator[tuple[str, str]]:
        """The kinds of rows unlike those of the fit, and what is to be said of them."""
        gaps = np.isnan(as_numbers(column))
        if gaps.any() and not self.has_gaps:
            yield "gaps", _said(column.where, gaps, "is empty", "its mean", "gaps")

    def described(self) -> str:
        """What a person is told of it."""
        how = f"by rank, and {self.n_bins} bins from {self.edges[0]:.6g} to {self.edges[-1]:.6g}" if self.n_bins else ""
        return (how or f"as it is, from {self.low:.6g} to {self.high:.6g}") + ", with gaps" * self.has_gaps

    def names(self, name: str) -> list[str]:
        """What the looked-up rows of its weights are."""
        bins = [f"{name} {low} to {high}" for low, high in pairwise(_told_apart(self.edges))]
        return bins + [f"{name} is missing"] * self.has_gaps


class LevelCode(NamedTuple):
    """How a column of labels is encoded."""

    levels: tuple[str, ...]
    has_rare: bool
    has_gaps: bool
    known: frozenset[str] | None  # labels of the fit, rare ones, too; None: too many to remember

    @property
    def is_dense(self) -> bool:
        """Whether it has a number among the inputs."""
        return False

    @property
    def n_bins(self) -> int:
        """Labels have none."""
        return 0

    @property
    def n_levels(self) -> int:
        """With those for rare labels and for gaps."""
        return len(self.levels) + self.has_rare + self.has_gaps

    @property
    def unseen(self) -> int:
        """The position of a label that is no level."""
        return len(self.levels) + 1 if self.has_rare else self.n_levels + 1

    def places(self) -> dict[str | None, int]:
        """The position of each level, and of a gap, which is None."""
        gap = self.n_levels if self.has_gaps else self.n_levels + 1
        return {**{level: place for place, level in enumerate(self.levels, start=1)}, None: gap}

    def read(self, column: Column) -> Numbers:
        """The positions, (n_rows,)."""
        labels, place_of = self.labels_of(column), self.places()
        return np.fromiter((place_of.get(label, self.unseen) for label in labels), np.float64, len(labels))

    def labels_of(self, column: Column) -> list[str | None]:
        """Its labels; where the fit had yes and no, 1 and 0 are the same."""
        labels = as_labels(column)
        if column.numbers is not None and self.known and self.known <= set(BOOLEANS):
            return [BOOLEANS[int(label)] if label in ("0", "1") else label for label in labels]
        return labels

    def unlike_the_fit(self, column: Column) -> Iterator[tuple[str, str]]:
        """The kinds of rows unlike those of the fit, and what is to be said of them; nothing of a column left out."""
        if not self.n_levels:
            return
        labels, known = self.labels_of(column), self.known
        unseen = set(labels) - {None} - (known or set())
        if unseen and known is not None:
            wrong = np.array([label in unseen for label in labels], bool)
            what, rule = f"is {labels[int(np.argmax(wrong))]!r}", "a rare one" if self.has_rare else "none"
            yield "unseen", _said(column.where, wrong, f"{what}, which the fit has not seen", rule, "such categories")
        gaps = np.array([label is None for label in labels], bool)
        if gaps.any() and not self.has_gaps:
            yield "gaps", _said(column.where, gaps, "is empty", "none", "gaps")

    def described(self) -> str:
        """What a person is told of it."""
        if not self.n_levels:
            return "left out"
        own = shortened(", ".join(self.levels), 50)
        return f"{self.n_levels} levels: {own}" + f", {RARE}" * self.has_rare + f", {MISSING}" * self.has_gaps

    def names(self, name: str) -> list[str]:
        """What the looked-up rows of its weights are."""
        own = [f"{name} = {level}" for level in self.levels]
        return own + [f"{name} is {RARE}"] * self.has_rare + [f"{name} is {MISSING}"] * self.has_gaps


def _told_apart(edges: Numbers) -> list[str]:
    """Edges with as few digits as tell them apart, three at least."""
    digits, rounded = 17, edges.tolist()
    for digits in range(3, 18):
        rounded = [float(f"{edge:.{digits}g}") for edge in edges]
        if len(set(rounded)) == len(rounded):
            break
    return [f"{edge:.{max(digits, 15)}g}" for edge in rounded]


def as_numbers(column: Column) -> Numbers:
    """Numbers, also of a column that has only gaps, or yes and no, now."""
    if column.numbers is not None:
        return column.numbers
    assert column.labels is not None
    if set(column.labels) <= {*BOOLEANS, None}:
        return np.array([np.nan if label is None else BOOLEANS.index(label) for label in column.labels], np.float64)
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
