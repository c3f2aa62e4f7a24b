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

from .callbacks import CallbackList, larger_is_better
from .errors import DivergenceError, DivergenceWarning, warn
from .history import History
from .kernels.codes import BIASES, N_OUT, OUTPUTS, WEIGHTS
from .kernels.records import Loss, Net, Reals, Rows, State
from .names import look_up
from .optimizers import Optimizer
from .progress import Display
from .schedules import ReduceOnPlateau, Schedule, checked_rates

CHUNK_SECONDS = 0.07
MOST_CHUNK_STEPS = 1 << 16  # learning rates come as an array, one value per step of the chunk
CHUNK_GROWTH = 8
PROBE_ROWS = 1024  # spread over the table, whose loss at the start is the yardstick for the warning
LEAST_START = 0.1  # of the loss of a network of zeros: one that fits perfectly may get ten times worse without any harm
WORRYING = 10.0  # a chunk whose loss is so many times that of the start is warned about
OUT_OF_RANGE = 100.0  # a chunk whose loss is so many times the lowest one is not gone back to
TRIES, HIGHEST = 16, 10.0  # tenths of a rate that blew up, or of HIGHEST; the first that works is recommended
TRIAL_STEPS, LEAST_STEPS = 200, 10  # to see whether it works: so many steps at most, and at least
TRIAL_WORK = 2e10  # multiply-adds of a forward pass in these: a batch is made smaller for it
BETTER = 1e-3  # of the loss: by so much it falls if a rate works
RAW = 10.0  # mean or spread of an input that nobody has scaled


@dataclass
class Plateau:
    """What ReduceOnPlateau has seen, and the share of the learning rate that it has left."""

    share: float = 1.0
    best: float = math.inf
    waited: int = 0

    def look_at(self, schedule: ReduceOnPlateau, logs: dict[str, float]) -> None:
        """Shrink the share if the monitored number has not become better for too long."""
        value = look_up(schedule.monitor, logs, "quantity to monitor")
        value = -value if larger_is_better(schedule.monitor) else value
        if self.best == math.inf or value < self.best - abs(self.best) * schedule.threshold:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > schedule.patience:
            least = schedule.least / schedule.learning_rate
            self.share, self.waited = max(self.share * schedule.factor, least), 0


@dataclass
class TrainingState:
    """Everything that the next training needs to go on exactly where the last one stopped."""

    optimizer: Optimizer
    state: State
    epoch: int = 0  # how many epochs have begun: the number of the next order of rows
    plateau: Plateau = field(default_factory=Plateau)
    origin: int = 0  # the step at which the learning-rate schedule began
    raw: Reals | None = None  # the parameters that training moves, where the model shows their moving average

    def next_rate(self) -> float:
        """The learning rate of a single step that comes now."""
        step = int(self.state.step[0]) - self.origin
        return float(checked_rates(self.optimizer.schedule, step, 1, 1)[0]) * self.plateau.share

    def continued_by(self, optimizer: Optimizer, fresh: TrainingState) -> TrainingState:
        """The state for the next training: moments and steps go on if the optimizer is of the same kind."""
        old = self.optimizer
        fresh.epoch = self.epoch  # moments may start anew, orders of rows never come twice
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
    validate: Callable[[], dict[str, float]] | None,
) -> History:
    """Train `net` in place for `epochs` passes over `rows`; `unit` turns losses into the user's units."""
    run = _Run(net, rows, loss, training, kernels, epochs, batch_size, unit, n_threads, shown)
    history = run.history
    over = False
    try:
        run.compile()
        shown.begin(epochs, run.n_rows)
        callbacks.train_begin()
        started = time.perf_counter()
        if epochs:
            run.resume_average()
            run.kept = run.good = run._snapshot()
        for epoch in range(epochs):
            callbacks.epoch_begin(epoch)
            run.train_epoch(epoch, started)
            run.show_average()
            logs = run.epoch_logs() | (validate() if validate else {})
            history.append(logs)
            history.seconds = time.perf_counter() - started
            if run.plateau is not None:
                training.plateau.look_at(run.plateau, logs)
            shown.epoch_end(epoch, logs)
            callbacks.epoch_end(epoch, logs)
            if callbacks.stop:
                history.stop_reason = f"stopped by a callback after epoch {epoch + 1}"
                break
            if epoch + 1 < epochs:
                run.resume_average()
        over = True
    except KeyboardInterrupt:
        run.settle()
        run.show_average()
        if not epochs:
            raise  # whoever only wants the scaling does not look at the history
        history.stop_reason = f"interrupted in epoch {history.epochs + 1}"
        over = True
    except BaseException:
        run.settle()
        run.show_average()
        raise
    finally:
        shown.end(history if over else None)
        callbacks.train_end({name: values[-1] for name, values in history.history.items() if values})
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
    ) -> None:
        self.net, self.rows, self.loss, self.training, self.kernels = net, rows, loss, training, kernels
        self.n_rows = len(rows.X)
        self.batch_size = min(batch_size, self.n_rows)
        self.unit, self.shown = unit, shown
        self.gradients = kernels.new_gradients(net, self.batch_size)
        self.n_threads = n_threads
        self.progress = np.zeros(2)  # over the epoch: each step's loss times its weight, and the weight
        self.history = History({"loss": []}, engine=kernels.__name__.rpartition(".")[2])
        self.rule = training.optimizer.rule()
        self.schedule: Schedule = training.optimizer.schedule
        self.plateau: ReduceOnPlateau | None = self.schedule.plateau()
        self.steps_per_epoch = math.ceil(self.n_rows / self.batch_size)
        self.first_step = int(training.state.step[0])
        self.total_steps = epochs * self.steps_per_epoch
        self.chunk = 1
        self.kept = self._snapshot()  # at the start of the chunk
        self.good = self.kept  # at the start of the last chunk whose loss was in the range of the ones before
        self.lowest = math.inf  # mean loss of a chunk so far
        self.rate = 0.0
        self.recent = math.nan  # mean loss of the last chunk
        self.start, self.warned = math.nan, False  # mean loss before the first step, of a few rows

    def compile(self) -> None:
        """Have the training loop ready, so that the clock measures training: no learning rates, no steps."""
        if not self.kernels.is_compiled():
            self.shown.compiling()
        kernels, net = self.kernels, self.net
        self.workspaces = kernels.new_workspaces(net, self.loss, self.rule, self.batch_size, self.n_threads)
        self.history.n_threads = len(self.workspaces)
        self.team = TeamSize(len(self.workspaces))
        self._train(0, np.zeros(0), len(self.workspaces))
        weighted = self.rows.weights.size > 0
        counting = np.flatnonzero(self.rows.weights) if weighted else None
        n = self.n_rows if counting is None else len(counting)
        few = np.arange(min(n, PROBE_ROWS)) * max(n, PROBE_ROWS) // PROBE_ROWS
        few = few if counting is None else counting[few]
        X, Y, weights = self.rows.X[few], self.rows.Y[few], self.rows.weights[few if weighted else []]
        for array in (X, Y, weights):
            array.flags.writeable = False
        self.probe = self.rows._replace(X=X, Y=Y, weights=weights, shuffle=False)
        self.start = self._probed(net)

    def _probed(self, net: Net) -> float:
        """The mean loss of a few rows, as the network predicts them."""
        resting = net._replace(dropout=np.zeros_like(net.dropout))
        return float(self.kernels.mean_loss(self.workspaces[0], self.probe, resting, self.loss))

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
            self.kept = self._snapshot()
            before, size = self.progress.copy(), self.team.next()
            chunk_started = time.perf_counter()
            taken = self._train(done * self.batch_size, rates, size)
            elapsed = time.perf_counter() - chunk_started
            self.team.took(size, elapsed, n_steps)
            blown_up = taken < n_steps or not np.isfinite(self.net.parameters).all()
            layer = self._first_bad_layer((done + taken) * self.batch_size) if blown_up else None
            loss, weight = self.progress - before
            self.settle()
            if blown_up or not np.isfinite(self.progress).all():
                self._restore(self.good)
                if weight and math.isfinite(loss):
                    self._note(loss / weight, "rose in a few steps to", ".")
                raise self._diverged(float(rates[min(taken, n_steps - 1)]), layer)
            self._judge(loss, weight, float(rates[-1]))
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
            self._restore(self.kept)
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

    def _arrays(self) -> tuple[Reals, ...]:
        return self.net.parameters, *self.training.state

    def _snapshot(self) -> tuple[Reals, ...]:
        """Copies of the parameters and of everything that the optimizer remembers."""
        return tuple(array.copy() for array in self._arrays())

    def _restore(self, snapshot: tuple[Reals, ...]) -> None:
        for array, kept in zip(self._arrays(), snapshot, strict=True):
            array[:] = kept

    def _judge(self, loss: float, weight: float, rate: float) -> None:
        """Keep the chunk's start as good unless its loss has left the range of the ones before: it may be diverging."""
        if not weight:
            return  # rows that count nothing say nothing
        mean = loss / weight
        self._note(
            mean,
            "is",
            f": training may be about to blow up; try a smaller learning rate, such as {rate / 10:.2g}.",
        )
        if mean - self.lowest < OUT_OF_RANGE * max(abs(self.lowest), 1e-300) or self.lowest == math.inf:
            self.good = self.kept
        self.lowest = min(self.lowest, mean)

    def _note(self, mean: float, has_come_to: str, then: str) -> None:
        """Remember a chunk's mean loss, and warn once if it is worrying."""
        self.recent = mean
        if not self.warned and mean - self.start > (WORRYING - 1) * abs(self.start) and self._is_worrying(mean):
            self.warned = True
            much = f"{mean / self.start:.3g} times what it was at first"
            if self.start <= 0:  # the negative logarithm of a likelihood may be
                much = f"{mean * self.unit:.3g}, from {self.start * self.unit:.3g} at first"
            warn(f"In epoch {self.history.epochs + 1} the loss {has_come_to} {much}{then}", DivergenceWarning)

    def _is_worrying(self, mean: float) -> bool:
        """Whether a loss ten times the first one is more than what a network of zeros makes of it."""
        yardstick = self._probed(self.net._replace(parameters=np.zeros_like(self.net.parameters)))
        return mean - self.start > (WORRYING - 1) * LEAST_START * abs(yardstick)

    def _train(
        self, first: int, rates: Reals, n_threads: int, progress: Reals | None = None, batch_size: int | None = None
    ) -> int:
        taken = self.kernels.train(
            self.net, self.training.state, self.gradients, self.workspaces[:n_threads],
            self.progress if progress is None else progress, self.rows, first, batch_size or self.batch_size, rates,
            self.loss, self.rule,
        )  # fmt: skip
        return int(taken)

    def _mean_loss(self) -> float:
        return float(self.progress[0] / self.progress[1]) * self.unit if self.progress[1] else 0.0

    def _first_bad_layer(self, place: int) -> int:
        """The first layer whose weights, or whose outputs for the rows from `place` on, are not finite."""
        net, workspace = self.net, self.workspaces[0]
        B = min(len(workspace.order), self.n_rows - min(place, self.n_rows - 1))
        order = workspace.order[:B]
        self.kernels.row_order(
            order, self.n_rows - B if place >= self.n_rows else place, self.n_rows, self.rows.seed, self.rows.epoch,
            self.rows.shuffle,
        )  # fmt: skip
        with np.errstate(all="ignore"):
            self.kernels.gather(workspace.x[:B], workspace.y[:B], workspace.w[:B], self.rows, order, net)
            self.kernels.forward(workspace, B, self.rows.seed, self.rows.epoch, net)
        for index, layer in enumerate(net.layers):
            first, last = B * layer[OUTPUTS], B * (layer[OUTPUTS] + layer[N_OUT])
            weights = net.parameters[layer[WEIGHTS] : layer[BIASES] + layer[N_OUT]]
            if not (np.isfinite(weights).all() and np.isfinite(workspace.activations[first:last]).all()):
                return index
        return len(net.layers) - 1  # its outputs are numbers still, but too large for the loss

    def _diverged(self, rate: float, layer: int | None) -> DivergenceError:
        where = f"step {self.history.steps} (epoch {self.history.epochs + 1}"
        where += f", layer {layer})" if layer is not None else ")"
        before = self.recent * self.unit
        better = self._rate_to_try(rate)
        if not math.isfinite(self._probed(self.net)):
            what = "these weights give no finite loss for these rows, which no learning rate mends. "
            advice = "Start again from a new model."
        else:
            earlier = f" (it was {before:.4g} shortly before)" if math.isfinite(before) else ""
            what = f"the loss is no longer a finite number{earlier}. The model keeps its last good weights; "
            clipped = math.isfinite(self.rule.clip_norm) or math.isfinite(self.rule.clip_value)
            advice = f"try a smaller learning rate, such as {better:.3g} instead of {rate:.3g}"
            advice += "." if clipped else ", or clip_norm=1.0 in the optimizer."
            if math.isnan(better):
                advice = "no smaller learning rate was found that trains them on: start again from a new model."
        error = DivergenceError(f"Training diverged at {where}: {what}{advice}{self._about_inputs()}")
        error.step, error.layer, error.loss_before, error.learning_rate = self.history.steps, layer, before, better
        return error

    def _rate_to_try(self, rate: float) -> float:
        """The first tenth of a rate, or tenth of that, whose steps from the good weights go well; NaN if none does."""
        rows = max(int(TRIAL_WORK / self.net.parameters.size), LEAST_STEPS)
        batch_size = min(self.batch_size, rows // LEAST_STEPS)
        n_steps = min(TRIAL_STEPS, rows // batch_size)
        before, harmless = self._probed(self.net), math.nan
        try:
            for tenths in range(TRIES if math.isfinite(before) else 0):
                tried = min(rate / 10, HIGHEST) / 10**tenths
                self._restore(self.good)
                after = self._probed(self.net) if self._takes(n_steps, batch_size, tried) else math.inf
                if after < before - BETTER * abs(before):
                    return float(tried)
                if math.isnan(harmless) and after <= before + BETTER * abs(before):
                    harmless = float(tried)
        except KeyboardInterrupt:
            pass  # the error that this is for ends the training anyway
        finally:
            self._restore(self.good)
        return harmless

    def _takes(self, n_steps: int, batch_size: int, rate: float) -> bool:
        """Whether so many steps stay finite."""
        per_epoch = math.ceil(self.n_rows / batch_size)
        while n_steps > 0:
            count = min(n_steps, per_epoch)
            taken = self._train(0, np.full(count, rate), len(self.workspaces), np.zeros(2), batch_size)
            if taken < count or not np.isfinite(self.net.parameters).all():
                return False
            n_steps -= count
        return True

    def _about_inputs(self) -> str:
        """What is to be said of inputs that reach the network far from mean 0 and spread 1."""
        mean, std = self.net.input_mean, self.net.input_std
        with np.errstate(all="ignore"):
            x = (self.probe.X.astype(np.float64) - mean) / std
            if not ((np.abs(x.mean(axis=0)) > RAW).any() or (x.std(axis=0) > RAW).any()):
                return ""
        if (mean == 0).all() and (std == 1).all():
            return " Its inputs are far from mean 0 and spread 1: scale them."
        return " These rows are far from those, or from the weights of rows, that the model learned its scaling from."
