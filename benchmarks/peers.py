"""fastgd beside scikit-learn, PyTorch, JAX and NumPy: one epoch of plain SGD, the same for all.

    pip install -e '.[dev,peers]'
    python benchmarks/peers.py                 prints the table, losses included
    python benchmarks/peers.py --record        also keeps it in benchmarks/results/
    python benchmarks/peers.py --cases 64 --peers fastgd torch_eager

Every peer starts from the same weights, sees the rows in the same order and does the same arithmetic; the parameters
after a few steps are compared before the clock starts. A peer runs in processes of its own, with one and with two
threads (as many as there are cores), of which the better counts. The rounds of all peers are interleaved.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import numpy as np
from cases import PEER_CASES, Case

PEERS = ["fastgd_loops", "numpy_tuned", "scikit_learn", "torch_eager", "jax_scan"]
PACKAGES = {"scikit_learn": "scikit-learn", "torch_eager": "torch", "jax_scan": "jax"}
ROUNDS = 5
SECONDS = 60.0  # a peer that needs longer for its rounds gets fewer, but at least one
FEW_STEPS = 20


def pinned(threads: int) -> dict[str, str]:
    """The environment of a process with so many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {**{name: str(threads) for name in names}, "XLA_FLAGS": one if threads == 1 else ""}


def serve(peer: str, case: Case, threads: int) -> None:
    """In a process of its own: check the answer, then time an epoch for every line that comes in."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # XLA has no reliable switch for its threads
    import problems

    import fastgd
    from fastgd.kernels import plain

    rival = importlib.import_module(f"rivals.{peer}")

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
    rival.epoch(state, order)
    moved = float(np.abs(p.net.parameters - start).max())
    worst = float(np.abs(rival.parameters(state) - p.net.parameters).max())
    state, order, _ = prepared(case)
    rival.epoch(state, order)  # warm-up: compiles
    print(json.dumps({"worst": worst / moved}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        rival.epoch(state, order)
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)


class Server:
    """A peer's process."""

    def __init__(self, peer: str, case: Case, threads: int) -> None:
        command = [sys.executable, __file__, "--serve", peer, case.name, str(threads)]
        self.process = subprocess.Popen(
            command, env={**os.environ, **pinned(threads)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.times: list[float] = []
        self.worst = self._answer()["worst"]
        self._sleep(True)

    def round(self) -> None:
        """One timed epoch. A peer sleeps while others run: some libraries' threads keep cores busy after their work."""
        if len(self.times) and sum(self.times) > SECONDS / 2:
            return
        self._sleep(False)
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.times.append(self._answer()["seconds"])
        self._sleep(True)

    def close(self) -> None:
        """End the process."""
        self._sleep(False)
        self.process.communicate()

    def _sleep(self, asleep: bool) -> None:
        if hasattr(signal, "SIGSTOP"):
            self.process.send_signal(signal.SIGSTOP if asleep else signal.SIGCONT)

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, error = self.process.communicate()
            raise RuntimeError((error.strip().splitlines() or ["it ended without a word"])[-1])
        answer: dict[str, float] = json.loads(line)
        return answer


def measured(case: Case, peers: list[str], cores: int) -> dict[str, dict[str, Any]]:
    """For each peer its median epoch at its best number of threads."""
    results: dict[str, dict[str, Any]] = {}
    for threads in sorted({1, cores}):
        servers: dict[str, Server] = {}
        for peer in peers:
            try:
                servers[peer] = Server(peer, case, threads)
            except RuntimeError as error:
                print(f"peers: {peer} on {case.name}: {error}", file=sys.stderr)
        for _ in range(ROUNDS):
            for server in servers.values():
                server.round()
        for peer, server in servers.items():
            server.close()
            if not server.worst < 0.02:
                print(f"peers: {peer} on {case.name} computes something else ({server.worst:.2g})", file=sys.stderr)
                continue
            seconds = statistics.median(server.times)
            if peer not in results or seconds < results[peer]["seconds"]:
                results[peer] = {"seconds": seconds, "threads": threads, "times": server.times}
    return results


def table(records: list[dict[str, Any]], peers: list[str]) -> str:
    """Milliseconds of one epoch, and the best peer's time divided by ours."""
    rivals = [peer for peer in peers if peer != "fastgd_loops"]
    lines = [f"{'one epoch, ms':34}" + "".join(f"{name:>15}" for name in [*peers, "best peer / us"])]
    for record in records:
        times = {peer: record["results"][peer]["seconds"] * 1e3 for peer in peers if peer in record["results"]}
        cells = [f"{times[peer]:.1f}" if peer in times else "" for peer in peers]
        others = [times[peer] for peer in rivals if peer in times]
        ratio = f"{min(others) / times['fastgd_loops']:.2f}" if others and "fastgd_loops" in times else ""
        lines.append(f"{record['case']:34}" + "".join(f"{cell:>15}" for cell in [*cells, ratio]))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--cases", default="", help="only cases with this in their name")
    parser.add_argument("--record", action="store_true", help="keep the result in benchmarks/results/")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    cases = {case.name: case for case in PEER_CASES}
    if options.serve:
        peer, name, threads = options.serve
        serve(peer, cases[name], int(threads))
        return 0
    modules = {"scikit_learn": "sklearn", "torch_eager": "torch", "jax_scan": "jax"}
    missing = [p for p in options.peers if p in modules and importlib.util.find_spec(modules[p]) is None]
    if missing:
        names = " ".join(PACKAGES[peer] for peer in missing)
        print(
            f"peers: not installed: {names}. Run pip install -e '.[dev,peers]', or name others with --peers.",
            file=sys.stderr,
        )
        return 2
    chosen = [case for case in cases.values() if options.cases in case.name]
    if not chosen:
        print(f"peers: no case has {options.cases!r} in its name; there are: {', '.join(cases)}.", file=sys.stderr)
        return 2
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    records = []
    for case in chosen:
        records.append({"case": case.name, "results": measured(case, options.peers, cores)})
        print(f"{case.name}: done", file=sys.stderr)
    print(table(records, options.peers))
    if options.record:
        import results

        print(f"kept in {results.keep('peers', records)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
