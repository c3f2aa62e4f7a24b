"""How many threads a training may have where the user leaves it open: the cores of this process, and who has a say."""

from __future__ import annotations

import math
import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InvalidInputError
from ..options import positive_integer, shown

LIMITING = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")  # variables by which a user, or who starts workers, limits threads
QUOTA, PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
QUOTA_AND_PERIOD = Path("/sys/fs/cgroup/cpu.max")  # the same in newer systems: "200000 100000", or "max 100000"
SECONDS = 1.0  # for which cores are not counted again


class Allowance(NamedTuple):
    """How many threads a training may have at most, and why not more."""

    most: int
    reason: str


def allowance(n_threads: Any) -> Allowance:
    """The number that was asked for; for "auto" what this process may use now, see below."""
    if isinstance(n_threads, str) and n_threads == "auto":
        return automatic()
    try:
        most = positive_integer(n_threads, "n_threads")
    except InvalidInputError:
        raise InvalidInputError(
            f"n_threads must be 'auto' or a whole number of at least 1, not {shown(n_threads)}."
        ) from None
    return Allowance(most, f"n_threads={most}")


def automatic() -> Allowance:
    """All cores that the process may use; a worker of joblib, Dask or a pool has one, its neighbours the others."""
    if threading.current_thread() is not threading.main_thread():
        return Allowance(1, "fit runs beside the main thread, whose program may have use for the other cores")
    if multiprocessing.current_process().name != "MainProcess":
        return Allowance(1, f"this is a worker, {multiprocessing.current_process().name}")
    most = cores()
    found = Allowance(most, f"there are {most} cores" if most > 1 else "there is one core")
    for name in LIMITING:
        limit = os.environ.get(name)
        if limit is not None and limit.split(",")[0].strip().isdecimal():  # "4,2": in nested loops 2
            number = int(limit.split(",")[0])
            if 0 < number < found.most:
                found = Allowance(number, f"{name} is {number}")
    return found


def counted_cores() -> int:
    """The cores that this process may use: its affinity, within its container's quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(math.ceil(min(usable, quota())), 1)


_kept = (-math.inf, 1)  # when the cores were counted, and how many there were


def cores() -> int:
    """The same as it was at most a second ago: to count takes as long as some steps."""
    global _kept
    now = time.monotonic()
    if now - _kept[0] > SECONDS:
        _kept = now, counted_cores()
    return _kept[1]


def quota() -> float:
    """How many cores' time the container has; infinite where there is no container, or no limit."""
    try:
        if QUOTA_AND_PERIOD.exists():
            time_of_cores, period = QUOTA_AND_PERIOD.read_text().split()
        else:
            time_of_cores, period = QUOTA.read_text(), PERIOD.read_text()
        return int(time_of_cores) / int(period) if int(time_of_cores) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no such files, or "max"
        return math.inf
