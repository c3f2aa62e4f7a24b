"""Calls kernels on guarded arrays in a process that may die of it, and goes on behind the call that it died of.

    python -m trials.guard_process OUT FIRST END SEED MODULE

makes the calls of some cases, and writes what was found to the file OUT. The calls are made in a fork, which writes
down each before it makes it. Their answers must be, to the bit, those of the same call on ordinary arrays.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import signal
import sys
import traceback
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .guarded import SIDES, Fence, mapped
from .kernel_calls import Call
from .kernel_cases import kernel_case

MOST_DEATHS = 3  # by one kernel; then it is left out, because a new process has to load all kernels again
PATIENCE = 1800  # seconds of processor time of one fork, in which threads that wait for each other spin
PACKAGE = "fastgd.kernels"  # whose modules make scratch
BOARD = 1 << 24  # bytes of what forks tell
ALL = 1 << 30  # calls of a case: where a fork ends between them, the rest of the case is left out
ORDINARY = "no forbidden page"
RAISED = 1  # exit code of a fork


class Place(NamedTuple):
    """A call: the case, and how many calls of it come before."""

    case: int
    call: int


class Found(NamedTuple):
    """What was found so far."""

    calls: Counter[str]  # of each kernel
    deaths: Counter[str]
    failures: list[str]
    n_arrays: list[int]  # of each fork


@cache
def modules_of(package: str) -> tuple[ModuleType, ...]:
    """The modules of a package, once those that are needed are loaded."""
    return tuple(module for name, module in sys.modules.items() if name.startswith(f"{package}."))


def bits(value: Any) -> list[Any]:
    """All arrays and numbers of a value, to be compared to the bit."""
    found: list[Any] = []
    rest = mapped(value, lambda array, _: found.append((array.dtype.str, array.shape, array.tobytes())))
    return [*found, repr(rest)]


def answer(call: Call, fence: Fence | None) -> list[Any]:
    """What a call returns and leaves in its arguments, on guarded arrays or on plain copies."""

    def is_written(path: str) -> bool:
        return any(path == part or path.startswith(f"{part}.") for part in call.written + call.scratch)

    def copied(array: Any, path: str) -> Any:
        if fence is not None:
            return fence.guarded(array, is_written(path))
        copy = array.copy(order="K")
        copy.flags.writeable = array.flags.writeable
        return copy

    arguments = mapped(call.arguments, copied)
    if fence is None:
        result = call.function(**arguments)
    else:
        fence.collect()
        with fence.around(modules_of(PACKAGE)):
            result = call.function(**arguments)
    return bits((result, {name: value for name, value in arguments.items() if name not in call.scratch}))


def make_calls(board: Board, found: Found, first: Place, end: int, seed: int, module: str) -> None:
    """Make the calls of some cases, from one on, and write down each, and what was found before."""
    calls, fences = import_module(module).calls, [Fence(side) for side in SIDES]
    left_out = {name for name, n in found.deaths.items() if n >= MOST_DEATHS}
    for number in range(first.case, end):
        case = kernel_case(number, seed)
        board.write([found, [number, ALL, "what prepares calls", ORDINARY, case.words]])
        for index, call in enumerate(calls(case, np.random.default_rng([seed, number, 1]))):
            if call.name in left_out or (number, index) < first:
                continue
            answers = {}
            for fence in (*fences, None):  # ordinary arrays last: what a fault would damage there shows anywhere later
                where = f"a forbidden page {fence.side} its arrays" if fence else ORDINARY
                found.n_arrays[-1] = sum(each.n_arrays for each in fences)
                found.calls[call.name] += fence is not None
                board.write([found, [number, index, call.name, where, case.words]])
                answers[where] = answer(call, fence)
            for where, got in answers.items():
                if got != answers[ORDINARY]:
                    found.failures.append(sentence(number, seed, call.name, where, "has other bits", case.words))
    found.n_arrays[-1] = sum(fence.n_arrays for fence in fences)
    board.write([found, None])


class Board:
    """A text that a process and its forks share."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, BOARD)

    def write(self, value: Any) -> None:
        """Replace what it says."""
        text = json.dumps(value).encode() + b"\0"
        self.memory[: len(text)] = text

    def read(self) -> Any:
        """What it says, or None."""
        text = self.memory[: self.memory.find(b"\0")]
        return json.loads(text) if text else None


def sentence(number: int, seed: int, name: str, where: str, what: str, words: str) -> str:
    """What a call did wrong."""
    return f"case {number} of seed {seed}: {name} {what} with {where} ({words})"


def go_on(board: Board, found: Found, first: Place, end: int, seed: int, module: str) -> tuple[Found, Place]:
    """Make the calls in a fork, as far as it comes; returns what was found, and where the next one begins."""
    child = os.fork()
    if not child:
        code = RAISED
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE + 1))
            make_calls(board, found, first, end, seed, module)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = board.read()
    if code == RAISED or said is None:
        raise RuntimeError(f"Kernels were not called, see above: the process ended with {code}.")
    (calls, deaths, failures, n_arrays), last = said
    found = Found(Counter(calls), Counter(deaths), failures, [*n_arrays, 0])
    if last is None:
        return found, Place(end, 0)
    number, index, name, where, words = last
    found.deaths[name] += index != ALL
    what = f"died of {signal.Signals(-code).name}"
    if found.deaths[name] == MOST_DEATHS:
        what += " again, and is left out from here on"
    found.failures.append(sentence(number, seed, name, where, what, words))
    return found, Place(number, index + 1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m trials.guard_process")
    parser.add_argument("out", type=Path)
    for name in ("first", "end", "seed"):
        parser.add_argument(name, type=int)
    parser.add_argument("module")
    given = parser.parse_args()
    import_module(given.module)
    found, place, board = Found(Counter(), Counter(), [], [0]), Place(given.first, 0), Board()
    while place.case < given.end:
        found, place = go_on(board, found, place, given.end, given.seed, given.module)
    given.out.write_text(json.dumps([found.calls, found.failures, sum(found.n_arrays)]), encoding="utf-8")


if __name__ == "__main__":
    main()
