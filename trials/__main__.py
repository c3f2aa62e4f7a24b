"""The command: lists trials, runs them, and records what they found."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence

import numba
import numpy as np

import fastgd

from .catalogue import RESULTS, trials
from .trial import Outcome, Trial

SHOWN = 20  # failures that are printed


def record(trial: Trial, outcome: Outcome, seed: int, seconds: float) -> None:
    """Keep what a trial has found."""
    versions = {"fastgd": fastgd.__version__, "python": platform.python_version(), "numpy": np.__version__}
    kept = {
        "cases": outcome.cases,
        "failures": outcome.failures,
        "figure": outcome.figure,
        "seed": seed,
        "seconds": round(seconds),
        "versions": {**versions, "numba": numba.__version__},
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(kept, indent=2, ensure_ascii=False)
    (RESULTS / f"{trial.name}.json").write_text(f"{text}\n", encoding="utf-8")


def tried(trial: Trial, options: argparse.Namespace) -> bool:
    """Run a trial and say what it found; returns whether the promise was kept."""
    started = time.perf_counter()
    outcome = trial.run(options.cases or trial.cases, options.seed)
    seconds = time.perf_counter() - started
    broken = f", {len(outcome.failures)} broke the promise" if outcome.failures else ""
    print(f"{trial.name}: {outcome.cases:,} cases in {seconds:.0f} s{broken}; {outcome.figure}", flush=True)
    for failure in outcome.failures[:SHOWN]:
        print(f"    {failure}")
    if options.record:
        record(trial, outcome, options.seed, seconds)
    return not outcome.failures


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 all promises were kept, 1 one was broken, 2 no such trial, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m trials", description="Try to break what the package promises.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="trials to run; none: list them")
    parser.add_argument("--cases", type=int, help="how many cases, in place of the trial's own number")
    parser.add_argument("--seed", type=int, default=0, help="where random cases begin (0)")
    parser.add_argument("--record", action="store_true", help="keep what was found in trials/results")
    options = parser.parse_args(arguments)
    known = trials()
    if not options.names:
        for trial in known.values():
            print(f"{trial.name:24} {trial.cases:>9,} cases  {trial.promise}")
        return 0
    for name in options.names:
        if name not in known:
            print(f"There is no trial {name!r}; there are: {', '.join(known)}.", file=sys.stderr)
            return 2
    try:
        kept = [tried(known[name], options) for name in options.names]
        return 0 if all(kept) else 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
