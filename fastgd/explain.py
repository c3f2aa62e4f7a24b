"""Who is to blame for the error, and what a step does about it: views made by the kernels that train.

Nothing here changes a model, except `step`, which is one step of `fit`.
"""

from __future__ import annotations

import copy
import html
import math
import os
import warnings
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import DivergenceError, InvalidInputError, TrainingWarning
from .kernels import engine
from .measures import loss_of
from .names import is_number, layer_number, look_up, printable, shortened
from .optimizers import at_rate
from .regimes import Regime, learning_rates

if TYPE_CHECKING:
    from .model import MLP
    from .optimizers import Optimizer

__all__ = ["Regime", "Table", "blame", "learning_rates", "nudge", "step"]

Reals = NDArray[Any]

LARGE, NOTABLE = 0.5, 0.2  # shares of the largest one, from which a gradient or a nudge is called so
SHOWN = 20  # rows that a table prints
WIDTH, LEAST_NAME = 80, 12  # columns of a terminal; names give way to numbers, down to so many characters


@dataclass(frozen=True)
class Table:
    """Columns of the same length, which print as a table.

    It is read like a data frame: `table["name"]` is a column, len(table) counts rows, and its names are what `in`,
    `keys` and loops see.
    """

    columns: Mapping[str, Any]
    largest_by: str | None = None  # a long table prints the rows where this column is largest
    unprinted: tuple[str, ...] = ()  # columns that are too much to print
    unsigned: bool = False  # nothing in it can be below 0
    most: int = SHOWN  # rows that are printed

    def __getitem__(self, name: str) -> Any:
        return look_up(name, self.columns, "column")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def keys(self) -> KeysView[str]:
        """The names of the columns."""
        return self.columns.keys()

    def values(self) -> ValuesView[Any]:
        """The columns."""
        return self.columns.values()

    def items(self) -> ItemsView[str, Any]:
        """Names and columns."""
        return self.columns.items()

    def to_dict(self) -> dict[str, list[Any]]:
        """The columns as lists of plain numbers and text, ready for JSON or a data frame."""
        return {name: np.asarray(column).tolist() for name, column in self.columns.items()}

    def printed(self) -> tuple[list[list[str]], int]:
        """The header and the rows that are printed, as text, and how many rows are left out."""
        order = np.arange(len(self))
        if len(self) > self.most and self.largest_by:
            order = np.argsort(-np.abs(self.columns[self.largest_by]), kind="stable")
        printed = ((name, column) for name, column in self.columns.items() if name not in self.unprinted)
        cells = [
            [printable(name), *(_cell(column[i], self.unsigned) for i in order[: self.most])]
            for name, column in printed
        ]
        return [list(row) for row in zip(*cells, strict=True)], max(len(self) - self.most, 0)

    def __repr__(self) -> str:
        rows, left_out = self.printed()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        beyond = sum(widths) + 2 * (len(widths) - 1) - WIDTH
        if beyond > 0 and widths[0] > LEAST_NAME:
            widths[0] = max(widths[0] - beyond, LEAST_NAME)
            rows = [[shortened(row[0], widths[0]), *row[1:]] for row in rows]
        right = [not isinstance(self.columns[name][0], str) for name in self.columns if name not in self.unprinted]
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


def _cell(value: Any, unsigned: bool) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.4g}" if unsigned else f"{value:+.4g}"
    return printable(str(value))


# Blame and nudges.


def blame(
    model: MLP,
    X: Any,
    y: Any,
    layer: int = 0,
    by: str = "weight",
    per_row: bool = False,
    sample_weight: Any = None,
) -> Table:
    """See MLP.blame."""
    look_up(by, {"weight": 0, "input": 0}, "grouping")
    index = layer_number(layer, len(model.network.activations))
    gathered: Callable[[Reals], Reals] = np.ravel if by == "weight" else _lengths
    gradient = gathered(_of_layer(model, model.gradient(X, y, sample_weight), index))
    columns: dict[str, Any] = {
        by: weight_names(model, index) if by == "weight" else input_names(model, index),
        "value": gathered(_of_layer(model, model.parameters, index)),
        "gradient": gradient,
        "severity": _graded(gradient, "way off", "slightly off", "close"),
    }
    if per_row:
        columns["per_row"] = _gradients_of_rows(model, X, y, index, gathered, gradient.size)
    return Table(columns, "gradient", unprinted=("per_row",))


def nudge(
    model: MLP,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    layer: int = 0,
    sample_weight: Any = None,
) -> Table:
    """See MLP.nudge."""
    index = layer_number(layer, len(model.network.activations))
    return _nudges(model, moved(model, X, y, learning_rate, optimizer, sample_weight), index)


def step(
    model: MLP,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    layer: int = 0,
    sample_weight: Any = None,
) -> Table:
    """See MLP.step."""
    index = layer_number(layer, len(model.network.activations))
    after = moved(model, X, y, learning_rate, optimizer, sample_weight)
    _check_still_finite(after, X, y, learning_rate)
    table = _nudges(model, after, index)
    model._take_over(after)
    model._training = after._training
    return table


def moved(
    model: MLP,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    sample_weight: Any = None,
) -> MLP:
    """A copy of the model after one step of `fit` on all rows.

    A learning rate of the step's own, like the one that ReduceOnPlateau has come to, leaves the optimizer and the
    position in its schedule as they would be without it.
    """
    after = copy.deepcopy(model)
    rule = after._checked_optimizer(optimizer)
    going_on = after._training_state(rule)
    rate = learning_rate
    if rate is not None and (not is_number(rate) or not 0 < rate < math.inf):
        raise InvalidInputError(f"learning_rate must be a positive number, not {rate!r}.")
    if rate is None and rule.schedule.plateau():  # it is one step, not an epoch: there is nothing to monitor
        rate = going_on.next_rate()
    once = rule if rate is None else at_rate(rule, float(rate))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)  # what the step did is told
        history = after.fit(
            X, y, epochs=1, batch_size=1 << 62, optimizer=once, shuffle=False, sample_weight=sample_weight, verbose=0
        )
    if not history.steps:
        raise KeyboardInterrupt
    if once is not rule and after._training is not None:
        after._training.optimizer, after._training.origin = rule, going_on.origin
        after._training.plateau = going_on.plateau
    return after


def _check_still_finite(after: MLP, X: Any, y: Any, learning_rate: float | None) -> None:
    """Whether the network can still predict these rows after a step on them."""
    rows = after._measured(X, y, None)
    if np.isfinite(after._respond(rows.X)[0]).all() and math.isfinite(loss_of(after, rows, engine("cpu"))):
        return
    of_rate = "" if learning_rate is None else f" with a learning rate of {learning_rate:.3g}"
    error = DivergenceError(
        f"This step{of_rate} leads to predictions that are no longer finite numbers; nothing has changed. "
        "Try a much smaller learning rate."
    )
    assert after._training is not None
    error.step = int(after._training.state.step[0])
    raise error


def _nudges(before: MLP, after: MLP, index: int) -> Table:
    """What happened to the weights of a layer."""
    old, new = (_of_layer(m, m.parameters, index).copy().reshape(-1) for m in (before, after))
    nudges = new - old
    grades = _graded(nudges, "large", "slight", "barely touched")
    words = {
        ("large", True): "larger contribution",
        ("large", False): "smaller contribution",
        ("slight", True): "slight increase",
        ("slight", False): "slight decrease",
    }
    effect = [words.get((g, bool(n > 0)), g) for g, n in zip(grades, nudges, strict=True)]
    columns = {"weight": weight_names(before, index), "old": old, "nudge": nudges, "new": new, "effect": effect}
    return Table(columns, "nudge")


def _of_layer(model: MLP, parameters: Reals, index: int) -> Reals:
    """The weights (n_in, n_out) of a layer in a flat vector, without its biases."""
    return model.network.split(parameters)[index][0]


def input_names(model: MLP, index: int) -> list[str]:
    """What a layer's inputs are called: features, or units of the layer before."""
    n_in = model.network.sizes[index]
    if index == 0:
        return list(model.feature_names or (f"input {i}" for i in range(n_in)))
    return [f"unit {i} of layer {index - 1}" for i in range(n_in)]


def weight_names(model: MLP, index: int) -> list[str]:
    """What a layer's weights are called: by their input, and their unit where there are several."""
    n_out = model.network.sizes[index + 1]
    names = input_names(model, index)
    return names if n_out == 1 else [f"{name} → unit {j}" for name in names for j in range(n_out)]


def _lengths(weights: Reals) -> Reals:
    """The length of each input's row of weights."""
    lengths: Reals = np.sqrt(np.square(weights, dtype=np.float64).sum(axis=1)).astype(weights.dtype)
    return lengths


def _graded(values: Reals, large: str, notable: str, small: str) -> list[str]:
    """A word for each value, by its share of the largest; one that is not a number is large."""
    sizes = np.where(np.isnan(values), np.inf, np.abs(values))
    top = float(sizes.max(initial=0.0))
    return [large if top and s >= LARGE * top else notable if top and s >= NOTABLE * top else small for s in sizes]


def _gradients_of_rows(
    model: MLP, X: Any, y: Any, index: int, gathered: Callable[[Reals], Reals], n_weights: int
) -> Reals:
    """One gradient of a layer for each row, each of that row's own loss, (n_weights, n_rows)."""
    rows = model._rows(X, y, None)
    n_rows = len(rows.X)
    needed, free = n_weights * n_rows * model.dtype.itemsize, _free_memory()
    if needed > free:
        most = int(free // (needed // n_rows))
        raise InvalidInputError(
            f"per_row=True needs {needed / 1e9:,.1f} GB for {n_rows:,} rows, but {free / 1e9:,.1f} GB are free: "
            f"pass at most {most:,} rows, or choose a layer with fewer weights."
        )
    kernels, net = engine("cpu"), model._resting()
    loss = model.network.loss.record(net.target_std)
    (workspace,), gradients = kernels.new_workspaces(net, loss), kernels.new_gradients(net, 1)
    each = np.empty((n_rows, n_weights), model.dtype)
    for row in range(n_rows):
        kernels.batch_gradient(gradients, workspace, rows, row, 1, net, loss)
        each[row] = gathered(_of_layer(model, gradients[0], index))
    return each.T


def _free_memory() -> float:
    """Bytes that may be had without harm: what the system would give up of its file cache counts, where it tells."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return 4e9
