"""Who is to blame for the error, and what a step does about it: views made by the kernels that train.

Nothing here changes a model, except `step`, which is one step of `fit`.
"""

from __future__ import annotations

import copy
import dataclasses
import html
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError
from .kernels import engine
from .names import is_number, look_up
from .regimes import Regime, learning_rates

if TYPE_CHECKING:
    from .model import MLP
    from .optimizers import Optimizer

__all__ = ["Regime", "Table", "blame", "learning_rates", "nudge", "step"]

Reals = NDArray[Any]

LARGE, NOTABLE = 0.5, 0.2  # shares of the largest one, from which a gradient or a nudge is called so
SHOWN = 20  # rows that a table prints


@dataclass(frozen=True)
class Table:
    """Columns of the same length, which print as a table; `table["name"]` is a column."""

    columns: Mapping[str, Any]
    largest_by: str | None = None  # a long table prints the rows where this column is largest
    unprinted: tuple[str, ...] = ()  # columns that are too much to print

    def __getitem__(self, name: str) -> Any:
        return look_up(name, self.columns, "column")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def to_dict(self) -> dict[str, list[Any]]:
        """The columns as lists of plain numbers and text, ready for JSON or a data frame."""
        return {name: np.asarray(column).tolist() for name, column in self.columns.items()}

    def printed(self) -> tuple[list[list[str]], int]:
        """The header and the rows that are printed, as text, and how many rows are left out."""
        order = np.arange(len(self))
        if len(self) > SHOWN and self.largest_by:
            order = np.argsort(-np.abs(self.columns[self.largest_by]), kind="stable")
        printed = ((name, column) for name, column in self.columns.items() if name not in self.unprinted)
        cells = [[name, *(_cell(column[i]) for i in order[:SHOWN])] for name, column in printed]
        return [list(row) for row in zip(*cells, strict=True)], max(len(self) - SHOWN, 0)

    def __repr__(self) -> str:
        rows, left_out = self.printed()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        right = [not isinstance(self.columns[name][0], str) for name in rows[0]]
        lines = [
            "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True))
            for row in rows
        ]
        lines.insert(1, "  ".join("─" * w for w in widths))
        return "\n".join([*(line.rstrip() for line in lines), *([f"… and {left_out:,} more"] if left_out else [])])

    def _repr_html_(self) -> str:
        (header, *rows), left_out = self.printed()
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return f"<table><tr>{head}</tr>{body}</table>" + (f"<p>… and {left_out:,} more</p>" if left_out else "")


def _cell(value: Any) -> str:
    return (
        value if isinstance(value, str) else f"{value:+.4g}" if isinstance(value, float | np.floating) else str(value)
    )


# Blame and nudges.


def blame(model: MLP, X: Any, y: Any, layer: int = 0, by: str = "weight", per_row: bool = False) -> Table:
    """See MLP.blame."""
    look_up(by, {"weight": 0, "input": 0}, "by")
    index = _layer_index(model, layer)
    gradient, value = _of_layer(model, model.gradient(X, y), index), _of_layer(model, model.parameters, index)
    names = _weight_names(model, index)
    if by == "input":
        names, gradient, value = input_names(model, index), _lengths(gradient), _lengths(value)
    columns: dict[str, Any] = {
        "weight" if by == "weight" else "input": names,
        "value": value.reshape(-1),
        "gradient": gradient.reshape(-1),
        "severity": _graded(gradient.reshape(-1), "way off", "slightly off", "close"),
    }
    if per_row:
        each = _gradients_of_rows(model, X, y, index)
        columns["per_row"] = (_lengths(each, axis=2) if by == "input" else each.reshape(len(each), -1)).T
    return Table(columns, "gradient", unprinted=("per_row",))


def step(
    model: MLP,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    layer: int = 0,
) -> Table:
    """See MLP.step."""
    index = _layer_index(model, layer)
    rule = model._checked_optimizer(optimizer)
    if learning_rate is not None:
        if not is_number(learning_rate) or not 0 < learning_rate < math.inf:
            raise InvalidInputError(f"learning_rate must be a positive number, not {learning_rate!r}.")
        rule = dataclasses.replace(rule, learning_rate=float(learning_rate))  # type: ignore[call-arg]
    old = _of_layer(model, model.parameters, index).copy().reshape(-1)
    model.fit(X, y, epochs=1, batch_size=1 << 62, optimizer=rule, shuffle=False, verbose=0)
    new = _of_layer(model, model.parameters, index).copy().reshape(-1)
    nudges = new - old
    grades = _graded(nudges, "large", "slight", "barely touched")
    words = {
        ("large", True): "larger contribution",
        ("large", False): "smaller contribution",
        ("slight", True): "slight increase",
        ("slight", False): "slight decrease",
    }
    effect = [words.get((g, bool(n > 0)), g) for g, n in zip(grades, nudges, strict=True)]
    columns = {"weight": _weight_names(model, index), "old": old, "nudge": nudges, "new": new, "effect": effect}
    return Table(columns, "nudge")


def nudge(
    model: MLP,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    layer: int = 0,
) -> Table:
    """See MLP.nudge."""
    return step(copy.deepcopy(model), X, y, learning_rate, optimizer, layer)


def _layer_index(model: MLP, layer: Any) -> int:
    n_layers = len(model.network.activations)
    if isinstance(layer, bool) or not isinstance(layer, int | np.integer) or not -n_layers <= layer < n_layers:
        raise InvalidInputError(f"layer must be a whole number from 0 to {n_layers - 1}, not {layer!r}.")
    return int(layer) % n_layers


def _of_layer(model: MLP, parameters: Reals, index: int) -> Reals:
    """The weights (n_in, n_out) of a layer in a flat vector, without its biases."""
    return model.network.split(parameters)[index][0]


def input_names(model: MLP, index: int) -> list[str]:
    """What a layer's inputs are called: features, or units of the layer before."""
    n_in = model.network.sizes[index]
    if index == 0:
        return list(model.feature_names or (f"input {i}" for i in range(n_in)))
    return [f"unit {i} of layer {index - 1}" for i in range(n_in)]


def _weight_names(model: MLP, index: int) -> list[str]:
    n_out = model.network.sizes[index + 1]
    names = input_names(model, index)
    return names if n_out == 1 else [f"{name} → unit {j}" for name in names for j in range(n_out)]


def _lengths(weights: Reals, axis: int = 1) -> Reals:
    """The length of each input's row of weights."""
    lengths: Reals = np.sqrt(np.square(weights, dtype=np.float64).sum(axis=axis)).astype(weights.dtype)
    return lengths


def _graded(values: Reals, large: str, notable: str, small: str) -> list[str]:
    """A word for each value, by its share of the largest."""
    sizes = np.abs(values)
    top = float(sizes.max(initial=0.0))
    return [large if top and s >= LARGE * top else notable if top and s >= NOTABLE * top else small for s in sizes]


def _gradients_of_rows(model: MLP, X: Any, y: Any, index: int) -> Reals:
    """One gradient for each row, (n_rows, n_in, n_out) of a layer."""
    rows = model._rows(X, y, None)
    shape = (len(rows.X), *model.network.sizes[index : index + 2])
    needed, free = math.prod(shape) * model.dtype.itemsize, _free_memory()
    if needed > free:
        most = int(free // (needed // shape[0]))
        raise InvalidInputError(
            f"per_row=True needs {needed / 1e9:,.1f} GB for {shape[0]:,} rows, but {free / 1e9:,.1f} GB are free: "
            f"pass at most {most:,} rows, or by a layer with fewer weights."
        )
    kernels, net = engine("cpu"), model._resting()
    loss = model.network.loss.record(net.target_std)
    (workspace,), gradients = kernels.new_workspaces(net, loss), kernels.new_gradients(net, 1)
    each = np.empty(shape, model.dtype)
    for row in range(shape[0]):
        kernels.batch_gradient(gradients, workspace, rows, row, 1, net, loss)
        each[row] = _of_layer(model, gradients[0], index)
    return each


def _free_memory() -> float:
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # not every system tells
        return 4e9
