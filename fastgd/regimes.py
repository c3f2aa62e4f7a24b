"""Learning rates that are too high, too low or well chosen: copies of one network, each trained with one of them."""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .callbacks import Callback, Logs
from .errors import DivergenceError, DivergenceWarning, InvalidInputError
from .kernels import engine
from .names import checked_names, is_number, positive_integer

if TYPE_CHECKING:
    from .kernels.records import Rows
    from .model import MLP
    from .optimizers import Optimizer

Reals = NDArray[Any]

SETTLED = 0.1  # of the way down is left
ARRIVED = 0.01  # of the way down is left
PATIENCE = 4  # times as many steps again are taken where a loss goes up and down
GROWS = 2.0  # a swing that has become so many times larger will go on growing
NOISE = 1e-5  # of the loss: rounding, and no way down
SWINGS = 0.7  # of the steps in the second half turn round
FACTOR = 3.0  # between the rates of which one is looked for that serves as a yardstick
MOST_TRIES = 80


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
    model: MLP,
    X: Any,
    y: Any,
    rates: Sequence[float],
    steps: int = 40,
    optimizer: Optimizer | None = None,
    row: int = 0,
) -> list[Regime]:
    """Train copies of one network side by side, each with a learning rate of its own, and say how each rate does.

    Every step is one of `fit` on all rows. A rate is too high if the loss blows up, or goes up and down without
    settling, for which up to five times as many steps are looked at. It is too low if more than a tenth of the way
    down is left after `steps`; the way down is what the best rate achieves in as many steps, where rates beyond those
    given are tried, too. Else it is well chosen. The model itself is not changed.

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
    if not hasattr(model, "network"):
        raise InvalidInputError(f"model must be a fastgd.MLP, not {type(model).__name__}.")
    steps = positive_integer(steps, "steps", least=4)
    given = [float(rate) if is_number(rate) and 0 < rate < math.inf else math.nan for rate in np.ravel(rates)]
    if not given or not all(map(math.isfinite, given)):
        raise InvalidInputError(f"rates must be a list of positive numbers, not {rates!r}.")
    n_rows = len(model._inputs(X))
    if isinstance(row, bool) or not isinstance(row, int | np.integer) or not -n_rows <= row < n_rows:
        raise InvalidInputError(f"row must be the number of one of {n_rows:,} rows, not {row!r}.")
    start = copy.deepcopy(model)
    rule = start._checked_optimizer(optimizer)
    start.fit(X, y, epochs=0, optimizer=_with(rule, given[0]), verbose=0)  # learns the scaling
    course = _Course(start, rule, X, y, int(row) % n_rows, steps)
    runs = [course.run(rate) for rate in given]
    best = course.best(runs)
    return [course.judged(run, best) for run in runs]


def _with(rule: Optimizer, rate: float) -> Optimizer:
    """A rule with a constant learning rate."""
    return dataclasses.replace(rule, learning_rate=rate)  # type: ignore[call-arg]


@dataclass
class _Run:
    """A copy on its way with a learning rate."""

    rate: float
    model: MLP
    trace: _Trace
    too_high: str = ""  # why
    settles: bool = False  # it goes up and down, but less so later on

    @property
    def end(self) -> float:
        """The loss that it has come to."""
        return self.trace.losses[-1]


@dataclass
class _Trace(Callback):
    """Notes the loss and a row's prediction, as the model stands before the first step and after each."""

    rows: Rows
    row: int
    losses: list[float] = field(default_factory=list)
    predictions: list[Reals] = field(default_factory=list)

    def note(self, model: Any) -> None:
        """Loss and prediction of a model."""
        self.losses.append(model._mean_loss(self.rows, engine("cpu")))
        self.predictions.append(model._respond(self.rows.X[self.row : self.row + 1])[0][0].astype(np.float64))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch is one step; on to where nothing is finite any more."""
        self.note(self.model)
        self.model.stop_training = not (math.isfinite(self.losses[-1]) and np.isfinite(self.predictions[-1]).all())


class _Course:
    """What all rates start from, and how they are judged."""

    def __init__(self, start: MLP, rule: Optimizer, X: Any, y: Any, row: int, steps: int) -> None:
        self.start, self.rule, self.X, self.y, self.row, self.steps = start, rule, X, y, row, steps
        self.rows = start._rows(X, y, None)
        self.first = start._mean_loss(self.rows, engine("cpu"))
        if not math.isfinite(self.first):
            raise InvalidInputError("The loss is not a finite number even before the first step: look at the data.")
        actual = self.rows.Y[row].astype(np.float64)
        self.actual = float(actual[0]) if actual.size == 1 else actual

    def run(self, rate: float) -> _Run:
        """The steps with one rate, and more of them where the loss goes up and down, to see whether it settles."""
        twin, trace = copy.deepcopy(self.start), _Trace(self.rows, self.row)
        trace.note(twin)
        run = _Run(rate, twin, trace)
        if not self._go_on(run, self.steps):
            run.too_high = f"It overshot further with every step and blew up after {len(trace.losses) - 1}."
            return run
        losses = np.array(trace.losses)
        way = max(self.first - float(losses.min()), self._noise)
        late = losses[len(losses) // 2 :]
        if not (np.diff(late) > 1e-3 * way + self._noise).any():
            return run
        lately = float(losses[-(self.steps // 4) - 1 :].max() - losses.min())
        settles = self._go_on(run, PATIENCE * self.steps)
        further = np.array(trace.losses)
        del trace.losses[self.steps + 1 :], trace.predictions[self.steps + 1 :]
        in_the_end = float(further[-(len(further) // 4) :].max() - further.min()) if settles else math.inf
        if in_the_end <= max(GROWS * lately, self._noise) and in_the_end <= max(SETTLED * way, self._noise):
            run.settles = True
            return run
        run.too_high = (
            "It overshoots: the loss is larger than at the start."
            if losses[-1] > self.first
            else "It overshoots, and further with every swing."
            if in_the_end > GROWS * lately
            else "It overshoots and does not settle: the loss goes up again and again."
        )
        return run

    def best(self, runs: list[_Run]) -> _Run | None:
        """The run that came furthest: of those given, or of larger or smaller rates if these come much further."""
        good = [run for run in runs if not run.too_high]
        if not good:
            return None
        given = best = min(good, key=lambda run: run.end)
        start, limit = best.rate, min((run.rate for run in runs if run.too_high), default=math.inf)
        for factor in (FACTOR, 1 / FACTOR):
            rate = start
            for _ in range(MOST_TRIES):
                blind = best.end >= self.first - self._noise  # no rate has led anywhere yet
                rate *= factor**4 if blind else factor
                if not 0 < rate < limit:
                    break
                tried = self.run(rate)
                if tried.too_high or (tried.end > best.end and not blind):
                    break
                best = min(best, tried, key=lambda run: run.end)
            if best.rate > start or best.end >= self.first - self._noise:
                break
        far_enough = self.first - (1 - SETTLED) * (self.first - best.end)
        return given if given.end <= far_enough else best

    def judged(self, run: _Run, best: _Run | None) -> Regime:
        """The verdict on a rate, measured against the best."""
        losses, predictions = np.array(run.trace.losses), np.array(run.trace.predictions)
        verdict, reason, more = self._verdict(run, losses, predictions, best)
        shown = predictions[:, 0] if predictions.shape[1] == 1 else predictions
        return Regime(run.rate, verdict, reason, losses, shown, self.actual, more)

    def _verdict(self, run: _Run, losses: Reals, predictions: Reals, best: _Run | None) -> tuple[str, str, int | None]:
        if run.too_high:
            return "too high", run.too_high, None
        assert best is not None
        way = self.first - min(best.trace.losses)
        if way <= self._noise:
            return "well chosen", "The loss is as low as it gets from the start, and stays there.", None
        left = (run.end - (self.first - way)) / way
        if left <= SETTLED:
            return "well chosen", f"It went {min(1 - left, 1):.0%} of the way down in {self.steps} steps.", None
        if run.settles or _swings(predictions):
            reason = "It swings past the goal, but by less each time; a little less may be faster."
            return "well chosen", reason, None
        if run.rate > best.rate:
            reason = f"It overshot on the way: {best.rate:.3g} came further in as many steps."
            return "too high", reason, None
        needed = self._arrival(best) * best.rate / run.rate - self.steps
        more = max(math.ceil(float(f"{needed:.2g}")), 1)
        many = f"{more:,}" if more < 1e9 else f"{more:.2g}"
        reason = f"about {many} more epochs like these would bring it where {best.rate:.3g} came in {self.steps}."
        return "too low", f"It goes the right way, but it creeps: {reason}", more

    def _arrival(self, best: _Run) -> int:
        """After how many steps the best was almost where it ended. A smaller rate takes the same path more slowly."""
        losses = np.array(best.trace.losses)
        return int(np.argmax(losses <= losses.min() + ARRIVED * (self.first - losses.min())))

    @property
    def _noise(self) -> float:
        return NOISE * max(abs(self.first), 1e-300)

    def _go_on(self, run: _Run, steps: int) -> bool:
        """Some more steps, each an epoch in one batch. Returns whether all stayed finite."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DivergenceWarning)
            try:
                history = run.model.fit(
                    self.X, self.y, epochs=steps, batch_size=len(self.rows.X), optimizer=_with(self.rule, run.rate),
                    shuffle=False, callbacks=[run.trace], verbose=0,
                )  # fmt: skip
            except DivergenceError:
                return False
        if history.stop_reason.startswith("interrupted"):
            raise KeyboardInterrupt
        if history.stop_reason == "completed":
            return True
        del run.trace.losses[-1], run.trace.predictions[-1]
        return False


def _swings(predictions: Reals) -> bool:
    """Whether the prediction that moves most turns round with most steps of the second half."""
    moves = np.diff(predictions[:, int(np.argmax(np.ptp(predictions, axis=0)))])
    turns = moves[1:] * moves[:-1] < 0
    return bool(turns[len(turns) // 2 :].mean() > SWINGS)
