"""One epoch of 100,000 houses through 4-64-64-1: the compiled loops against the plain NumPy engine, one thread each.

The two take turns in one process, on the same tables; the ratio is taken pair by pair, because the speed of a shared
machine drifts. Ends with the wall time of `fastgd demo` from start to finished network.

    python benchmarks/epoch.py
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import statistics
import subprocess
import sys
import time

import numpy as np

import fastgd

BATCH_SIZES = (1, 32, 256, 8192)
PAIRS = 5
ROWS_AT_BATCH_1 = 10_000  # NumPy needs 20 s for all rows


def epoch_seconds(X: np.ndarray, y: np.ndarray, batch_size: int, device: str) -> tuple[float, np.ndarray]:
    """Seconds of one epoch, and the parameters afterwards."""
    model = fastgd.MLP([4, 64, 64, 1], random_state=0)
    optimizer = fastgd.SGD(learning_rate=0.005)
    history = model.fit(X, y, epochs=1, batch_size=batch_size, optimizer=optimizer, device=device, verbose=0)
    return history.seconds, model.parameters


def main() -> None:
    X, y = fastgd.datasets.houses(100_000, random_state=0)
    print(
        f"{'batch':>6} {'rows':>8} {'NumPy ms':>10} {'loops ms':>10} {'NumPy / loops':>14}   (median of {PAIRS} pairs)"
    )
    for batch_size in BATCH_SIZES:
        rows = ROWS_AT_BATCH_1 if batch_size == 1 else len(X)
        table = X[:rows], y[:rows], batch_size
        answers = [epoch_seconds(*table, device)[1] for device in ("plain", "cpu")]
        np.testing.assert_allclose(*answers, atol=1e-3)  # the same answer before the clock starts
        pairs = [(epoch_seconds(*table, "plain")[0], epoch_seconds(*table, "cpu")[0]) for _ in range(PAIRS)]
        plain, loops = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(p / c for p, c in pairs)
        print(f"{batch_size:>6} {rows:>8,} {plain:>10.1f} {loops:>10.1f} {ratio:>14.2f}")
    walls = []
    for _ in range(PAIRS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "fastgd.cli", "demo"], check=True, capture_output=True)
        walls.append(time.perf_counter() - started)
    print(f"fastgd demo, wall time: median {statistics.median(walls):.2f} s, worst {max(walls):.2f} s")


if __name__ == "__main__":
    main()
