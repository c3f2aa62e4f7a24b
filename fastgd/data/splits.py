"""Which rows are trained on, and which are held out to measure with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError, kept_warnings, warn
from ..kernels.records import Reals
from ..options import is_number, shown
from .arrays import CheckedTable, as_array
from .rows import Measured, Weights, at, by_row, row_weights
from .schema import Schema


class Parts(NamedTuple):
    """The rows to train on, and those that are held out."""

    chosen: NDArray[np.int64] | None  # the numbers of the rows to train on; None: all
    X: Reals  # (n_rows, n_in), read-only
    Y: Reals  # (n_rows, n_targets), read-only
    weights: Weights  # (n_rows,), or (0,) for none
    held_out: Measured | None

    def weighted_by_class(self, class_weight: Any, schema: Schema) -> Parts:
        """The same rows, each with the weight of its class; "balanced" balances the rows to train on."""
        by_class, held_out = schema.weights_of_classes(class_weight, self.Y), self.held_out
        weights = by_row(by_class, self.Y, self.weights, "to learn from")
        if held_out:
            in_loss = by_row(by_class, held_out.Y, held_out.weights, "to validate with")
            held_out = held_out._replace(in_loss=in_loss)
        return self._replace(weights=weights, held_out=held_out)


class Choice(NamedTuple):
    """The numbers of the rows to train on, and of those that are held out."""

    chosen: NDArray[np.int64] | None  # None: all
    held: NDArray[np.int64] | None  # None: none of them


def choice(n_rows: int, validation_data: Any, share: Any, seed: int) -> Choice:
    """Which rows are trained on, and which are a share that is held out."""
    check_share(share, validation_data)
    return Choice(*split_rows(n_rows, float(share), None, seed)) if share else Choice(None, None)


def check_share(share: Any, validation_data: Any) -> None:
    """Refuse what is no share, or a share beside rows that a user holds out."""
    if not is_number(share) or not 0 <= share < 1:
        raise InvalidInputError(f"validation_split must be a share of at least 0 and below 1, not {shown(share)}.")
    if validation_data is not None and share:
        raise InvalidInputError("validation_data and validation_split cannot both be given.")


def parted(
    schema: Schema, X: Reals, target: CheckedTable, weights: Weights, validation_data: Any, rows: Choice
) -> tuple[Schema, Parts]:
    """Hold out what the user gives, or what was chosen; classes that only validation_data has are learned."""
    if validation_data is not None:
        schema, held_out = given(schema, validation_data)
        return schema, Parts(None, X, target.values, weights, held_out)
    chosen, held = rows
    if chosen is None or held is None:
        return schema, Parts(None, X, target.values, weights, None)
    parts = [_rows_at(part, X, target, weights) for part in (chosen, held)]
    for part, purpose in zip(parts, ("to train on", "to validate with"), strict=True):
        if part.weights.size and not part.weights.any():
            raise InvalidInputError(f"validation_split leaves only rows of weight 0 {purpose}: choose validation_data.")
    train, rest = parts
    held_out = Measured(rest.X, rest.Y, target.columns(held), rest.weights, rest.weights)
    return schema, train._replace(held_out=held_out)


def _rows_at(places: NDArray[np.int64], X: Reals, target: CheckedTable, weights: Weights) -> Parts:
    kept = weights[places] if weights.size else weights
    return Parts(places, at(places, X), at(places, target.values), kept, None)


def given(schema: Schema, validation_data: Any) -> tuple[Schema, Measured]:
    """The rows to measure with that a user gives, checked; classes that only they have are learned."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        raise InvalidInputError("validation_data must be (X, y) or (X, y, sample_weight).")
    X, y, *weights = validation_data
    try:
        with kept_warnings() as told:
            values = schema.inputs(X).values
            schema, target = schema.learned(y, len(values))
            checked = row_weights(weights[0] if weights else None, len(values), schema.device)
    except InvalidInputError as error:
        raise InvalidInputError(f"validation_data: {error}") from error
    for message, category in told:
        warn(f"validation_data: {message}", category)
    return schema, Measured(values, target.values, target.columns(), checked, checked)


def split_rows(n: int, fraction: float, groups: Sequence[Any] | None, seed: int) -> tuple[Any, Any]:
    """Row numbers (training, held out), each ascending: at random, and with equal `groups` on the same side.

    Shuffled groups are held out one after another. A group that would bring more than `fraction` of the rows is passed
    over, unless nothing else could be held out.
    """
    members = np.arange(n) if groups is None else group_numbers(groups, n)
    sizes = np.bincount(members)
    if sizes.size < 2:
        what = "There is only 1 row" if n == 1 else f"All {n:,} rows are one group"
        raise InvalidInputError(f"{what}: nothing can be held out from it.")
    wanted = max(round(fraction * n), 1)
    held_out = np.zeros(sizes.size, bool)
    rows = 0
    for group in np.random.default_rng(seed).permutation(sizes.size):
        if rows + sizes[group] <= wanted:
            held_out[group] = True
            rows += int(sizes[group])
    if rows == 0:
        held_out[int(np.argmin(sizes))] = True
    if held_out.all():
        raise InvalidInputError(f"To hold out {fraction:.6g} of {n:,} rows leaves none to train on: hold out fewer.")
    return np.flatnonzero(~held_out[members]), np.flatnonzero(held_out[members])


def group_numbers(groups: Any, n_rows: int) -> NDArray[np.int64]:
    """The number of each row's group, (n_rows,), from 0 on."""
    given = as_array(groups, "groups")
    if given.shape not in ((n_rows,), (n_rows, 1)):
        raise InvalidInputError(f"groups has shape {given.shape}, but there are {n_rows} rows.")
    empty = (
        [value is None or value != value for value in given.reshape(-1).tolist()] if given.dtype.kind in "Of" else []
    )
    if True in empty:
        raise InvalidInputError(f"groups, row {empty.index(True)} is empty: fill it, or drop the row.")
    try:
        return np.asarray(np.unique(given, return_inverse=True)[1].reshape(-1))
    except TypeError:  # they have no order
        raise InvalidInputError("groups must be numbers or text, all of one kind: turn them into text.") from None
