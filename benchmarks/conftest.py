"""How a benchmark is taken: one thread, an explicit warm-up, and figures that can be compared."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from . import machine
from .cases import Case
from .summary import summary

SECONDS = 0.25  # of measuring, for each benchmark
LEAST_ROUNDS, MOST_ROUNDS = 5, 200
ROUND = 1e-3  # shorter things are repeated within a round


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """BLAS gets one thread, as the loops have."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def measure(benchmark):
    """measure(case, who, run, workspace_bytes, signatures): time run(repeats), after its answer has been checked."""

    def take(case: Case, who: str, run, workspace_bytes: int, signatures=lambda: 0) -> None:
        run(1)
        started = time.perf_counter()
        run(1)
        once = max(time.perf_counter() - started, 1e-7)
        repeats = max(1, int(ROUND / once))
        rounds = int(np.clip(SECONDS / (once * repeats), LEAST_ROUNDS, MOST_ROUNDS))
        tracemalloc.start()
        run(1)
        peak_memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        compiled = signatures()
        benchmark.group = case.name
        benchmark.pedantic(lambda: run(repeats), rounds=rounds, warmup_rounds=1, iterations=1)
        assert signatures() == compiled, "something was compiled while the clock ran"
        seconds = benchmark.stats.stats.median / repeats
        gflops = 2 * case.multiply_adds * case.work_rows / seconds / 1e9
        benchmark.extra_info.update(
            who=who,
            case=case.name,
            sentence=case.sentence,
            stage=case.stage,
            sizes=list(case.sizes),
            batch_size=case.batch_size,
            threads=1,
            repeats=repeats,
            microseconds=seconds * 1e6,
            rows_per_second=case.work_rows / seconds,
            gflops=gflops,
            peak_gflops=machine.peak_gflops(),
            fraction_of_peak=gflops / machine.peak_gflops(),
            peak_memory_bytes=peak_memory + workspace_bytes,
            workspace_bytes=workspace_bytes,
        )

    return take


def pytest_benchmark_update_machine_info(config, machine_info):
    """Put what matters about the machine into every saved run, and nothing that differs from run to run."""
    machine_info.update(machine.facts(), fingerprint=machine.fingerprint(), threads=1)
    machine_info["cpu"] = {name: fact for name, fact in machine_info["cpu"].items() if not name.startswith("hz_")}


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(terminalreporter, config):
    """A line a case, in place of a table that is wider than most windows; it comes where somebody asks for it."""
    session = config._benchmarksession
    taken = [benchmark for benchmark in session.benchmarks if benchmark and not benchmark.has_error]
    if not taken:
        return
    lines = summary((benchmark.name, benchmark.stats.median, benchmark.extra_info) for benchmark in taken)
    terminalreporter.section("benchmarks, one thread")
    terminalreporter.write_line(lines)
    wide = ("columns", "compare", "verbose", "cprofile")
    session.quiet = not any(config.getoption(f"benchmark_{name}") for name in wide)
