"""What one pass over the rows of a stream teaches a model before anything is trained.

It is what `lesson.prepared` learns of a table in memory: names, classes, scaling, encoder, weights. Rows are looked at
batch by batch and forgotten. Machines that look at shares of the rows merge what they have found.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError
from ...kernels.records import Net, Reals, Rows, read_only, taken
from .. import scaling
from ..arrays import CheckedTable
from ..columns import Column, Columns
from ..encoding import Evidence, learn_from
from ..labels import NO_CLASSES, check_class_weights, class_numbers, labels
from ..lesson import with_encoder
from ..rows import NOTHING_COUNTS, Weights, by_row, mean_one, weights_of_some
from ..schema import Schema
from ..splits import given
from . import checked
from .counts import ClassesFound, ColumnCounts
from .groups import Checked, Group, Streamed, Weighing, group_of, places_of_classes, together
from .located import located
from .sample import Sample
from .source import Batch
from .taught import Taught

MOST_ROWS = 1 << 17  # of a sample: quantiles of a table in memory are taken from as many
MOST_VALUES = 1 << 25  # of a sample: 256 MB
LEAST_ROWS = 1 << 12  # of a sample, however many columns there are
PROBE_ROWS = 1024


class Survey:
    """Looks at every row once. It can be pickled, and its size does not grow with the stream.

    A model that is fitted already keeps its scaling and its encoder: then the survey tells of classes, weights, the
    range of the targets, and of columns that were ignored and vary now.

    Attributes:
        schema: with the names of inputs and targets; classes and encoder are learned in the end.
        n_rows: how many rows have been looked at.
    """

    def __init__(self, schema: Schema, net: Net, seed: int, *, class_weight: Any = None, rank: int = 0) -> None:
        """`schema` and `net` are the model's, and stay as they are; `rank` is the number of the machine."""
        if class_weight is not None:
            schema.weighable_classes()
            check_class_weights(class_weight)
        self.schema, self.seed, self.class_weight = schema, seed, class_weight
        self.n_rows = 0
        self.is_encoder_new = schema.encoding is not None and schema.encoder is None
        ignores = schema.standardize and bool(np.isinf(net.input_std).any())
        self.inputs = slice(0, schema.network.inputs.n_dense if ignores or not schema.scaled else 0)
        self.targets = slice(0, 0 if schema.scaled else None)  # whose moments are needed
        most = min(MOST_ROWS, max(MOST_VALUES // schema.network.n_in, LEAST_ROWS))
        self.sample = Sample(most if self.is_encoder_new else PROBE_ROWS, seed, rank)
        self.groups: dict[Any, Group] = {}
        self.columns: list[ColumnCounts] = []  # of a table whose encoder is to be learned
        self.classes = ClassesFound(schema)
        self.actual: NDArray[np.float64] | None = None  # (2, n_targets): lowest and highest actual value
        self.outer: NDArray[Any] | None = None  # (2, n_columns): the same of inputs
        self.first: tuple[str, bool, bool] | None = None  # of the first batch: where, has names, has weights

    def look_at(self, batch: Batch) -> None:
        """Check a batch as fit checks tables, and learn what it tells.

        Raises:
            InvalidInputError: rows that cannot be used, or unlike those before; the message names their place.
        """
        with located(batch):
            found = self._checked(batch)
            n_rows, weights = found.table.n_rows, found.weights
            counting = weights > 0 if weights.size and not weights.all() else None
            if isinstance(found.table, Columns):
                self._count(found.table, counting)
        self._learn_ranges(found)
        for label, rows in places_of_classes(found.target, self.class_weight is not None):
            self._add(label, group_of(found, rows, self.inputs, self.targets))
        self.sample.add(n_rows, counting, lambda places: _fields(found, places))
        self.n_rows += n_rows

    def merge(self, other: Survey) -> None:
        """Take in what another machine has found in its share of the rows; machines are merged in their order.

        Raises:
            InvalidInputError: a share whose rows are unlike those of the others.
        """
        if other.first is None:
            return
        if self.first is None:
            self.schema, self.first, self.columns = other.schema, other.first, other.columns
        else:
            self._check_alike(other)
            try:
                for one, more in zip(self.columns, other.columns, strict=True):
                    one.merge(more)
            except InvalidInputError as error:
                raise InvalidInputError(f"{other.first[0]}: {error}") from None
        self.classes.merge(other.classes)
        for label, group in other.groups.items():
            self._add(label, group)
        self.actual, self.outer = _wider(self.actual, other.actual), _wider(self.outer, other.outer)
        self.sample.merge(other.sample)
        self.n_rows += other.n_rows

    def learned(
        self, net: Net, initializer: Any = "auto", *, validation_data: Any = None, shuffle: bool = True
    ) -> Taught:
        """What all rows together teach; `net` is the model's, and stays as it is.

        Raises:
            InvalidInputError: nothing to learn from, or validation_data or class_weight that cannot be used.
        """
        if self.first is None:
            raise InvalidInputError("The stream has no rows: there is nothing to learn from.")
        if not any(group.weighed.largest for group in self.groups.values()):
            raise InvalidInputError(NOTHING_COUNTS)
        schema = self.classes.learned(self.schema)
        *inputs, target, weights = self.sample.rows().fields
        own = weights if self.first[2] else weights[:0]
        Y = self._targets(schema, target)
        if self.is_encoder_new:
            schema, net, X = self._encoded(schema, net, inputs, own, Y, initializer)
        else:
            X = CheckedTable(read_only(inputs[0]), None, lambda column: inputs[0][:, column])
        schema, held_out = (schema, None) if validation_data is None else given(schema, validation_data)
        weighing, whole = together(self.groups, self.class_weight, schema)
        if held_out and weighing.of_class.size:
            in_loss = by_row(weighing.of_class, held_out.Y, held_out.weights, "to validate with")
            held_out = held_out._replace(in_loss=in_loss)
        sample = _in_memory(schema, X, Y, own, weighing) if self.is_encoder_new else None
        net = scaling.learn(net, schema, Streamed(whole, schema.dtype, self.outer, self.actual, sample))
        seen = schema.target if self.actual is None else schema.target.seen(self.actual)
        if not schema.scaled or seen is not schema.target:
            schema = replace(schema, scaled=True, target=seen)
        rows = Rows(X.values, Y, weighing.of(own, Y, schema.dtype), np.uint64(self.seed), 0, shuffle)
        spread = np.arange(min(len(Y), PROBE_ROWS)) * max(len(Y), PROBE_ROWS) // PROBE_ROWS
        probe = taken(rows, spread)._replace(shuffle=shuffle)
        return Taught(
            schema, net, self.n_rows, weighing, self.first[2], self.classes.are_shares, probe, held_out
        )  # fmt: skip

    # One batch.

    def _checked(self, batch: Batch) -> Checked:
        table = checked.inputs(self.schema, batch)
        y = checked.targets_of(batch)
        self._check_kind(batch, table.names is not None)
        self.schema = self.schema.named(y, table.names)
        weights = weights_of_some(batch.weights, table.n_rows)
        if not self.classes.are_shares and self.schema.takes_labels(y):
            given_labels = labels(y, table.n_rows)
            self.classes.add(given_labels)
            return Checked(table, given_labels, weights)
        target = self.schema.values(y, table.n_rows)
        if self.schema.network.n_classes is not None:
            if self.class_weight is not None:
                raise InvalidInputError(NO_CLASSES)
            self.classes.add_shares()
        return Checked(table, target, weights)

    def _check_kind(self, batch: Batch, has_names: bool) -> None:
        has_weights = batch.weights is not None
        if self.first is None:
            self.first = batch.where, has_names, has_weights
        where, had_names, had_weights = self.first
        if has_names != had_names:
            is_there, was = ("has", "had none") if has_names else ("has no", "had some")
            raise InvalidInputError(f"X {is_there} names of columns, but {was} in {where}.")
        if has_weights != had_weights:
            is_there, was = ("are", "were none") if has_weights else ("are no", "were some")
            raise InvalidInputError(f"there {is_there} weights of rows, but there {was} in {where}.")

    def _count(self, table: Columns, counting: NDArray[np.bool_] | None) -> None:
        if not self.columns:
            self.columns = [ColumnCounts(column.where) for column in table.columns]
        numbers = self.n_rows + (np.arange(table.n_rows) if counting is None else np.flatnonzero(counting))
        for counts, column in zip(self.columns, table.columns, strict=True):
            counts.add(column, ... if counting is None else counting, numbers)

    def _learn_ranges(self, found: Checked) -> None:
        if isinstance(found.target, CheckedTable):
            actual = found.target.columns().astype(np.float64)
            self.actual = _wider(self.actual, np.stack([actual.min(axis=0), actual.max(axis=0)]))
        if isinstance(found.table, CheckedTable) and self.schema.scaled and self.inputs.stop:
            X = found.table.values
            self.outer = _wider(self.outer, np.stack([X.min(axis=0), X.max(axis=0)]))

    def _add(self, label: Any, group: Group) -> None:
        self.groups[label] = self.groups[label].merged(group) if label in self.groups else group

    def _check_alike(self, other: Survey) -> None:
        assert self.first is not None
        assert other.first is not None
        if self.schema.feature_names != other.schema.feature_names:
            here, there = (", ".join(each.schema.feature_names or ("none",)) for each in (self, other))
            raise InvalidInputError(
                f"{other.first[0]}: the columns of X are {there}, but {here} in {self.first[0]}: all shares of the "
                "rows need the same columns in the same order."
            )
        if self.first[1:] != other.first[1:]:
            what = "weights of rows" if self.first[2] != other.first[2] else "names of columns"
            raise InvalidInputError(f"Only one of {other.first[0]} and {self.first[0]} has {what}: all need them.")

    # What all rows teach.

    def _targets(self, schema: Schema, target: NDArray[Any]) -> Reals:
        """The targets of the sample as kernels take them."""
        if self.classes.found is None or self.classes.are_shares:
            return read_only(target.astype(schema.dtype))
        assert schema.classes is not None
        return class_numbers(target[:, 0], schema.classes, schema.dtype)

    def _encoded(
        self, schema: Schema, net: Net, inputs: list[NDArray[Any]], weights: Weights, Y: Reals, initializer: Any
    ) -> tuple[Schema, Net, CheckedTable]:
        """The sample as the encoder makes it that is learned from it, and from what was counted in all rows."""
        columns = [counts.column(values) for counts, values in zip(self.columns, inputs, strict=True)]
        n_counted = sum(group.weighed.n_counted for group in self.groups.values())
        seen = (counts.seen(column, n_counted) for counts, column in zip(self.columns, columns, strict=True))
        n_numbers = sum(column.numbers is not None for column in columns)
        n_classes = schema.network.n_out if schema.network.loss.task == "classes" else 0
        assert schema.encoding is not None
        encoder = learn_from(schema.encoding, Evidence(seen, n_numbers, n_counted, weights, Y), n_classes)
        table = Columns(columns, schema.feature_names, len(Y))
        schema, net = with_encoder(schema, net, encoder, table, initializer, self.seed)
        return schema, net, schema.encoded(table, is_new=False)


def _in_memory(schema: Schema, X: CheckedTable, Y: Reals, weights: Weights, weighing: Weighing) -> scaling.InMemory:
    """What the sample tells of the scaling of inputs."""
    if weighing.of_class.size:
        weights = by_row(weighing.of_class, Y, weights, "to learn from")
    rows = Rows(X.values, Y, mean_one(weights, schema.dtype), np.uint64(0), 0, False)
    return scaling.InMemory(rows, scaling.Source(X, X, None))


def _fields(found: Checked, places: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """What a sample keeps of these rows: inputs, targets, and weights, 1 where there are none."""
    if isinstance(found.table, CheckedTable):
        inputs = [found.table.values[places]]
    else:
        inputs = [_of_column(column, places) for column in found.table.columns]
    target = found.target.values[places].reshape(len(places), -1)
    return *inputs, target, found.weights[places] if found.weights.size else np.ones(len(places))


def _of_column(column: Column, places: NDArray[np.int64]) -> NDArray[Any]:
    """Numbers or labels; gaps alone are NaN, whatever the column turns out to be."""
    if column.numbers is not None:
        return column.numbers[places]
    assert column.labels is not None
    some = [column.labels[row] for row in places.tolist()]
    return np.full(len(some), np.nan) if set(some) <= {None} else np.array(some, object)


def _wider(some: NDArray[Any] | None, more: NDArray[Any] | None) -> NDArray[Any] | None:
    """A range (2, n) that holds both."""
    if some is None or more is None:
        return more if some is None else some
    return np.stack([np.minimum(some[0], more[0]), np.maximum(some[1], more[1])])
