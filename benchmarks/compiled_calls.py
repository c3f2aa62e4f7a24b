"""How long a prediction and a step take inside a user's own compiled loop.

    python benchmarks/compiled_calls.py

Each figure is the best of many runs over 2,000 rows: what the loop itself takes, where nobody else uses the machine.
"""

from __future__ import annotations

import time

import numba
import numpy as np

import fastgd

ROWS, RUNS = 2_000, 200
NETWORKS = ([4, 64, 64, 1], [16, 256, 256, 256, 1])


@numba.njit
def row_by_row(net, X, out):
    """Every row by itself."""
    for row in range(len(X)):
        fastgd.predict_row(net, X[row], out[row])


@numba.njit
def all_rows(net, X, out):
    """All rows in one call."""
    fastgd.predict_rows(net, X, out)


@numba.njit
def step_by_step(net, X, y):
    """A step on each row."""
    for row in range(len(X)):
        fastgd.train_batch(net, X[row : row + 1], y[row : row + 1], 1e-6)


@numba.njit
def in_batches(net, X, y):
    """A step on 32 rows at a time."""
    for row in range(0, len(X), 32):
        fastgd.train_batch(net, X[row : row + 32], y[row : row + 32], 1e-6)


def microseconds(call, *arguments) -> float:
    """For each row, at best."""
    call(*arguments)
    best = np.inf
    for _ in range(RUNS):
        begun = time.perf_counter()
        call(*arguments)
        best = min(best, time.perf_counter() - begun)
    return 1e6 * best / ROWS


def main() -> None:
    """Print a table."""
    loops = {
        "predict_row": row_by_row,
        "predict_rows": all_rows,
        "train_batch, 1 row": step_by_step,
        "train_batch, 32 rows": in_batches,
    }
    print(f"{'µs a row':<20}", *(f"{name:>21}" for name in loops))
    for sizes in NETWORKS:
        random = np.random.default_rng(0)
        X, y = random.normal(size=(ROWS, sizes[0])).astype(np.float32), np.zeros(ROWS, np.float32)
        net, out = fastgd.MLP(sizes, standardize=False, random_state=0).compiled(), np.empty((ROWS, 1), np.float32)
        times = [microseconds(loop, net, X, y if "train" in name else out) for name, loop in loops.items()]
        print(f"{'-'.join(map(str, sizes)):<20}", *(f"{taken:21.3f}" for taken in times))


if __name__ == "__main__":
    main()
