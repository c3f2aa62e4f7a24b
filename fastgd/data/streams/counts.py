"""What is counted in the columns of a stream: labels and gaps of its inputs, classes of its targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputWarning, InvalidInputError, warn
from .. import labels
from ..columns import Column
from ..encoding import Seen
from ..schema import Schema

MOST_LABELS = 1 << 18  # of a column that are counted: those that come first


class ColumnCounts:
    """What the rows that count tell of one column, beside the numbers in it."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.is_numbers: bool | None = None  # None: there have been gaps alone
        self.counts: Counter[str] = Counter()
        self.n_uncounted = 0
        self.has_gaps = False
        self.counts_rows = True
        self.last: tuple[float, int] | None = None  # the number of the row before, and where it stood

    def add(self, column: Column, counting: Any, rows: NDArray[np.int64]) -> None:
        """Look at some rows more: those of the column that are `counting`, which stand at `rows` of the pass."""
        if column.numbers is not None:
            numbers = column.numbers[counting]
            gaps = np.isnan(numbers)
            self._check_kind(True if not gaps.all() else None)
            self.has_gaps |= bool(gaps.any())
            if self.counts_rows and len(numbers):
                self._follow(numbers, rows)
            return
        assert column.labels is not None
        found = Counter(column.labels if counting is ... else np.array(column.labels, object)[counting].tolist())
        self.has_gaps |= found.pop(None, 0) > 0
        self._check_kind(False if found else None)
        self._count(found)

    def merge(self, other: ColumnCounts) -> None:
        """Take in what another share of the rows tells."""
        self._check_kind(other.is_numbers)
        self._count(other.counts)
        self.n_uncounted += other.n_uncounted
        self.has_gaps |= other.has_gaps
        self.counts_rows &= other.counts_rows

    def column(self, values: NDArray[Any]) -> Column:
        """The column of a sample with these values, where gaps alone have no kind."""
        if self.is_numbers is not False:
            return Column(self.where, values.astype(np.float64, copy=False), None)
        labels = values.tolist() if values.dtype == object else [None] * len(values)
        return Column(self.where, None, labels)

    def seen(self, column: Column, n_rows: int) -> Seen:
        """What is learned from: numbers of a sample, or the counts of all n_rows that count."""
        if column.numbers is not None:
            return Seen(self.where, column.numbers, None, self.has_gaps, self.counts_rows and n_rows > 10)
        if self.n_uncounted:
            warn(
                f"{self.where} has more than {MOST_LABELS:,} different labels: those that came later, "
                f"in {self.n_uncounted:,} rows, count as rare.",
                InputWarning,
            )
        return Seen(self.where, None, self.counts, self.has_gaps, n_uncounted=self.n_uncounted)

    def _check_kind(self, is_numbers: bool | None) -> None:
        if is_numbers is None:
            return
        if self.is_numbers not in (None, is_numbers):
            kinds = ("numbers", "text") if is_numbers else ("text", "numbers")
            raise InvalidInputError(
                f"{self.where} holds {kinds[0]} here, but held {kinds[1]} before: make all of it numbers or all of it "
                "text."
            )
        self.is_numbers = is_numbers

    def _follow(self, numbers: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
        if self.last is not None:
            numbers, rows = np.append(self.last[0], numbers), np.append(self.last[1], rows)
        self.counts_rows = bool((np.diff(numbers) == np.diff(rows)).all())
        self.last = float(numbers[-1]), int(rows[-1])

    def _count(self, found: Mapping[str, int]) -> None:
        new = [label for label in found if label not in self.counts]
        beyond = set(new[max(MOST_LABELS - len(self.counts), 0) :])
        self.n_uncounted += sum(found[label] for label in beyond)
        self.counts.update({label: n for label, n in found.items() if label not in beyond} if beyond else found)


class ClassesFound:
    """The labels of the targets so far; or that there are probabilities in their place."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.found: NDArray[Any] | None = None
        self.categories: NDArray[Any] | None = None
        self.are_shares = False

    def add(self, given: labels.Labels) -> None:
        """Learn the labels of some rows more; where there are too many, one of them is named."""
        self._check_shares(given.values, self.are_shares)
        new = np.unique(given.values)
        found, categories = new, given.categories
        if self.found is not None:
            found = joined(self.found, new)
            same = categories is not None and np.array_equal(categories, self.categories)  # type: ignore[arg-type]
            categories = categories if same else None
        known, n_classes = self.schema.classes, self.schema.network.n_classes
        assert known is not None
        assert n_classes is not None
        if not self.schema.classes_known:
            if found.size > n_classes:
                labels.first_classes(labels.Labels(found, None), n_classes)
        else:
            before = known if self.found is None else labels.more_classes(known, self._labels(), n_classes)
            after = labels.more_classes(known, labels.Labels(found, None), n_classes)
            # Where the new ones have no outputs, none of them is known.
            labels.class_numbers(given.values, before if after is known else after, self.schema.dtype)
        self.found, self.categories = found, categories

    def add_shares(self) -> None:
        """Note that there are probabilities."""
        if self.found is not None:
            self._check_shares(self.found, True)
        self.are_shares = True

    def merge(self, other: ClassesFound) -> None:
        """Take in what another share of the rows has."""
        if other.are_shares:
            self.add_shares()
        if other.found is not None:
            self.add(other._labels())

    def learned(self, schema: Schema) -> Schema:
        """The schema with these classes."""
        return schema if self.found is None or self.are_shares else schema.knowing(self._labels())

    def _labels(self) -> labels.Labels:
        assert self.found is not None
        return labels.Labels(self.found, self.categories)

    def _check_shares(self, found: NDArray[Any], are_shares: bool) -> None:
        if are_shares and (found.dtype.kind == "U" or found.min() < 0 or found.max() > 1):
            raise InvalidInputError(
                f"y holds probabilities in some batches, and labels of classes ({found[0]}) in others: pass either."
            )


def joined(some: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
    """The different labels of both, ascending; they are all text, or all numbers."""
    if (some.dtype.kind == "U") != (more.dtype.kind == "U"):
        text, number = (some, more) if some.dtype.kind == "U" else (more, some)
        raise InvalidInputError(
            f"y has labels of text ({text[0]}) in some batches, and of numbers ({number[0]}) in others: labels must be "
            "all text or all whole numbers."
        )
    return np.unique(concatenated([some, more]))


def concatenated(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Labels one behind the other; NumPy would make floats of numbers with a sign and without."""
    if {array.dtype.kind for array in arrays} >= {"i", "u"}:
        arrays = [array.astype(np.int64) for array in arrays]
    return np.concatenate(arrays)
