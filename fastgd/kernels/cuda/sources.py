"""The formulas of ../formulas.py and ../rules.py, compiled for a target; and what a target is.

A phase is what one thread of a block does between two barriers: `phase(tid, c, turn)`, see block.py. Phases are plain
Python. A target says how they are compiled and how a row of them becomes one function: on a device with a barrier after
each, in the tests by a loop over all threads, one phase after the other. So the tests run the very phases of the
device, with the threads in any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from .. import formulas, rules
from ..cpu import elementary

Phase = Any  # phase(tid, c, turn)


class Target(NamedTuple):
    """How phases are compiled, and how they follow each other."""

    compile: Callable[[Callable[..., Any]], Any]
    in_turn: Callable[[tuple[Phase, ...]], Phase]  # one after the other: every thread has done one before the next
    at_once: Callable[[Phase], Phase]  # no thread waits for the others, neither before nor after
    given: dict[str, Any]  # what it has of its own of the functions in ../cpu/elementary.py


def together(target: Target, *phases: Phase) -> Phase:
    """Phases as one: no thread waits between them.

    Four at a time, because what is nested deeply is compiled once for each level.
    """
    if len(phases) > 4:
        return together(target, *(together(target, *phases[i : i + 4]) for i in range(0, len(phases), 4)))
    if len(phases) == 1:
        return phases[0]
    if len(phases) == 2:
        first, second = phases

        def all_of_them(tid, c, turn):
            first(tid, c, turn)
            second(tid, c, turn)

    elif len(phases) == 3:
        first, second, third = phases

        def all_of_them(tid, c, turn):
            first(tid, c, turn)
            second(tid, c, turn)
            third(tid, c, turn)

    else:
        first, second, third, fourth = phases

        def all_of_them(tid, c, turn):
            first(tid, c, turn)
            second(tid, c, turn)
            third(tid, c, turn)
            fourth(tid, c, turn)

    return target.compile(all_of_them)


def copies(target: Target, module: ModuleType, given: dict[str, Any]) -> dict[str, Any]:
    """The functions of a module, compiled for a target, with those `given` in place of its own."""
    names = {**vars(module), **given}
    for name, found in vars(module).items():
        function = getattr(found, "py_func", found)  # of a compiled loop its source
        if isinstance(function, FunctionType) and function.__module__ == module.__name__ and name not in given:
            copy = FunctionType(function.__code__, names, name)
            copy.__qualname__, copy.__module__ = name, module.__name__
            names[name] = target.compile(copy)
    return names


class Functions(NamedTuple):
    """Formulas, moves of update rules, and their constants, for the precision of a network."""

    formulas: SimpleNamespace
    moves: SimpleNamespace
    constants: SimpleNamespace  # these are made from float64


def same(found: SimpleNamespace, formula: Callable[..., Any] | None) -> Any:
    """The compiled form of a formula; None for none."""
    return None if formula is None else getattr(found, formula.__name__)


def functions(target: Target, dtype: Any) -> Functions:
    """Compile them."""
    real = np.dtype(dtype).type
    smallest = real(np.finfo(real).tiny)

    def number(like, value):
        return real(value)

    def where(condition, yes, no):
        return yes if condition else no

    def tiny(like):
        return smallest

    def root(x):
        return real(math.sqrt(x))

    def wide_root(x):
        return np.float64(math.sqrt(x))

    basic = {f.__name__: target.compile(f) for f in (number, where, tiny)}
    series = copies(target, elementary, target.given)
    for name in ("exp", "expm1", "log1p", "tanh", "sigmoid"):
        basic[name] = series[f"{name}_{real.__name__}"]
    of_steps = [
        copies(target, rules, {**basic, "rule_of": rules.rule_of, "square_root": target.compile(f)})
        for f in (root, wide_root)
    ]
    found = (SimpleNamespace(**names) for names in (copies(target, formulas, basic), *of_steps))
    return Functions(*found)
