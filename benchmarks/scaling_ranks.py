"""What each process does that benchmarks/scaling.py starts: `mpiexec -n 2 python benchmarks/scaling_ranks.py '{…}'`.

It measures steps of ranks, sums over ranks, and, where there is one rank, steps of `fit` without ranks. Of a step it is
the difference of a long and a short training divided by the difference of their steps: what happens once is not in it.
The first rank prints what it has measured, as one line.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.scaling_ranks import main

    sys.exit(main())

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastgd
from fastgd.training.ordered_sum import OrderedSum
from fastgd.training.ranks import Ranks

from .scaling_model import Point

SAID = "scaling: "  # begins the line
MULTIPLY_ADDS = 2e10  # of a core in a second, about: only to choose how many steps are measured
ADDED = 1e8  # weights in a second, likewise
ALONE, TOGETHER = 2e-6, 1.5e-4  # seconds of a step that computes nothing, likewise
EPOCH_ROWS = 1 << 16
LEAST_EPOCHS = 3  # beyond the shorter training's one: their difference must stand out
RATE = 1e-5


class Work(NamedTuple):
    """What is measured."""

    networks: list[tuple[list[int], list[int]]]  # layer sizes, and batches of all ranks together
    sums: list[int]  # weights
    parts: list[int]  # of a batch, that one process takes alone
    seconds: float  # that a measurement takes, about


class Room(NamedTuple):
    """How long one training is: rows, and epochs of the longer one beyond those of the shorter."""

    steps: int  # of an epoch
    epochs: int


def room_of(n: int, batch: int, size: int, asked: float, overhead: float) -> Room:
    """So long that the difference is about what was asked for; the same on all ranks."""
    wanted = asked / (overhead + n * (3 * batch / size + 10) / MULTIPLY_ADDS)
    steps = max(1, int(min(EPOCH_ROWS / batch, wanted / LEAST_EPOCHS)))
    return Room(steps, max(LEAST_EPOCHS, round(wanted / steps)))


def step_seconds(sizes: list[int], batch: int, rank: int, size: int, asked: float, comm: Any) -> Point:
    """The time of a step of all ranks, or of this process alone, where comm is None."""
    model = fastgd.MLP(sizes, random_state=0)
    n = model.parameters.size
    room = room_of(n, batch, size, asked, ALONE if comm is None else TOGETHER)
    random = np.random.default_rng(rank)
    own = batch * room.steps // size
    X = random.standard_normal((own, sizes[0])).astype(np.float32)
    y = random.standard_normal((own, sizes[-1])).astype(np.float32)

    def train(epochs: int) -> float:
        optimizer = fastgd.Adam(RATE)
        alone: dict[str, Any] = {"n_threads": 1} if comm is None else {"comm": comm}
        begun = time.perf_counter()
        model.fit(X, y, epochs=epochs, batch_size=batch, optimizer=optimizer, verbose=0, **alone)
        return time.perf_counter() - begun

    train(1)
    first, long, last = train(1), train(1 + room.epochs), train(1)
    kind = "alone" if comm is None else "step"
    return Point(kind, n, batch, size, (long - min(first, last)) / (room.steps * room.epochs))


def sum_seconds(n: int, asked: float, comm: Any) -> Point:
    """The time of a sum of n weights."""
    total = OrderedSum(Ranks(comm), n, np.float32)
    vector = np.ones(n, np.float32)
    often = max(3, int(asked / (TOGETHER + n / ADDED)))

    def add(times: int) -> None:
        for _ in range(times):
            total.add(vector, 1 / comm.size, (0.0, 0.0, 1.0))

    add(2)  # until all memory has been touched
    comm.Barrier()
    return Point("sum", n, 0, comm.size, _timed(lambda: add(often)) / often)


def _timed(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(work: Work, comm: Any) -> list[Point]:
    """Everything for this number of ranks."""
    found = [sum_seconds(n, work.seconds, comm) for n in work.sums]
    for sizes, batches in work.networks:
        for batch in batches:
            found.append(step_seconds(sizes, batch, comm.rank, comm.size, work.seconds, comm))
            for part in work.parts if comm.size == 1 else ():
                found.append(step_seconds(sizes, batch // part, 0, 1, work.seconds, None))
    return found


def main() -> int:
    """Measure, and tell."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    points = measure(Work(**json.loads(sys.argv[1])), world)
    if world.rank == 0:
        library = MPI.Get_library_version().split("\n")[0].split(",")[0].replace("Version:", "")
        print(SAID + json.dumps({"library": " ".join(library.split()), "points": points}), flush=True)
    return 0
