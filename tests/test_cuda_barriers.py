"""No barrier of a program for the GPU can be left out, and none is missing; without a GPU."""

from __future__ import annotations

import cuda_double
import pytest
from cuda_tasks import TASKS, results, same

ORDERS = "ascending", "descending", "random"
ROOMS = {"shared": {}, "global": {"limit": 10}}  # where parameters and tiles are
GARBAGE = IndexError, ValueError, OverflowError  # what Python says of places and labels that nobody has written


def run(task, **options):
    """What comes out, and the engine that did it; None where Python has stopped at garbage."""
    with cuda_double.engine(**options) as engine:
        try:
            return results(engine, task), engine
        except GARBAGE:
            assert options.get("without") is not None
            return None, engine


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", TASKS)
def test_every_barrier_is_needed(name, room):
    expected, engine = run(TASKS[name], **ROOMS[room])
    assert engine.barriers.n >= 5
    unneeded = []
    for barrier in range(engine.barriers.n):
        found = (run(TASKS[name], order=order, without=barrier, **ROOMS[room])[0] for order in ORDERS)
        if all(one is not None and same(one, expected) for one in found):
            unneeded.append(barrier)
    assert unneeded == []


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", TASKS)
def test_no_two_threads_use_what_one_of_them_writes(name, room):
    expected, _ = run(TASKS[name], **ROOMS[room])
    found, engine = run(TASKS[name], watch=True, **ROOMS[room])
    assert engine.watch.found == []
    assert engine.watch.n_places > 1000
    assert same(found, expected)


@pytest.mark.parametrize("name", ["one block, float64", "many blocks, float64"])
def test_who_watches_notices_every_barrier_that_is_left_out(name):
    _, engine = run(TASKS[name])
    for barrier in range(engine.barriers.n):
        found, watched = run(TASKS[name], watch=True, without=barrier)
        assert watched.watch.found or found is None, barrier
