"""A learning-rate range test: raise the rate from step to step, watch the loss, choose before it turns.

Source: Smith 2015, arXiv 1506.01186.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..kernels.records import Rows, resting, taken
from ..options import is_number
from .run import PROBE_ROWS, Job

PROBE_EPOCH = 0x7FFFFFFF  # drawn by an order that no training reaches
BLOWN_UP = 4.0  # times its smallest value: a loss this large ends the walk
MARGIN = 10.0  # times: the choice is this much below the rate with the smallest loss, where training is about to turn


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


def find_learning_rate(job: Job, lowest: float, highest: float, steps: int) -> LearningRateSearch:
    """Walk the range on the job's network, which is changed, and choose."""
    if not (is_number(lowest) and is_number(highest) and 0 < lowest < highest < math.inf):
        raise InvalidInputError(f"lowest and highest must be rates with 0 < lowest < highest, not {lowest}, {highest}.")
    if steps < 10:
        raise InvalidInputError(f"steps must be at least 10 to make a curve, not {steps}.")
    rates = np.geomspace(lowest, highest, steps)
    start, losses = _walk(job, rates)
    start, losses = start * job.loss_unit, losses * job.loss_unit
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


def _walk(job: Job, rates: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The loss at the start, and after each step up to where it blows up, always on the same rows.

    The losses of single batches differ too much to be compared.
    """
    net, rows, loss, engine = job.net, job.rows, job.loss, job.engine
    n_rows = len(rows.X)
    batch_size = min(job.batch_size, n_rows)
    probe, at_rest = _probe(rows, engine), resting(net)
    gradients = engine.new_gradients(net, batch_size)
    state, rule = job.training.optimizer.new_state(net.parameters), job.training.optimizer.rule()
    workspaces = engine.new_workspaces(net, loss, rule)
    per_epoch = math.ceil(n_rows / batch_size)
    start = best = float(engine.mean_loss(workspaces[0], probe, at_rest, loss))
    losses: list[float] = []
    for step, rate in enumerate(rates):
        epoch, place = divmod(step, per_epoch)
        n_taken = engine.train(
            net, state, gradients, workspaces, np.zeros(2), rows._replace(epoch=epoch), place * batch_size, batch_size,
            np.array([rate]), loss, rule,
        )  # fmt: skip
        value = float(engine.mean_loss(workspaces[0], probe, at_rest, loss))
        # A loss may be negative (gaussian_nll), so that "four times the smallest" is counted from there to the start.
        if not n_taken or not math.isfinite(value) or value - best > (BLOWN_UP - 1) * max(abs(best), 0.1 * abs(start)):
            break
        best = min(best, value)
        losses.append(value)
    return start, np.array(losses)


def _probe(rows: Rows, engine: ModuleType) -> Rows:
    """Some rows at random, to measure with."""
    order = np.zeros(min(PROBE_ROWS, len(rows.X)), np.int64)
    engine.row_order(order, 0, len(rows.X), rows.seed, PROBE_EPOCH, True)
    if rows.weights.size and not rows.weights[order].any():
        return rows._replace(shuffle=False)
    return taken(rows._replace(epoch=0), order)
