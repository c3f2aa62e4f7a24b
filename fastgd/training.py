"""The conductor: hands the compiled training loop chunks of steps, and looks up between them.

A chunk takes 50 to 100 ms, because nobody can be heard inside a compiled loop: progress, Ctrl-C and the check for
divergence happen between chunks. What the network learns does not depend on where the chunks end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from . import divergence
from .callbacks import CallbackList, larger_is_better
from .history import History
from .interrupts import Interrupts
from .kernels.records import Loss, Net, Reals, Rows, State
from .names import look_up
from .optimizers import Optimizer
from .progress import Display
from .schedules import ReduceOnPlateau, Schedule, checked_rates

CHUNK_SECONDS = 0.07
MOST_CHUNK_STEPS = 1 << 16  # learning rates come as an array, one value per step of the chunk
CHUNK_GROWTH = 8


@dataclass
class Plateau:
    """What ReduceOnPlateau has seen, and the share of the learning rate that it has left."""

    share: float = 1.0
    best: float = math.inf
    waited: int = 0

    def look_at(self, schedule: ReduceOnPlateau, logs: dict[str, float]) -> None:
        """Shrink the share if the monitored number has not become better for too long; no number says nothing."""
        value = look_up(schedule.monitor, logs, "quantity to monitor")
        if not math.isfinite(value):
            return
        value, threshold = (-value, -schedule.threshold) if larger_is_better(schedule.monitor) else (
            value, schedule.threshold
        )  # fmt: skip
        if self.best == math.inf or value < self.best * (1 - threshold):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > schedule.patience:
            smaller = max(self.share * schedule.factor, schedule.least / schedule.learning_rate)
            if (self.share - smaller) * schedule.learning_rate > schedule.eps:
                self.share = smaller
            self.waited = 0


@dataclass
class TrainingState:
    """Everything that the next training needs to go on exactly where the last one stopped."""

    optimizer: Optimizer
    state: State
    epoch: int = 0  # how many epochs have begun: the number of the next order of rows
    plateau: Plateau = field(default_factory=Plateau)
    origin: int = 0  # the step at which the learning-rate schedule began
    raw: Reals | None = None  # the parameters that training moves, where the model shows their moving average
    start: float = math.nan  # mean loss before the first step of all, in standard units: a yardstick of a blow-up

    def next_rate(self) -> float:
        """The learning rate of a single step that comes now."""
        step = int(self.state.step[0]) - self.origin
        return float(checked_rates(self.optimizer.schedule, step, 1, 1)[0]) * self.plateau.share

    def continued_by(self, optimizer: Optimizer, fresh: TrainingState) -> TrainingState:
        """The state for the next training: moments and steps go on if the optimizer is of the same kind."""
        old = self.optimizer
        fresh.epoch, fresh.start = self.epoch, self.start  # moments may start anew, orders of rows never come twice
        same = type(old) is type(optimizer) and old.moments() == optimizer.moments()
        if same and (old.ema_decay is None) == (optimizer.ema_decay is None):
            fresh.state, fresh.raw, fresh.origin = self.state, self.raw, int(self.state.step[0])
            if old.schedule == optimizer.schedule and not optimizer.schedule.lasts_one_fit:
                fresh.plateau, fresh.origin = self.plateau, self.origin
        return fresh


def fit(
    net: Net,
    rows: Rows,
    loss: Loss,
    training: TrainingState,
    kernels: ModuleType,
    *,
    epochs: int,
    batch_size: int,
    unit: float,
    n_threads: int,
    shown: Display,
    callbacks: CallbackList,
    validate: Callable[[int], dict[str, float]] | None,
) -> History:
    """Train `net` in place for `epochs` passes over `rows`; `unit` turns losses into the user's units."""
    history = History({"loss": []}, engine=kernels.__name__.rpartition(".")[2])
    run: _Run | None = None
    begun = over = False
    with Interrupts() as interrupts:
        try:
            run = _Run(net, rows, loss, training, kernels, epochs, batch_size, unit, n_threads, shown, history)
            run.interrupts = interrupts
            run.compile()
            shown.begin(epochs, run.n_rows)
            begun = True
            callbacks.train_begin(validate(0) if validate and epochs and callbacks.early_stopping else {})
            started = time.perf_counter()
            if epochs:
                run.resume_average()
                run.kept = run.good = run.snapshot()
            for epoch in range(epochs):
                callbacks.epoch_begin(epoch)
                run.train_epoch(epoch, started)
                run.show_average()
                logs = run.epoch_logs() | (validate(epoch + 1) if validate else {})
                history.append(logs)
                history.seconds = time.perf_counter() - started
                if run.plateau is not None:
                    training.plateau.look_at(run.plateau, logs)
                shown.epoch_end(epoch, logs)
                callbacks.epoch_end(epoch, logs)
                interrupts.check()
                if callbacks.stop:
                    history.stop_reason = f"stopped by a callback after epoch {epoch + 1}"
                    break
                if epoch + 1 < epochs:
                    run.resume_average()
            over = True
        except KeyboardInterrupt:
            interrupts.answered()
            if run:
                run.settle()
                run.show_average()
            if not epochs:
                raise  # whoever only wants the scaling does not look at the history
            history.stop_reason = f"interrupted in epoch {history.epochs + 1}"
            over = True
        except BaseException:
            if run:
                run.settle()
                run.show_average()
            raise
        finally:
            shown.end(history if over else None)
            if begun:
                callbacks.train_end({name: values[-1] for name, values in history.history.items() if values})
        if run and history.epochs:
            try:
                divergence.look_at_the_end(run)
            except KeyboardInterrupt:
                interrupts.answered()
                history.stop_reason = "interrupted at the end"
    return history


class TeamSize:
    """How many threads take the next chunk: what is worth it depends on what else the machine is doing.

    The bits are the same for any number, so that this may be found out as the training runs: one thread and all of them
    take turns until both have been timed, then the faster goes on, and the other is given another chance now and then.
    """

    LEAST_SECONDS = 2e-3  # a shorter chunk says nothing
    TURNS = 2
    PATIENCE = 64  # chunks, some 5 s

    def __init__(self, most: int) -> None:
        self.times: dict[int, list[float]] = {size: [] for size in sorted({most, 1}, reverse=True)}
        self.chunks = 0

    def next(self) -> int:
        """One that has not had its turns, or the one that needs the least time for a step."""
        for size, times in self.times.items():
            if len(times) < self.TURNS:
                return size
        return min(self.times, key=lambda size: min(self.times[size]))

    def took(self, size: int, seconds: float, steps: int) -> None:
        """A chunk is over."""
        self.chunks += 1
        if seconds >= self.LEAST_SECONDS:
            self.times[size] = [*self.times[size], seconds / steps][-self.TURNS :]
        if self.chunks % self.PATIENCE == 0:
            for times in self.times.values():
                del times[self.TURNS - 1 :]


class _Run:
    """One training: what the kernels need, and the books that are kept between chunks."""

    def __init__(
        self,
        net: Net,
        rows: Rows,
        loss: Loss,
        training: TrainingState,
        kernels: ModuleType,
        epochs: int,
        batch_size: int,
        unit: float,
        n_threads: int,
        shown: Display,
        history: History,
    ) -> None:
        self.net, self.rows, self.loss, self.training, self.kernels = net, rows, loss, training, kernels
        self.n_rows = len(rows.X)
        self.batch_size = min(batch_size, self.n_rows)
        self.unit, self.shown = unit, shown
        self.gradients = kernels.new_gradients(net, self.batch_size)
        self.n_threads = n_threads
        self.progress = np.zeros(2)  # over the epoch: each step's loss times its weight, and the weight
        self.history = history
        self.rule = training.optimizer.rule()
        self.schedule: Schedule = training.optimizer.schedule
        self.plateau: ReduceOnPlateau | None = self.schedule.plateau()
        self.steps_per_epoch = math.ceil(self.n_rows / self.batch_size)
        self.first_step = int(training.state.step[0])
        self.total_steps = epochs * self.steps_per_epoch
        self.chunk = 1
        self.kept = self.snapshot()  # at the start of the chunk
        self.good = self.kept  # at the start of the last chunk whose loss was in the range of the ones before
        self.lowest = math.inf  # mean loss of a chunk so far
        self.rate = 0.0
        self.recent = math.nan  # mean loss of the last chunk
        self.start, self.warned = math.nan, False  # mean loss before the first step of this fit, or of all
        self.probe = divergence.probe(rows)
        self.interrupts: Interrupts | None = None

    def compile(self) -> None:
        """Have the training loop ready, so that the clock measures training: no learning rates, no steps."""
        if not self.kernels.is_compiled():
            self.shown.compiling()
        kernels, net = self.kernels, self.net
        self.workspaces = kernels.new_workspaces(net, self.loss, self.rule, self.batch_size, self.n_threads)
        self.history.n_threads = len(self.workspaces)
        self.team = TeamSize(len(self.workspaces))
        # One thread alone: others would go on compiling when Ctrl-C is pressed.
        self.train(0, np.zeros(0), 1)
        divergence.note_start(self)

    def train_epoch(self, epoch: int, started: float) -> None:
        """All steps of one epoch, chunk by chunk."""
        self.rows = self.rows._replace(epoch=self.training.epoch)
        self.training.epoch += 1
        self.progress[:] = 0
        done = 0
        while done < self.steps_per_epoch:
            n_steps = min(self.chunk, self.steps_per_epoch - done)
            step = int(self.training.state.step[0]) - self.training.origin
            rates = checked_rates(self.schedule, step, n_steps, self.total_steps)
            rates *= self.training.plateau.share
            self.kept = self.snapshot()
            before, size = self.progress.copy(), self.team.next()
            chunk_started = time.perf_counter()
            taken = self.train(done * self.batch_size, rates, size)
            elapsed = time.perf_counter() - chunk_started
            self.team.took(size, elapsed, n_steps)
            blown_up = taken < n_steps or not np.isfinite(self.net.parameters).all()
            layer = divergence.first_bad_layer(self, (done + taken) * self.batch_size) if blown_up else None
            loss, weight = self.progress - before
            self.settle()
            if blown_up or not np.isfinite(self.progress).all():
                self.restore(self.good)
                if weight and math.isfinite(loss):
                    divergence.note(self, loss / weight, "rose in a few steps to", ".")
                raise divergence.diverged(self, float(rates[min(taken, n_steps - 1)]), layer)
            divergence.judge(self, loss, weight, float(rates[-1]))
            if self.interrupts:
                self.interrupts.check()
            done += n_steps
            self.rate = float(rates[-1])
            rows_done = min(done * self.batch_size, self.n_rows)
            self.history.seconds = time.perf_counter() - started
            self.shown.advance(epoch, rows_done, self._mean_loss())
            wanted = n_steps * CHUNK_SECONDS / max(elapsed, 1e-9)
            self.chunk = int(min(max(wanted, n_steps / CHUNK_GROWTH, 1), n_steps * CHUNK_GROWTH, MOST_CHUNK_STEPS))

    def settle(self) -> None:
        """Bring the books up to date after a chunk; what is not finite goes back to the chunk's start."""
        steps = self.history.steps = int(self.training.state.step[0]) - self.first_step
        epochs, steps = divmod(steps, self.steps_per_epoch)
        self.history.rows_seen = epochs * self.n_rows + steps * self.batch_size
        if not np.isfinite(self.net.parameters).all():
            self.restore(self.kept)
            self.progress[0] = math.nan

    def epoch_logs(self) -> dict[str, float]:
        """The numbers of the epoch that has just been completed."""
        return {"loss": self._mean_loss(), "learning_rate": self.rate}

    def show_average(self) -> None:
        """Let the model have the moving average of its parameters, and put what training moves aside."""
        average = self.training.state.average
        if average.size and self.training.raw is None:
            self.training.raw = self.net.parameters.copy()
            self.net.parameters[:] = average

    def resume_average(self) -> None:
        """Undo show_average, unless the parameters have been changed since: then the average starts from these."""
        average = self.training.state.average
        if self.training.raw is not None:
            if (self.net.parameters == average).all():
                self.net.parameters[:] = self.training.raw
            else:
                average[:] = self.net.parameters
            self.training.raw = None

    def arrays(self) -> tuple[Reals, ...]:
        """The parameters and everything that the optimizer remembers."""
        return self.net.parameters, *self.training.state

    def snapshot(self) -> tuple[Reals, ...]:
        """Copies of these arrays."""
        return tuple(array.copy() for array in self.arrays())

    def restore(self, snapshot: tuple[Reals, ...]) -> None:
        """Go back to such copies."""
        for array, kept in zip(self.arrays(), snapshot, strict=True):
            array[:] = kept

    def probed(self, net: Net) -> float:
        """The mean loss of a few rows, as a network predicts them."""
        resting = net._replace(dropout=np.zeros_like(net.dropout))
        return float(self.kernels.mean_loss(self.workspaces[0], self.probe, resting, self.loss))

    def train(
        self, first: int, rates: Reals, n_threads: int, progress: Reals | None = None, batch_size: int | None = None
    ) -> int:
        """Take a step for each rate, the first at place `first` of the epoch; returns how many were taken."""
        taken = self.kernels.train(
            self.net, self.training.state, self.gradients, self.workspaces[:n_threads],
            self.progress if progress is None else progress, self.rows, first, batch_size or self.batch_size, rates,
            self.loss, self.rule,
        )  # fmt: skip
        return int(taken)

    def _mean_loss(self) -> float:
        return float(self.progress[0] / self.progress[1]) * self.unit if self.progress[1] else 0.0
