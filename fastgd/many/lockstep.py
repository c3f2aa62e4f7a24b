"""Many trainings whose steps are taken together, for an engine that trains many networks in one launch.

Each network's `fit` runs as ever, in a thread of its own that is a member here. A member that asks for steps waits;
when all wait, one of them has the engine take the steps of all, and hands out the answers. What a network learns does
not depend on who else is there. Whatever else a member asks of the engine, and whatever other networks train meanwhile,
such as in a callback, goes straight to the engine.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

from ..kernels.records import Net, StepRequest
from ..training.equipment import Equipment, Store
from ..training.team_size import TeamSize

# Networks at a time: some for each of the 100 to 150 multiprocessors of a large card. Threads take room, too: their
# stacks, and of what a system allows a user or a container, which may be as few as some thousand.
MOST_MEMBERS = 1024
# Members that are awake between two launches: they share one interpreter. Of 1,000 each took 13 µs of a core to come
# and go with 2 to 16 of them awake, 99 µs where all were; several, because one may wait for the device or a file.
AWAKE = 4
PATIENCE = 1.0  # seconds without any movement, after which the others go on without who is awake
LAUNCH_SECONDS = 0.5  # that a launch may take: what Python does between two of 1,000 networks takes some 0.1 s,
LONG_LAUNCH = 1.0  # but Ctrl-C waits for it, so that chunks of a launch that takes longer are made shorter
# Of the estimate below: multiply-adds of a network's first chunk of steps, and by how much chunks may grow at a time.
FIRST_WORK, GROWTH = 1e7, 16.0
STEP_WORK = 50_000  # multiply-adds that take as long as what each step takes beside them, an estimate


class Lockstep:
    """The members, who of them waits for what, and how long their chunks of steps are.

    A member is in one of these: awake; ready, it could go on if fewer were awake; waiting for steps; or away, it was
    awake for so long, perhaps in a slow callback, that nobody waits for it any more until it comes back.
    """

    def __init__(self, engine: ModuleType, stops: Callable[[], bool]) -> None:
        self.engine, self.stops = engine, stops
        self.lock = threading.Lock()
        self.awake: set[Member] = set()
        self.ready: deque[Member] = deque()
        self.waiting: list[Member] = []
        self.is_launching = False
        self.moved_at = time.monotonic()
        self.most_work = FIRST_WORK  # of a member's chunk

    def joined(self) -> Member:
        """A new member, which is ready."""
        member = Member(self)
        self.ready.append(member)
        return member

    def begin(self) -> None:
        """Let the first members go on, once all have joined."""
        with self.lock:
            self.go_on()

    def go_on(self) -> None:
        """Wake who has a turn: those that are ready, and when all wait, the one that has the steps taken."""
        self.moved_at = time.monotonic()
        while self.ready and len(self.awake) < AWAKE:
            self._wake(self.ready.popleft())
        if self.waiting and not self.awake:
            leader, self.is_launching = self.waiting[0], True
            leader.led, self.waiting = self.waiting, []
            self._wake(leader)

    def _wake(self, member: Member) -> None:
        self.awake.add(member)
        member.bell.release()

    def look(self) -> None:
        """Do not wait for members that keep all others waiting; whoever waits for all looks from time to time."""
        with self.lock:
            is_late = self.stops() or time.monotonic() - self.moved_at > PATIENCE
            if is_late and not self.is_launching:
                self.awake.clear()
                self.go_on()

    def launch(self, members: list[Member]) -> None:
        """Have the steps taken for which these wait, and let them go on. An error is everyone's."""
        answers: list[int | BaseException]
        try:
            answers = self._answers([member.request for member in members if member.request is not None])
        except BaseException as error:
            answers = [error] * len(members)
        with self.lock:
            for member, answer in zip(members, answers, strict=True):
                member.answer, member.traceback = answer, getattr(answer, "__traceback__", None)
            self.ready.extend(members[1:])
            self.is_launching = False
            self.go_on()

    def _answers(self, requests: list[StepRequest]) -> list[int | BaseException]:
        if self.stops():
            raise KeyboardInterrupt
        started = time.perf_counter()
        answers = list(self.engine.train_many(requests))
        if len(answers) != len(requests):
            raise RuntimeError(f"train_many gave {len(answers)} answers to {len(requests)} requests.")
        self._learn_pace(requests, time.perf_counter() - started)
        return answers

    def _learn_pace(self, requests: list[StepRequest], seconds: float) -> None:
        """Chunks grow by what launches take. Short ones are mostly fixed costs, so that only long ones shrink them."""
        work = max(len(request.learning_rates) * work_of_step(request.net, request.batch_size) for request in requests)
        if work:
            fitting = work * LAUNCH_SECONDS / max(seconds, 1e-9)
            is_long = seconds > LONG_LAUNCH
            self.most_work = fitting if is_long else min(max(fitting, self.most_work), GROWTH * self.most_work)


class Member:
    """A thread that trains one network after the other."""

    def __init__(self, lockstep: Lockstep) -> None:
        self.lockstep = lockstep
        self.thread: int | None = None
        self.bell = threading.Lock()  # each has one of its own, so that nobody is woken in vain
        self.bell.acquire()
        self.request: StepRequest | None = None
        self.answer: int | BaseException = 0
        self.traceback: TracebackType | None = None  # of an error as it came: several threads raise the same one
        self.led: list[Member] = []  # for whom it has the steps taken, itself included

    def begin(self) -> None:
        """Wait for the first turn of this thread."""
        self.thread = threading.get_ident()
        self.bell.acquire()

    def leave(self) -> None:
        """Nobody waits for it any more, not even if its thread has never begun."""
        self.thread = None  # another one may get its number
        with self.lockstep.lock:
            if self in self.lockstep.ready:
                self.lockstep.ready.remove(self)
            self.lockstep.awake.discard(self)
            self.lockstep.go_on()

    def store(self) -> Store:
        """Where trainings of this thread find what they need."""
        return SharedStore(self)

    def train(self, *request: Any) -> int:
        """Take steps together with the others; another thread that has got hold of the network takes them alone."""
        if threading.get_ident() != self.thread:
            return int(self.lockstep.engine.train(*request))
        self.request = StepRequest(*request)
        with self.lockstep.lock:
            self.lockstep.waiting.append(self)
            self.lockstep.awake.discard(self)
            self.lockstep.go_on()
        self.bell.acquire()
        if self.led:
            led, self.led = self.led, []
            self.lockstep.launch(led)
        answer, traceback = self.answer, self.traceback
        self.request, self.answer, self.traceback = None, 0, None
        if isinstance(answer, BaseException):
            raise answer.with_traceback(traceback)
        return int(answer)


class Loner:
    """The same for an engine that trains one network at a time: nobody waits for anybody."""

    def begin(self) -> None: ...

    def leave(self) -> None: ...

    def store(self) -> Store:
        """Where trainings of this thread find what they need."""
        return Store()


class SharedStore(Store):
    """The store of a network whose steps are taken with those of others; its copies are ordinary ones."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self.member = member

    def fresh(self) -> Store:
        """One for another network, which keeps nothing yet."""
        return SharedStore(self.member)

    def made(self, *work: Any) -> Equipment:
        """New equipment, which takes what Equipment takes."""
        return SharedEquipment(self.member, *work)

    def __reduce__(self) -> tuple[type[Store], tuple[()]]:
        return Store, ()


class SharedEquipment(Equipment):
    """Has steps taken by a member, in chunks of a length that suits all."""

    def __init__(
        self, member: Member, engine: ModuleType, net: Net, loss: Any, rule: Any, size: int, most: int
    ) -> None:
        super().__init__(engine, net, loss, rule, size, most)
        self.member = member
        self.team_size = Pace(member.lockstep, work_of_step(net, size))

    def train(self, *request: Any) -> int:
        """Take steps, as the engine's `train` does."""
        return self.member.train(*request)


class Pace(TeamSize):
    """One thread, and as many steps in a chunk as a launch has time for: the clock of a member says nothing of them."""

    def __init__(self, lockstep: Lockstep, work: float) -> None:
        super().__init__(1)
        self.lockstep, self.work = lockstep, work

    def steps_in(self, seconds: float) -> float:
        """How many steps of this network fill a launch, whatever one alone would do."""
        return self.lockstep.most_work / self.work

    def took(self, size: int, seconds: float, steps: float, busy: float = 1.0) -> None:
        """What was waited for does not count."""


def work_of_step(net: Net, batch_size: int) -> float:
    """About how long a step takes, in multiply-adds of a forward pass."""
    return float(STEP_WORK + batch_size * net.parameters.size)
