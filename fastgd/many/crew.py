"""Threads that each take the next network, the longest first; Ctrl-C ends them at their next chunk of steps.

The loops release the GIL, so that threads of Python are enough. What a network learns does not depend on them. Where
the engine trains many networks in one launch there is a thread for each, see lockstep.py.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..kernels import engine
from ..training.equipment import Store
from ..training.interrupts import Remembered
from ..training.progress import Silent
from .lockstep import MOST_MEMBERS, Lockstep, Loner, Member
from .one import train
from .progress import Overview
from .records import Record
from .tasks import SHORT, Task

LOOKS = 0.1  # seconds between two looks of the thread that waits
GRACE = 1.0  # seconds that networks have to stop, once Ctrl-C was pressed a second time


class Watcher(Silent):
    """What hears of the chunks of one training: it counts its rows, and ends it where all are to stop."""

    def __init__(self, crew: Crew, task: Task) -> None:
        self.crew, self.task = crew, task
        self.has_begun = False

    def begin(self, epochs: int, n_rows: int) -> None:
        self.has_begun, self.rows, self.all_rows = True, n_rows, epochs * n_rows

    def advance(self, epoch: int, rows_done: int, loss: float) -> None:
        self.crew.under_way[self.task.record.number] = (epoch * self.rows + rows_done) / self.all_rows * self.task.work
        if self.crew.stops:
            raise KeyboardInterrupt


class Crew:
    """The threads, what is left to do for them, and what is done."""

    def __init__(self, tasks: Sequence[Task], device: str, n_threads: int) -> None:
        longest_first = sorted(tasks, key=lambda task: -task.work)
        kernels = engine(device)
        self.lockstep = Lockstep(kernels, lambda: self.stops) if hasattr(kernels, "train_many") else None
        short = SHORT if self.lockstep is None else 0.0  # which no epoch is below
        self.waiting = deque(task for task in longest_first if task.work_of_epoch >= short)
        self.short = deque(task for task in longest_first if task.work_of_epoch < short)
        self.taker: threading.Thread | None = None  # who has the short ones, once the others are begun
        self.all_work = sum(task.work for task in tasks) or 1.0
        self.device = device
        self.stops = False  # whether networks are to end at their next chunk
        self.is_closed = False  # whether nobody waits for them any more
        self.finished: list[Record] = []
        self.done_work, self.under_way = 0.0, dict[int, float]()
        most = n_threads if self.lockstep is None else MOST_MEMBERS
        self.lock, self.left = threading.Lock(), min(most, len(self.waiting) + bool(self.short))
        self.is_over = threading.Event()
        self.refused: BaseException | None = None  # what the fit of a network said before it began
        self.members = [Loner() if self.lockstep is None else self.lockstep.joined() for _ in range(self.left)]
        self.threads = [
            threading.Thread(target=self._work, args=[member], name=f"fastgd-{i}", daemon=True)
            for i, member in enumerate(self.members)
        ]  # daemons: the program may end while one still trains

    def work(self, overview: Overview) -> None:
        """Train all networks; Ctrl-C returns early."""
        with Remembered() as interrupts:  # an exception inside of Event.wait would break its lock
            try:
                self._start()
                while not self.is_over.wait(LOOKS):
                    interrupts.check()
                    overview.look(self.share(), list(self.finished))
                interrupts.check()
            except KeyboardInterrupt:
                self._wind_up(interrupts)
            finally:
                with self.lock:
                    self.stops = self.is_closed = True
                overview.end(list(self.finished))

    def share(self) -> float:
        """How much of the work is done."""
        return min((self.done_work + sum(list(self.under_way.values()))) / self.all_work, 1.0)

    def _start(self) -> None:
        """Start all threads, or as many as the system allows."""
        if self.lockstep is not None:
            threading.Thread(target=self._look_on, args=[self.lockstep], name="fastgd-look", daemon=True).start()
        for number, thread in enumerate(self.threads):
            try:
                thread.start()
            except RuntimeError:
                if not number:
                    raise
                for member in self.members[number:]:
                    member.leave()
                    self._end_thread()
                break

    def _end_thread(self) -> None:
        """One thread fewer works."""
        with self.lock:
            self.left -= 1
            if not self.left:
                self.is_over.set()

    def _look_on(self, lockstep: Lockstep) -> None:
        """Look that members come on, in a thread that no Ctrl-C breaks into."""
        lockstep.begin()
        while not self.is_over.is_set() and not (self.is_closed and self._all_have_ended()):
            lockstep.look()
            self.is_over.wait(LOOKS)

    def _all_have_ended(self) -> bool:
        """Whether no thread is left of those that have begun."""
        return not any(thread.is_alive() for thread in self.threads)

    def _wind_up(self, interrupts: Remembered) -> None:
        """Wait for the networks that train; once Ctrl-C is pressed again, not for long."""
        self.stops, deadline = True, threading.TIMEOUT_MAX
        interrupts.answered()
        while True:
            try:
                while not self._all_have_ended() and time.monotonic() < deadline:
                    self.is_over.wait(LOOKS)
                    interrupts.check()
                return
            except KeyboardInterrupt:
                interrupts.answered()
                deadline = min(deadline, time.monotonic() + GRACE)

    def _work(self, member: Member | Loner) -> None:
        """One thread: networks until there are none left."""
        kept: tuple[Any, Store] = (None, Store())  # scratch for networks of one shape
        try:
            member.begin()
            while not self.stops and (task := self._next()):
                shape = task.model.network, task.model.dtype
                if kept[0] != shape:
                    kept = shape, member.store()
                self._train(task, kept[1])
        finally:
            member.leave()
            self._end_thread()

    def _next(self) -> Task | None:
        """The longest that waits. One thread alone has those of short epochs: several would be slower."""
        with self.lock:
            if self.waiting:
                return self.waiting.popleft()
            if self.short and self.taker in (None, threading.current_thread()):
                self.taker = threading.current_thread()
                return self.short.popleft()
        return None

    def _train(self, task: Task, store: Store) -> None:
        """Train one network, and keep of it what is worth keeping."""
        record, watcher = task.record, Watcher(self, task)
        record.model = None  # until nobody writes to it any more
        outcome = train(task, store, self.device, watcher)
        if outcome.error is not None and not watcher.has_begun:
            self.refused = outcome.error
        with self.lock:
            if self.is_closed:
                return
            record.take(outcome)
            self.under_way.pop(record.number, None)
            self.done_work += task.work
            self.finished.append(record)
