"""The same bits on other processors, with other versions of Python, NumPy and Numba, and with other BLAS kernels.

    python -m trials same-bits
    FASTGD_INTERPRETERS=/a/bin/python:/b/bin/python python -m trials same-bits

A process for each setting computes what trials/computed.py lists; all must come to the hashes of the first, which has
the setting of the process that asks. Interpreters that FASTGD_INTERPRETERS names, with the package's dependencies
installed, are settings of their own: so versions are compared. Processors are those that Numba compiles for
(NUMBA_CPU_NAME), as far as the one at hand can run their code. One setting has no fused multiply-adds: it must come to
other bits, or this trial could not find any.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np

from .trial import Outcome, Trial

ROOT = Path(__file__).parents[1]
INTERPRETERS = "FASTGD_INTERPRETERS"
AVX512 = "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd"
# name: what Numba compiles for, and the features of the processor at hand that this takes.
PROCESSORS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "Haswell, x86-64-v3": ("haswell", "", ("fma", "avx2", "bmi2")),
    "Zen 3": ("znver3", "", ("fma", "avx2", "bmi2", "vaes", "clzero")),
    "Skylake with AVX-512, x86-64-v4": (
        "skylake-avx512",
        AVX512,
        ("avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512cd"),
    ),
}
WITHOUT_FMA = {"NUMBA_CPU_NAME": "x86-64-v2", "NUMBA_CPU_FEATURES": ""}
AT_ONCE = 2  # processes, each of which compiles on one core
BLAS = ("Prescott", "Haswell", "Zen")  # kernels of OpenBLAS


class Setting(NamedTuple):
    """What a process is started with."""

    name: str
    environment: dict[str, str]
    interpreter: str = sys.executable


def processors() -> Iterator[Setting]:
    """Those with fused multiply-adds whose code the processor at hand can run."""
    has = llvmlite.binding.get_host_cpu_features()
    for name, (cpu, features, needed) in PROCESSORS.items():
        if all(has.get(feature) for feature in needed):
            yield Setting(name, {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features})


def libraries() -> Iterator[Setting]:
    """NumPy without its code for newer processors, and other kernels of its BLAS."""
    dispatched = getattr(np._core._multiarray_umath, "__cpu_dispatch__", [])  # type: ignore[attr-defined]
    if dispatched:
        yield Setting("NumPy for the oldest processor", {"NPY_DISABLE_CPU_FEATURES": " ".join(dispatched)})
    for kernels in BLAS:
        yield Setting(f"OpenBLAS for {kernels}", {"OPENBLAS_CORETYPE": kernels})


def interpreters() -> Iterator[Setting]:
    """those that the environment names."""
    for path in filter(None, os.environ.get(INTERPRETERS, "").split(os.pathsep)):
        yield Setting(path, {}, path)


def settings() -> list[Setting]:
    """All that are compared with the one at hand."""
    return [*processors(), *libraries(), *interpreters()]


def found_by(setting: Setting, parts: list[str]) -> dict[str, Any]:
    """The versions and the hashes that a process with this setting comes to."""
    command = [setting.interpreter, "-m", "trials.computed", *(f"--part={part}" for part in parts)]
    environment = {**os.environ, **setting.environment, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False)
    if ran.returncode:
        raise RuntimeError(f"{setting.name}: the process ended with code {ran.returncode}: {ran.stderr[-500:]}")
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The items whose bits differ."""
    return [name for name in one["hashes"] if one["hashes"][name] != other["hashes"].get(name)]


def compared(chosen: list[Setting], parts: list[str]) -> Outcome:
    """Hold each of these settings against the one at hand, and see that code without fused multiply-adds differs."""
    asked = [Setting("the setting at hand", {}), Setting("no FMA", WITHOUT_FMA), *chosen]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        here, without_fma, *others = threads.map(lambda setting: found_by(setting, parts), asked)
    failures, versions = [], {here["versions"], *(found["versions"] for found in others)}
    for setting, found in zip(chosen, others, strict=True):
        failures += [f"{setting.name} ({found['versions']}): other bits of {name}" for name in differing(here, found)]
    n_other, n_items = len(differing(here, without_fma)), len(here["hashes"])
    if not n_other:
        failures.append("Without fused multiply-adds nothing differs: this comparison cannot fail.")
    figure = f"{n_items} items each, with {'; '.join(sorted(versions))}; without FMA {n_other} of {n_items} differ"
    return Outcome(len(chosen), failures, figure)


def run(cases: int, seed: int) -> Outcome:
    """So many settings; nothing is random here, so that the seed changes nothing."""
    return compared(settings()[:cases], ["engine", "around"])


TRIALS = (
    Trial(
        "same-bits",
        "The same seed gives the same bits on every x86-64 processor with fused multiply-adds, and with every version "
        "of Python, NumPy and Numba that is named.",
        "tests/test_same_bits.py::test_other_processors_have_the_same_bits",
        100,
        run,
    ),
)
