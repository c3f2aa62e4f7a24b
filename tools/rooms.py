"""The rooms of the package: what imports what, and whether anything imports the wrong way.

    python tools/rooms.py            floors, rooms, modules with their lines, arrows between rooms, breaches
    python tools/rooms.py --check    breaches only; exit code 1 if there are any

Rooms are listed from the inside out. A room imports rooms of lower floors only, and rooms of one floor never import
each other. Within a room there is no circle.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "fastgd"
FLOORS = (
    ("errors",),
    ("options",),
    ("kernels",),
    ("network",),
    ("data",),
    ("training",),
    ("model",),
    ("explain", "files"),
    ("mlp",),
    ("many",),
    ("estimators", "pages"),
    ("command",),
    ("callbacks", "datasets", "features", "imports", "losses", "plots", "schedules", "sklearn", "space"),
    ("__init__", "__main__"),
)
KERNEL_FLOORS = (
    ("formulas",),
    ("rules",),
    ("codes",),
    ("records", "forking"),
    ("portable",),
    ("machinery",),
    ("plain", "cpu"),
    ("cuda",),
    ("__init__",),
)
COMPILING = "kernels.machinery", "kernels.cuda.shim"  # all that imports Numba and the compilers of GPUs
COMPILERS = "numba", "llvmlite", "numba_cuda_mlir"
VERSION = "__version__"  # of the package itself: everyone may ask for it


class Import(NamedTuple):
    """One import statement's target: a module of the package, or the top-level name of another one."""

    line: int
    inside: bool
    name: str


def modules(package: Path) -> dict[str, Path]:
    """Dotted names of all modules, such as kernels.cpu.forward; a package's own file is kernels.cpu.__init__."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        found[".".join(path.relative_to(package).with_suffix("").parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    """Every import of a module, wherever in it and however deep its dots reach."""
    folder = name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, False, alias.name.split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield Import(node.lineno, False, (node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            if node.level - 1 > len(folder):
                yield Import(node.lineno, False, "." * node.level)
                continue
            base = folder[: len(folder) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                if not base and alias.name == VERSION:
                    continue
                places = (".".join([*base, alias.name]), ".".join([*base, alias.name, "__init__"]), ".".join(base))
                target = next((place for place in places if place in known), ".".join([*base, "__init__"]))
                yield Import(node.lineno, True, target)


def floor_of(name: str) -> tuple[int, int, str]:
    """A module's floor, its floor within kernels, and its room."""
    room, _, rest = name.partition(".")
    outer = next((i for i, floor in enumerate(FLOORS) if room in floor), -1)
    if room != "kernels":
        return outer, 0, room
    inner = rest.partition(".")[0]
    return outer, next((i for i, floor in enumerate(KERNEL_FLOORS) if inner in floor), -1), f"kernels.{inner}"


def breaches(package: Path) -> list[str]:
    """What is wrong, a sentence each."""
    known, wrong = modules(package), []
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        here, graph[name] = floor_of(name), set()
        if -1 in here[:2]:
            wrong.append(f"{name} stands on no floor.")
            continue
        for found in imports(name, path, known):
            if not found.inside:
                if found.name == package.name or found.name.startswith("."):
                    wrong.append(f"{name}, line {found.line} imports {found.name}: imports inside are relative.")
                if found.name in COMPILERS and not name.startswith(COMPILING):
                    allowed = " and ".join(COMPILING)
                    wrong.append(f"{name}, line {found.line} imports {found.name}, which only {allowed} may do.")
                continue
            there = floor_of(found.name)
            graph[name].add(found.name)
            if here[2].startswith("kernels") and not there[2].startswith("kernels") and there[2] != "errors":
                wrong.append(f"{name}, line {found.line} imports {found.name}: kernels ask for nothing but errors.")
            if there[2] != here[2] and there[:2] >= here[:2]:
                wrong.append(f"{name}, line {found.line} imports {found.name}, which is not below it.")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        wrong.append(f"There is a circle: {' → '.join(reversed(error.args[1]))}.")
    return wrong


def show(package: Path) -> None:
    """Print floors, rooms and arrows."""
    known = modules(package)
    arrows: dict[str, set[str]] = {}
    for name, path in known.items():
        room = floor_of(name)[2]
        targets = {floor_of(found.name)[2] for found in imports(name, path, known) if found.inside}
        arrows.setdefault(room, set()).update(targets - {room})
    for number, floor in enumerate(FLOORS):
        for room in floor:
            inside = [(n, p) for n, p in known.items() if n == room or n.startswith(f"{room}.")]
            print(f"{number:>2}  {room}: {len(inside)} file{'s' if len(inside) > 1 else ''}")
            for name, path in inside:
                print(f"      {name:<36} {len(path.read_text().splitlines()):>4} lines")
    print("\nWhat each room imports:")
    for room in sorted(arrows, key=lambda room: floor_of(room)[:2]):
        print(f"  {room:<18} {', '.join(sorted(arrows[room], key=floor_of)) or '–'}")
    print(f"  (kernels, from the inside out: {' → '.join(' | '.join(floor) for floor in KERNEL_FLOORS)};")
    print("  kernels.__init__ loads plain, cpu or cuda by name, when a model asks for it)")
    print(f"\n{len(known)} modules, {sum(map(len, arrows.values()))} arrows between rooms.")


def main(arguments: list[str]) -> int:
    if "--check" not in arguments:
        show(PACKAGE)
    wrong = breaches(PACKAGE)
    print("\n".join(wrong) if wrong else "No import goes the wrong way, and there is no circle.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
