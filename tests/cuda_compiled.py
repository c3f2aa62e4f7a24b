"""The phases of the GPU compiled by Numba for the CPU, as a script: what compilers make of them, without a GPU.

    python tests/cuda_compiled.py FOLDER

writes what comes out of each task to FOLDER as an .npz file. NUMBA_OPT=0 makes it take half as long: what takes time is
to find types, and to compile some hundred small functions.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cuda_double
import numba
import numpy as np
from cuda_tasks import MANY_BLOCKS, Task, results

from fastgd.training.optimizers import SGD, Adam

TRAINS = {"n_rows": 13, "batch_size": 12, "only_trains": True}
TASKS = {
    "one block": Task((3, 4, 2), activation=("gelu",), optimizer=Adam(clip_norm=0.05, ema_decay=0.8), **TRAINS),
    "many blocks": Task(
        (3, 2), "float64", dropout=0.0, optimizer=SGD(0.1, l1=0.01, clip_norm=0.05), small_batch=MANY_BLOCKS, **TRAINS
    ),
}


def main(folder):
    """Run them compiled."""
    with cuda_double.engine(compile=numba.njit, order="random") as engine:
        for name, task in TASKS.items():
            np.savez(Path(folder) / name, **results(engine, task))


if __name__ == "__main__":
    main(*sys.argv[1:])
