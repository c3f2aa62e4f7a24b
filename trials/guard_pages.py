"""Every compiled kernel on arrays that end, and begin, at a page that nobody may touch.

A kernel that reads or writes one entry too far ends its process, without a word: see guard_process.py, which makes the
calls. kernel_calls.py says how each kernel is called, kernel_cases.py on what.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from fastgd.kernels.machinery.lanes import MANY_REGISTERS

from .guarded import unavailable
from .kernel_cases import N_KINDS
from .trial import Outcome, Trial

ROOT = Path(__file__).parents[1]
AT_A_TIME = 200  # cases of one process
SHORT_VECTORS = {  # another tile of products, and other instructions everywhere
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2,+bmi,+bmi2,+popcnt,+f16c,+lzcnt",
}
SHORT_EVERY = 4  # so many processes there is one that compiles for shorter vectors, where the processor has long ones


class Watched(NamedTuple):
    """What was found in all processes."""

    calls: Counter[str]  # of each kernel
    failures: list[str]
    n_arrays: int


def watched(cases: int, seed: int, module: str = "trials.kernel_calls") -> Watched:
    """Make the calls of so many cases, as a module says, in processes of their own."""
    calls, failures, n_arrays = Counter[str](), list[str](), 0
    for number, first in enumerate(range(0, cases, AT_A_TIME)):
        is_short = MANY_REGISTERS and number % SHORT_EVERY == SHORT_EVERY - 1
        environment = {**os.environ, **(SHORT_VECTORS if is_short else {})}
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "found.json"
            given = [out, first, min(first + AT_A_TIME, cases), seed, module]
            command = [sys.executable, "-m", "trials.guard_process", *map(str, given)]
            done = subprocess.run(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
            more_calls, more_failures, more_arrays = json.loads(out.read_text(encoding="utf-8"))
        calls.update(more_calls)
        failures += more_failures
        n_arrays += more_arrays
    return Watched(calls, failures, n_arrays)


def run(cases: int, seed: int) -> Outcome:
    """The trial."""
    why = unavailable()
    if why:
        return Outcome(0, [], f"skipped: {why}")
    calls, failures, n_arrays = watched(cases, seed)
    return Outcome(cases, failures, f"{sum(calls.values()):,} calls of {len(calls)} kernels, {n_arrays:,} arrays")


TRIALS = (
    Trial(
        "guard-pages",
        "No compiled kernel reads or writes outside its arrays, or writes to one that it only reads.",
        "tests/test_guard_pages.py::test_no_kernel_leaves_its_arrays",
        N_KINDS,
        run,
    ),
)
