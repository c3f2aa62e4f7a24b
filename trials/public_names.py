"""Every public function, class, method and property of the package that takes arguments, found by walking it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import fastgd


class Public(NamedTuple):
    """Something that a user can call with arguments."""

    name: str  # without "fastgd.", such as MLP.fit; that of a property ends with " ="
    function: Callable[..., Any]  # what is called, with `self` first where it is a method
    parameters: tuple[inspect.Parameter, ...]  # without `self`


def public_names(module: ModuleType = fastgd, prefix: str = "") -> Iterator[Public]:
    """All, in the order of their names; what several classes share is told once."""
    seen: set[Any] = set()
    for found in _walked(module, prefix):
        key = inspect.unwrap(found.function)
        if key not in seen:
            seen.add(key)
            yield found


def _walked(module: ModuleType, prefix: str) -> Iterator[Public]:
    for name in sorted(dir(module) if module is fastgd else module.__all__):
        value = getattr(module, name)
        if inspect.ismodule(value):
            yield from _walked(value, f"{prefix}{name}.")
        elif inspect.isclass(value) and not issubclass(value, Exception):
            yield from _class(value, prefix + name)
        elif inspect.isroutine(value):
            yield from _told(prefix + name, value, 0)


def _class(kind: type, name: str) -> Iterator[Public]:
    yield from _told(name, kind, 0)
    for attribute in sorted(_attributes(kind)):
        member = inspect.getattr_static(kind, attribute)
        if isinstance(member, property):
            if member.fset is not None:
                yield from _told(f"{name}.{attribute} =", member.fset, 1)
        else:
            function = getattr(kind, attribute)  # what scikit-learn makes available is a descriptor
            if inspect.isfunction(function) and inspect.unwrap(function).__module__.startswith(fastgd.__name__):
                yield from _told(f"{name}.{attribute}", function, 1)


def _attributes(kind: type) -> set[str]:
    """Names that a user sees: a class may hide some from tab completion."""
    shown = vars(kind)["__dir__"](object.__new__(kind)) if "__dir__" in vars(kind) else dir(kind)
    return {name for name in shown if not name.startswith("_") and hasattr(kind, name)}


def _told(name: str, function: Callable[..., Any], n_first: int) -> Iterator[Public]:
    try:
        parameters = tuple(inspect.signature(function).parameters.values())[n_first:]
    except ValueError:  # a name of a type, such as Logs
        return
    if parameters:
        yield Public(name, function, parameters)
