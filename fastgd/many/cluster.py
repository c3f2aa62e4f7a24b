"""Networks trained by the workers of a cluster: the same records as on one machine, whatever workers do meanwhile.

Who schedules is Dask or joblib; this is what is asked of both, and what is made of their answers.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ..errors import ClusterError, ClusterWarning, FastgdError, InvalidInputError, warn
from ..kernels import DEFAULT_DEVICE, GPU
from ..training.devices import AUTO, Choice
from ..training.interrupts import Interrupts
from .crew import GRACE
from .parcels import Bundle, Packing, one_line, unpickled
from .progress import Overview
from .records import Outcome, Record
from .tasks import Task
from .workers import JOBLIB, Came, Errand, Lost, Workers

PATIENCE = 10.0  # seconds that networks on workers have to stop after Ctrl-C
NAMED = 5  # networks that a warning names


class Cluster:
    """Workers, and the networks that they train for one call of fit_many or search."""

    def __init__(self, workers: Workers, device: str, name: Callable[[int], str]) -> None:
        self.workers, self.device, self.name = workers, device, name
        self.lost: dict[str, list[int]] = {}  # workers, and the networks that they had
        self.packing = Packing([])

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *error: Any) -> None:
        self.workers.close()

    def work(self, tasks: Sequence[Task], overview: Overview) -> None:
        """Train all networks; Ctrl-C returns early, and so does a cluster that is gone."""
        if not self.packing.serves(tasks):  # or it is what an earlier round has sent
            self.packing = Packing(tasks)
        bundles = self.packing.bundles(tasks, self.workers.n_threads, self.name)
        call = uuid.uuid4().hex
        self.overview, self.finished = overview, list[Record]()
        self.left = {bundle.number: bundle for bundle in bundles}
        self.done_work, self.all_work = 0.0, sum(task.work for task in tasks) or 1.0
        with Interrupts() as interrupts:
            try:
                interrupts.listen()
                self.workers.begin(Errand(self.packing.luggage, call, self.device), bundles)
                while self.left:
                    self._look()
                    interrupts.check()
            except KeyboardInterrupt:
                self._wind_up(interrupts)
            except ClusterError as error:
                for bundle in list(self.left.values()):
                    self._fail(bundle, error)
            finally:
                self.workers.end()
                overview.end(list(self.finished))

    def _look(self) -> None:
        for event in self.workers.look():
            if isinstance(event, Came):
                self._take(event.bundle, event.answer)
            elif isinstance(event, Lost):
                event.bundle.n_lost += 1
                numbers = [task.record.number for task in event.bundle.tasks]
                self.lost.setdefault(event.worker, []).extend(numbers)
            else:
                self._give_up(event.bundle)
        self.overview.look(min(self.done_work / self.all_work, 1.0), list(self.finished))

    def _take(self, bundle: Bundle, answer: list[bytes] | FastgdError) -> None:
        """Put into records what a worker has sent; those that it did not begin stay as they were made."""
        if isinstance(answer, FastgdError):
            self._fail(bundle, answer)
            return
        for task, parcel in zip(bundle.tasks, answer, strict=False):
            try:
                task.record.take(arrived(task, unpickled(parcel, ())))
            except Exception as error:  # whatever a foreign class does
                task.record.error = ClusterError(f"What a worker has sent back cannot be read here: {one_line(error)}.")
            self.finished.append(task.record)
        self._done(bundle)

    def _give_up(self, bundle: Bundle) -> None:
        """A network that kills its workers takes no others with it: each is tried alone."""
        if not bundle.is_alone or len(bundle.tasks) > 1:
            first = max(self.left) + 1
            alone = [
                Bundle(first + place, [task], [parcel], bundle.n_lost - 1)
                for place, (task, parcel) in enumerate(zip(bundle.tasks, bundle.parcels, strict=True))
            ]
            del self.left[bundle.number]
            self.left |= {one.number: one for one in alone}
            self.workers.add(alone)
            return
        self._fail(bundle, ClusterError(
            "Every worker that trained it was lost: killed, or out of memory. Give workers more memory, or train it on "
            "this machine."
        ))  # fmt: skip

    def _fail(self, bundle: Bundle, error: FastgdError) -> None:
        for task in bundle.tasks:
            task.record.error = error
            self.finished.append(task.record)
        self._done(bundle)

    def _done(self, bundle: Bundle) -> None:
        self.done_work += bundle.work
        bundle.parcels.clear()
        del self.left[bundle.number]

    def _wind_up(self, interrupts: Interrupts) -> None:
        """Wait for the networks that train; once Ctrl-C is pressed again, not for long."""
        interrupts.answered()
        deadline, has_stopped = time.monotonic() + PATIENCE, False
        while time.monotonic() < deadline:
            try:
                if not has_stopped:
                    has_stopped = True
                    if not self.workers.stop():
                        break
                if not self.workers.begun():
                    break
                self._look()
            except KeyboardInterrupt:
                interrupts.answered()
                deadline = min(deadline, time.monotonic() + GRACE)
            except ClusterError:
                break
        for bundle in self.workers.begun():
            for task in bundle.tasks:
                task.record.model = None

    def tell(self, what: str, number: Callable[[int], int] = lambda number: number) -> None:
        """Warn once of the workers that were lost; `number` says what a network counts as."""
        if self.lost:
            numbers = sorted({number(one) for had in self.lost.values() for one in had})
            more = f" and {len(numbers) - NAMED:,} more" if len(numbers) > NAMED else ""
            several = "s" if len(numbers) > 1 else ""
            networks = f"{what}{several} {', '.join(map(str, numbers[:NAMED]))}{more}"
            workers = list(self.lost)
            names = ", ".join(workers[:NAMED]) + f" and {len(workers) - NAMED:,} more" * (len(workers) > NAMED)
            warn(f"Lost on the way: {names}; {networks} began anew on other workers.", ClusterWarning)


def arrived(task: Task, outcome: Outcome) -> Outcome:
    """What was trained elsewhere, as if it had been here: the user's model has learned, and callbacks look at it."""
    sent, model = outcome.model, task.model
    if sent.network == model.network:  # or the first fit has made it another one
        sent.schema = replace(sent.schema, network=model.network)
    model.become(sent)
    model.stop_training = sent.stop_training
    for callback in outcome.callbacks:
        if getattr(callback, "model", None) is sent:
            callback.model = model
    return outcome._replace(model=model)


def cluster_of(client: Any, device: str, n_threads: Any, n_networks: int, name: Callable[[int], str]) -> Cluster:
    """The workers that `client` stands for, looked at: they answer, and have this version of the package.

    Raises:
        InvalidInputError: no such client, or options beside it that mean this machine.
        ClusterError: nobody answers, there is no worker, or one has another version.
    """
    if n_threads != "auto":
        raise InvalidInputError(
            "n_threads is for this machine: with client= each worker trains as many networks at the same time as it "
            "has threads."
        )
    if device == GPU:
        raise InvalidInputError(f"device={GPU!r} is for this machine: with client= workers train on their processors.")
    workers: Workers
    if isinstance(client, str) and client == JOBLIB:
        from .joblib_workers import JoblibWorkers

        workers = JoblibWorkers()
    else:
        from .dask_workers import DaskWorkers, connected

        workers = DaskWorkers(connected(client))
    if workers.n_threads > n_networks:
        warn(
            f"client has workers with {workers.n_threads:,} threads, but there {'are' if n_networks > 1 else 'is'} "
            f"{n_networks:,} network{'s' * (n_networks > 1)} to train: the others have nothing to do.",
            ClusterWarning,
        )
    return Cluster(workers, device, name)


def device_there(asked: str) -> Choice:
    """Where workers train."""
    return Choice(DEFAULT_DEVICE, "workers train on their processors") if asked == AUTO else Choice(asked)
