"""What a fork waits for: locks that another thread may hold just then, and that nobody would open in the child.

Whoever has such a lock says how it is taken and opened. They are taken in the order of their places, the lower first,
so that two threads never wait for each other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import NamedTuple


class Guard(NamedTuple):
    """What is done around a fork."""

    place: int  # what may wait for another lock is taken before that one
    take: Callable[[], None]
    open: Callable[[], None]  # in the parent
    mend: Callable[[], None]  # in the child, where no other thread is left


TRAININGS, COMPILER = range(2)  # places: a training may wait for the compiler, which waits for nothing

_guards: list[Guard] = []
_one_at_a_time = threading.RLock()


def guard(place: int, take: Callable[[], None], open: Callable[[], None], mend: Callable[[], None]) -> None:
    """Do this around every fork."""
    _guards.append(Guard(place, take, open, mend))
    _guards.sort(key=lambda each: each.place)


def _before() -> None:
    """Take all locks. A fork cannot be called off: Ctrl-C that comes meanwhile is raised when all are taken."""
    ctrl_c: KeyboardInterrupt | None = None
    waiting: list[Callable[[], object]] = [_one_at_a_time.acquire, *(each.take for each in _guards)]
    while waiting:
        try:
            waiting[0]()
            del waiting[0]
        except KeyboardInterrupt as error:
            ctrl_c = error
    if ctrl_c:
        raise ctrl_c  # Python tells of it, and forks


def _in_parent() -> None:
    for each in reversed(_guards):
        each.open()
    _one_at_a_time.release()


def _in_child() -> None:
    for each in reversed(_guards):
        each.mend()
    _one_at_a_time.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
