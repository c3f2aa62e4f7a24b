"""A learning-rate range test: raise the rate from step to step, watch the loss, choose before it turns.

Source: Smith 2015, arXiv 1506.01186.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError
from .kernels import engine
from .kernels.records import Loss, Net, Rows, new_workspace
from .names import is_number
from .optimizers import Optimizer

SMOOTHING = 0.9  # of the losses of single batches, which jump about
BLOWN_UP = 4.0  # the walk ends when the smoothed loss is so many times its smallest
MARGIN = 10.0  # the choice is this far below the rate with the smallest loss, where training is about to turn


@dataclass(frozen=True)
class LearningRateSearch:
    """What a range test found.

    Attributes:
        learning_rate: the rate to use.
        rates: the rates that were tried, one a step.
        losses: the smoothed loss before each of these steps, in the units of y.
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
    losses = _walk(net, rows, loss, optimizer, batch_size, rates) * unit
    rates = rates[: len(losses)]
    if not len(losses):
        raise InvalidInputError("The loss is not a finite number even before the first step: look at the data.")
    bottom = int(np.argmin(losses))
    fell = losses[bottom] < losses[0] * 0.99
    if not fell:
        return LearningRateSearch(
            lowest, rates, losses, "The loss never fell by 1 %: the lowest rate is kept; try a wider range."
        )
    chosen = float(max(rates[bottom] / MARGIN, lowest))
    how = "blew up soon after" if len(losses) < steps else "was still falling at the end of the range or flat"
    return LearningRateSearch(
        chosen,
        rates,
        losses,
        f"The loss fell from {losses[0]:.4g} to {losses[bottom]:.4g} at a rate of {rates[bottom]:.3g} and {how}; "
        f"a tenth of that rate is safe.",
    )


def _walk(
    net: Net, rows: Rows, loss: Loss, optimizer: Optimizer, batch_size: int, rates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The smoothed loss before each step, up to where it blows up."""
    kernels = engine("cpu")
    n_rows = len(rows.X)
    batch_size = min(batch_size, n_rows)
    workspace = new_workspace(net, kernels.BLOCK_ROWS)
    gradient, state, rule = np.zeros_like(net.parameters), optimizer.new_state(net.parameters), optimizer.rule()
    per_epoch = math.ceil(n_rows / batch_size)
    smooth, best, losses = 0.0, math.inf, []
    for step, rate in enumerate(rates):
        epoch, place = divmod(step, per_epoch)
        progress = np.zeros(2)
        kernels.train(
            net, state, gradient, workspace, progress, rows._replace(epoch=epoch), place * batch_size, batch_size,
            np.array([rate]), loss, rule,
        )  # fmt: skip
        if not (np.isfinite(progress).all() and progress[1] > 0):
            break
        smooth = SMOOTHING * smooth + (1 - SMOOTHING) * progress[0] / progress[1]
        value = smooth / (1 - SMOOTHING ** (step + 1))
        if value > BLOWN_UP * best:
            break
        best = min(best, value)
        losses.append(value)
    return np.array(losses)
