"""One training: what the kernels need, and the books that are kept between chunks of steps."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..kernels import DEFAULT_DEVICE
from ..kernels.records import LossRecord, Net, Reals, Rows, resting
from .callback_list import CallbackList
from .cores import Allowance
from .course import Plain
from .equipment import Equipment, Snapshot, Store, shape_of_work
from .feed import Feed, Portion, probe
from .history import History
from .progress import Display
from .state import TrainingState
from .turns import Turns

PROBE_ROWS, LEAST_PROBE_ROWS = 1024, 64  # spread over the table; fewer for large networks,
MOMENT = 5e-3  # seconds
PROBE_WORK = 1e8  # rows × parameters: some 3 ms
UNKNOWN = sys.maxsize  # rows of a pass whose end nobody knows


class Job(NamedTuple):
    """What is to be learned, and how."""

    net: Net  # trained in place
    feed: Feed
    loss: LossRecord
    training: TrainingState
    engine: ModuleType
    device: str  # the engine's name
    loss_unit: float  # a loss of 1 in standard units, in the user's units
    epochs: int
    batch_size: int
    threads: Allowance
    store: Store
    turns: Turns
    device_reason: str = ""  # why this device, where "auto" chose it
    judge: Callable[[Any, float, float, float], None] | None = None  # of each chunk of steps; by default that of a fit


class Watch(NamedTuple):
    """Who looks on, and measures, between epochs."""

    display: Display
    callbacks: CallbackList
    validate: Callable[[int], dict[str, float]] | None


class Run:
    """What a training needs from chunk to chunk; losses are in standard units."""

    def __init__(self, job: Job, history: History) -> None:
        self.job, self.history = job, history
        self.net, self.training, self.feed = job.net, job.training, job.feed
        self.n_rows = UNKNOWN if job.feed.n_rows is None else job.feed.n_rows  # of an epoch
        self.portion = Portion(job.feed.at_hand, self.n_rows)  # the rows of the epoch that steps are taken on now
        self.batch_size = min(job.batch_size, self.n_rows)
        self.rule, self.schedule = job.training.optimizer.rule(), job.training.optimizer.schedule
        self.steps_per_epoch = -(-self.n_rows // self.batch_size)
        self.total_steps = min(job.epochs * self.steps_per_epoch, sys.maxsize)
        self.first_step = job.training.steps
        self.portions_over = self.steps_done = 0  # of the epoch's portions; of the steps on the one at hand
        self.is_within_epoch = False  # whether it goes on inside an epoch that was begun before
        self.is_finished = False  # whether nothing is left to do
        self.options: dict[str, Plain] = {}  # what a checkpoint says of this training
        self.sums = np.zeros(2)  # over the epoch: each step's loss times its rows, and the weight of these rows
        self.lowest = math.inf  # mean loss of a chunk so far
        self.last_loss = math.nan  # mean loss of the last chunk
        self.unjudged = np.zeros(2)  # as `sums`, of the steps whose loss nobody has judged yet
        self.rate = 0.0  # learning rate of the last step
        self.chunk_start: Snapshot = ()
        self.last_good: Snapshot = ()  # the start of the last chunk whose loss was in the range of those before
        self.is_warned = False
        self.steps_of_teams: Counter[int] = Counter()  # number of threads → steps that they have taken

    @property
    def rows(self) -> Rows:
        """The rows that steps are taken on now."""
        return self.portion.rows

    def begin_epoch(self) -> None:
        """Count it, and its rows from the first on; not if it was begun before."""
        if not self.is_within_epoch:
            self.training.epoch += 1
            self.sums[:] = 0
            self.portions_over = self.steps_done = 0
        self.is_within_epoch = False

    def pass_is_over(self, n_rows: int) -> None:
        """A pass had so many rows, which nobody knew before."""
        if self.n_rows == UNKNOWN:
            self.n_rows, self.steps_per_epoch = n_rows, -(-n_rows // self.batch_size)
            self.note_steps()

    @cached_property
    def equipment(self) -> Equipment:
        """What an earlier fit has left, or new."""
        job, most = self.job, self.job.threads.most
        self.key = shape_of_work(job.engine, job.net, job.loss, self.rule, self.batch_size, self.steps_per_epoch, most)
        kept = job.store.taken(self.key)
        return kept or job.store.made(job.engine, job.net, job.loss, self.rule, self.batch_size, most)

    @property
    def workspaces(self) -> list[Any]:
        """Scratch for each thread."""
        workspaces: list[Any] = self.equipment.workspaces
        return workspaces

    @property
    def is_over_in_a_moment(self) -> bool:
        """Whether such a training is known to take so short that nobody can press Ctrl-C."""
        return not self.job.epochs or 0 < self.equipment.team_size.step_seconds * self.total_steps < MOMENT

    def compile(self) -> None:
        """Have the training loop ready, so that the clock measures training: no learning rates, no steps."""
        if self.job.epochs and not self.equipment.is_compiled:
            self.take_steps(0, np.zeros(0), 1)  # one thread: others would go on compiling when Ctrl-C is pressed
            self.equipment.is_compiled = True

    def begin(self) -> None:
        """Note where the first chunk starts."""
        self.chunk_start = self.snapshot()
        self.last_good = self.chunk_start
        self.first_parameters = self.chunk_start[0]

    def put_back(self, spare: Snapshot | None = None) -> None:
        """Leave scratch and spare arrays to the next fit, and say how many threads there were."""
        most = self.job.threads.most
        if self.job.device != DEFAULT_DEVICE:
            self.history.thread_reason = f"n_threads is for device={DEFAULT_DEVICE!r}"
        elif len(self.workspaces) == 1:
            self.history.thread_reason = (
                self.job.threads.reason if most == 1 else "such steps are too little work to be divided"
            )
        elif self.steps_of_teams:
            self.history.n_threads = self.steps_of_teams.most_common(1)[0][0]
            self.history.thread_reason = self.equipment.team_size.reason()
        self.equipment.spare = [self.chunk_start if spare is None else spare]
        self.job.store.put_back(self.key, self.equipment)

    @cached_property
    def probe(self) -> Rows:
        """Some rows that count, from all over the table: their loss is the yardstick of a training that goes wrong."""
        return probe(self.feed.at_hand, self.most_probed)

    @property
    def most_probed(self) -> int:
        """How many rows may be looked at to see how a training goes."""
        return min(max(int(PROBE_WORK / self.net.parameters.size), LEAST_PROBE_ROWS), PROBE_ROWS)

    @cached_property
    def start(self) -> float:
        """The probe's mean loss before this fit, or before the first: a blow-up may take many short fits."""
        before = self.probed(self.net._replace(parameters=self.first_parameters))
        return min(before, self.training.start) if self.training.start == self.training.start else before

    def take_steps(
        self, place: int, rates: Reals, n_threads: int, sums: Reals | None = None, batch_size: int | None = None
    ) -> int:
        """Take a step for each rate, the first at this place of the epoch; returns how many were taken."""
        return self.equipment.train(
            self.net, self.training.state, self.equipment.gradients, self.workspaces[:n_threads],
            self.sums if sums is None else sums, self.portion.rows, place, batch_size or self.batch_size, rates,
            self.job.loss, self.rule,
        )  # fmt: skip

    def note_steps(self) -> None:
        """Bring the history up to date after a chunk."""
        steps = self.history.steps = self.training.steps - self.first_step
        epochs, steps = divmod(steps, self.steps_per_epoch)
        self.history.rows_seen = epochs * self.n_rows + steps * self.batch_size

    def is_finite(self) -> bool:
        """Whether all parameters are finite numbers, as they are if their sum is."""
        with np.errstate(all="ignore"):
            return math.isfinite(self.net.parameters.sum()) or bool(np.isfinite(self.net.parameters).all())

    def mean_loss(self) -> float:
        """Of the epoch so far, in the user's units."""
        return float(self.sums[0] / self.sums[1]) * self.job.loss_unit if self.sums[1] else 0.0

    def epoch_logs(self) -> dict[str, float]:
        """The numbers of the epoch that has just been completed."""
        return {"loss": self.mean_loss(), "learning_rate": self.rate}

    def probed(self, net: Net) -> float:
        """The mean loss of the probe's rows, as a network predicts them."""
        return self.loss_of(self.probe, resting(net))

    def loss_of(self, rows: Rows, net: Net) -> float:
        """The mean loss of rows, as a network without dropout predicts them."""
        return float(self.job.engine.mean_loss(self.workspaces[0], rows, net, self.job.loss))

    # The moving average of the parameters, where there is one, is what the model shows between epochs.

    def show_average(self) -> None:
        """Let the model have the average, and put what training moves aside."""
        self.training.show_average(self.net.parameters)

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

    def arrays(self) -> Snapshot:
        """The parameters and everything that the optimizer remembers."""
        return tuple(array for array in (self.net.parameters, *self.training.state) if array.size)

    def snapshot(self) -> Snapshot:
        """Copies of these arrays."""
        return self.equipment.copied(self.arrays())

    def next_chunk(self) -> None:
        """Note where it starts. Copies that nobody goes back to are spare."""
        if not self.steps_of_teams:  # the first one starts where the training does
            return
        if self.chunk_start is not self.last_good and self.chunk_start[0] is not self.first_parameters:
            self.equipment.spare.append(self.chunk_start)
        self.chunk_start = self.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to such copies."""
        for array, kept in zip(self.arrays(), snapshot, strict=True):
            array[:] = kept
