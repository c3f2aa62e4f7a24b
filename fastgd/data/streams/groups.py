"""What rows tell of scaling and weights, kept apart by their class where classes have weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError
from ...kernels.records import Reals, read_only
from ..arrays import CheckedTable
from ..columns import Columns
from ..labels import Labels, class_numbers, weights_by_count
from ..rows import NO_WEIGHT_LEFT, Weights
from ..scaling import InMemory, Spread
from ..schema import Schema
from .moments import Moments, Weighed, before_cast, moments, nothing, weighed


class Checked(NamedTuple):
    """One batch, checked."""

    table: CheckedTable | Columns
    target: CheckedTable | Labels
    weights: Weights  # (n_rows,), or (0,) for none


class Group(NamedTuple):
    """What is known of some rows."""

    weighed: Weighed
    inputs: Moments
    inputs_before: Moments  # the cast to the dtype of the model
    targets: Moments
    targets_before: Moments

    def merged(self, other: Group) -> Group:
        """Both together."""
        whole, share = self.weighed.merged(other.weighed)
        return Group(whole, *(one.merged(more, share) for one, more in zip(self[1:], other[1:], strict=True)))

    def scaled(self, factor: float) -> Group:
        """The same rows with this many times the weight."""
        whole = self.weighed.scaled(factor)
        if whole.n_counted:
            return self._replace(weighed=whole)
        return Group(whole, *(nothing(part.head.size, part.head.dtype) for part in self[1:]))


def places_of_classes(target: CheckedTable | Labels, is_by_class: bool) -> Iterator[tuple[Any, Any]]:
    """Each label of a batch and the places of its rows; or None, and all of them."""
    if not is_by_class:
        yield None, ...
        return
    assert isinstance(target, Labels)
    order = np.argsort(target.values, kind="stable")
    names, starts = np.unique(target.values[order], return_index=True)
    yield from zip(names.tolist(), np.split(order, starts[1:]), strict=True)


def group_of(found: Checked, rows: Any, inputs: slice, targets: slice) -> Group:
    """What some rows of a batch tell, of these columns of inputs and targets."""
    weights = found.weights[rows] if found.weights.size else found.weights
    n_rows = found.table.n_rows if rows is ... else len(rows)
    return Group(
        weighed(weights, n_rows),
        *_moments(found.table, inputs, rows, weights),
        *_moments(found.target, targets, rows, weights),
    )


def _moments(table: Any, columns: slice, rows: Any, weights: Weights) -> tuple[Moments, Moments]:
    """Those of the first columns of a table, after and before the cast; of none where it does not hold numbers."""
    if not isinstance(table, CheckedTable):
        return nothing(0), nothing(0, np.longdouble)
    values = table.values[:, columns]
    found = moments(values if rows is ... else values[rows], weights)
    return found, before_cast(table, rows, weights, found)


class Weighing(NamedTuple):
    """How the weight of a row, and that of its class, become what kernels take: 1 on average over all rows."""

    of_class: Weights  # (n_classes,), the largest is 1; or (0,) for none
    largest: float  # weight of a row
    mean: float  # of all rows' weights over the largest, times those of classes
    are_equal: bool  # so that kernels need none

    def of(self, weights: Weights, Y: Reals, dtype: np.dtype[Any]) -> Reals:
        """The weights of some rows, (n_rows,), or (0,)."""
        if self.are_equal:
            return read_only(np.zeros(0, dtype))
        shares = weights / self.largest if weights.size else np.ones(len(Y))
        if self.of_class.size:
            shares = self.of_class[Y[:, 0].astype(np.int64)] * shares
        return read_only(np.ascontiguousarray(shares / self.mean, dtype))


def together(groups: Mapping[Any, Group], class_weight: Any, schema: Schema) -> tuple[Weighing, Group]:
    """How rows are weighed, and what all of them tell then; groups are by label, or one where classes do not count."""
    largest = max(group.weighed.largest for group in groups.values())
    of_class, factors = np.zeros(0), np.ones(1)
    if class_weight is not None:
        classes = schema.weighable_classes()
        numbers = class_numbers(np.array(list(groups)), classes, np.dtype(np.float64))[:, 0].astype(np.int64)
        counts = np.zeros(classes.size, np.int64)
        counts[numbers] = [group.weighed.n_rows for group in groups.values()]
        by_class = weights_by_count(class_weight, counts, classes)
        of_class = by_class / by_class[numbers].max()
        factors = of_class[numbers]
    parts = [(float(factor), group.weighed) for factor, group in zip(factors, groups.values(), strict=True)]
    highest = max(factor * (part.largest / largest) for factor, part in parts)
    lowest = min(factor * (part.smallest / largest) for factor, part in parts)
    if not highest:
        raise InvalidInputError(f"{NO_WEIGHT_LEFT}: nothing to learn from.")
    total = sum(factor * part.total * (part.largest / largest) for factor, part in parts)
    whole = reduce(
        Group.merged, (group.scaled(factor) for (factor, _), group in zip(parts, groups.values(), strict=True))
    )
    return Weighing(of_class, largest, total / whole.weighed.n_rows, lowest == highest), whole


class Streamed:
    """What rows that have gone by tell of their columns, for `scaling.learn`."""

    def __init__(
        self, group: Group, dtype: np.dtype[Any], inputs: NDArray[Any] | None, actual: NDArray[Any] | None,
        sample: InMemory | None,
    ) -> None:  # fmt: skip
        """inputs (2, n_columns) and actual (2, n_targets): lowest and highest, of rows that do not count, too.

        `sample` tells of inputs that were encoded only when all rows had gone by.
        """
        self.group, self.dtype, self.outer, self.actual, self.sample = group, dtype, inputs, actual, sample

    @property
    def n_counted(self) -> int:
        """How many rows count."""
        return self.group.weighed.n_counted

    def inputs(self, first: int, end: int) -> Spread:
        """Of these columns of inputs, in rows that count."""
        if self.sample:
            return self.sample.inputs(first, end)
        found, before = self.group.inputs, self.group.inputs_before
        return Spread(found.mean[first:end], found.std[first:end], lambda column: before.std[first + column])

    def targets(self) -> Spread:
        """Likewise of the targets, as they are learned."""
        return Spread(self.group.targets.mean, self.group.targets.std, self.group.targets_before.std.__getitem__)

    def is_always(self, column: int, value: Any) -> bool:
        """Whether an input has this value in every row."""
        assert self.outer is not None
        return bool((self.outer[:, column] == value).all())

    def constant_target(self, column: int) -> float | None:
        """What a target is in every row before the cast."""
        assert self.actual is not None
        low, high = self.actual[:, column]
        return float(low) if low == high and self.group.weighed.n_rows > 1 else None
