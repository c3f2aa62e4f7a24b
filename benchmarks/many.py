"""Many networks at once: fit_many beside joblib over scikit-learn, PyTorch's torch.func and JAX's vmap.

    pip install -e '.[dev,peers]'
    python benchmarks/many.py                          prints the tables; some minutes
    python benchmarks/many.py --write                  puts them into benchmarks/NOTES.md, too
    python benchmarks/many.py --batch-sizes 32 --peers joblib jax
    python benchmarks/many.py --quick                  tiny sizes, to see that everybody can be measured

All train networks of one shape, which differ in seed and rate, with Adam, through what their users call, on the same
rows and for as many epochs. Each is in a process of its own; rounds are interleaved, and the median counts. What is
compiled, or chosen among forms, before the first round is told beside it. Slow ones train a part of the networks,
evenly spread, and are counted by networks per second. "One order" is a stack whose networks all see the same batches,
which is less work than ours. Everybody's loss must be near to ours on the same networks.

Exit code: 0 all that are installed were measured, 1 one crashed or learned something else, 2 a mistake.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.many import main

    sys.exit(main())

import argparse
import importlib
import importlib.util
import json
import os
import statistics
import time
from typing import Any, NamedTuple

import numpy as np

from . import peers
from .tool import Parser, ToolError, guarded

PAGE = Path(__file__).with_name("NOTES.md")
BEGIN, END = "<!-- benchmarks/many.py -->\n", "<!-- end of benchmarks/many.py -->\n"
ROUNDS = 3
WHOLE = 64, (4, 64, 64, 1), 20_000, 5  # networks, sizes, rows, epochs
QUICK = 4, (4, 16, 16, 1), 600, 30
NEAR = 1.25  # how far a loss may be from ours, as a factor


class Job(NamedTuple):
    """What is to be trained."""

    sizes: tuple[int, ...]
    n_rows: int
    epochs: int
    batch_size: int
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    threads: int = 1
    one_order: bool = False  # of rows for all networks, where they are stacked

    @property
    def title(self) -> str:
        """What a table says of it."""
        shape = "-".join(map(str, self.sizes))
        epochs = f"{self.epochs} epoch{'s' * (self.epochs > 1)}"
        return f"{len(self.seeds)} networks of {shape}, {self.n_rows:,} rows, batch {self.batch_size}, {epochs} of Adam"

    def part(self, numbers: list[int], threads: int, one_order: bool) -> Job:
        """The same for some of the networks."""
        seeds, rates = (tuple(values[i] for i in numbers) for values in (self.seeds, self.rates))
        return self._replace(seeds=seeds, rates=rates, threads=threads, one_order=one_order)


class Contender(NamedTuple):
    """Who trains them."""

    name: str
    title: str
    rival: str  # the module in rivals/
    package: str
    cores: int | None  # None: all
    share: float = 1.0  # of the networks, in a round
    one_order: bool = False  # whether all networks see the same batches, which is less work than ours


OURS = "fastgd"
CONTENDERS = [
    Contender("fastgd_1", "fastgd", "many_fastgd", "fastgd", 1),
    Contender(OURS, "fastgd", "many_fastgd", "fastgd", None),
    Contender("joblib", "joblib, sklearn", "many_joblib", "sklearn", None, 1 / 8),
    Contender("torch", "torch.func, vmap", "many_torch", "torch", None),
    Contender("torch_one_order", "torch, one order", "many_torch", "torch", None, one_order=True),
    Contender("jax", "JAX, vmap", "many_jax", "jax", None),
    Contender("jax_one_order", "JAX, one order", "many_jax", "jax", None, one_order=True),
    Contender("jax_threads", "JAX, threads", "many_jax_threads", "jax", None, 1 / 4),
]
RIVALS = [contender.name for contender in CONTENDERS if contender.package != "fastgd"]


def job_of(n_networks: int, sizes: tuple[int, ...], n_rows: int, epochs: int, batch_size: int) -> Job:
    """Networks that differ in seed and rate."""
    rates = tuple(float(rate) for rate in np.geomspace(5e-4, 5e-3, n_networks))
    return Job(sizes, n_rows, epochs, batch_size, tuple(range(n_networks)), rates)


def table_of(n_rows: int, n_in: int) -> tuple[Any, Any]:
    """Inputs and a smooth target with some noise, both with mean 0 and standard deviation 1, in float32."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n_rows, n_in)).astype(np.float32)
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, -1] + 0.3 * generator.normal(size=n_rows)
    return X, ((y - y.mean()) / y.std()).astype(np.float32)


# One contender, in a process of its own.


def serve(contender: Contender, job: Job) -> None:
    """Get ready, then train everything for every line that comes in."""
    if hasattr(os, "sched_setaffinity"):  # XLA has no reliable switch for its threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.threads])
    rival = importlib.import_module(f".rivals.{contender.rival}", __package__)
    X, y = table_of(job.n_rows, job.sizes[0])
    started = time.perf_counter()
    state = rival.prepare(job, X, y)
    rival.train(state)
    before = time.perf_counter() - started
    losses = np.mean((np.asarray(rival.predictions(state), np.float64) - y) ** 2, axis=1).tolist()
    print(json.dumps({"worst": 0, "before": before, "losses": losses, "form": state.get("form", "")}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        rival.train(state)
        print(json.dumps({"seconds": time.perf_counter() - started, "threads": job.threads}), flush=True)


def serving(contender: Contender, job: Job) -> list[str]:
    """The command of that process."""
    return [sys.executable, str(Path(__file__).resolve()), "--serve", contender.name, json.dumps(job._asdict())]


# All of them.


class Result(NamedTuple):
    """What became of one."""

    numbers: list[int]  # of the networks that it trained
    seconds: float
    before: float
    losses: list[float]
    form: str

    @property
    def rate(self) -> float:
        """Networks per second."""
        return len(self.numbers) / self.seconds


def numbers_of(contender: Contender, n_networks: int) -> list[int]:
    """Which networks it trains in a round."""
    n = min(n_networks, max(2, round(contender.share * n_networks)))
    return np.linspace(0, n_networks - 1, n).round().astype(int).tolist()


def measured(job: Job, contenders: list[Contender], cores: int) -> tuple[dict[str, Result], dict[str, str]]:
    """Results, and what went wrong, by the contenders' names."""
    servers: dict[str, peers.Server] = {}
    trained = {contender.name: numbers_of(contender, len(job.seeds)) for contender in contenders}
    try:
        for contender in contenders:
            print(f"{contender.name} ×{contender.cores or cores} …", file=sys.stderr)
            threads = contender.cores or cores
            # A process of joblib has one thread of BLAS: there are as many processes as cores.
            environment = peers.pinned(1 if contender.name == "joblib" else threads)
            command = serving(contender, job.part(trained[contender.name], threads, contender.one_order))
            servers[contender.name] = server = peers.Server(command, environment)
            server.start()
        for _ in range(ROUNDS):
            for server in servers.values():
                server.round()
    finally:
        for server in servers.values():
            server.end()
    failures = {name: server.failure for name, server in servers.items() if server.failure}
    results = {
        name: Result(
            trained[name], statistics.median(server.times), server.ready["before"], server.ready["losses"],
            server.ready["form"],
        )
        for name, server in servers.items() if name not in failures
    }  # fmt: skip
    return results, failures | strangers(results)


def strangers(results: dict[str, Result]) -> dict[str, str]:
    """Whose loss is not near to ours, in the geometric mean of the networks that it trained."""
    found = {}
    ours = results.get(OURS)
    for name, result in results.items() if ours else ():
        loss_of = dict(zip(ours.numbers, ours.losses, strict=True))
        logarithms = [
            np.log(loss / loss_of[number]) for number, loss in zip(result.numbers, result.losses, strict=True)
        ]
        factor = float(np.exp(np.mean(logarithms)))
        if not 1 / NEAR < factor < NEAR:
            found[name] = f"it learned something else (its loss is {factor:.3g} times ours)"
    return found


def lines_of(job: Job, contenders: list[Contender], results: dict[str, Result], cores: int) -> list[str]:
    """A table in Markdown, and the forms below it."""
    ours = results[OURS].rate if OURS in results else float("nan")
    rows = [["who, cores", "networks/s", "trained", "before, s", "loss", "fastgd is"]]
    notes = []
    for contender in contenders:
        if contender.name not in results:
            continue
        result = results[contender.name]
        before = max(result.before - result.seconds, 0.0)
        rows.append([
            f"{contender.title} ×{contender.cores or cores}", f"{result.rate:.3g}", str(len(result.numbers)),
            f"{before:.1f}", f"{np.median(result.losses):.4f}", f"{ours / result.rate:.2f} ×",
        ])  # fmt: skip
        if result.form:
            notes.append(f"- {contender.title}: {result.form}.")
    return [f"{job.title}:", "", *aligned(rows), "", *([*notes, ""] if notes else [])]


def aligned(rows: list[list[str]]) -> list[str]:
    """A table in Markdown whose columns stand below each other, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rules = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [
        [
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in [rows[0], rules, *rows[1:]]
    ]
    return [f"| {' | '.join(row)} |" for row in padded]


def run(options: argparse.Namespace) -> int:
    """Measure, print, and write."""
    if options.write and (options.quick or set(options.peers) < set(RIVALS)):
        raise ToolError("--write keeps whole runs only: leave out --quick and --peers.")
    wanted = [contender for contender in CONTENDERS if contender.name in options.peers or contender.package == "fastgd"]
    there = [contender for contender in wanted if importlib.util.find_spec(contender.package)]
    missing = list(dict.fromkeys(contender.package for contender in wanted if contender not in there))
    if missing:
        print(f"many: not installed, left out: {', '.join(missing)}. pip install -e '.[peers]'.", file=sys.stderr)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    lines: list[str] = []
    failures: dict[str, str] = {}
    for batch_size in options.batch_sizes:
        job = job_of(*(QUICK if options.quick else WHOLE), batch_size)
        results, failed = measured(job, there, cores)
        results = {name: result for name, result in results.items() if name not in failed}
        for name, failure in failed.items():
            print(f"many: {name}, batch {batch_size}: {failure}.", file=sys.stderr)
        failures |= failed
        lines += lines_of(job, there, results, cores)
        print("\n".join(lines_of(job, there, results, cores)), flush=True)
    from .many_costs import costs_in_a_process

    told = costs_in_a_process(options.quick)
    print("\n".join(told))
    if options.write and not failures and not missing:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        text = "\n".join([*lines, *told, ""])
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    elif options.write:
        print("many: not written, because it is not whole.", file=sys.stderr)
    return 1 if failures else 0


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("many", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", nargs="+", default=RIVALS, choices=RIVALS, help="who is measured beside fastgd")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[32, 256], help="rows of a step")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose figures tell nothing")
    parser.add_argument("--write", action="store_true", help=f"put the tables into benchmarks/{PAGE.name}")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        name, job = options.serve
        serve(next(contender for contender in CONTENDERS if contender.name == name), Job(**json.loads(job)))
        return 0
    return guarded("many", lambda: run(options))
