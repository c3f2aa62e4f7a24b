"""The kernels themselves and their launches in Numba's simulator, as a script: real threads, real barriers.

    python tests/cuda_simulated.py FOLDER [without_barriers]

needs NUMBA_ENABLE_CUDASIM=1, and writes what comes out of each task to FOLDER as an .npz file, or nothing where threads
stopped at garbage.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from cuda_tasks import MANY_BLOCKS, Task, population, results

from fastgd.training.optimizers import SGD, Adam

SMALL = {"sizes": (3, 4, 2), "n_rows": 13, "batch_size": 12, "activation": ("gelu",)}
TASKS = {
    "one block": Task(**SMALL, optimizer=Adam(clip_norm=0.05, ema_decay=0.8)),
    "many blocks": Task(**SMALL, optimizer=SGD(0.1, momentum=0.5, clip_norm=0.05), small_batch=MANY_BLOCKS),
    "float64": Task(**SMALL, dtype="float64", optimizer=SGD(0.1, clip_norm=0.05), small_batch=MANY_BLOCKS, blocks=1),
}
POPULATIONS = {"one network": [1], "three networks": [1, 2, 3]}
THREADS, TILES = 10, (8, 4)


def outcomes(engine, names=(*TASKS, *POPULATIONS)):
    """What comes out of each task, by its name."""
    for name in names:
        yield name, results(engine, TASKS[name]) if name in TASKS else population(engine, POPULATIONS[name])


def main(folder, *changes):
    """Run them in the simulator."""
    from numba.cuda.simulator.kernelapi import FakeCUDAModule

    from fastgd.kernels.cuda import engine, memory

    memory.LEAST_THREADS = memory.MOST_THREADS = THREADS
    memory.TILES = TILES
    if changes == ("without_barriers",):
        FakeCUDAModule.syncthreads = lambda self: None
        sys.setswitchinterval(1e-5)  # threads take turns often
    for name in (*TASKS, *POPULATIONS):
        try:
            ((_, found),) = outcomes(engine, [name])
        except Exception:
            if not changes:
                raise
        else:
            np.savez(Path(folder) / name, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
