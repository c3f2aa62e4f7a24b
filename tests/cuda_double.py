"""The GPU engine without a GPU: its launches and kernels run here, thread after thread between two barriers.

All of fastgd/kernels/cuda is what it is on a device, but for the shim: `cuda` is a device of plain Python. What is to
be done between two barriers is done by one thread after the other, in any order that a test asks for, so that a barrier
that is missing shows as a wrong number. Memory that nobody has written to holds NaN. Where a test asks for it, every
entry is watched, too; see cuda_watch.py.
"""

from __future__ import annotations

import importlib
import sys
import threading
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numba
import numpy as np
from cuda_watch import Watch, Watched

ROOM = "fastgd.kernels.cuda"
HELD = ("shim", "kernels", "memory", "launches", "engine")  # modules that hold the shim
GARBAGE = -(1 << 40)
ONE_AT_A_TIME = threading.RLock()


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

    def __init__(self, watched):
        self.watched = watched

    def array(self, shape, dtype):
        """An array for all threads of the block."""
        return self.watched(np.asarray(garbage(shape or self.n_bytes // np.dtype(dtype).itemsize, dtype)))


class Double:
    """A device whose threads are numbers in `order(n_threads)`, with barriers of its own."""

    def __init__(self, order, barriers):
        self.order, self.barriers = order, barriers
        self.shared = Shared(self.watched)
        self.blockIdx, self.threadIdx, self.gridDim = (SimpleNamespace(x=0) for _ in range(3))
        self.launches = []

    def watched(self, array):
        """An array as kernels get it."""
        watch = self.barriers.watch
        return array if watch is None else Watched(array, watch.places_of(array), watch)

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
            arrays = [
                device.watched(np.asarray(given)) if isinstance(given, np.ndarray) else given for given in arguments
            ]
            device.gridDim.x, device.shared.n_bytes = grid, more[1] if len(more) > 1 else 0
            with np.errstate(all="ignore"), device.barriers.launch():
                for block in range(grid):
                    device.blockIdx.x, device.threadIdx.x = block, device.order(n_threads)
                    self.function(*arrays)
                    device.barriers.block_ended(device.threadIdx.x)

        return run


class Barriers:
    """How phases follow each other: what has come up since the last barrier is done by one thread, then by the next.

    Barriers are counted as programs are put together; one of them may be left out. Compiled phases do not wait for the
    next barrier: each is done by all threads at once, and no barrier is left out.
    """

    def __init__(self, compile, without=None, watch=None):
        self.compile, self.without, self.watch, self.n, self.pending = compile, without, watch, 0, []

    def in_turn(self, phases):
        """Phases one after the other, with a barrier after each."""
        numbers = range(self.n, self.n + len(phases))
        self.n += len(phases)
        if self.compile is numba.njit:
            return _compiled(phases)

        def run(tids, c, turn):
            for number, phase in zip(numbers, phases, strict=True):
                self.pending.append((phase, c, turn))
                if number != self.without:
                    self.reached(tids)

        return run

    def at_once(self, phase):
        """A phase by itself."""
        if self.compile is numba.njit:
            return _compiled((phase,))
        return lambda tids, c, turn: self.pending.append((phase, c, turn))

    def reached(self, tids):
        """What has come up since the last barrier is done."""
        pending, self.pending = self.pending, []
        for tid in tids if pending else ():
            if self.watch is not None:
                self.watch.tid = tid
            for phase, c, turn in pending:
                phase(tid, c, turn)
        if self.watch is not None:
            self.watch.barrier()

    def block_ended(self, tids):
        """What is left is done, too."""
        self.reached(tids)
        if self.watch is not None:
            self.watch.block += 1

    @contextmanager
    def launch(self):
        """A launch begins and ends."""
        self.pending.clear()  # of one that was broken off
        yield
        if self.watch is not None:
            self.watch.launched()


def inner(function):
    """A compiled function that only compiled ones call: to make it callable would take as long as to compile it."""
    return numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)


def callable_(programs):
    """A module of programs that kernels of plain Python can call."""

    def of(function):
        @numba.njit
        def call(*arguments):
            return function(*arguments)

        return call

    def making(make):
        def made(*arguments, **options):
            found = make(*arguments, **options)
            return tuple(map(of, found)) if isinstance(found, tuple) else of(found)

        return made

    names = "training", "summing", "predicting", "showing", "updating", "measuring_norm"
    return SimpleNamespace(**{name: making(getattr(programs, name)) for name in names if hasattr(programs, name)})


def _compiled(phases):
    """Phases as one compiled loop over threads after the other."""
    if not phases:

        @inner
        def nothing(tids, c, turn):
            pass

        return nothing
    first, *rest = phases
    others = _compiled(tuple(rest))

    @inner
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
def engine(compile=plain, order="ascending", without=None, threads=8, tiles=(8, 4), limit=48 << 10, watch=False):
    """The engine of device="cuda" on such a device, which is `cuda` of the engine; `limit` is what a block has.

    What threads must not do to each other is in `engine.watch.found`, if a `watch` is kept.
    """
    barriers = Barriers(compile, without, Watch() if watch else None)
    device = Double((lambda n: np.array(ORDERS[order](n))) if compile is numba.njit else ORDERS[order], barriers)
    shim = ModuleType(f"{ROOM}.shim")
    for name, value in {
        "cuda": device, "device_function": plain, "kernel": device.kernel, "IS_SIMULATOR": True,
        "shared_limit": lambda: limit, "require": lambda: None, "room_for": lambda n_bytes, what: None,
        "errors": _no_errors,
    }.items():  # fmt: skip
        setattr(shim, name, value)
    names, room = [f"{ROOM}.{name}" for name in HELD], importlib.import_module(ROOM)
    before = {name: sys.modules.pop(name, None) for name in names}
    attributes = {name: vars(room).pop(name) for name in HELD if name in vars(room)}  # `from . import` looks there
    sys.modules[f"{ROOM}.shim"] = shim
    try:
        found, kernels = (importlib.import_module(f"{ROOM}.{name}") for name in ("engine", "kernels"))
        target = kernels.Target(inner if compile is numba.njit else compile, barriers.in_turn, barriers.at_once, {})
        if compile is numba.njit:
            kernels.programs, kernels.updating = callable_(kernels.programs), callable_(kernels.updating)
        kernels.device, memory = (lambda: target), sys.modules[f"{ROOM}.memory"]
        memory.LEAST_THREADS = memory.MOST_THREADS = threads
        memory.TILES = tiles
        found.double, found.barriers, found.watch = device, barriers, barriers.watch
        yield found
    finally:
        for name in names:
            sys.modules.pop(name, None)
            if before[name] is not None:
                sys.modules[name] = before[name]
        for name in HELD:
            vars(room).pop(name, None)
        vars(room).update(attributes)


@contextmanager
def _no_errors():
    with ONE_AT_A_TIME:  # as the shim has it
        yield
