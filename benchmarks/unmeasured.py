"""What changed between two trees, and which of it no measured case ran: "same" says nothing about that.

A function has changed if its code has, docstrings and comments apart, or what is assigned to a name of its module that
it uses. It ran if Python called it, or Numba compiled it, while a case ran for the first time: in a process whose cache
of machine code is empty, as the first ones of every comparison are.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import wrap
from types import CodeType
from typing import Any, NamedTuple

from numba.core.bytecode import FunctionIdentity

Place = tuple[str, int]  # a file of the tree, and the line in which a function begins
# What is there to be read, printed, drawn or written: its speed is no case's subject, and would bury the kernels.
OUTSIDE = tuple(f"fastgd/{room}/" for room in ("kernels/plain", "command", "estimators", "explain", "files", "pages"))


class Function(NamedTuple):
    """A function or a method of a module, with all that stands in it."""

    name: str
    first: int  # line, the first decorator's if it has one
    last: int
    code: str  # the tree of its code, and of what it uses


def functions(source: str) -> Iterator[Function]:
    """All functions of a module, and all methods of its classes."""
    module = ast.parse(source)
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:]
    assigned: dict[str, str] = {}
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    assigned[part.id] = ast.dump(node)
    classes = [(f"{node.name}.", node.body) for node in module.body if isinstance(node, ast.ClassDef)]
    for prefix, body in [("", module.body), *classes]:
        for node in body:
            if isinstance(node, ast.FunctionDef):
                used = sorted({part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & assigned.keys())
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                code = "\n".join([ast.dump(node), *(assigned[name] for name in used)])
                yield Function(prefix + node.name, first, node.end_lineno or first, code)


def of_tree(tree: Path) -> Iterator[tuple[str, Function]]:
    """Every function of a tree's package that could be measured, after the name of its file."""
    for path in sorted((tree / "fastgd").rglob("*.py")):
        file = path.relative_to(tree).as_posix()
        if not file.startswith(OUTSIDE):
            yield from ((file, function) for function in functions(path.read_text(encoding="utf-8")))


def unmeasured(base: Path, head: Path, ran: Iterable[Place]) -> dict[str, list[str]]:
    """For each file of the head: the functions that are not in the base as they are, and that did not run."""
    known = {(function.name, function.code) for _, function in of_tree(base)}
    lines: dict[str, set[int]] = {}
    for file, line in ran:
        lines.setdefault(file, set()).add(line)
    found: dict[str, list[str]] = {}
    for file, function in of_tree(head):
        inside = range(function.first, function.last + 1)
        if (function.name, function.code) not in known and lines.get(file, set()).isdisjoint(inside):
            found.setdefault(file, []).append(function.name)
    return found


def told(found: dict[str, list[str]]) -> str:
    """The same as lines of at most 80 characters; empty if there is nothing to tell."""
    lines = [f"  {line}" for file, names in found.items() for line in wrap(f"{file}: {', '.join(names)}", 76)]
    return "\n".join(["Changed or new, but no case ran or compiled it:", *lines]) if lines else ""


class Watch:
    """While it is entered, notes which functions of a tree Python calls and Numba compiles, pasted ones included."""

    def __init__(self, tree: Path) -> None:
        self.root, self.seen, self.compiling = f"{tree}/", set[CodeType](), FunctionIdentity.from_function

    def ran(self) -> list[Place]:
        """The places of what has been seen."""
        own = (code for code in self.seen if code.co_filename.startswith(self.root))
        return sorted({(code.co_filename.removeprefix(self.root), code.co_firstlineno) for code in own})

    def __enter__(self) -> None:
        def from_function(function: Any) -> Any:
            self.seen.add(function.__code__)
            return self.compiling(function)

        FunctionIdentity.from_function = staticmethod(from_function)
        sys.settrace(lambda frame, *_: self.seen.add(frame.f_code))  # it returns None: only calls are traced, not lines

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        FunctionIdentity.from_function = self.compiling
