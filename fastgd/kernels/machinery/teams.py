"""Threads that train one network together: how they divide the work, and where they wait for each other.

Each thread runs the whole training loop on its part of the work. Threads with shards of their own meet twice a step,
three times with clipping; threads that divide columns meet at every layer. Numba's own parallel loops
cost 1.3 µs each with OpenMP and 35 µs with its work queue, which also ends the process when two threads enter it (two
threads, a loop over two entries). A meeting of two threads costs 0.1 to 0.8 µs, needs no such layer, and can be given
up.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

import numpy as np
from numba import types
from numba.core import config
from numba.extending import intrinsic
from numpy.typing import NDArray

from .calls import call_pause
from .compile import kernel

# Places in the counters. Each thread has a counter of its own, which it alone writes: the meetings that it has come to.
GIVEN_UP = 0  # entry 0: not 0 once the team is given up
FIRST_COUNTER = 16  # where the first thread's counter is
APART = 16  # entries from one counter to the next: 128 bytes keep the threads out of each other's cache lines

UNIT = 32  # columns or rows that stay together: two vectors of float32, four of float64
PATIENCE = 0.5  # seconds that threads have to start
SPINS = 2000  # looks before a waiting thread offers its processor to others: some 2 µs


class Team(NamedTuple):
    """The threads that train together, as one of them sees it."""

    thread: int  # this one's number
    n_threads: int
    by_columns: bool  # every block's columns are divided among the threads; else each has shards of its own
    counters: NDArray[np.int64]  # (any,): where they meet
    losses: NDArray[np.float64]  # (n_shards,): each shard's loss
    pause: int  # the address of the system's function that lets others have the processor


if config.DISABLE_JIT:

    def seen(counters, place):
        """counters[place]."""
        return counters[place]

    def tell(counters, place, value):
        """counters[place] = value."""
        counters[place] = value

else:

    def _pointer(context, builder, kind, array, place):
        return builder.gep(context.make_array(kind)(context, builder, array).data, [place])

    @intrinsic
    def seen(typing, counters, place):
        """counters[place], and everything that was written before it."""

        def code(context, builder, signature, arguments):
            return builder.load_atomic(_pointer(context, builder, signature.args[0], *arguments), "acquire", 8)

        return types.int64(counters, types.intp), code

    @intrinsic
    def tell(typing, counters, place, value):
        """counters[place] = value, for everyone to see, after everything that was written before."""

        def code(context, builder, signature, arguments):
            counters, place, value = arguments
            pointer = _pointer(context, builder, signature.args[0], counters, place)
            builder.store_atomic(value, pointer, "release", 8)
            return context.get_dummy_value()

        return types.void(counters, types.intp, types.int64), code


@kernel(merge=True)
def my_range(n, team):
    """The part of n columns or rows that this thread works on, (begin, end): equal parts of whole units."""
    units = (n + UNIT - 1) // UNIT
    begin, end = units * team.thread // team.n_threads, units * (team.thread + 1) // team.n_threads
    return min(UNIT * begin, n), min(UNIT * end, n)


@kernel(merge=True)
def my_columns(n, team):
    """The columns of a layer of n that this thread works on, (begin, end): all, unless the team divides columns."""
    begin, end = np.int64(0), n
    if team.by_columns:
        begin, end = my_range(n, team)
    return begin, end


@kernel(merge=True)
def meet_over_columns(team):
    """Wait for the others where each has a part of the columns that all need next."""
    if team.by_columns:
        meet(team)


@kernel(merge=True)
def meet(team):
    """Wait until every thread of the team is here. Returns False if the team was given up.

    Each thread writes a counter of its own and looks at the others': half the time of one counter for all.
    """
    if team.n_threads == 1:
        return True
    counters = team.counters
    meeting = counters[FIRST_COUNTER + APART * team.thread] + 1
    tell(counters, FIRST_COUNTER + APART * team.thread, meeting)
    for other in range(team.n_threads):
        spins = 0
        while seen(counters, FIRST_COUNTER + APART * other) < meeting:
            if seen(counters, GIVEN_UP):
                return False
            spins += 1
            if spins > SPINS:
                call_pause(team.pause)
    return True


class Crowd:
    """The threads beside the calling one: all train, or none. If one does not start, the others leave at once."""

    def __init__(self, work, n_threads):
        self.n_threads, self.home = n_threads, threading.get_native_id()
        self.counters = np.zeros(FIRST_COUNTER + APART * n_threads, np.int64)
        self.work, self.there, self.refused = work, [], False
        self.workers = [threading.Thread(target=self._begin, args=(i,), daemon=True) for i in range(1, n_threads)]

    def _begin(self, thread):
        if threading.get_native_id() == self.home:  # a thread in name only, which would wait for itself
            self.refused = True
        elif not self.refused:
            self.there.append(threading.current_thread())
            self.work(thread, self.n_threads, self.counters)

    def gather(self):
        """Start them; returns whether all of them run."""
        try:
            for worker in self.workers:
                worker.start()
        except RuntimeError:  # the system has no more threads
            return False
        deadline = time.perf_counter() + PATIENCE
        while len(self.there) < self.n_threads - 1 and not self.refused and time.perf_counter() < deadline:
            time.sleep(0)
        return len(self.there) == self.n_threads - 1

    def give_up(self):
        """Whoever waits in a meeting leaves it, and whoever has not begun never does."""
        self.refused = True
        self.counters[GIVEN_UP] = 1

    def join(self):
        """Wait for the threads that have begun."""
        for worker in self.there:
            worker.join()
