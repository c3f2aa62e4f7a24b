"""Whose turn it is with a model: one thread changes it at a time, and others see it as it was when that one rested.

A training writes its weights many thousand times a second, and what stands there in between is no network that anybody
meant. It rests between chunks of steps, while callbacks run, and while it waits for rows. Another thread that looks at
the model meanwhile gets a copy made at such a moment: the model that Ctrl-C would have left there. Where nobody trains
nothing is copied, and those who look do not wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, RLock, get_ident
from typing import Any
from weakref import ref

from ..errors import BusyError
from ..kernels import forking

LOOKS = 2e-4  # seconds between two looks whether those who read the model have left
GONE = 0  # the thread of a training that a fork has left behind


class Turn:
    """One thread's time with a model."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.trains = False  # whether it is inside of a training, where another one cannot begin


class Turns:
    """Who changes a model, who reads it, and what others are shown meanwhile."""

    def __init__(self) -> None:
        self.taken: Turn | None = None
        self.readers: list[int] = []  # threads that look at the model itself, once for each look
        self.shown: Any = None  # the copy of the last rest, until the next one
        self.open()
        _all.add(ref(self, _all.discard))  # no function of Python, in which Ctrl-C would vanish

    def open(self) -> None:
        """Have open locks, which belong to this process."""
        self.door = Lock()  # whoever waits for the arrays stands here, so that no training passes it by
        self.arrays = RLock()  # held while the model changes

    # Those who change it.

    @contextmanager
    def alone(self, trains: bool = False) -> Iterator[None]:
        """Nobody else changes the model for this time, or looks at it but by copies; `trains`: for a training.

        Raises:
            BusyError: another thread changes it, or a training of this thread whose callback asks for another one.
        """
        mine, turn = self.taken, Turn()
        if mine is not None and mine.thread == turn.thread:
            if trains and mine.trains:
                raise BusyError(
                    "A callback asks for a fit of the model that is in the middle of one: wait for its end, or train a "
                    "copy, copy.deepcopy(model)."
                )
            yield
            return
        try:
            self._begin(turn)
            yield
        finally:
            if self.taken is turn:  # without a call up to here, in which Ctrl-C could leave it taken
                self.taken = self.shown = None

    def _begin(self, turn: Turn) -> None:
        with self.door:
            if self.taken is not None:
                raise BusyError(_busy(self.taken))
            self.shown, self.taken = None, turn
        for reader in list(self.readers):
            while reader != turn.thread and reader in self.readers:
                time.sleep(LOOKS)

    @contextmanager
    def changing(self, trains: bool = False) -> Iterator[None]:
        """Hold the arrays, from one rest to the next."""
        turn = self.taken
        try:
            self._hold()
            if turn is not None and trains:
                turn.trains = True
            yield
        finally:
            if turn is not None and trains:
                turn.trains = False
            self._let_go()

    @contextmanager
    def rest(self) -> Iterator[None]:
        """For what changes nothing, or says so by `changing`, and may take long: others may look."""
        self.shown = None
        self._let_go()
        try:
            yield
        finally:
            self._hold()

    def breathe(self) -> None:
        """Let those look who wait for it; what they see holds until the next time."""
        self.shown = None
        if self.door.locked():
            self._let_go()
            with self.door:
                self.arrays.acquire()

    def _hold(self) -> None:
        if not self.arrays.acquire(blocking=False):  # a thread that holds them must not wait for one at the door
            with self.door:
                self.arrays.acquire()
        self.shown = None

    def _let_go(self) -> None:
        try:
            self.arrays.release()
        except RuntimeError:  # Ctrl-C came before they were held
            return

    # Those who look at it.

    def enter(self, model: Any, thread: int) -> Any:
        """The model itself, and the thread is among its readers; or a copy, where another thread changes it."""
        while True:
            self.readers.append(thread)
            taken = self.taken
            if taken is None or taken.thread == thread or self.readers.count(thread) > 1:  # in the midst of a look
                return model
            self.readers.remove(thread)
            copy = self._copy(model)
            if copy is not None:
                return copy

    def _copy(self, model: Any) -> Any:
        """The model as it is at this rest, or was at the last one; None if its training has just ended."""
        shown = self.shown
        if shown is None:
            with self.door, self.arrays:
                if self.shown is None and self.taken is not None:
                    self.shown = model.at_rest()
                shown = self.shown
        return shown

    def look(self, model: Any, see: Callable[[Any], Any]) -> Any:
        """What is seen of the model, or of a copy where another thread changes it."""
        thread = get_ident()
        try:
            return see(self.enter(model, thread))
        finally:
            if thread in self.readers:  # no call of a function, in which Ctrl-C could leave it there
                self.readers.remove(thread)


def _busy(turn: Turn) -> str:
    if turn.thread == GONE:
        return (
            "This model was learning in another thread when this process was forked, and nobody goes on with it here: "
            "train a copy, copy.deepcopy(model), or fork while no fit runs."
        )
    return (
        "This model is learning in another thread, or being changed there: wait for the end of its fit, or train a "
        "copy, copy.deepcopy(model)."
    )


# Forks: a child has the thread that forked, and no other.

_all: set[ref[Turns]] = set()  # of this process
_held: list[Turns] = []  # for the time of a fork


def _everywhere() -> list[Turns]:
    return [turns for reference in list(_all) if (turns := reference()) is not None]


def _elsewhere() -> list[Turns]:
    """Those that other threads have taken."""
    return [turns for turns in _everywhere() if (taken := turns.taken) and taken.thread not in (get_ident(), GONE)]


def _hold_all() -> None:
    """Wait for a rest of every training of other threads, also of those that begin meanwhile."""
    while others := [turns for turns in _elsewhere() if turns not in _held]:
        for turns in others:
            turns._hold()
            _held.append(turns)


def _open_all() -> None:
    while _held:
        _held.pop()._let_go()


def _mend_all() -> None:
    """Forget threads of the process that this one was forked from."""
    _held.clear()
    for turns in _elsewhere():
        assert turns.taken is not None
        turns.taken.thread, turns.shown = GONE, None
    for turns in _everywhere():
        turns.readers[:] = [thread for thread in turns.readers if thread == get_ident()]
        turns.open()


forking.guard(forking.TRAININGS, _hold_all, _open_all, _mend_all)
