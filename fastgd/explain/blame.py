"""Who is to blame for the error, and what a step does about it: views made by the kernels that train.

Nothing here changes a model, except `step`, which is one step of `fit`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.rows import labelled, measured
from ..errors import DivergenceError, InvalidInputError, TrainingWarning
from ..kernels.records import Reals, resting
from ..model.core import Core
from ..options import is_number, layer_number, look_up
from ..training.optimizers import Optimizer, at_rate
from . import memory
from .table import Table, input_names, weight_names

LARGE = 0.5  # part of the largest gradient or nudge of a layer: from here on the word for the largest holds
NOTABLE = 0.2  # likewise for the word in the middle


def blame(
    model: Core,
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
    model: Core,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    layer: int = 0,
    sample_weight: Any = None,
) -> Table:
    """See MLP.nudge."""
    index = layer_number(layer, len(model.network.activations))
    return _nudges(model, after_step(model, X, y, learning_rate, optimizer, sample_weight), index)


def step(
    model: Core,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    layer: int = 0,
    sample_weight: Any = None,
) -> Table:
    """See MLP.step."""
    index = layer_number(layer, len(model.network.activations))
    before = model.twin()
    try:
        _take_step(model, X, y, learning_rate, optimizer, sample_weight)
        _check_still_finite(model, X, y, learning_rate)
    except BaseException:
        model.become(before)
        raise
    return _nudges(before, model, index)


def after_step(
    model: Core,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    sample_weight: Any = None,
) -> Core:
    """A copy of the model after one step of `fit` on all rows."""
    after = model.twin()
    _take_step(after, X, y, learning_rate, optimizer, sample_weight)
    return after


def _take_step(
    model: Core, X: Any, y: Any, learning_rate: float | None, optimizer: Optimizer | None, sample_weight: Any
) -> None:
    """One step of `fit` on all rows.

    A learning rate of the step's own, as the rate that ReduceOnPlateau has come to, leaves the optimizer and the
    position in its schedule as they would be without it.
    """
    going_on = model.training_state(optimizer)
    rule, rate = going_on.optimizer, learning_rate
    if rate is not None and (not is_number(rate) or not 0 < rate < math.inf):
        raise InvalidInputError(f"learning_rate must be a positive number, not {rate!r}.")
    if rate is None and rule.schedule.plateau():  # it is one step, not an epoch: there is nothing to monitor
        rate = going_on.next_rate()
    once = rule if rate is None else at_rate(rule, float(rate))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)  # what the step did is told
        history = model.fit(
            X, y, epochs=1, batch_size=1 << 62, optimizer=once, shuffle=False, sample_weight=sample_weight, verbose=0,
        )  # fmt: skip
    if not history.steps:
        raise KeyboardInterrupt
    if once is not rule and model.fit_state is not None:
        model.fit_state.optimizer, model.fit_state.origin = rule, going_on.origin
        model.fit_state.plateau = going_on.plateau


def _check_still_finite(model: Core, X: Any, y: Any, learning_rate: float | None) -> None:
    """Whether the network can still predict these rows after a step on them."""
    if math.isfinite(model.loss_of(measured(model.schema, X, y, None))):
        return
    of_rate = "" if learning_rate is None else f" with a learning rate of {learning_rate:.3g}"
    error = DivergenceError(
        f"This step{of_rate} leads to predictions that are no longer finite numbers; nothing has changed. "
        "Try a much smaller learning rate."
    )
    assert model.fit_state is not None
    error.step = model.fit_state.steps
    raise error


def _nudges(before: Core, after: Core, index: int) -> Table:
    """What happened to the weights of a layer."""
    old, new = (_of_layer(m, m.parameters, index).copy().reshape(-1) for m in (before, after))
    nudges = new - old
    words = (
        ("larger contribution", "slight increase", "barely touched"),
        ("smaller contribution", "slight decrease", "barely touched"),
    )
    effect = np.array(words, object)[(~(nudges > 0)).astype(int), _grades(nudges)].tolist()
    columns = {"weight": weight_names(before, index), "old": old, "nudge": nudges, "new": new, "effect": effect}
    return Table(columns, "nudge")


def _of_layer(model: Core, parameters: Reals, index: int) -> Reals:
    """The weights (n_in, n_out) of a layer in a flat vector, without its biases."""
    return model.network.split(parameters)[index][0]


def _lengths(weights: Reals) -> Reals:
    """The length of each input's row of weights."""
    lengths: Reals = np.sqrt(np.square(weights, dtype=np.float64).sum(axis=1)).astype(weights.dtype)
    return lengths


def _graded(values: Reals, large: str, notable: str, small: str) -> list[str]:
    """A word for each value, by its size beside the largest."""
    words: list[str] = np.array([large, notable, small], object)[_grades(values)].tolist()
    return words


def _grades(values: Reals) -> NDArray[np.int64]:
    """0 for values that are large beside the largest, 1 for notable and 2 for small ones; NaN counts as large."""
    sizes = np.where(np.isnan(values), np.inf, np.abs(values))
    top = sizes.max(initial=0.0)
    return np.where(sizes >= LARGE * top, 0, np.where(sizes >= NOTABLE * top, 1, 2)) if top else np.full(sizes.size, 2)


def _gradients_of_rows(
    model: Core, X: Any, y: Any, index: int, gathered: Callable[[Reals], Reals], n_weights: int
) -> Reals:
    """One gradient of a layer for each row, each of that row's own loss, (n_weights, n_rows)."""
    rows = labelled(model.schema, X, y, None)
    n_rows = len(rows.X)
    needed, free = n_weights * n_rows * model.dtype.itemsize, memory.free_memory()
    if needed > free:
        most = int(free // (needed // n_rows))
        raise InvalidInputError(
            f"per_row=True needs {needed / 1e9:,.1f} GB for {n_rows:,} rows, but {free / 1e9:,.1f} GB are free: "
            f"pass at most {most:,} rows, or choose a layer with fewer weights."
        )
    engine, net, loss = model.engine, resting(model.net), model.objective
    (workspace,), gradients = engine.new_workspaces(net, loss), engine.new_gradients(net, 1)
    each = np.empty((n_rows, n_weights), model.dtype)
    for row in range(n_rows):
        engine.batch_gradient(gradients, workspace, rows, row, 1, net, loss)
        each[row] = gathered(_of_layer(model, gradients[0], index))
    return each.T
