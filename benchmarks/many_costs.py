"""What fit_many itself costs: thousands of tiny networks, one network alone, and memory for each."""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.many_costs import main

    sys.exit(main())

import statistics
import subprocess
import textwrap
import time
import tracemalloc
from typing import Any

import fastgd

from .many import job_of, table_of
from .rivals import many_fastgd
from .tool import Parser, ToolError, guarded

TURNS = 15  # of which the median counts


def tiny_networks(n_networks: int) -> str:
    """Many networks of 4-8-1 on 1,000 rows."""
    X, y = table_of(1000, 4)
    state = many_fastgd.prepare(job_of(n_networks, (4, 8, 1), 1000, 10, 32), X, y)
    state["threads"] = "auto"
    few = {**state, "specs": state["specs"][:2]}
    many_fastgd.train(few)  # compiles
    started = time.perf_counter()
    many_fastgd.train(state)
    seconds = time.perf_counter() - started
    return f"{n_networks:,} networks of 4-8-1 on 1,000 rows, 10 epochs, batch 32: {seconds:.1f} s"


def one_alone() -> str:
    """How much longer fit_many of one network takes than its fit, in turns."""
    X, y = table_of(1000, 4)
    options: dict[str, Any] = {"epochs": 1, "verbose": 0, "n_threads": 1}
    taken: dict[str, list[float]] = {"fit": [], "fit_many": []}
    for _ in range(TURNS):
        started = time.perf_counter()
        fastgd.MLP([4, 8, 1], random_state=0).fit(X, y, **options)
        taken["fit"].append(time.perf_counter() - started)
        started = time.perf_counter()
        fastgd.fit_many([{"layer_sizes": [4, 8, 1], "random_state": 0}], X, y, **options)
        taken["fit_many"].append(time.perf_counter() - started)
    fit, many = (1e3 * statistics.median(times) for times in taken.values())
    return f"fit_many of one network of 4-8-1, 1,000 rows, one epoch: {many:.2f} ms; its fit: {fit:.2f} ms"


def memory(few: int, many: int) -> str:
    """How much more memory some more networks take, at most and in the end, in units of their parameters."""
    X, y = table_of(2000, 4)
    sizes = (4, 64, 64, 1)
    peak, kept = [], []
    for n_networks in (few, few, many):  # the first compiles
        state = many_fastgd.prepare(job_of(n_networks, sizes, 2000, 1, 256), X, y)
        tracemalloc.start()
        many_fastgd.train(state)
        now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        kept.append(now)
        peak.append(most)
    n_bytes = state["records"][0].model.parameters.nbytes
    most, left = ((values[-1] - values[-2]) / (many - few) for values in (peak, kept))
    told = f"{most / 1024:.0f} KiB at most, {left / 1024:.0f} KiB afterwards"
    ratio = f"{most / n_bytes:.1f} and {left / n_bytes:.1f} times its parameters"
    return f"memory for each network of 4-64-64-1 with Adam: {told}, {ratio} ({n_bytes / 1024:.0f} KiB)"


def costs(quick: bool) -> list[str]:
    """All of it, as a list in Markdown."""
    told = [tiny_networks(20 if quick else 10_000), one_alone(), memory(4, 8) if quick else memory(50, 250)]
    return [textwrap.fill(f"- {line}", 80, subsequent_indent="  ") for line in told]


def costs_in_a_process(quick: bool) -> list[str]:
    """The same in a fresh process, in which nothing else has allocated anything."""
    command = [sys.executable, str(Path(__file__).resolve()), *(["--quick"] if quick else [])]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise ToolError((result.stderr.strip().splitlines() or ["many_costs ended without a word"])[-1])
    return result.stdout.splitlines()


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("many_costs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose figures tell nothing")
    quick = parser.parse_args(arguments).quick

    def run() -> int:
        print("\n".join(costs(quick)))
        return 0

    return guarded("many_costs", run)
