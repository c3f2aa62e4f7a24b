"""No barrier of a program for the GPU can be left out, and none is missing; without a GPU."""

from __future__ import annotations

import contextlib

import cuda_double
import numpy as np
import pytest
from cuda_tasks import TASKS, results, same
from cuda_watch import Watch, Watched

ORDERS = "ascending", "descending", "random"
ROOMS = {"shared": {}, "global": {"limit": 10}}  # where parameters and tiles are
RUNS = [*((name, "shared") for name in TASKS), ("one block", "global"), ("many blocks, float64", "global")]
GARBAGE = IndexError, ValueError, OverflowError  # what Python says of places and labels that nobody has written


def noticed(engine, task, expected, order):
    """Whether other numbers come out where threads are in this order, or Python stops at garbage."""
    engine.double.order = cuda_double.ORDERS[order]
    try:
        return not same(results(engine, task), expected)
    except GARBAGE:
        return True


@pytest.mark.parametrize(("name", "room"), RUNS)
def test_every_barrier_is_needed(name, room):
    task, unneeded = TASKS[name], []
    with cuda_double.engine(**ROOMS[room]) as engine:
        expected = results(engine, task)
        assert engine.barriers.n >= 8
        for barrier in range(engine.barriers.n):
            engine.barriers.without = barrier
            if not any(noticed(engine, task, expected, order) for order in ORDERS):
                unneeded.append(barrier)
        engine.barriers.without = None
        assert not noticed(engine, task, expected, "random")
    assert unneeded == []


@pytest.mark.parametrize(("name", "room"), RUNS)
def test_no_two_threads_use_what_one_of_them_writes(name, room):
    with cuda_double.engine(watch=True, **ROOMS[room]) as engine:
        results(engine, TASKS[name])
        assert engine.watch.found == []
        assert engine.watch.n_places > 1000


@pytest.mark.parametrize("name", ["one block, float64", "many blocks, float64"])
def test_who_watches_notices_every_barrier_that_is_left_out(name):
    with cuda_double.engine(watch=True) as engine:
        results(engine, TASKS[name])
        for barrier in range(engine.barriers.n):
            engine.barriers.without = barrier
            engine.watch.found.clear()
            with contextlib.suppress(*GARBAGE):
                results(engine, TASKS[name])
                assert engine.watch.found, barrier


@pytest.mark.parametrize(
    ("tids", "blocks", "writes", "found"),
    [((1, 1), (0, 0), (True, True), 0), ((1, 2), (0, 0), (False, False), 0), ((1, 2), (0, 0), (True, False), 1),
     ((1, 2), (0, 0), (False, True), 1), ((1, 2), (0, 0), (True, True), 1), ((1, 1), (0, 1), (True, False), 1),
     ((1, 1), (0, 1), (False, False), 0), ((1, 1), (0, 1), (False, True), 1)],
)  # fmt: skip
def test_who_watches_knows_threads_and_blocks(tids, blocks, writes, found):
    watch = Watch()
    array = Watched(np.zeros((2, 3)), watch.places_of(np.zeros((2, 3))), watch)
    for tid, block, write in zip(tids, blocks, writes, strict=True):
        watch.barrier() if block > watch.block else None
        watch.tid, watch.block = tid, block
        row = array[1]
        if write:
            row[2] = 5.0
        else:
            assert row[2] in (0, 5)
    assert len(watch.found) == found
