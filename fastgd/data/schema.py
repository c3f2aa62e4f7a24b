"""What a model knows of its tables: names of inputs, classes of targets, and how both become numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..kernels import DEFAULT_DEVICE
from ..kernels.records import Reals
from ..network.network import Network
from ..options import listed, shown
from . import labels, tables
from .arrays import CheckedTable, column_name
from .column_codes import NumberCode
from .columns import Columns, read_columns
from .encoder import Encoder
from .encoding import Encoding
from .frames import target_names
from .on_device import is_on_device, on_host, only_on_host
from .target import AS_IT_IS, Target


@dataclass(frozen=True, eq=False)
class Schema:
    """How the tables of one model look. What a fit learns makes a new one, so that a refused table changes nothing."""

    network: Network
    dtype: np.dtype[Any]
    standardize: bool
    feature_names: tuple[str, ...] | None
    classes: NDArray[Any] | None = None  # the labels that the outputs stand for, as far as they are known
    classes_known: bool = False  # whether they were learned from labels, or named by the user
    scaled: bool = False  # whether there is a scaling, learned from the rows of a fit
    encoding: Encoding | None = None  # how tables are to be encoded; None: they are numbers, and stay as they are
    encoder: Encoder | None = None  # what the first fit has learned of it
    target: Target = AS_IT_IS  # what is learned of y
    device: str = DEFAULT_DEVICE  # whose kernels encode
    target_names: tuple[str, ...] | None = None  # of the columns of y, where they have some

    def inputs(self, X: Any) -> CheckedTable:
        """A table of inputs, checked: (n_rows, n_in), or as its encoder makes it."""
        if self.encoder is not None:
            return self.encoded(self.columns(X))
        if isinstance(X, CheckedTable):  # whoever trains many models has it checked once
            return X
        try:
            if is_on_device(X):
                return tables.looked_at(self.on_device(X), "X", self.feature_names)
            return tables.inputs(X, self.dtype, self.network.n_in, self.feature_names)
        except InvalidInputError as error:
            if self.encoding is None:
                raise
            self.columns(X)  # a table that no fit could take has a sentence of its own
            raise InvalidInputError(
                "The model has never been fitted, so that it reads nothing but whole tables of numbers: call fit first."
            ) from error

    def columns(self, X: Any) -> Columns:
        """The columns of a table that is to be encoded."""
        only_on_host("text and gaps are encoded", X=X)
        return X if isinstance(X, Columns) else read_columns(X, self.network.n_in, self.feature_names)

    def on_device(self, X: Any) -> Any:
        """An array of inputs on a GPU as kernels take it; its values are not looked at."""
        return tables.inputs_on_device(X, self.dtype, self.network.n_in, self.feature_names, self.device)

    def unchecked(self, X: Any) -> Any:
        """Inputs of which a kernel tells whether they are finite: of those on a GPU not a value is looked at."""
        return self.on_device(X) if self.encoding is None and is_on_device(X) else self.inputs(X).values

    def at_hand(self, y: Any) -> Any:
        """Actual values where they are read: labels of classes on the host, where they get their numbers."""
        return on_host(y, "y", self.device) if self.network.n_classes is not None else y

    def encoded(self, table: Columns, is_new: bool = True) -> CheckedTable:
        """Such a table as its encoder makes it."""
        encoder = self.encoder
        assert encoder is not None
        values = encoder.encode(table, self.dtype, self.device, is_new)
        origins, n_dense = encoder.origins, encoder.inputs.n_dense

        def given(place: int) -> Reals:
            numbers, code = table.columns[origins[place]].numbers, encoder.codes[origins[place]]
            if numbers is None or not isinstance(code, NumberCode) or place >= n_dense or encoder.has_bins:
                return values[:, place]
            return np.where(np.isnan(numbers), code.mean, numbers.clip(code.low, code.high))

        return CheckedTable(values, table.names, given)

    def columns_of(self, column: int) -> list[int]:
        """Which columns of inputs tell of a column of the user's table."""
        return [column] if self.encoder is None else self.encoder.columns_of(column)

    def observed(self, X: Any, column: int) -> NDArray[Any]:
        """The values, or labels, that a column of the user's table has, without its gaps."""
        if self.encoder is None:
            return self.inputs(X).values[:, column]
        return self.encoder.observed(self.columns(X), column)

    def settings(self, column: int, values: NDArray[Any]) -> Reals:
        """What such values make of the columns that tell of it, (n_values, n_columns)."""
        if self.encoder is None:
            return values[:, None]
        return self.encoder.settings(column, values, self.dtype, self.device)

    def where(self, column: int) -> str:
        """What messages call a column of inputs."""
        return column_name("X", self.origin(column), self.feature_names)

    def origin(self, column: int) -> int:
        """Which column of the user's table a column of inputs tells of."""
        return column if self.encoder is None else self.encoder.origins[column]

    def targets(self, y: Any, n_rows: int) -> CheckedTable:
        """Actual values, checked, as kernels take them and as they were given: (n_rows, n_targets)."""
        y = self.at_hand(y)
        if self.takes_labels(y):
            return self.numbers(labels.labels(y, n_rows))
        return self.values(y, n_rows)

    def learned(self, y: Any, n_rows: int, names: tuple[str, ...] | None = None) -> tuple[Schema, CheckedTable]:
        """The same for targets to learn from: their new classes, and the names of the inputs, become the schema's."""
        y = self.at_hand(y)
        known = self.named(y, names)
        if not self.takes_labels(y):
            return known, self.values(y, n_rows)
        given = labels.labels(y, n_rows)
        known = known.knowing(given)
        return known, known.numbers(given)

    def named(self, y: Any, names: tuple[str, ...] | None) -> Schema:
        """With the names of these inputs and targets, where it has none yet."""
        known = self if self.feature_names is not None or names is None else replace(self, feature_names=names)
        if known.target_names is None and (found := target_names(y, self.network.n_targets)):
            return replace(known, target_names=found)
        return known

    def knowing(self, given: labels.Labels) -> Schema:
        """With the classes of these labels."""
        n_classes = self.network.n_classes
        assert n_classes is not None
        assert self.classes is not None
        if self.classes_known:
            classes = labels.more_classes(self.classes, given, n_classes)
        else:
            classes = labels.first_classes(given, n_classes)
        return replace(self, classes=classes, classes_known=True)

    def weights_of_classes(self, class_weight: Any, Y: NDArray[Any]) -> NDArray[np.float64]:
        """Each class's weight, (n_classes,); Y (n_rows, 1) are the numbers of the classes of the rows to train on."""
        return labels.class_weights(class_weight, Y, self.weighable_classes())

    def weighable_classes(self) -> NDArray[Any]:
        """The classes that class_weight may name."""
        if self.classes is None:
            raise InvalidInputError(
                f"class_weight is for classes; with loss={self.network.loss.name!r} there are none."
            )
        return self.classes

    def takes_labels(self, y: Any) -> bool:
        """Whether targets are labels of classes; else they are numbers."""
        return self.network.n_classes is not None and (self.network.loss.task == "classes" or not labels.has_shares(y))

    def numbers(self, given: labels.Labels) -> CheckedTable:
        """Labels as the numbers of their classes."""
        assert self.classes is not None
        numbers = labels.class_numbers(given.values, self.classes, self.dtype)
        return CheckedTable(numbers, None, lambda column: numbers[:, column])

    def values(self, y: Any, n_rows: int) -> CheckedTable:
        """Targets that are numbers, within the range of the loss."""
        n_targets, task, learned = self.network.n_targets, self.network.loss.task, None
        if self.target.log:
            only_on_host("log_target reads it", y=y)
            learned = self.target.checked
        if is_on_device(y):
            table = tables.targets_on_device(y, self.dtype, n_targets, n_rows, self.device)
        else:
            table = tables.targets(y, self.dtype, n_targets, n_rows, learned)
        if task == "labels":
            tables.within(table.values, 0, 1, "binary_cross_entropy needs labels, or probabilities from 0 to 1")
        if task == "counts":
            tables.within(table.values, 0, np.inf, "poisson needs counts of at least 0")
        return table


def new_schema(
    network: Network,
    dtype: np.dtype[Any],
    standardize: bool,
    feature_names: Any,
    classes: Any,
    encoding: Encoding | None = None,
    target: Target = AS_IT_IS,
) -> Schema:
    """The schema of a model that has not seen a table; None for names and classes that the first fit shall tell."""
    names = checked_column_names(feature_names, network.n_in)
    if classes is not None:
        named = labels.declared_classes(classes, network.n_classes)
        return Schema(network, dtype, standardize, names, named, classes_known=True, encoding=encoding, target=target)
    numbered = None if network.n_classes is None else np.arange(network.n_classes)
    return Schema(network, dtype, standardize, names, numbered, encoding=encoding, target=target)


def checked_column_names(names: Any, n: int, what: str = "feature_names") -> tuple[str, ...] | None:
    """Names of columns, all different; None for names that the first data frame shall tell."""
    if names is None:
        return None
    checked = tuple(map(str, listed(names, n) or ()))
    if len(checked) != n or len(set(checked)) != n:
        raise InvalidInputError(f"{what} must be a list of {n} different names, not {shown(names)}.")
    return checked
