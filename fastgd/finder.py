"""A learning-rate range test: raise the rate from step to step, watch the loss, choose before it turns.

Source: Smith 2015, arXiv 1506.01186.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError
from .kernels import engine
from .kernels.records import Loss, Net, Rows
from .names import is_number
from .optimizers import Optimizer

PROBE_ROWS = 1024  # the loss is measured on the same rows after every step: single batches differ too much
PROBE_EPOCH = 0x7FFFFFFF  # drawn by an order that no training reaches
BLOWN_UP = 4.0  # the walk ends when the loss is so many times its smallest
MARGIN = 10.0  # the choice is this far below the rate with the smallest loss, where training is about to turn


@dataclass(frozen=True)
class LearningRateSearch:
    """What a range test found.

    Attributes:
        learning_rate: the rate to use.
        rates: the rates that were tried, one a step.
        losses: the loss after each of these steps, always on the same rows, in the units of y.
        reason: why this rate.
    """

    learning_rate: float
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    reason: str

    def __repr__(self) -> str:
        return f"<LearningRateSearch: {self.learning_rate:.3g}, {len(self.rates)} steps. {self.reason}>"


def find_learning_rate(
    net: Net,
    rows: Rows,
    loss: Loss,
    optimizer: Optimizer,
    unit: float,
    batch_size: int,
    lowest: float,
    highest: float,
    steps: int,
) -> LearningRateSearch:
    """Walk the range on `net`, which is changed, and choose."""
    if not (is_number(lowest) and is_number(highest) and 0 < lowest < highest < math.inf):
        raise InvalidInputError(f"lowest and highest must be rates with 0 < lowest < highest, not {lowest}, {highest}.")
    if steps < 10:
        raise InvalidInputError(f"steps must be at least 10 to make a curve, not {steps}.")
    rates = np.geomspace(lowest, highest, steps)
    start, losses = _walk(net, rows, loss, optimizer, batch_size, rates)
    start, losses = start * unit, losses * unit
    if not math.isfinite(start):
        raise InvalidInputError("The loss is not a finite number even before the first step: look at the data.")
    rates = rates[: len(losses)]
    bottom = int(np.argmin(losses)) if len(losses) else 0
    if not len(losses):
        reason = "The loss blew up in the first step already: choose a smaller lowest."
        return LearningRateSearch(lowest / MARGIN, rates, losses, reason)
    if not losses[bottom] < start - 0.01 * abs(start):
        reason = "The loss never fell by 1 %: the lowest rate is kept; try a wider range."
        return LearningRateSearch(lowest, rates, losses, reason)
    how = "blew up soon after" if len(losses) < steps else "did not blow up in this range"
    return LearningRateSearch(
        float(rates[bottom] / MARGIN),
        rates,
        losses,
        f"The loss fell from {start:.4g} to {losses[bottom]:.4g} at a rate of {rates[bottom]:.3g} and {how}; "
        "a tenth of that rate is safe.",
    )


def _walk(
    net: Net, rows: Rows, loss: Loss, optimizer: Optimizer, batch_size: int, rates: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """The loss at the start, and after each step up to where it blows up."""
    kernels = engine("cpu")
    n_rows = len(rows.X)
    batch_size = min(batch_size, n_rows)
    probe = _probe(rows, kernels)
    resting = net._replace(dropout=np.zeros_like(net.dropout))
    gradients = kernels.new_gradients(net, batch_size)
    state, rule = optimizer.new_state(net.parameters), optimizer.rule()
    workspaces = kernels.new_workspaces(net, loss, rule)
    workspace = workspaces[0]
    per_epoch = math.ceil(n_rows / batch_size)
    start = best = float(kernels.mean_loss(workspace, probe, resting, loss))
    losses: list[float] = []
    for step, rate in enumerate(rates):
        epoch, place = divmod(step, per_epoch)
        taken = kernels.train(
            net, state, gradients, workspaces, np.zeros(2), rows._replace(epoch=epoch), place * batch_size, batch_size,
            np.array([rate]), loss, rule,
        )  # fmt: skip
        value = float(kernels.mean_loss(workspace, probe, resting, loss))
        # A loss may be negative (gaussian_nll), so that "four times the smallest" is counted from there to the start.
        if not taken or not math.isfinite(value) or value - best > (BLOWN_UP - 1) * max(abs(best), 0.1 * abs(start)):
            break
        best = min(best, value)
        losses.append(value)
    return start, np.array(losses)


def _probe(rows: Rows, kernels: ModuleType) -> Rows:
    """Some rows at random, to measure with."""
    order = np.zeros(min(PROBE_ROWS, len(rows.X)), np.int64)
    kernels.row_order(order, 0, len(rows.X), rows.seed, PROBE_EPOCH, True)
    weights = rows.weights[order] if rows.weights.size else rows.weights
    if weights.size and not weights.any():
        return rows._replace(shuffle=False)
    X, Y = rows.X[order], rows.Y[order]
    for array in (X, Y, weights):
        array.flags.writeable = False
    return Rows(X, Y, weights, rows.seed, 0, False)
