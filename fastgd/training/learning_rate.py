"""Which learning rate? Train with several from the same start, give up those that are left behind, compare the ends.

What counts is the loss at the end of the training that the user has in mind. The loss after some steps in which the
rate rises (Smith 2015, arXiv 1506.01186) says little about it. Like successive halving (Jamieson and Talwalkar 2015,
arXiv 1502.07943), but who stays is told by the distance to the best rate, not by rank: the best one moves while a
training goes on, mostly down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DivergenceError, InvalidInputError
from ..kernels.portable import log, spaced
from ..kernels.records import Rows, resting
from ..options import is_number, shown
from .equipment import Snapshot
from .feed import probe
from .history import History
from .interrupts import Interrupts
from .loop import steps_at_once, take_steps
from .run import Job, Run

FACTOR = 2.0  # times: from a rate to the next
# Rates are compared after these parts of the training, and those within so many times below and above the best go on.
ROUNDS = ((1 / 16, 16.0, 4.0), (1 / 4, 16.0, 4.0), (1 / 2, 4.0, 2.0))
LEAST_STEPS = 100  # before the first comparison: while momentum gathers speed, the loss swings
CLOSER = (2**0.5, 2**0.25)  # times the best, and below it: what is tried at last
NEARLY = 1 - 1e-9  # times: what lies at the end of a range is in it, however it is rounded
LEAST_GAIN = 0.01  # part of the loss at the start
ROWS_MEASURED = 1 << 14  # of the table, where it has more


@dataclass(frozen=True)
class LearningRateSearch:
    """What a search for a learning rate found.

    Attributes:
        learning_rate: the rate to use.
        rates: the rates that were tried, without those at which the loss blew up.
        losses: the loss that each came to, in the units of y.
        epochs: how many epochs each was trained for; those that were left behind have fewer.
        reason: why this rate.
    """

    learning_rate: float
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    epochs: NDArray[np.float64]
    reason: str

    def __repr__(self) -> str:
        return f"<LearningRateSearch: {self.learning_rate:.3g} of {len(self.rates)} rates. {self.reason}>"


@dataclass
class _Trial:
    """A training with one rate, as far as it has come."""

    rate: float
    arrays: Snapshot  # where it stands; empty once it has been given up
    steps: int = 0
    loss: float = math.nan  # infinite if it has blown up


def find_learning_rate(
    job: Job, held_out: Rows | None, lowest: float, highest: float, most_steps: int, is_trained: bool
) -> LearningRateSearch:
    """Try the range on the job's network, which is changed, and choose by the loss of rows held out, if there are.

    A network that is trained already is told of.
    """
    if not (is_number(lowest) and is_number(highest) and 0 < lowest < highest < math.inf):
        given = f"{shown(lowest)}, {shown(highest)}"
        raise InvalidInputError(f"lowest and highest must be rates with 0 < lowest < highest, not {given}.")
    lowest, highest = float(lowest), float(highest)
    run = Run(job, History())
    rows = probe(job.feed.at_hand, ROWS_MEASURED) if held_out is None else held_out
    with Interrupts() as interrupts:
        interrupts.listen()
        run.compile()
        run.resume_average()
        race = _Race(run, rows, interrupts)
        start, n_rates = race.loss(), math.ceil((log(highest) - log(lowest)) / log(FACTOR)) + 1
        if start == math.inf:
            raise InvalidInputError("The loss is not a finite number even before the first step: look at the data.")
        trials = race.of(spaced(lowest, highest, n_rates).tolist(), min(run.total_steps, most_steps))
    run.put_back()
    sound = [trial for trial in trials if trial.loss < math.inf]
    best = race.best
    rates, losses, steps = (np.array(part) for part in zip(*((t.rate, t.loss, t.steps) for t in sound), strict=True))
    reason = " ".join(_reasons(run, best, trials, start, held_out is not None))
    if is_trained:
        reason += " The search began with trained weights: it is a rate to go on with, not one for a new model."
    return LearningRateSearch(best.rate, rates, losses, steps / run.steps_per_epoch, reason)


class _Race:
    """Trainings that start from where a run stands, measured on the same rows."""

    best: _Trial

    def __init__(self, run: Run, rows: Rows, interrupts: Interrupts) -> None:
        self.run, self.rows, self.interrupts = run, rows, interrupts
        self.start = run.snapshot()

    def of(self, rates: list[float], total: int) -> list[_Trial]:
        """Trials of these rates, and of some close to the best, in order; those that are left behind end early."""
        trials = going = [_Trial(rate, self.start) for rate in rates]
        for share, below, above in ROUNDS:
            self.go_on(going, min(max(math.ceil(share * total), LEAST_STEPS), total))
            low, high = self.best.rate / below, self.best.rate * above
            for trial in going:
                if not low * NEARLY <= trial.rate <= high / NEARLY:
                    trial.arrays = ()
            going = [trial for trial in going if trial.arrays]
        self.go_on(going, total)
        for factor in CLOSER:
            near = [self.best.rate / factor, self.best.rate * factor]
            closer = [_Trial(rate, self.start) for rate in near if rates[0] <= rate <= rates[-1]]
            self.go_on([self.best, *closer], total)
            trials = trials + closer
        return sorted(trials, key=lambda trial: trial.rate)

    def go_on(self, going: list[_Trial], steps: int) -> None:
        """Bring each up to this many steps, and find the best."""
        for trial in going:
            if trial.steps < steps:
                self.run.restore(trial.arrays)
                trial.loss = self.loss() if self._takes(trial, steps) else math.inf
                trial.arrays = self.run.snapshot() if trial.loss < math.inf else ()
        self.best = min(going, key=lambda trial: trial.loss)
        if self.best.loss == math.inf:
            low, high = going[0].rate, going[-1].rate
            raise DivergenceError(
                f"The loss blew up at every rate from {low:.3g} to {high:.3g}: choose a smaller lowest and highest."
            )

    def _takes(self, trial: _Trial, steps: int) -> bool:
        """Train up to this many steps, as `fit` would with this rate. Returns whether all numbers stayed finite."""
        run = self.run
        while trial.steps < steps:
            epoch, step = divmod(trial.steps, run.steps_per_epoch)
            (run.portion,) = run.feed.portions(run.training.epoch + epoch)
            count = steps_at_once(run, min(run.steps_per_epoch - step, steps - trial.steps))
            n_taken = take_steps(run, step * run.batch_size, np.full(count, trial.rate))
            self.interrupts.check()
            trial.steps += n_taken
            if n_taken < count:
                return False
        return run.is_finite()

    def loss(self) -> float:
        """The mean loss in the user's units, by the moving average of the parameters where there is one."""
        run, average = self.run, self.run.training.state.average
        net = run.net._replace(parameters=average) if average.size else run.net
        loss = run.loss_of(self.rows, resting(net)) * run.job.loss_unit
        return loss if math.isfinite(loss) else math.inf


def _reasons(run: Run, best: _Trial, trials: list[_Trial], start: float, is_held_out: bool) -> Iterator[str]:
    """Why this rate, and what a user should know of the search, sentence by sentence."""
    lowest, highest = trials[0].rate, trials[-1].rate
    of, epochs = " of the held-out rows" if is_held_out else "", run.job.epochs
    after = f"{epochs} epoch{'s' if epochs > 1 else ''}"
    if best.steps < run.total_steps:
        after = f"{best.steps:,} steps, the first of the {run.total_steps:,} of {after}"
    yield (
        f"Of {len(trials)} rates from {lowest:.3g} to {highest:.3g} it has the lowest loss{of} after {after}: "
        f"{best.loss:.4g}, from {start:.4g} at the start."
    )
    if n_blown_up := sum(trial.loss == math.inf for trial in trials):
        yield f"At {n_blown_up} of them the loss blew up."
    if not best.loss < start - LEAST_GAIN * abs(start):
        yield "But none made it 1 % smaller: the network has learned what it can, or the range is wrong."
    elif best in (trials[0], trials[-1]):
        yield f"It is the {'lowest' if best is trials[0] else 'highest'} of them: try a wider range."
