"""fastgd on an NVIDIA GPU beside PyTorch and JAX there, with what the card could do at best.

    pip install -e '.[cuda13]' torch jax[cuda13]       (or cuda12, where the driver is older than 580)
    python benchmarks/gpu.py                           prints the tables; some minutes
    python benchmarks/gpu.py --write                   puts them into benchmarks/NOTES.md, too
    python benchmarks/gpu.py --jobs "batch 32" --contenders fit torch_graphs
    python benchmarks/gpu.py --quick                   tiny sizes, others on the CPU: to see that all can be measured

All train 4-64-64-1 by plain SGD, in float32 (TF32 is off), with tables that lie on the device, from which they gather
rows in a new order each epoch. Seconds of an epoch are the difference of two trainings of different lengths, so that
compiling and what a call costs cancel out; "first" is all that goes before, compiling included. Stacked networks of
PyTorch and JAX all see the same batches, which is less work than ours. Everybody's loss must be near to ours ("seen";
of predictions it is the mean of their squares).

Exit code: 0 all that are installed were measured, 1 one crashed or learned something else, 2 a mistake.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.gpu import main

    sys.exit(main())

import argparse
import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import time
from typing import Any, NamedTuple

import numpy as np

from . import gpu_card
from .cases import Case
from .many import NEAR, aligned, table_of
from .tool import Parser, ToolError, guarded

PAGE = Path(__file__).with_name("NOTES.md")
BEGIN, END = "<!-- benchmarks/gpu.py -->\n", "<!-- end of benchmarks/gpu.py -->\n"
SECONDS = 0.3  # of the longer of two trainings, but for epochs that take longer themselves
MOST_EPOCHS = 1000
ROUNDS, CALLS = 5, 30
LIMIT = 300  # seconds for one contender at one job
SEEN_ROWS, SEEN_NETWORKS = 2048, 8  # by which losses are compared


class Job(NamedTuple):
    """What is to be done."""

    n_networks: int
    batch_size: int  # 0: predict
    n_rows: int
    epochs: int  # after which losses are compared
    sizes: tuple[int, ...] = (4, 64, 64, 1)
    device: str = "cuda"  # of the others

    @property
    def name(self) -> str:
        """Unique, and readable as the title of a table."""
        if not self.batch_size:
            return f"predict {self.n_rows:,} rows"
        who = "one network" if self.n_networks == 1 else f"{self.n_networks:,} networks"
        return f"{who}, batch {self.batch_size}, {self.n_rows:,} rows an epoch"

    @property
    def seeds(self) -> range:
        """Of each network."""
        return range(self.n_networks)

    @property
    def rates(self) -> list[float]:
        """Learning rate of each network."""
        return np.geomspace(0.03, 0.06, self.n_networks).tolist() if self.n_networks > 1 else [0.05]

    @property
    def operations(self) -> float:
        """Floating-point operations of an epoch, or of all predictions."""
        case = Case("epoch" if self.batch_size else "predict", self.sizes)
        return 2.0 * case.multiply_adds * self.n_rows * self.n_networks

    @property
    def bytes(self) -> float:
        """Bytes that have to come from the device's memory, or go there: the table, and each network's parameters."""
        n_parameters = sum((n_in + 1) * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False))
        per_row = self.sizes[0] + self.sizes[-1]
        return 4.0 * (self.n_rows * per_row + 2 * self.n_networks * n_parameters)


JOBS = [
    Job(1, 32, 100_000, 1), Job(1, 256, 100_000, 4), Job(1, 8192, 100_000, 60), Job(1000, 32, 100_000, 1),
    Job(10_000, 32, 100_000, 1), Job(1, 0, 100_000, 0),
]  # fmt: skip
QUICK = [
    Job(1, 8, 100, 20, (4, 8, 1), "cpu"), Job(1, 80, 170, 40, (4, 8, 1), "cpu"), Job(3, 8, 100, 20, (4, 8, 1), "cpu"),
    Job(1, 0, 50, 0, (4, 8, 1), "cpu"),
]  # fmt: skip


class Contender(NamedTuple):
    """Who does it."""

    title: str
    rival: str  # the module in rivals/
    package: str
    form: str  # what the module is asked for
    does: tuple[str, ...]  # of "one", "many", "predict"


OURS = "fit"
CONTENDERS = {
    OURS: Contender("fastgd, as users call it", "gpu_fastgd", "fastgd", "fit", ("one", "many")),
    "engine": Contender("fastgd, the engine alone", "gpu_engine", "fastgd", "", ("one", "many")),
    "torch_eager": Contender("PyTorch", "gpu_torch", "torch", "", ("one",)),
    "torch_graphs": Contender("PyTorch, CUDA graphs", "gpu_torch_graphs", "torch", "", ("one", "many")),
    "torch_compiled": Contender("PyTorch, compiled, graphs", "gpu_torch_graphs", "torch", "compiled", ("one", "many")),
    "jax": Contender("JAX, scan", "gpu_jax", "jax", "", ("one", "many")),
    "predict_host": Contender("fastgd, rows from the host", "gpu_fastgd", "fastgd", "host", ("predict",)),
    "predict_device": Contender("fastgd, rows on the device", "gpu_fastgd", "fastgd", "device", ("predict",)),
    "torch_host": Contender("PyTorch, rows from the host", "gpu_torch", "torch", "host", ("predict",)),
    "torch_device": Contender("PyTorch, rows on the device", "gpu_torch", "torch", "device", ("predict",)),
    "jax_device": Contender("JAX, rows on the device", "gpu_jax", "jax", "device", ("predict",)),
}


def task_of(job: Job) -> str:
    """Which kind of work a job is."""
    return "predict" if not job.batch_size else "one" if job.n_networks == 1 else "many"


def measure(contender: Contender, job: Job) -> dict[str, Any]:
    """Seconds, and by what it can be seen that the same was computed."""
    rival = importlib.import_module(f".rivals.{contender.rival}", __package__)
    X, y = table_of(job.n_rows, job.sizes[0])
    before, state = seconds_of(lambda: rival.prepare(job, X, y, contender.form))
    found = _predicting(rival, state) if task_of(job) == "predict" else _training(rival, state, job, X, y)
    return {**found, "first": before + found["first"]}


def _predicting(rival: Any, state: Any) -> dict[str, Any]:
    first, found = seconds_of(lambda: rival.predict(state))
    times = [seconds_of(lambda: rival.predict(state))[0] for _ in range(CALLS)]
    return {"seconds": statistics.median(times), "first": first, "seen": float(np.mean(np.asarray(found) ** 2))}


def _training(rival: Any, state: Any, job: Job, X: Any, y: Any) -> dict[str, Any]:
    first, _ = seconds_of(lambda: rival.train(state, job.epochs))
    found = np.asarray(rival.predictions(state, X[:SEEN_ROWS], SEEN_NETWORKS), np.float64)
    losses = np.mean((found - y[:SEEN_ROWS]) ** 2, axis=1)
    one, _ = seconds_of(lambda: rival.train(state, 1))
    more = int(min(max(SECONDS / one, 1), MOST_EPOCHS))
    rounds = 1 if one > 10 * SECONDS else ROUNDS
    times = [
        (seconds_of(lambda: rival.train(state, 1 + more))[0] - seconds_of(lambda: rival.train(state, 1))[0]) / more
        for _ in range(rounds)
    ]
    return {"seconds": statistics.median(times), "first": first, "seen": float(np.exp(np.mean(np.log(losses))))}


def seconds_of(run: Any) -> tuple[float, Any]:
    """How long it takes, and what it returns. Everybody returns when all is done, not when all is asked for."""
    started = time.perf_counter()
    found = run()
    return time.perf_counter() - started, found


def asked(name: str, job: Job) -> dict[str, Any]:
    """What a contender measures in a process of its own, or under "failure" why it did not."""
    command = [sys.executable, str(Path(__file__).resolve()), "--serve", name, json.dumps(job._asdict())]
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment)
    except subprocess.TimeoutExpired:
        return {"failure": f"it took more than {LIMIT} s"}
    if done.returncode:
        return {"failure": (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measured(job: Job, names: list[str]) -> dict[str, dict[str, Any]]:
    """What became of each; who computed something else than the first of ours has failed."""
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        print(f"{job.name}: {name} …", file=sys.stderr)
        results[name] = result = asked(name, job)
        ours = next((r for n, r in results.items() if CONTENDERS[n].package == "fastgd" and "seen" in r), None)
        if "seen" in result and ours and not 1 / NEAR < result["seen"] / ours["seen"] < NEAR:
            factor = result["seen"] / ours["seen"]
            results[name] = {"failure": f"it computed something else ({factor:.3g} times our loss)"}
    return results


def lines_of(job: Job, results: dict[str, dict[str, Any]], card: gpu_card.Card | None) -> list[str]:
    """A table in Markdown: milliseconds, and how many times as long as fastgd's first row they are."""
    good = {name: result for name, result in results.items() if "seconds" in result}
    ours = next((r["seconds"] for n, r in good.items() if CONTENDERS[n].package == "fastgd"), float("nan"))
    rows = [["who", "ms", "first, s", "seen", "fastgd is"]]
    for name, result in good.items():
        rows.append([
            CONTENDERS[name].title, f"{1e3 * result['seconds']:.4g}", f"{result['first']:.1f}", f"{result['seen']:.4f}",
            f"{result['seconds'] / ours:.2f} ×",
        ])  # fmt: skip
    for title, seconds in gpu_card.floors(job, card):
        rows.append([title, f"{1e3 * seconds:.4g}", "", "", f"{seconds / ours:.2f} ×"])
    return [f"{job.name}:", "", *aligned(rows), ""]


def run(options: argparse.Namespace) -> int:
    """Measure, print, and write."""
    if options.write and (options.quick or options.jobs or set(options.contenders) < set(CONTENDERS)):
        raise ToolError("--write keeps whole runs only: leave out --quick, --jobs and --contenders.")
    jobs = [job for job in (QUICK if options.quick else JOBS) if options.jobs in job.name]
    if not jobs:
        raise ToolError(f"no job has {options.jobs!r} in its name; there are: {'; '.join(job.name for job in JOBS)}.")
    card = None if options.quick else gpu_card.card()
    there = [name for name in options.contenders if importlib.util.find_spec(CONTENDERS[name].package)]
    missing = sorted({CONTENDERS[name].package for name in options.contenders if name not in there})
    if missing:
        print(f"gpu: not installed, left out: {', '.join(missing)}.", file=sys.stderr)
    lines, failures = gpu_card.facts(card), 0
    print("\n".join(lines))
    for job in jobs:
        results = measured(job, [name for name in there if task_of(job) in CONTENDERS[name].does])
        for name, result in results.items():
            if "failure" in result:
                failures += 1
                print(f"gpu: {name}, {job.name}: {result['failure']}", file=sys.stderr)
        table = lines_of(job, results, card)
        lines += table
        print("\n".join(table), flush=True)
    if options.write and not missing and not failures:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        text = "\n".join(lines)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    elif options.write:
        print("gpu: not written, because it is not whole.", file=sys.stderr)
    return 1 if failures else 0


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--jobs", default="", help="only jobs with this in their name")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose figures tell nothing")
    parser.add_argument("--write", action="store_true", help=f"put the tables into benchmarks/{PAGE.name}")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        name, job = options.serve
        given = json.loads(job)
        print(json.dumps(measure(CONTENDERS[name], Job(**{**given, "sizes": tuple(given["sizes"])}))))
        return 0
    return guarded("gpu", lambda: run(options))
