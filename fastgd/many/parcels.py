"""What goes to the workers of a cluster and comes back: tables once for each process, networks in bundles.

A network is pickled without the tables, rows and weights that it looks at: those are the luggage, in which it says
their places. A worker unpickles a network, trains it as on one machine, and pickles what became of it.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .. import __version__
from ..data.shared import SharedTable
from ..errors import ClusterError, FastgdError, InvalidInputError, kept_warnings
from ..options import shortened
from ..training.equipment import Store
from ..training.history import INTERRUPTED
from ..training.progress import Silent
from .one import train
from .records import Outcome, Record
from .tasks import Task

PACE = 5e-11  # seconds that a unit of a task's work takes on one core, about: see ROW_WORK
SECONDS = 2.0  # of work in a bundle, about: what a worker that is killed loses, and far more than a round trip
SHARES = 4  # bundles for each thread at least, if there are so many networks, so that all end at the same time
MOST_TOLD = 300  # characters of a foreign error


class Luggage:
    """What several networks look at; there is one in each process. Tables are read there, by whoever comes first."""

    def __init__(self, things: list[Any], n_bytes: int = 0) -> None:
        self.things, self.n_bytes, self.lock = things, n_bytes, threading.Lock()

    def __reduce__(self) -> tuple[type[Luggage], tuple[list[Any], int]]:
        return Luggage, (self.things, self.n_bytes)

    def __sizeof__(self) -> int:
        return self.n_bytes  # by which Dask knows what to keep in memory

    @property
    def parts(self) -> list[Any]:
        """The arrays and frames in it."""
        tables = [thing for thing in self.things if isinstance(thing, SharedTable)]
        others = [thing for thing in self.things if not isinstance(thing, SharedTable | tuple)]
        return [part for table in tables for part in (table.X, table.y)] + others


@dataclass
class Bundle:
    """Networks that one worker trains one after another."""

    number: int
    tasks: list[Task]
    parcels: list[bytes]  # the networks, pickled
    n_lost: int = 0  # how many workers were lost that had it
    is_alone: bool = False  # whether nothing else is trained beside it, so that it alone can have killed a worker

    @property
    def work(self) -> float:
        """About how long it takes, in the unit of tasks."""
        return sum(task.work for task in self.tasks)


class Packing:
    """Pickles networks without their luggage."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.places: dict[int, int] = {}
        things: list[Any] = []
        for task in tasks:
            for thing in looked_at(task):
                if id(thing) not in self.places:
                    self.places[id(thing)] = len(things)
                    things.append(thing)
        self.luggage = Luggage(things)

    def serves(self, tasks: Sequence[Task]) -> bool:
        """Whether the luggage has all that these networks look at."""
        return bool(self.places) and all(id(thing) in self.places for task in tasks for thing in looked_at(task))

    def packed(self, task: Task, name: str) -> bytes:
        """A network; its spec stays here.

        Raises:
            InvalidInputError: something of it cannot be pickled.
        """
        record = Record(task.record.number, {}, task.model, callbacks=task.record.callbacks)
        try:
            return pickled(replace(task, record=record), lambda thing: self.places.get(id(thing)))
        except Exception as error:  # whatever a foreign class does
            raise InvalidInputError(
                f"{name} cannot be sent to a worker: {one_line(error)}. Callbacks, losses and schedules must be such "
                "as can be pickled."
            ) from error

    def bundles(self, tasks: Sequence[Task], n_threads: int, name: Callable[[int], str]) -> list[Bundle]:
        """The networks in bundles, the longest first."""
        most = min(SECONDS / PACE, sum(task.work for task in tasks) / (SHARES * n_threads))
        found: list[Bundle] = []
        filled = most
        for task in sorted(tasks, key=lambda task: -task.work):
            if filled + task.work > most:
                found.append(Bundle(len(found), [], []))
                filled = 0.0
            filled += task.work
            found[-1].tasks.append(task)
            found[-1].parcels.append(self.packed(task, name(task.record.number)))
        return found


def looked_at(task: Task) -> list[Any]:
    """The tables, rows and weights of a network, which others may look at, too."""
    options = task.options["sample_weight"], task.options["validation_data"]
    return [thing for thing in (task.table, task.validation, task.rows, task.held, *options) if thing is not None]


def pickled(thing: Any, place: Callable[[Any], Any] = lambda thing: None) -> bytes:
    """Bytes, in which whatever has a place is not but its place."""
    import cloudpickle

    file = io.BytesIO()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def persistent_id(self, thing: Any) -> Any:
            return place(thing)

    Pickler(file).dump(thing)
    return file.getvalue()


def unpickled(parcel: bytes, things: Sequence[Any]) -> Any:
    """The same back, with these things at their places."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, place: Any) -> Any:
            return things[place]

    return Unpickler(io.BytesIO(parcel)).load()


def one_line(error: BaseException) -> str:
    """A foreign error as part of a sentence."""
    return shortened(f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(" .:"), MOST_TOLD)


# On a worker.

_ended: set[str] = set()  # calls whose networks are to end


def end(call: str) -> None:
    """Networks of this call end at their next chunk of steps, in this process."""
    _ended.add(call)


class Listening(Silent):
    """What hears of the chunks of a training, and ends it where its call has ended."""

    def __init__(self, call: str) -> None:
        self.call = call

    def advance(self, epoch: int, rows_done: int, loss: float) -> None:
        if self.call in _ended:
            raise KeyboardInterrupt


def train_bundle(
    luggage: Luggage, number: int, parcels: Sequence[bytes], call: str, device: str, version: str
) -> tuple[int, list[bytes] | FastgdError]:
    """Train networks on a worker: the bundle's number with what became of each, or why none could be trained."""
    if version != __version__:
        return number, ClusterError(f"A worker has fastgd {__version__}, but {version} is asked for: install the same.")
    kept: tuple[Any, Store] = (None, Store())  # scratch for networks of one shape
    outcomes: list[bytes] = []
    for parcel in parcels:
        if call in _ended:
            break
        try:
            task: Task = unpickled(parcel, luggage.things)
        except Exception as error:  # whatever a foreign class does
            return number, ClusterError(f"A worker cannot read what it was sent: {one_line(error)}.")
        shape = task.model.network, task.model.dtype
        if kept[0] != shape:
            kept = shape, Store()
        with luggage.lock, kept_warnings(), contextlib.suppress(FastgdError):  # fit says it again
            task.read()
        outcome = train(task, kept[1], device, Listening(call))
        outcomes.append(sent_back(outcome))
        if outcome.history is not None and outcome.history.ended == INTERRUPTED:
            break
    return number, outcomes


def sent_back(outcome: Outcome) -> bytes:
    """What became of a network, pickled; without what cannot be."""
    try:
        return pickled(outcome)
    except Exception as error:  # whatever a foreign class does
        why = ClusterError(f"What was trained cannot be sent back: {one_line(error)}.")
        return pickled(outcome._replace(error=why, history=None, callbacks=[]))
