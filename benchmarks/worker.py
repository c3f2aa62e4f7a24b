"""What runs in a measuring process: both versions, side by side, on the same arrays.

    python benchmarks/worker.py times BASE HEAD --names '["…"]' --seed 0 --out out.json
    python benchmarks/worker.py assembly TREE --names '["…"]' --out out.json

Each version is there twice, and every round times all four in random order: the ratios of the two versions, and those
of each to itself, as a control.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.worker import main

    sys.exit(main())

import gc
import json
import time
from contextlib import nullcontext
from typing import Any

import numpy as np

from .cases import CASES, Case
from .machine_code import assembly
from .problems import tables
from .processes import end_with_parent
from .tool import Parser
from .unmeasured import Watch
from .versions import Version, loaded

ROUNDS = 15  # in each process
SLICE = 4e-3  # seconds of one timing


def seconds(run: Any, repeats: int) -> float:
    """Seconds of `repeats` runs."""
    started = time.perf_counter()
    run(repeats)
    return time.perf_counter() - started


def compared(base: Version, head: Version, case: Case, generator: np.random.Generator, watch: Watch) -> dict[str, Any]:
    """Ratios head / base, and of each version to itself.

    Both are there twice and run equally often: code that runs less often than the other is found in colder caches, and
    appears 2 % slower.
    """
    data = tables(case)
    sides = []
    for version in (base, base, head, head):
        try:
            with watch if version is head else nullcontext():
                run, answer = version.repeated(case, data)
                run(1)
            run(1)  # a first step does not show what a rule remembers
        except Exception as error:  # whatever is wrong with one case, the others can be measured
            what = " ".join(f"{type(error).__name__}: {error}".split())
            return {"error": f"the {version.name} cannot run it ({what[:200]})"}
        sides.append((run, answer))
    answers = [answer() for _, answer in sides]
    if any(a.shape != answers[0].shape for a in answers):
        return {"differs": "shapes"}
    size = max(float(np.abs(answers[0]).max()), 1e-12)
    worst = max(float(np.abs(a - answers[0]).max()) for a in answers) / size
    if not worst <= 1e-3:
        return {"differs": f"by {worst:.2g} of the largest number"}
    repeats = max(1, round(SLICE / max(min(seconds(sides[0][0], 1) for _ in range(5)), 1e-7)))
    ratios, control = [], []
    gc.disable()
    for _ in range(ROUNDS):
        taken = {i: seconds(sides[i][0], repeats) for i in generator.permutation(len(sides))}
        ratios += [taken[2] / taken[0], taken[3] / taken[1]]
        control += [taken[1] / taken[0], taken[3] / taken[2]]
    gc.enable()
    return {"ratios": ratios, "control": control, "same_bits": worst == 0}


def times(base: Path, head: Path, names: list[str], seed: int) -> dict[str, Any]:
    """Both versions, all cases; and what the head has run."""
    from threadpoolctl import threadpool_limits

    generator = np.random.default_rng(seed)
    trees = {"base": base, "head": head}
    order = generator.permutation(list(trees))  # which is loaded first decides where its code lies
    versions = {name: loaded(str(name), trees[name]) for name in order}
    cases = [case for case in CASES if case.name in names]
    results, watch = {}, Watch(head)
    with threadpool_limits(1):
        for i in generator.permutation(len(cases)):
            print(cases[i].name, flush=True)
            results[cases[i].name] = compared(versions["base"], versions["head"], cases[i], generator, watch)
    return {"cases": results, "ran": watch.ran()}


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("worker", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("times", "assembly"))
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--names", type=json.loads, required=True, help="the names of the cases, as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    end_with_parent()
    work = {
        "times": lambda: times(*options.trees, options.names, options.seed),
        "assembly": lambda: assembly(*options.trees, options.names),
    }
    options.out.write_text(json.dumps(work[options.what]()))
    return 0
