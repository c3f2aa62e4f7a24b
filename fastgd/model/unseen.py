"""Rows unlike those that a model was fitted on: what it cannot answer, and what it knows nothing about."""

from __future__ import annotations

import numpy as np

from ..data.arrays import where
from ..data.schema import Schema
from ..errors import InputWarning, InvalidInputError, NonFiniteWarning, warn
from ..kernels.records import Net, Reals, Rows

ROWS_LOOKED_AT = 256  # that are looked at for columns that are ignored
FAR = 1e3  # standard deviations from the mean: no network that is well has trouble with less


def refuse(net: Net, X: Reals, out: Reals, schema: Schema) -> None:
    """Say which row of X (n_rows, n_in), finite numbers, has no finite prediction in out (n_rows, n_out), and why."""
    X = X[:]  # on the host, where the answer is found, wherever the table lies
    with np.errstate(all="ignore"):
        x = (X - net.input_mean) / net.input_std
    wrong = np.argwhere(~np.isfinite(x))
    if wrong.size:
        row, column = (int(place) for place in wrong[0])
        mean, spread = net.input_mean[column], net.input_std[column]
        raise InvalidInputError(
            f"{_cell(schema, row, column)} is {X[row, column]:.6g}, too far from the rows that the model was "
            f"fitted on (mean {mean:.6g}, spread {spread:.6g}): correct it, or drop the row."
        )
    row, output = (int(place) for place in np.argwhere(~np.isfinite(out))[0])
    far = np.abs(x[row, : schema.network.inputs.n_dense])  # positions have no scale
    why = "The weights of the model are too large: start again from a new model, with a smaller learning rate."
    if far.max(initial=0) > FAR:
        column = int(far.argmax())
        cell = _cell(schema, row, column)
        why = (
            f"Its inputs are far from the rows of the fit ({cell}: {X[row, column]:.6g}): correct it, or drop the row."
        )
    raise InvalidInputError(
        f"The prediction for row {row} of X is {out[row, output]}, which is no finite number. {why}"
    )


def tell_of_ignored(net: Net, X: Reals, what: str, schema: Schema) -> None:
    """Warn of columns that never varied while the model learned, and differ now in most rows: it ignores them.

    A few rows are no reason: a pixel that was always white, a category that nobody had.
    """
    ignored = np.flatnonzero(np.isinf(net.input_std))
    some = X[:: -(-len(X) // ROWS_LOOKED_AT)]
    columns = ignored[(some[:, ignored] != net.input_mean[ignored]).mean(axis=0) > 0.5]
    if columns.size:
        column = int(columns[0])
        row = int(np.argmax(X[:, column] != net.input_mean[column]))
        cell = _cell(schema, row, column).replace("X", what, 1)
        others = f" So {'are' if columns.size > 2 else 'is'} {columns.size - 1} more." if columns.size > 1 else ""
        warn(
            f"{cell} is {X[row, column]:.9g}, but it was {net.input_mean[column]:.9g} in every row that the model was "
            f"fitted on, so that the column is ignored.{others} Fit on rows in which it varies.",
            InputWarning,
        )


def _cell(schema: Schema, row: int, column: int) -> str:
    return where("X", (row, schema.origin(column)), schema.feature_names)


def tell_of_gradient(rows: Rows, out: Reals) -> None:
    """Warn of a gradient that is not finite; out (n_rows, n_out) are the predictions for these rows."""
    wrong = np.flatnonzero(~np.isfinite(out).all(axis=1))
    row, why = int(np.abs(rows.Y[:]).max(axis=1).argmax()), "has the largest actual value"
    if wrong.size:
        row, why = int(wrong[0]), "has no finite prediction"
    warn(f"The gradient is not all finite numbers: row {row} {why}.", NonFiniteWarning)
