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
from numba.core.registry import cpu_target
from threadpoolctl import threadpool_info, threadpool_limits

import fastgd

from .problems import lanes_of

vectors = lanes_of(fastgd)
pointer, lanes, load, store = vectors.pointer, vectors.lanes, vectors.load, vectors.store
STEPS = 20_000
VECTORS = {"AVX-512": "+avx512f", "AVX2": "+avx2", "NEON": "+neon"}


@numba.njit(fastmath={"contract"})
def multiply_adds(x, factor, steps):
    """Twelve vectors that stay in registers, each multiplied and added to at every step: as fast as the units go."""
    p = pointer(x, 0)
    L, b = lanes(p), load(p, 0)
    c0, c1, c2, c3, c4, c5 = b, load(p, L), load(p, 2 * L), load(p, 3 * L), load(p, 4 * L), load(p, 5 * L)
    c6, c7, c8, c9 = load(p, 6 * L), load(p, 7 * L), load(p, 8 * L), load(p, 9 * L)
    c10, c11 = load(p, 10 * L), load(p, 11 * L)
    for _ in range(steps):
        c0, c1, c2, c3 = b + factor * c0, b + factor * c1, b + factor * c2, b + factor * c3
        c4, c5, c6, c7 = b + factor * c4, b + factor * c5, b + factor * c6, b + factor * c7
        c8, c9, c10, c11 = b + factor * c8, b + factor * c9, b + factor * c10, b + factor * c11
    store(p, 0, c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11)


@lru_cache(maxsize=1)
def peak_gflops() -> float:
    """float32 multiply-adds of one core, in GFLOP/s: the best of our own loop and of BLAS's matrix product."""
    x = np.ones(256, np.float32)
    A = np.ones((512, 512), np.float32)
    C = np.empty_like(A)
    best = 0.0
    with threadpool_limits(1):
        for _ in range(30):
            started = time.perf_counter()
            multiply_adds(x, np.float32(1e-3), STEPS)
            best = max(best, 2 * 12 * 16 * STEPS / (time.perf_counter() - started) / 1e9)
            started = time.perf_counter()
            np.matmul(A, A, out=C)
            best = max(best, 2 * 512**3 / (time.perf_counter() - started) / 1e9)
    return best


def facts() -> dict[str, Any]:
    """Processor, cores and versions."""
    return {
        "processor": _processor(),
        "vectors": _vectors(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "blas": _blas(),
    }


def facts_for_results() -> dict[str, Any]:
    """What is kept beside measurements."""
    return {**facts(), "fingerprint": fingerprint(), "peak_gflops": peak_gflops()}


def fingerprint() -> str:
    """Figures with the same fingerprint may be compared."""
    known = facts()
    return f"{known['processor']}, {known['cores']} cores, {known['system']}"


def _blas() -> str:
    """NumPy's own: other libraries may have loaded theirs, too."""
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    found.sort(key=lambda library: "numpy" not in library["filepath"])
    return f"{found[0]['internal_api']} {found[0]['version']}" if found else "unknown"


def _vectors() -> str:
    """How long the vectors are that kernels are compiled for."""
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return next((name for name, feature in VECTORS.items() if feature in features), "short")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
