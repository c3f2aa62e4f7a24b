"""Who is to blame for the error, and what a step does about it: views made by the kernels that train.

Nothing here changes a model, except `step`, which is one step of `fit`.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.rows import labelled, measured
from ..errors import DivergenceError, InvalidInputError, TrainingWarning
from ..kernels.records import Reals, Rows
from ..model.core import Core
from ..model.mean import Mean
from ..options import is_number, layer_numbers, look_up, shown, yes_or_no
from ..training.optimizers import SGD, Optimizer, with_constant
from ..training.state import checked_optimizer
from . import memory
from .effects import LARGE, NOTABLE, effects
from .gain import Scatter, gradients_of_rows
from .parts import Part
from .table import Table, check_is_model, input_names

GAINS = 0.05, 0.005, 0.0005  # part of the error that a weight could take away, at least, for each word of blame
SCALED_FIRST = "The model is new: how inputs and target are scaled was learned from these rows first, as in fit."
BLAMED = "way off", "slightly off", "close", "nothing left to blame"


def blame(
    model: Core,
    X: Any,
    y: Any,
    layer: int | str = 0,
    by: str | None = None,
    per_row: bool = False,
    sample_weight: Any = None,
    biases: bool = False,
) -> Table:
    """See MLP.blame."""
    check_is_model(model)
    per_row, biases = yes_or_no(per_row, "per_row"), yes_or_no(biases, "biases")
    by = ("weight" if model.schema.encoding is None else "input") if by is None else by
    by_input = look_up(by, {"weight": False, "input": True}, "grouping")
    layers = layer_numbers(layer, len(model.network.activations))
    note, model = _note(model), as_it_learns(model, X, y, sample_weight)
    part = Part(model, layers, by_input, biases)
    gradient = part.of(model.gradient(X, y, sample_weight))
    rows = labelled(model.schema, X, y, sample_weight)
    shares, gains = part.shares(gradient), Scatter(model, rows).gain(part.sums)
    columns: dict[str, Any] = {
        **part.names(by),
        "value": part.of(model.parameters),
        "gradient": gradient,
        "share": shares,
        "gain": gains,
        "severity": np.array(BLAMED, object)[_degrees(shares, gains)].tolist(),
    }
    if per_row:
        columns["per_row"] = _gradients_of_rows(model, rows, part)
    unsigned = ("share", "gain", *(("value", "gradient") if by_input else ()))  # of an input they are lengths
    return Table(columns, "gradient", unprinted=("per_row",), unsigned=unsigned, note=note)


def blame_of_all(whole: Mean, X: Any, y: Any, sample_weight: Any = None) -> Table:
    """See Ensemble.blame."""
    tables = [blame(member, X, y, by="input", sample_weight=sample_weight) for member in whole.members]
    means = {
        name: np.average([table[name] for table in tables], axis=0, weights=whole.shares)
        for name in ("value", "gradient", "share", "gain")
    }
    severity = np.array(BLAMED, object)[_degrees(means["share"], means["gain"])].tolist()
    columns = {"input": input_names(whole, 0), **means, "severity": severity}
    return Table(columns, "gradient", unsigned=tuple(means))


def nudge(
    model: Core,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    layer: int | str = 0,
    sample_weight: Any = None,
    biases: bool = False,
) -> Table:
    """See MLP.nudge."""
    check_is_model(model)
    layers, biases = layer_numbers(layer, len(model.network.activations)), yes_or_no(biases, "biases")
    before = as_it_learns(model, X, y, sample_weight)
    after = after_step(model, X, y, learning_rate, optimizer, sample_weight)
    return _nudges(Part(after, layers, False, biases), before.parameters, after.parameters, _note(model))


def step(
    model: Core,
    X: Any,
    y: Any,
    learning_rate: float | None = None,
    optimizer: Optimizer | None = None,
    layer: int | str = 0,
    sample_weight: Any = None,
    biases: bool = False,
) -> Table:
    """See MLP.step."""
    check_is_model(model)
    layers, biases = layer_numbers(layer, len(model.network.activations)), yes_or_no(biases, "biases")
    before = model.twin()
    learned = as_it_learns(before, X, y, sample_weight)
    try:
        _take_step(model, X, y, learning_rate, optimizer, sample_weight)
        _check_still_finite(model, X, y, learning_rate)
    except BaseException:
        model.become(before)
        raise
    return _nudges(Part(model, layers, False, biases), learned.parameters, model.parameters, _note(before))


def as_it_learns(model: Core, X: Any, y: Any, sample_weight: Any = None) -> Core:
    """The model; before its first `fit` a copy with the scaling, and the encoding, that these rows would give it."""
    if model.schema.scaled:
        return model
    scaled = model.twin()
    # At a rate of its own: there is nothing that a plateau could monitor.
    rule = with_constant(checked_optimizer(model.fit_state, None, SGD()), 1.0)
    scaled.fit(X, y, epochs=0, optimizer=rule, sample_weight=sample_weight, verbose=0)
    return scaled


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
    """One step of `fit` on all rows, of plain descent where the model has no optimizer yet.

    A learning rate of the step's own, as the rate that ReduceOnPlateau has come to, leaves the optimizer and the
    position in its schedule as they would be without it.
    """
    going_on = model.training_state(checked_optimizer(model.fit_state, optimizer, SGD()))
    rule, rate = going_on.optimizer, learning_rate
    if rate is not None and (not is_number(rate) or not 0 < rate < math.inf):
        raise InvalidInputError(f"learning_rate must be a positive number, not {shown(rate)}.")
    if rate is None and rule.schedule.plateau():  # it is one step, not an epoch: there is nothing to monitor
        rate = going_on.next_rate()
    once = rule if rate is None else with_constant(rule, float(rate))
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


def _note(model: Core) -> str:
    """What is to be said of a model that has never been fitted."""
    return SCALED_FIRST if model.standardize and not model.schema.scaled else ""


def _nudges(part: Part, before: Reals, after: Reals, note: str) -> Table:
    """What happened to the weights of a part."""
    old, new = part.of(before).copy(), part.of(after).copy()
    nudges = new - old
    shares, effect = part.shares(nudges), []
    for lines in part.slices:
        effect += effects(old[lines], new[lines], shares[lines])
    columns = {**part.names("weight"), "old": old, "nudge": nudges, "new": new, "effect": effect}
    return Table(columns, "nudge", note=note)


def _degrees(shares: Reals, gains: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which word of blame each weight gets: the mildest of those that its share and its gain would give."""
    by_share = np.where(shares >= LARGE, 0, np.where(shares >= NOTABLE, 1, 2))
    by_gain = sum((gains < least).astype(np.int64) for least in GAINS)
    return np.maximum(by_share, by_gain)


def _gradients_of_rows(model: Core, rows: Rows, part: Part) -> Reals:
    """One gradient of a part for each row, each of that row's own loss, (n_weights, n_rows)."""
    n_rows, n_weights = len(rows.X), part.size
    needed, free = n_weights * n_rows * model.dtype.itemsize, memory.free_memory()
    if needed > free:
        most = int(free // (needed // n_rows))
        raise InvalidInputError(
            f"per_row=True needs {needed / 1e9:,.1f} GB for {n_rows:,} rows, but {free / 1e9:,.1f} GB are free: "
            f"pass at most {most:,} rows, or choose a layer with fewer weights."
        )
    each = np.empty((n_rows, n_weights), model.dtype)
    for row, (_, gradient) in enumerate(gradients_of_rows(model, model.net, rows)):
        each[row] = part.of(gradient)
    return each.T
