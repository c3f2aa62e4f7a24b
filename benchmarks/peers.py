"""fastgd beside scikit-learn, PyTorch, JAX and NumPy: plain SGD through what their users call, the same for all.

    pip install -e '.[dev,peers]'
    python benchmarks/peers.py                 prints the table, losses included
    python benchmarks/peers.py --record        also keeps it in benchmarks/results/
    python benchmarks/peers.py --cases 64 --peers fastgd_fit torch_eager
    python benchmarks/peers.py --vectors avx2  as on a processor without AVX-512; leaves out JAX, which ignores it

Every peer starts from the same weights, sees the rows in the same order and does the same arithmetic; the parameters
after a few steps are compared before the clock starts. A peer runs in processes of its own, with one, two, four and so
on cores up to all, of which the best counts: fastgd's is `fit` with its defaults, which may use fewer. A round is as
many epochs as take half a second, ten at most; the rounds of all peers are interleaved.

Exit code: 0 every peer was measured, 1 one crashed or computed something else, 2 a mistake.
"""

from __future__ import annotations

import sys
from pathlib import Path

# A file that is run is in no package, so that its relative imports fail: import it from the root, and run that.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    from benchmarks.peers import main

    sys.exit(main())

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from typing import Any

import numpy as np

from .cases import PEER_CASES, Case
from .processes import end
from .tool import Parser, ToolError, guarded

OURS = "fastgd_fit"
PEERS = [OURS, "numpy_tuned", "scikit_learn", "torch_eager", "torch_compiled", "jax_tuned"]
PACKAGES = {  # what is imported, and what is installed
    "scikit_learn": ("sklearn", "scikit-learn"),
    "torch_eager": ("torch", "torch"),
    "torch_compiled": ("torch", "torch"),
    "jax_tuned": ("jax", "jax"),
}
ROUNDS = 5
ROUND_SECONDS, MOST_EPOCHS = 0.5, 10
SECONDS = 60.0  # a peer that needs longer for its rounds gets fewer, but at least one
AVX2 = {  # what keeps each library from longer vectors
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma,+avx,+sse4.2,+bmi,+bmi2,+popcnt,+f16c,+lzcnt",
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    # PyTorch takes compiled steps for longer vectors from its cache, and computes NaN with them.
    "TORCHINDUCTOR_CACHE_DIR": str(Path(tempfile.gettempdir()) / "torchinductor_avx2"),
}
ALWAYS_LONG = ["jax_tuned"]  # its products take long vectors whatever it is told: 208 GFLOP/s where 174 are the limit
FEW_STEPS = 20
TOLERANCE = 0.02  # of the largest step, after a few


def thread_counts(cores: int) -> list[int]:
    """Powers of two, and all cores."""
    return sorted({2**power for power in range(cores.bit_length())} | {cores})


def pinned(threads: int, vectors: str = "") -> dict[str, str]:
    """The environment of a process with so many threads, and with short vectors where these are asked for."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    flags = ["--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"] if threads == 1 else []
    limits = AVX2 if vectors == "avx2" else {}
    return {**{name: str(threads) for name in names}, **limits, "XLA_FLAGS": " ".join(flags)}


def serve(peer: str, case: Case, threads: int) -> None:
    """In a process of its own: check the answer, then time an epoch for every line that comes in."""
    if hasattr(os, "sched_setaffinity"):  # XLA has no reliable switch for its threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import fastgd

    from . import problems

    plain, rival = problems.engine_of(fastgd, "plain"), importlib.import_module(f".rivals.{peer}", __package__)

    def prepared(case: Case) -> tuple[Any, Any, Any]:
        data = problems.tables(case)
        order = np.zeros(len(data.X), np.int64)
        plain.row_order(order, 0, len(order), np.uint64(0), 0, True)
        p = problems.problem(fastgd, case, data, case.batch_size, "plain")
        return rival.prepare(case, data, p.net.parameters.copy(), threads), order, p

    short = case._replace(rows=min(case.rows, FEW_STEPS * case.batch_size))
    state, order, p = prepared(short)
    start = p.net.parameters.copy()
    steps = -(-short.rows // short.batch_size)
    plain.train(
        p.net, p.state, p.gradients, p.workspaces, np.zeros(2), p.rows, 0, min(short.batch_size, short.rows),
        np.full(steps, case.learning_rate), p.loss, p.rule,
    )  # fmt: skip
    rival.epochs(state, [order])
    moved = float(np.abs(p.net.parameters - start).max())
    worst = float(np.abs(rival.parameters(state) - p.net.parameters).max())
    state, order, _ = prepared(case)
    rival.epochs(state, [order])  # warm-up: compiles
    started = time.perf_counter()
    rival.epochs(state, [order])
    seconds = time.perf_counter() - started
    orders = [order] * int(min(max(ROUND_SECONDS / seconds, 1), MOST_EPOCHS))
    rival.epochs(state, orders)
    print(json.dumps({"worst": worst / moved, "form": state.get("form", "")}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        rival.epochs(state, orders)
        seconds = (time.perf_counter() - started) / len(orders)
        print(json.dumps({"seconds": seconds, "threads": state.get("threads", threads)}), flush=True)


class Server:
    """A peer's process. It sleeps while others run: some libraries' threads keep cores busy after their work."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  it lives as long as the process
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, text=True, process_group=0,
        )  # fmt: skip
        self.times: list[float] = []
        self.ready: dict[str, Any] = {}  # what it said once it was ready
        self.threads: int | None = None  # how many it took
        self.failure = ""

    def start(self) -> None:
        """Wait until it has computed the answer and is ready."""
        self.ready = self._answer()
        if not self.failure and not self.ready["worst"] < TOLERANCE:
            self.failure = f"it computes something else ({self.ready['worst']:.2g} of a step)"
        self._sleep(True)

    def round(self) -> None:
        """One timed epoch."""
        if self.failure or sum(self.times) > SECONDS / 2:
            return
        self._sleep(False)
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        answer = self._answer()
        if answer:
            self.times.append(answer["seconds"])
            self.threads = answer["threads"]  # it may have taken fewer
        self._sleep(True)

    def end(self) -> None:
        """Whatever it does, and also if it sleeps; with the processes that it has started."""
        end(self.process)
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()
        self.errors.close()

    def _sleep(self, asleep: bool) -> None:
        if hasattr(signal, "SIGSTOP"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGSTOP if asleep else signal.SIGCONT)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self.process.wait()
        self.errors.seek(0)
        last = (self.errors.read().strip().splitlines() or ["it ended without a word"])[-1]
        self.failure = f"it was ended by {signal.Signals(-code).name}" if code < 0 else last
        return {}


def serving(peer: str, case: Case, threads: int) -> list[str]:
    """The command of a peer's process."""
    return [sys.executable, str(Path(__file__).resolve()), "--serve", peer, case.name, str(threads)]


def measured(case: Case, peers: list[str], cores: int, vectors: str = "") -> tuple[dict[str, dict[str, Any]], bool]:
    """For each peer its median epoch at its best number of threads; and whether all went well."""
    results: dict[str, dict[str, Any]] = {}
    well = True
    for threads in thread_counts(cores):
        servers: dict[str, Server] = {}
        try:
            for peer in peers:
                servers[peer] = server = Server(serving(peer, case, threads), pinned(threads, vectors))
                server.start()
            for _ in range(ROUNDS):
                for server in servers.values():
                    server.round()
        finally:
            for server in servers.values():
                server.end()
        for peer, server in servers.items():
            if server.failure:
                well = False
                print(f"peers: {peer} ×{threads} on {case.name}: {server.failure}.", file=sys.stderr)
                continue
            seconds = statistics.median(server.times)
            if peer not in results or seconds < results[peer]["seconds"]:
                results[peer] = {"seconds": seconds, "threads": server.threads, "times": server.times}
                if server.ready.get("form"):
                    results[peer]["form"] = server.ready["form"]
    return results, well


def times_threads(result: dict[str, Any]) -> str:
    """What stands behind a figure that took several threads."""
    return f" ×{result['threads']}" if result.get("threads", 1) > 1 else ""


def table(records: list[dict[str, Any]], peers: list[str]) -> str:
    """Milliseconds of one epoch, and the best peer's time divided by ours."""
    rivals = [peer for peer in peers if peer != OURS]
    lines = [f"{'one epoch, ms (×2: two threads)':34}" + "".join(f"{name:>15}" for name in [*peers, "best peer / us"])]
    for record in records:
        results = {peer: record["results"][peer] for peer in peers if peer in record["results"]}
        times = {peer: result["seconds"] * 1e3 for peer, result in results.items()}
        cells = [f"{times[peer]:.1f}{times_threads(results[peer])}" if peer in times else "" for peer in peers]
        others = [times[peer] for peer in rivals if peer in times]
        ratio = f"{min(others) / times[OURS]:.2f}" if others and OURS in times else ""
        lines.append(f"{record['case']:34}" + "".join(f"{cell:>15}" for cell in [*cells, ratio]))
    return "\n".join(lines)


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table."""
    measurable = [peer for peer in PEERS if not (options.vectors and peer in ALWAYS_LONG)]
    options.peers = [peer for peer in options.peers if peer in measurable]
    if not options.peers:
        raise ToolError(f"{' '.join(ALWAYS_LONG)} takes long vectors all the same: name others with --peers.")
    missing = [p for p in options.peers if p in PACKAGES and importlib.util.find_spec(PACKAGES[p][0]) is None]
    if missing:
        names = " ".join(dict.fromkeys(PACKAGES[peer][1] for peer in missing))
        raise ToolError(f"not installed: {names}. Run pip install -e '.[dev,peers]', or name others with --peers.")
    chosen = [case for case in PEER_CASES if options.cases in case.name]
    if not chosen:
        names = ", ".join(case.name for case in PEER_CASES)
        raise ToolError(f"no case has {options.cases!r} in its name; there are: {names}.")
    if options.record and (len(chosen) < len(PEER_CASES) or set(options.peers) < set(measurable)):
        raise ToolError("--record keeps whole runs only: leave out --cases and --peers.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    records, all_well = [], True
    for case in chosen:
        found, well = measured(case, options.peers, cores, options.vectors)
        all_well = all_well and well
        records.append({"case": case.name, "rows": case.rows, "batch_size": case.batch_size, "results": found})
        print(f"{case.name}: done", file=sys.stderr)
    print(table(records, options.peers))
    if options.record and all_well:
        from . import results

        print(f"kept in {results.keep('peers', records, machine_facts(options.vectors))}")
    elif options.record:
        print("peers: not kept, because it is not whole.", file=sys.stderr)
    return 0 if all_well else 1


def machine_facts(vectors: str) -> dict[str, Any]:
    """The machine as the peers have seen it, asked for in a process like theirs."""
    code = "import json; from benchmarks import machine; print(json.dumps(machine.facts_for_results()))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], env={**os.environ, **pinned(1, vectors)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


def main(arguments: list[str] | None = None) -> int:
    parser = Parser("peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--cases", default="", help="only cases with this in their name")
    parser.add_argument("--vectors", default="", choices=["", "avx2"], help="shorter vectors than the processor has")
    parser.add_argument("--record", action="store_true", help="keep the result in benchmarks/results/")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        peer, name, threads = options.serve
        serve(peer, next(case for case in PEER_CASES if case.name == name), int(threads))
        return 0
    return guarded("peers", lambda: run(options))
