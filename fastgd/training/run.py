"""One training: what the kernels need, and the books that are kept between chunks of steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..kernels.records import LossRecord, Net, Reals, Rows, resting, taken
from .callbacks import CallbackList
from .history import History
from .interrupts import Interrupts
from .progress import Display
from .state import TrainingState
from .team_size import TeamSize

PROBE_ROWS = 1024  # spread over the table: their loss is the yardstick of a training that goes wrong


class Job(NamedTuple):
    """What is to be learned, and how."""

    net: Net  # trained in place
    rows: Rows
    loss: LossRecord
    training: TrainingState
    engine: ModuleType
    device: str  # the engine's name
    loss_unit: float  # a loss of 1 in standard units, in the user's units
    epochs: int
    batch_size: int
    n_threads: int


class Watch(NamedTuple):
    """Who looks on, and measures, between epochs."""

    display: Display
    callbacks: CallbackList
    validate: Callable[[int], dict[str, float]] | None


class Run:
    """What a training needs from chunk to chunk; losses are in standard units."""

    def __init__(self, job: Job, history: History, interrupts: Interrupts) -> None:
        self.job, self.history, self.interrupts = job, history, interrupts
        self.net, self.rows, self.training = job.net, job.rows, job.training
        self.n_rows = len(job.rows.X)
        self.batch_size = min(job.batch_size, self.n_rows)
        self.rule, self.schedule = job.training.optimizer.rule(), job.training.optimizer.schedule
        self.steps_per_epoch = math.ceil(self.n_rows / self.batch_size)
        self.total_steps = job.epochs * self.steps_per_epoch
        self.first_step = job.training.steps
        self.gradients = job.engine.new_gradients(job.net, self.batch_size)
        self.probe = probe(job.rows)
        self.sums = np.zeros(2)  # over the epoch: each step's loss times its rows, and the weight of these rows
        self.chunk = 1  # steps
        self.chunk_start = self.snapshot()
        self.last_good = self.chunk_start  # the start of the last chunk whose loss was in the range of those before
        self.lowest = math.inf  # mean loss of a chunk so far
        self.last_loss = math.nan  # mean loss of the last chunk
        self.rate = 0.0  # learning rate of the last step
        self.start = math.nan  # mean loss before the first step of this fit, or of all
        self.is_warned = False

    def compile(self) -> None:
        """Have the training loop ready, so that the clock measures training: no learning rates, no steps."""
        job = self.job
        self.workspaces = job.engine.new_workspaces(job.net, job.loss, self.rule, self.batch_size, job.n_threads)
        self.history.n_threads = len(self.workspaces)
        self.team_size = TeamSize(len(self.workspaces))
        # One thread alone: others would go on compiling when Ctrl-C is pressed.
        self.take_steps(0, np.zeros(0), 1)

    def take_steps(
        self, place: int, rates: Reals, n_threads: int, sums: Reals | None = None, batch_size: int | None = None
    ) -> int:
        """Take a step for each rate, the first at this place of the epoch; returns how many were taken."""
        n_taken = self.job.engine.train(
            self.net, self.training.state, self.gradients, self.workspaces[:n_threads],
            self.sums if sums is None else sums, self.rows, place, batch_size or self.batch_size, rates,
            self.job.loss, self.rule,
        )  # fmt: skip
        return int(n_taken)

    def note_steps(self) -> None:
        """Bring the history up to date after a chunk; what is not finite goes back to the chunk's start."""
        steps = self.history.steps = self.training.steps - self.first_step
        epochs, steps = divmod(steps, self.steps_per_epoch)
        self.history.rows_seen = epochs * self.n_rows + steps * self.batch_size
        if not np.isfinite(self.net.parameters).all():
            self.restore(self.chunk_start)
            self.sums[0] = math.nan

    def mean_loss(self) -> float:
        """Of the epoch so far, in the user's units."""
        return float(self.sums[0] / self.sums[1]) * self.job.loss_unit if self.sums[1] else 0.0

    def epoch_logs(self) -> dict[str, float]:
        """The numbers of the epoch that has just been completed."""
        return {"loss": self.mean_loss(), "learning_rate": self.rate}

    def probed(self, net: Net) -> float:
        """The mean loss of the probe's rows, as a network predicts them."""
        return float(self.job.engine.mean_loss(self.workspaces[0], self.probe, resting(net), self.job.loss))

    # The moving average of the parameters, where there is one, is what the model shows between epochs.

    def show_average(self) -> None:
        """Let the model have the average, and put what training moves aside."""
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

    # Going back.

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


def probe(rows: Rows) -> Rows:
    """Some rows that count, from all over the table, in their order."""
    counting = np.flatnonzero(rows.weights) if rows.weights.size else None
    n = len(rows.X) if counting is None else len(counting)
    places = np.arange(min(n, PROBE_ROWS)) * max(n, PROBE_ROWS) // PROBE_ROWS
    return taken(rows, places if counting is None else counting[places])
