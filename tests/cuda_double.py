"""The GPU engine without a GPU: its launches and kernels run here, thread after thread between two barriers.

All of fastgd/kernels/cuda is what it is on a device, but for the shim: `cuda` is a device of plain Python. A phase is
done by one thread after the other, in any order that a test asks for, so that a barrier that is missing shows as a
wrong number. Memory that nobody has written to holds NaN.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numba
import numpy as np

ROOM = "fastgd.kernels.cuda"
HELD = ("shim", "kernels", "memory", "engine")  # modules that hold the shim
GARBAGE = -(1 << 40)


class OnDevice(np.ndarray):
    """An array in the memory of the device."""

    def copy_to_host(self, into=None):
        """A copy, perhaps into an array that is there."""
        if into is None:
            return np.array(self)
        into[...] = self
        return into


def garbage(shape, dtype):
    """Memory as it comes."""
    dtype = np.dtype(dtype)
    return np.full(shape, np.nan if dtype.kind == "f" else GARBAGE, dtype).view(OnDevice)


class Shared:
    """The memory of a block."""

    n_bytes = 0  # that the launch has asked for

    def array(self, shape, dtype):
        """An array for all threads of the block."""
        return np.asarray(garbage(shape or self.n_bytes // np.dtype(dtype).itemsize, dtype))


class Double:
    """A device whose threads are numbers in `order(n_threads)`."""

    def __init__(self, order):
        self.order, self.shared = order, Shared()
        self.blockIdx, self.threadIdx, self.gridDim = (SimpleNamespace(x=0) for _ in range(3))
        self.launches = []

    def to_device(self, array):
        """A copy on the device."""
        return np.array(array, order="C").view(OnDevice)

    def device_array(self, shape, dtype):
        """Memory as it comes."""
        return garbage(shape, dtype)

    def kernel(self, function, **limits):
        """What launches a function."""
        return Kernel(self, function)


class Kernel:
    """A kernel of such a device."""

    def __init__(self, device, function):
        self.device, self.function = device, function

    def __getitem__(self, launch):
        grid, n_threads, *more = launch

        def run(*arguments):
            device = self.device
            device.launches.append((self.function.__name__, grid))
            arrays = [np.asarray(given) if isinstance(given, np.ndarray) else given for given in arguments]
            device.gridDim.x, device.shared.n_bytes = grid, more[1] if len(more) > 1 else 0
            with np.errstate(all="ignore"):
                for block in range(grid):
                    device.blockIdx.x, device.threadIdx.x = block, device.order(n_threads)
                    self.function(*arrays)

        return run


class Barriers:
    """How phases follow each other: one is done by all threads before the next begins, but where a barrier is left out.

    Barriers are counted as phases are put together.
    """

    def __init__(self, compile, without=None):
        self.compile, self.without, self.n = compile, without, 0

    def in_turn(self, phases):
        """Phases one after the other."""
        stages = [[]]
        for phase in phases:
            stages[-1].append(phase)
            if self.n != self.without:
                stages.append([])
            self.n += 1
        return self.after_another([tuple(stage) for stage in stages if stage])

    def at_once(self, phase):
        """A phase by itself."""
        return self.after_another([(phase,)])

    def after_another(self, stages):
        """Stage after stage; in each, a thread does all its phases before the next thread begins."""
        if self.compile is not numba.njit:

            def run(tids, c, turn):
                for stage in stages:
                    for tid in tids:
                        for phase in stage:
                            phase(tid, c, turn)

            return run
        return _compiled([_thread(stage) for stage in stages])


def _thread(phases):
    first, rest = phases[0], phases[1:]
    if not rest:
        return first
    others = _thread(rest)

    @numba.njit
    def both(tid, c, turn):
        first(tid, c, turn)
        others(tid, c, turn)

    return both


def _compiled(stages):
    if not stages:

        @numba.njit
        def nothing(tids, c, turn):
            pass

        return nothing
    first, rest = stages[0], stages[1:]
    if not rest:

        @numba.njit
        def last(tids, c, turn):
            for tid in tids:
                first(tid, c, turn)

        return last
    others = _compiled(rest)

    @numba.njit
    def all_of_them(tids, c, turn):
        for tid in tids:
            first(tid, c, turn)
        others(tids, c, turn)

    return all_of_them


def plain(function):
    """A function as it is."""
    return function


ORDERS = {
    "ascending": lambda n: list(range(n)),
    "descending": lambda n: list(range(n))[::-1],
    "random": lambda n: np.random.default_rng(n).permutation(n).tolist(),
}


@contextmanager
def engine(compile=plain, order="ascending", without=None, threads=8, tiles=(8, 4), limit=48 << 10):
    """The engine of device="cuda" on such a device, which is `cuda` of the engine; `limit` is what a block has."""
    device = Double((lambda n: np.array(ORDERS[order](n))) if compile is numba.njit else ORDERS[order])
    shim = ModuleType(f"{ROOM}.shim")
    for name, value in {
        "cuda": device, "device_function": plain, "kernel": device.kernel, "IS_SIMULATOR": True,
        "shared_limit": lambda: limit, "require": lambda: None, "room_for": lambda n_bytes, what: None,
        "errors": _no_errors,
    }.items():  # fmt: skip
        setattr(shim, name, value)
    names = [f"{ROOM}.{name}" for name in HELD]
    room = importlib.import_module(ROOM)
    before = {name: sys.modules.pop(name, None) for name in names}
    sys.modules[f"{ROOM}.shim"] = shim
    try:
        found, kernels = (importlib.import_module(f"{ROOM}.{name}") for name in ("engine", "kernels"))
        barriers = Barriers(compile, without)
        target = kernels.Target(compile, barriers.in_turn, barriers.at_once, {})
        kernels.device, memory = (lambda: target), sys.modules[f"{ROOM}.memory"]
        memory.LEAST_THREADS = memory.MOST_THREADS = threads
        memory.TILES = tiles
        found.double, found.barriers = device, barriers
        yield found
    finally:
        for name in names:
            sys.modules.pop(name, None)
            if before[name] is not None:
                sys.modules[name] = before[name]
            if hasattr(room, name.rpartition(".")[2]):
                delattr(room, name.rpartition(".")[2])


@contextmanager
def _no_errors():
    yield
