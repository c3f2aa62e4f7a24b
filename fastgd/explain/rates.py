"""Learning rates that are too high, too low or well chosen: copies of one network, each trained with one of them."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.rows import Measured, measured
from ..errors import DivergenceError, InvalidInputError, TrainingWarning
from ..kernels.records import Reals
from ..model.core import Core
from ..options import checked_names, is_number, listed, positive_integer, shown
from ..training.callbacks import Callback, Logs
from ..training.history import COMPLETED, INTERRUPTED
from ..training.optimizers import SGD, Optimizer, with_constant
from ..training.state import checked_optimizer
from .table import check_is_model

FARTHEST = 1e9  # from the best rate: still smaller ones take the same path
MOST_TOLD = 1e300  # steps: a rate may be next to nothing


@dataclass(frozen=True)
class Limits:
    """When a learning rate is too high or too low, and how far a better one is looked for."""

    # part of the way down: with this much of it left, a rate has come far enough
    settled: float = 0.1
    # part of the way down: with this much of it left, a rate has arrived
    arrived: float = 0.01
    # times the steps: this many more of them show what becomes of a loss
    patience: int = 4
    # times: a swing of the loss that has become this much larger will go on growing
    growth: float = 2.0
    # part of the loss: a smaller difference is rounding, and no way down
    noise: float = 1e-5
    # times the precision of the numbers: the square of this, times the loss of a network of zeros, is rounding as well
    rounding: float = 100.0
    # times: from one rate that is tried as a yardstick to the next, and while none has led anywhere
    factor: float = 3.0
    leap: float = 81.0
    # rates: this many are tried upwards and downwards, at most
    upwards: int = 40
    downwards: int = 12
    # times the rate: a path that takes too long is followed this much faster
    faster: float = 10.0


LIMITS = Limits()


@dataclass(frozen=True)
class Regime:
    """How one learning rate did.

    Attributes:
        learning_rate: the rate.
        verdict: "too high", "too low" or "well chosen".
        reason: what it did, in a sentence.
        losses: the loss before the first step and after each step while they are finite, in the units of y.
        predictions: the same for the prediction of one row, (n,), or (n, n_out) for a network with several outputs.
        actual: what this row really is; a class is given by its number.
        more_epochs: for a rate that is too low, about how many further steps it would need.
    """

    learning_rate: float
    verdict: str
    reason: str
    losses: Reals
    predictions: Reals
    actual: Any
    more_epochs: int | None = None

    def __repr__(self) -> str:
        return f"<Regime: {self.learning_rate:.3g} is {self.verdict}. {self.reason}>"


@checked_names
def learning_rates(
    model: Core,
    X: Any,
    y: Any,
    rates: Iterable[float],
    steps: int = 40,
    optimizer: Optimizer | None = None,
    row: int = 0,
) -> list[Regime]:
    """Train copies of one network side by side, each with a learning rate of its own, and say how each rate does.

    Every step is one of `fit` on all rows; a table of some thousand rows tells as much as a large one, and sooner.
    The way down is what the best rate achieves in `steps`, where rates beside those given are tried, too. A rate is

    - too high if the loss blows up, or goes up and down without settling, or ends in a place from where it does not
      get on, all of which is seen after up to five times as many steps;
    - too low if more than a tenth of the way is left, and the best rate is larger;
    - else well chosen.

    The model itself is not changed.

    Args:
        model: the network that all start from.
        X: inputs, (n_rows, n_in) numbers or a data frame.
        y: actual values, (n_rows,) or (n_rows, n_targets).
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
    check_is_model(model)
    steps = positive_integer(steps, "steps", least=4)
    given: list[Any] = [rates] if is_number(rates) else listed(rates) or []
    if not given or not all(is_number(rate) and 0 < rate < math.inf for rate in given):
        raise InvalidInputError(f"rates must be a list of positive numbers, not {shown(rates)}.")
    start = copy.deepcopy(model)
    rule = checked_optimizer(start.fit_state, optimizer, SGD())
    start.fit(X, y, epochs=0, optimizer=with_constant(rule, 1.0), verbose=0)  # learns the scaling and the encoding
    n_rows = len(start.schema.inputs(X).values)
    if isinstance(row, bool) or not isinstance(row, int | np.integer) or not -n_rows <= row < n_rows:
        raise InvalidInputError(f"row must be the number of one of {n_rows:,} rows, not {shown(row)}.")
    comparison = _Comparison(start, rule, X, y, int(row) % n_rows, steps)
    runs = [comparison.run(float(rate)) for rate in given]
    best = comparison.best(runs)
    return [comparison.judged(run, best) for run in runs]


@dataclass
class _Run:
    """A copy on its way with a learning rate."""

    rate: float
    model: Core
    trace: _Trace
    steps: int  # that count; the trace may go on
    too_high: str = ""  # why

    @property
    def losses(self) -> Reals:
        """The loss before the first step and after each that counts."""
        return np.array(self.trace.losses[: self.steps + 1])

    @property
    def end(self) -> float:
        """The loss that it has come to."""
        return float(self.losses[-1])

    @property
    def is_calm(self) -> bool:
        """Whether the loss only ever falls, so that a smaller rate is but slower."""
        losses = self.losses
        return bool((np.diff(losses) <= LIMITS.noise * np.abs(losses[0])).all())


@dataclass
class _Trace(Callback):
    """Notes the loss and a row's prediction, as the model stands before the first step and after each."""

    rows: Measured
    row: int
    losses: list[float] = field(default_factory=list)
    predictions: list[Reals] = field(default_factory=list)

    def note(self, model: Any) -> None:
        """Loss and prediction of a model."""
        self.losses.append(model.loss_of(self.rows))
        self.predictions.append(model.outputs_of(self.rows.X[self.row : self.row + 1])[0][0].astype(np.float64))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch is one step; on to where nothing is finite any more."""
        self.note(self.model)
        self.model.stop_training = not (math.isfinite(self.losses[-1]) and np.isfinite(self.predictions[-1]).all())


class _Comparison:
    """What all rates start from, and how they are judged."""

    def __init__(self, start: Core, rule: Optimizer, X: Any, y: Any, row: int, steps: int) -> None:
        self.start, self.rule, self.X, self.y, self.row, self.steps = start, rule, X, y, row, steps
        self.rows = measured(start.schema, X, y, None)
        self.first = start.loss_of(self.rows)
        if not math.isfinite(self.first):
            raise InvalidInputError("The loss is not a finite number even before the first step: look at the data.")
        zeros = copy.deepcopy(start)
        zeros.parameters[:] = 0
        precision = float(np.finfo(start.dtype).eps)
        self.noise = LIMITS.noise * abs(self.first) + (LIMITS.rounding * precision) ** 2 * abs(zeros.loss_of(self.rows))
        actual = self.rows.actual[row].astype(np.float64)
        self.actual = float(actual[0]) if actual.size == 1 else actual

    def run(self, rate: float) -> _Run:
        """The steps with one rate, and more of them where the loss goes up, to see whether it settles."""
        trial, trace = copy.deepcopy(self.start), _Trace(self.rows, self.row)
        trace.note(trial)
        run = _Run(rate, trial, trace, self.steps)
        if not self._go_on(run, self.steps):
            after = len(trace.losses) - 1
            run.too_high = (
                f"It overshot, and blew up after {after} steps." if after else "It blew up in the first step."
            )
            return run
        losses = run.losses
        way = self.first - float(losses.min())
        late = losses[len(losses) // 2 :]
        if run.end <= self.first + self.noise and not (np.diff(late) > 1e-3 * max(way, 0) + self.noise).any():
            return run
        lately = float(losses[-(self.steps // 4) - 1 :].max() - losses.min())
        settles, further = self._later(run)
        in_the_end = float(further[-(len(further) // 4) :].max() - further.min()) if settles else math.inf
        if run.end > self.first + self.noise and not further[-1] <= self.first + self.noise:
            run.too_high = "It overshoots: the loss is larger than at the start."
        elif in_the_end > max(LIMITS.growth * lately, self.noise):
            run.too_high = "It overshoots, and further as it goes on."
        elif in_the_end > max(LIMITS.settled * way, self.noise):
            run.too_high = "It overshoots and does not settle: the loss goes up again and again."
        return run

    def best(self, runs: list[_Run]) -> _Run | None:
        """The run that came furthest: of those given, or of larger or smaller rates if these come much further."""
        good = [run for run in runs if not run.too_high]
        if not good:
            return None
        given = min(good, key=lambda run: run.end)
        limit = min((run.rate for run in runs if run.too_high and run.rate > given.rate), default=math.inf)
        best = self._search(given, given, LIMITS.factor, LIMITS.upwards, limit)
        if best is given or not given.is_calm:
            best = self._search(given, best, 1 / LIMITS.factor, LIMITS.downwards, limit)
        far_enough = self.first - (1 - LIMITS.settled) * (self.first - best.end)
        return given if given.end <= far_enough else best

    def _search(self, start: _Run, best: _Run, factor: float, most: int, limit: float) -> _Run:
        """Try rate after rate, in leaps while none leads anywhere, up to where they get worse."""
        rate = start.rate
        for _ in range(most):
            blind = best.end >= self.first - self.noise
            rate *= (LIMITS.leap if factor > 1 else 1 / LIMITS.leap) if blind else factor
            if not 0 < rate < limit:
                break
            tried = self.run(rate)
            if tried.end < best.end and not tried.too_high:
                best = tried
            elif not blind and (factor > 1 or tried.is_calm):
                break  # larger ones only swing more, smaller ones are only slower
            elif tried.too_high and factor > 1:
                break
        return best

    def judged(self, run: _Run, best: _Run | None) -> Regime:
        """The verdict on a rate, measured against the best."""
        verdict, reason, more = self._verdict(run, best)
        if self._is_constant(run.model):
            reason += " But it predicts the same for every row: ask model.health."
        predictions = np.array(run.trace.predictions[: self.steps + 1])
        shown = predictions[:, 0] if predictions.shape[1] == 1 else predictions
        return Regime(run.rate, verdict, reason, run.losses, shown, self.actual, more)

    def _is_constant(self, model: Core) -> bool:
        """Whether a model has one answer for all rows, though these differ in what they should get."""
        with np.errstate(all="ignore"):
            answers = model.outputs_of(self.rows.X)[0].astype(np.float64)
            same = np.ptp(answers, axis=0) <= LIMITS.noise * np.abs(answers).max(axis=0)
        return bool(same.all()) and bool(np.ptp(self.rows.Y, axis=0).any())

    def _verdict(self, run: _Run, best: _Run | None) -> tuple[str, str, int | None]:
        if run.too_high or best is None:
            return "too high", run.too_high, None
        way = self.first - best.end
        if way <= self.noise:
            return "well chosen", "No rate makes the loss smaller: from here it is as low as it gets.", None
        if run.end <= best.end + LIMITS.settled * way:
            share = min((self.first - run.end) / way, 1)
            return "well chosen", f"It went {share:.0%} of the way down in {self.steps} steps.", None
        if run.rate > best.rate:
            settles, further = self._later(run)
            if settles and further[-1] <= best.end + LIMITS.settled * way:
                return "well chosen", f"It overshoots at first, but settles; {best.rate:.3g} is faster.", None
            return "too high", f"It overshot to where it does not get on; {best.rate:.3g} comes further.", None
        more = self._more(run, best, best.end + LIMITS.arrived * way)
        some = f"{more:,}" if more < 1e9 else f"{more:.2g}"
        reason = (
            f"about {some} more epochs like these would bring it nearly where {best.rate:.3g} came in {self.steps}."
        )
        return "too low", f"It goes the right way, but it creeps: {reason}", more

    def _more(self, run: _Run, best: _Run, goal: float) -> int:
        """How many more steps a rate needs to a loss: seen, or seen at a rate that takes the same path faster."""
        faster, rate = run, max(run.rate, best.rate / FARTHEST)
        while True:
            _, losses = self._later(faster)
            there = np.flatnonzero(losses <= goal)
            if there.size:
                break
            rate *= LIMITS.faster
            if rate >= best.rate:
                faster, there = best, np.flatnonzero(best.losses <= goal)
                break
            faster = self.run(rate)
        needed = min(float(there[0]) * faster.rate / run.rate - self.steps, MOST_TOLD)
        return max(math.ceil(float(f"{needed:.2g}")), 1)

    def _later(self, run: _Run) -> tuple[bool, Reals]:
        """What becomes of a run: whether the loss stays finite, and its losses up to five times the steps."""
        wanted = (1 + LIMITS.patience) * self.steps + 1 - len(run.trace.losses)
        settles = wanted <= 0 or self._go_on(run, wanted)
        return settles, np.array(run.trace.losses)

    def _go_on(self, run: _Run, steps: int) -> bool:
        """Some more steps, each an epoch in one batch. Returns whether all stayed finite."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)
            try:
                history = run.model.fit(
                    self.X, self.y, epochs=steps, batch_size=len(self.rows.X),
                    optimizer=with_constant(self.rule, run.rate), shuffle=False, callbacks=[run.trace], verbose=0,
                )  # fmt: skip
            except DivergenceError:
                return False
        if history.ended == INTERRUPTED:
            raise KeyboardInterrupt
        if history.ended == COMPLETED:
            return True
        del run.trace.losses[-1], run.trace.predictions[-1]
        return False
