"""Learning rates that are too high, too low or well chosen: copies of one network, each trained with one of them."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidInputError
from .kernels import engine
from .names import is_number, positive_integer

if TYPE_CHECKING:
    from .model import MLP
    from .optimizers import Optimizer

Reals = NDArray[Any]

SETTLED = 0.1  # of the way down is left
SWINGS = 0.3  # of the steps in the second half go up


@dataclass(frozen=True)
class Regime:
    """How one learning rate did.

    Attributes:
        learning_rate: the rate.
        verdict: "too high", "too low" or "well chosen".
        reason: what it did, in a sentence.
        losses: the loss before the first step and after each step, in the units of y.
        predictions: the same for the prediction of one row.
        actual: what this row really is.
        more_epochs: for a rate that is too low, how many further steps it would need.
    """

    learning_rate: float
    verdict: str
    reason: str
    losses: Reals
    predictions: Reals
    actual: float
    more_epochs: int | None = None

    def __repr__(self) -> str:
        return f"<Regime: {self.learning_rate:.3g} is {self.verdict}. {self.reason}>"


def learning_rates(
    model: MLP,
    X: Any,
    y: Any,
    rates: Sequence[float],
    steps: int = 40,
    optimizer: Optimizer | None = None,
    row: int = 0,
) -> list[Regime]:
    """Train copies of one network side by side, each with a learning rate of its own, and say how each rate does.

    Every step is on all rows. A rate is too high if the loss rises or swings to the end, too low if more than a tenth
    of the way down is left and it only creeps, else well chosen. The model itself is not changed.

    Args:
        model: the network that all start from, with one output.
        X: inputs, (n_rows, n_in) numbers or a data frame.
        y: actual values, (n_rows,).
        rates: the learning rates to compare.
        steps: how many steps each takes.
        optimizer: the rule, such as fastgd.SGD(momentum=0.9); by default that of the model, at first plain descent.
        row: the row whose prediction is followed.

    Raises:
        InvalidInputError: a table or option that cannot be used.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200, random_state=0)
        >>> model = fastgd.MLP([4, 1], random_state=0)
        >>> [r.verdict for r in fastgd.explain.learning_rates(model, X, y, [0.0001, 0.1, 3.0])]
        ['too low', 'well chosen', 'too high']
    """
    steps = positive_integer(steps, "steps", least=4)
    given = [float(rate) if is_number(rate) and 0 < rate < math.inf else math.nan for rate in np.ravel(rates)]
    if not given or not all(map(math.isfinite, given)):
        raise InvalidInputError(f"rates must be a list of positive numbers, not {rates!r}.")
    n_rows = len(model._inputs(X))
    if not -n_rows <= row < n_rows:
        raise InvalidInputError(f"row must be the number of one of {n_rows} rows, not {row!r}.")
    if model.network.n_out != 1:
        raise InvalidInputError(f"learning_rates follows one prediction; this network has {model.network.n_out}.")
    traces = [_trace(model, X, y, rate, steps, optimizer, row) for rate in given]
    actual = float(np.ravel(model._targets(y, n_rows, learn=False)[0])[row])
    floor = _floor([losses for losses, _ in traces])
    return [
        Regime(rate, *_verdict(losses, predictions, floor), losses, predictions, actual, _more(losses, floor))
        for rate, (losses, predictions) in zip(given, traces, strict=True)
    ]


def _trace(
    model: MLP, X: Any, y: Any, rate: float, steps: int, optimizer: Optimizer | None, row: int
) -> tuple[Reals, Reals]:
    """The loss and one row's prediction before the first step and after each, up to where they are not finite."""
    twin = copy.deepcopy(model)
    rule = dataclasses.replace(model._checked_optimizer(optimizer), learning_rate=rate)  # type: ignore[call-arg]
    twin.fit(X, y, epochs=0, optimizer=rule, verbose=0)  # learns the scaling
    kernels, net, state = engine("cpu"), twin._net, twin._training
    assert state is not None
    rows = twin._rows(X, y, None)
    loss, n = twin.network.loss.record(net.target_std), len(rows.X)
    workspaces, gradients = kernels.new_workspaces(net, loss, rule.rule(), n), kernels.new_gradients(net, n)
    one = rows.X[row : row + 1] if row != -1 else rows.X[-1:]
    losses, predictions = [], []
    for taken in range(steps + 1):
        value = kernels.mean_loss(workspaces[0], rows, twin._resting(), loss) * twin._unit()
        predicted = float(twin._respond(one)[0][0, 0])
        losses.append(value)
        predictions.append(predicted)
        if not (math.isfinite(value) and math.isfinite(predicted)) or taken == steps:
            break
        kernels.train(
            net, state.state, gradients, workspaces, np.zeros(2), rows, 0, n, np.array([rate]), loss, rule.rule()
        )
    return np.array(losses), np.array(predictions)


def _floor(traces: list[Reals]) -> float:
    """The lowest loss that any reaches, or is heading for: a shrinking fall is taken for a geometric one."""
    ends = []
    for losses in traces:
        if not np.isfinite(losses).all():
            continue
        ends.append(float(losses.min()))
        last, before = losses[-2] - losses[-1], losses[-3] - losses[-2]
        ahead = last * last / (before - last) if 0 < last < before else math.inf
        if ahead < losses[0] - losses[-1]:  # further than it has come, it is a guess
            ends.append(float(losses[-1] - ahead))
    return min(ends, default=0.0)


def _left(losses: Reals, floor: float) -> float:
    """The share of the way down that is left at the end."""
    return float((losses[-1] - floor) / max(losses[0] - floor, 1e-300))


def _verdict(losses: Reals, predictions: Reals, floor: float) -> tuple[str, str]:
    if not (np.isfinite(losses).all() and np.isfinite(predictions).all()):
        return "too high", f"It overshot further with every step and blew up after {len(losses) - 1}."
    rises = np.diff(losses)[len(losses) // 2 :] > 1e-3 * max(losses[0] - floor, 1e-300)
    if losses[-1] > losses[0]:
        return "too high", "It overshoots: the loss is larger than at the start."
    if rises[-1] or rises.mean() > SWINGS:
        return "too high", "It overshoots and does not settle: the loss goes up again and again."
    left = _left(losses, floor)
    if left <= SETTLED:
        return "well chosen", f"It went {1 - max(left, 0):.0%} of the way down in {len(losses) - 1} steps."
    swings = np.diff(predictions)
    if (swings[1:] * swings[:-1] < 0)[len(losses) // 2 :].mean() > 1 - SWINGS:
        return "well chosen", "It swings past the goal with every step, but by less each time; a little less is faster."
    more = _more(losses, floor)
    return "too low", "It goes the right way, but it creeps: " + (
        f"{more:,} more epochs like these would do." if more else "the end is not in sight."
    )


def _more(losses: Reals, floor: float) -> int | None:
    """How many more steps the last one's pace would need to leave a hundredth of the way."""
    if not np.isfinite(losses).all() or _left(losses, floor) <= SETTLED:
        return None
    pace = (losses[-1] - floor) / max(losses[-2] - floor, 1e-300)
    if not 0 < pace < 1:
        return None
    return math.ceil(math.log(0.01 / _left(losses, floor)) / math.log(pace))
