"""What a training keeps, so that the next one goes on exactly where it stopped."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InvalidInputError
from ..kernels.records import Reals, Rows, State
from ..options import look_up, shown
from .callbacks import larger_is_better
from .course import Course
from .equipment import Snapshot
from .optimizers import DEFAULT_OPTIMIZER, SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from .schedules import ReduceOnPlateau, checked_rates

MOST_SMALL = 128  # pieces too small to tell whether a network is dead: so many of them are kept


@dataclass
class Plateau:
    """What ReduceOnPlateau has seen, and the factor by which it has reduced the learning rate."""

    factor_left: float = 1.0  # of the learning rate
    best: float = math.inf
    waited: int = 0  # epochs since the best

    def look_at(self, schedule: ReduceOnPlateau, logs: dict[str, float]) -> None:
        """Shrink the factor if the monitored number has not become better for too long; no number says nothing."""
        value = look_up(schedule.monitor, logs, "quantity to monitor")
        if not math.isfinite(value):
            return
        threshold = schedule.threshold
        if larger_is_better(schedule.monitor):
            value, threshold = -value, -threshold
        if self.best == math.inf or value < self.best * (1 - threshold):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > schedule.patience:
            smaller = max(self.factor_left * schedule.factor, schedule.least / schedule.learning_rate)
            if (self.factor_left - smaller) * schedule.learning_rate > schedule.eps:
                self.factor_left = smaller
            self.waited = 0


def _few_pieces() -> deque[Rows]:
    """Room for the latest pieces."""
    return deque(maxlen=MOST_SMALL)


@dataclass
class Pieces:
    """What the pieces of a stream have been like: how much a row weighs, and how wrong the latest were.

    The latest are those of some rows; then they are judged, and counted anew. Losses are in standard units, and summed
    over the weights of rows.
    """

    n_rows: float = 0.0  # of all pieces
    mean_weight: float = 1.0  # of these rows
    weight: float = 0.0  # of the latest rows
    loss: float = 0.0  # of the latest rows, before each was learned from
    high_loss: float = 0.0  # the part of those pieces that are far above the yardstick
    loss_of_zeros: float = 0.0  # what a network of zeros gets wrong of the same
    before: float = math.inf  # mean loss of the rows before the latest, where it was worrying
    is_warned: bool = False  # whether a blow-up was told
    is_dead: bool = False  # whether a dead network was
    is_due: bool = False  # whether the end of this piece is to look for one
    good: Snapshot = ()  # what is gone back to: the start of the last piece whose loss was in the range of others
    epoch: int = 0  # how many epochs had begun after that piece or the next: with more, there was a fit in between
    # Copies of the latest rows, of pieces too small to tell by themselves whether a network is dead.
    small: deque[Rows] = field(default_factory=_few_pieces)

    def mean_with(self, n_rows: int, mean_weight: float) -> float:
        """The mean weight with so many rows more; exactly the same where theirs is."""
        if not self.n_rows:
            return mean_weight  # which the 1 of no rows would swallow where weights are tiny
        return self.mean_weight + (mean_weight - self.mean_weight) * (n_rows / (self.n_rows + n_rows))

    def count_anew(self) -> None:
        """Begin with the latest rows anew."""
        self.weight = self.loss = self.high_loss = self.loss_of_zeros = 0.0

    def without_rows(self, **changed: Any) -> Pieces:
        """The same without arrays, changed otherwise."""
        return replace(self, good=(), small=_few_pieces(), **changed)

    def __getstate__(self) -> dict[str, Any]:
        return self.without_rows().__dict__


@dataclass
class TrainingState:
    """Everything that the next training needs to go on exactly where the last one stopped."""

    optimizer: Optimizer
    state: State
    epoch: int = 0  # how many epochs have begun: the number of the next order of rows
    plateau: Plateau = field(default_factory=Plateau)
    origin: int = 0  # the step at which the learning-rate schedule began
    raw: Reals | None = None  # (n_parameters,): what training moves, where the model shows its moving average
    start: float = math.nan  # mean loss before the first step of all, in standard units: a yardstick of a blow-up
    lowest: float = math.inf  # mean loss of a chunk of steps so far, likewise
    pieces: Pieces = field(default_factory=Pieces)  # of a stream
    course: Course | None = None  # how far a training has come that a checkpoint holds
    began: str = ""  # a hash of what a training that is kept in checkpoints began with

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return int(self.state.step[0])

    def show_average(self, parameters: Reals) -> None:
        """Put what training moves aside, and the average in its place, where there is one."""
        if self.state.average.size and self.raw is None:
            self.raw = parameters.copy()
            parameters[:] = self.state.average

    def next_rate(self) -> float:
        """The learning rate of a single step that comes now."""
        step = self.steps - self.origin
        return float(checked_rates(self.optimizer.schedule, step, 1, 1)[0]) * self.plateau.factor_left

    def copy(self) -> TrainingState:
        """The same, with arrays of its own."""
        state, raw = State(*(array.copy() for array in self.state)), None if self.raw is None else self.raw.copy()
        plateau, pieces = replace(self.plateau), self.pieces.without_rows()
        return replace(self, state=state, raw=raw, plateau=plateau, pieces=pieces)

    def continued_by(self, optimizer: Optimizer, parameters: Reals) -> TrainingState:
        """The state for the next training: moments and steps go on if the optimizer is of the same kind."""
        old = self.optimizer
        goes_on = old is optimizer or (
            type(old) is type(optimizer) and old.moments() == optimizer.moments()
            and (old.ema_decay is None) == (optimizer.ema_decay is None)
        )  # fmt: skip
        state = self.state if goes_on else optimizer.new_state(parameters)
        # Moments may start anew; orders of rows never come twice.
        pieces = self.pieces if goes_on else self.pieces.without_rows()
        if optimizer != old:  # what was warned of may have been mended
            pieces = replace(pieces, is_warned=False, is_dead=False)
        following = TrainingState(optimizer, state, self.epoch, start=self.start, lowest=self.lowest)
        following.pieces, following.began = pieces, self.course.began if self.course else self.began
        if goes_on:
            following.raw, following.origin = self.raw, self.steps
            if old.schedule == optimizer.schedule and not optimizer.schedule.lasts_one_fit:
                following.plateau, following.origin = self.plateau, self.origin
        return following


def checked_optimizer(last: TrainingState | None, optimizer: Any, first: Optimizer = DEFAULT_OPTIMIZER) -> Optimizer:
    """The optimizer that was given; by default that of the last training, at first the one for a first training.

    A training without a step that was not told its optimizer leaves the choice to the next one.
    """
    if optimizer is None:
        is_chosen = last is not None and (last.steps > 0 or last.optimizer != DEFAULT_OPTIMIZER)
        optimizer = last.optimizer if last is not None and is_chosen else first
    if not isinstance(optimizer, Optimizer):
        raise InvalidInputError(_no_optimizer(optimizer))
    return optimizer


def training_state(last: TrainingState | None, optimizer: Any, parameters: Reals) -> TrainingState:
    """What the next training starts from."""
    optimizer = checked_optimizer(last, optimizer)
    return (
        last.continued_by(optimizer, parameters) if last else TrainingState(optimizer, optimizer.new_state(parameters))
    )


def _no_optimizer(given: Any) -> str:
    """The sentence about what is no optimizer, with the one that is meant, where it can be told."""
    by_name = {kind.__name__.lower(): kind.__name__ for kind in (SGD, Adagrad, RMSprop, Adam, AdamW)}
    name = given.__name__ if isinstance(given, type) else given
    meant = by_name.get(name.lower()) if isinstance(name, str) else None
    example = f"fastgd.{meant}()" if meant else "fastgd.SGD(learning_rate=0.05)"
    return f"optimizer must be one such as {example}, not {name if isinstance(given, type) else shown(given)}."
