"""Which compiled loops a set of functions comes to, by the names in their code: none may be without a recipe."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import CodeType, FunctionType, ModuleType
from typing import Any

from numba.core.dispatcher import Dispatcher

from fastgd.kernels import cpu

FORMS = {"square_root": "root"}  # a formula's compiled form that does not have its name and a dtype


def compiled_loops() -> dict[int, str]:
    """Every compiled function of the compiled engine, those in its tables included: id → name."""
    found = {}
    for entry in pkgutil.iter_modules(cpu.__path__):
        module = import_module(f"{cpu.__name__}.{entry.name}")
        for value in list(vars(module).values()):
            for part in _parts(value):
                if isinstance(part, Dispatcher) and part.py_func.__module__.startswith("fastgd."):
                    found[id(part)] = f"{part.py_func.__module__.rpartition('.')[2]}.{part.py_func.__name__}"
    return found


def unreached(functions: Iterable[Any]) -> list[str]:
    """The compiled loops that none of these functions comes to, nor what they call."""
    seen: set[int] = set()
    waiting = list(functions)
    while waiting:
        function = waiting.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        plain = getattr(function, "py_func", function)
        if isinstance(plain, FunctionType) and plain.__module__.startswith("fastgd."):
            waiting += _named_in(plain)
    return sorted(name for place, name in compiled_loops().items() if place not in seen)


def _named_in(function: FunctionType) -> Iterator[Any]:
    """What the code of a function names, also of the modules that it names; and of a formula its compiled forms."""
    names = set(_names(function.__code__))
    for name in names:
        value = function.__globals__.get(name)
        yield from _parts(value)
        if isinstance(value, ModuleType) and value.__name__.startswith("fastgd."):
            for other in names:
                yield from _parts(getattr(value, other, None))
        for form in (f"{name}_float32", f"{name}_float64", FORMS.get(name, "")):
            for module in (cpu.elementary, cpu.updates):
                yield from _parts(getattr(module, form, None))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _parts(value: Any) -> Iterator[Any]:
    """A function itself, or all that a table or a tuple has."""
    if isinstance(value, dict):
        for part in value.values():
            yield from _parts(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _parts(part)
    elif isinstance(value, Dispatcher | FunctionType):
        yield value
