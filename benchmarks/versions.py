"""A version of fastgd, loaded beside another one: its package and its own benchmarks, each under a name of its own.

A version builds and runs a case itself, by its own `problems.py` and `stages.py`: what is renamed inside fastgd is
renamed there, too, and can be compared all the same. What the A/B tool asks of every version is in `Benchmarks`; these
names, and what they take, have to stay.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .cases import STAGES, Case


class Benchmarks(NamedTuple):
    """What the benchmarks of every version offer."""

    case: Any  # cases.py: Case, the class of cases
    engine_of: Any  # problems.py: engine_of(package) → its compiled kernels, with all that they consist of
    repeated: Any  # stages.py: repeated(package, case, tables) → (run, answer)
    kernels_of: Any  # stages.py: kernels_of(package, case) → the kernels that a stage spends its time in


class Version(NamedTuple):
    """A tree that has been loaded."""

    name: str
    package: ModuleType
    benchmarks: Benchmarks

    def repeated(self, case: Case, data: Any) -> tuple[Any, Any]:
        """(run, answer) of a case: run(repeats) does it so often; answer() is what came out, as an array."""
        return self.benchmarks.repeated(self.package, self.own(case), data)

    def kernels_of(self, case: Case) -> list[Any]:
        """The compiled kernels in which a stage spends its time."""
        return self.benchmarks.kernels_of(self.package, self.own(case))

    def own(self, case: Case) -> Any:
        """The case in this version's words; fields that it does not have must not matter."""
        kind, fields = self.benchmarks.case, case._replace(sentence="")._asdict()
        unknown = [name for name in fields if name not in kind._fields]
        needed = [name for name in unknown if fields[name] != case._field_defaults.get(name)]
        if needed:
            raise TypeError(f"its cases have no {', '.join(needed)}")
        return kind(**{name: value for name, value in fields.items() if name not in unknown})


def loaded(name: str, tree: Path) -> Version:
    """The version that lies in a tree."""
    package = imported(f"fastgd_{name}", tree / "fastgd")
    home = tree / "benchmarks"
    if (home / "__init__.py").exists():
        own = imported(f"benchmarks_{name}", home)
        cases, problems, stages = (import_module(f"{own.__name__}.{part}") for part in ("cases", "problems", "stages"))
        by_name = stages.repeated if hasattr(stages, "repeated") else repeated_by(stages.stage, stages.runner)
        benchmarks = Benchmarks(cases.Case, problems.engine_of, by_name, stages.kernels_of)
    else:
        benchmarks = flat_benchmarks(home)
    benchmarks.engine_of(package)
    tell_records_apart(package)
    return Version(name, package, benchmarks)


def imported(name: str, home: Path) -> ModuleType:
    """The package in a folder, under a name of its own."""
    spec = importlib.util.spec_from_file_location(name, home / "__init__.py", submodule_search_locations=[str(home)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def tell_records_apart(package: ModuleType) -> None:
    """Give the named tuples of all modules that are loaded of a package names that are this package's alone.

    Numba tells types of named tuples apart by the name of the class alone: with equal names, whichever package is
    called second takes Numba's slow way into every kernel (180 µs a call).
    """
    modules = [module for name, module in sys.modules.items() if name.startswith(f"{package.__name__}.")]
    things = {thing for module in modules for thing in vars(module).values() if isinstance(thing, type)}
    for record in things:
        if issubclass(record, tuple) and record.__module__.startswith(f"{package.__name__}."):
            record.__name__ = f"{record.__name__}_{package.__name__}"


def repeated_by(stage: Any, runner: Any) -> Any:
    """An adapter: `repeated` of a base that has none yet, but runners of one run, and compiled loops for its stages.

    It is needed until nobody compares with such a base any more.
    """

    def repeated(package: ModuleType, case: Any, data: Any) -> tuple[Any, Any]:
        if case.stage in STAGES:
            made = stage(package, case, data)
            return made.run, lambda: np.array(made.answer())
        once, answer = runner(package, case, data)

        def run(repeats: int) -> None:
            for _ in range(repeats):
                once()

        return run, answer

    return repeated


def flat_benchmarks(home: Path) -> Benchmarks:
    """An adapter: the benchmarks of a base in which they were no package yet, but files with top-level names.

    It is needed until nobody compares with such a base any more. The folder stays where imports look, because these
    files import one another also while they run; they meet nobody else's names, because the head's are a package.
    """
    sys.path.insert(0, str(home))
    ab, cases, stages = (import_module(name) for name in ("ab", "cases", "stages"))
    known = {*cases.STAGES, "epoch", "predict", "predict_row"}

    def runner(package: ModuleType, case: Any, data: Any) -> Any:
        if case.stage not in known:
            raise ValueError(f"it has no stage {case.stage}")
        return ab.runner(package, case, data)

    def engine_of(package: ModuleType) -> ModuleType:
        return import_module(f"{package.__name__}.kernels.cpu")

    def kernels_of(package: ModuleType, case: Any) -> Any:
        return stages.kernels_of(package, case)  # the first of them had none

    return Benchmarks(cases.Case, engine_of, repeated_by(stages.stage, runner), kernels_of)
