"""What this machine is, and how fast it can multiply and add: the yardstick for every other figure."""

from __future__ import annotations

import os
import platform
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np

CHAIN = 64  # multiply-adds on a number between loading and storing it


@numba.njit(fastmath={"contract"})
def multiply_adds(x, a, b):
    """A chain of CHAIN multiply-adds on each number, all independent: as fast as the units go."""
    for j in range(x.size):
        v = x[j]
        for _ in range(CHAIN):
            v = v * a + b
        x[j] = v


@lru_cache(maxsize=1)
def peak_gflops() -> float:
    """float32 multiply-adds of one core, in GFLOP/s: the better of our own loop and of BLAS's matrix product."""
    x = np.ones(4096, np.float32)
    A = np.ones((512, 512), np.float32)
    C = np.empty_like(A)
    best = 0.0
    for _ in range(30):
        started = time.perf_counter()
        for _ in range(10):
            multiply_adds(x, np.float32(0.5), np.float32(0.5))
        best = max(best, 10 * 2 * CHAIN * x.size / (time.perf_counter() - started) / 1e9)
        started = time.perf_counter()
        np.matmul(A, A, out=C)
        best = max(best, 2 * 512**3 / (time.perf_counter() - started) / 1e9)
    return best


def facts() -> dict[str, Any]:
    """Processor, cores and versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def fingerprint() -> str:
    """Figures with the same fingerprint may be compared."""
    known = facts()
    return f"{known['processor']}, {known['cores']} cores, {known['system']}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
