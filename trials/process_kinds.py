"""Processes that train: forked after a fit and in the middle of one, spawned, from pools, and workers with threads.

Each child trains with threads, and its bits are those of the parent. Forks in the middle of a fit also look at the
model that learns there.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np

import fastgd
from fastgd.errors import BusyError

from .apart import exit_of, failures_apart
from .side_jobs import bits, fit_job, fit_options, new_model, table
from .trial import Outcome, Trial

SECONDS = 900.0  # that a case may take, on a busy machine, with the start of several processes, and all compiling
CHILD = 400.0  # that a forked child may take: one that compiles anew has taken 100 on a busy machine
COMPILING = 50  # so many cases have one that compiles anew


def trained(seed: int) -> str:
    """The bits of a training that a seed describes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_job(np.random.default_rng(seed))()


def trained_in_threads(seed: int) -> list[str]:
    """Of two, in a pool of threads."""
    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(trained, (seed, seed + 1)))


def answer_of_fork(work: Callable[[], str]) -> str:
    """What a function returns in a forked child; a sentence in brackets if it returns nothing in time."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of any fork beside threads
        child = os.fork()
    if not child:
        try:
            os.write(writing, work().encode())
        except BaseException:
            os.write(writing, f"[{traceback.format_exc()[-400:]}]".encode())
        finally:
            os._exit(0)
    os.close(writing)
    deadline = time.monotonic() + CHILD
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            return f"[a forked child was not over after {CHILD:.0f} s]"
        time.sleep(0.005)
    with os.fdopen(reading, "rb") as answer:
        return answer.read().decode() or "[a forked child ended without an answer]"


def fork_after(generator: np.random.Generator) -> str:
    """A child that is forked after a fit with threads."""
    seed = int(generator.integers(1 << 30))
    alone = trained(seed)
    found = answer_of_fork(lambda: trained(seed))
    return "" if found == alone else f"{found} in the child, {alone} in the parent"


class Stops(fastgd.callbacks.Callback):
    """Lets a fit go on until somebody has seen enough."""

    def __init__(self) -> None:
        self.enough = threading.Event()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop if so."""
        self.model.stop_training = self.enough.is_set()


def fork_during(generator: np.random.Generator) -> str:
    """Children that are forked while another thread trains: they train, and look at the model that learned there."""
    seed, model, (X, y) = int(generator.integers(1 << 30)), new_model(generator), table(generator)
    alone, options, stops = trained(seed), fit_options(generator) | {"epochs": 100_000}, Stops()
    before = copy.deepcopy(model)
    learning = threading.Thread(target=lambda: model.fit(X, y, callbacks=[stops], **options), daemon=True)

    def child() -> str:
        seen = copy.deepcopy(model)
        if bits(seen.predict(X[:9])) != bits(model.predict(X[:9])) or not np.isfinite(seen.parameters).all():
            return "[the child has seen two models in one]"
        try:
            model.fit(X, y, epochs=1, verbose=0)
        except BusyError:
            seen.fit(X, y, **options | {"epochs": 1})
            return trained(seed)
        return "[a fit of the model that learned when it was forked was not refused]"

    try:
        learning.start()
        for _ in range(3):
            time.sleep(float(generator.uniform(0.0, 0.05)))
            found = answer_of_fork(child)
            if found != alone:
                return f"{found} in the child, {alone} in the parent"
    finally:
        stops.enough.set()
        learning.join(CHILD)
    if learning.is_alive():
        return "the fit in the parent hangs after the fork"
    before.fit(X, y, **options | {"epochs": model.fit_state.epoch if model.fit_state else 0})
    return "" if bits(before.parameters) == bits(model.parameters) else "the fit in the parent ended elsewhere"


def pool(method: str) -> Callable[[np.random.Generator], str]:
    """A pool of processes, some of whose workers have threads."""

    def kind(generator: np.random.Generator) -> str:
        seed = int(generator.integers(1 << 30))
        alone = [trained(seed), trained(seed + 1)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context = multiprocessing.get_context(method)
            if generator.random() < 0.5:
                with ProcessPoolExecutor(2, mp_context=context) as workers:
                    found = list(workers.map(trained_in_threads, (seed, seed)))
            else:
                with context.Pool(2) as workers:
                    found = workers.map_async(trained_in_threads, (seed, seed)).get(SECONDS)
        return "" if found == [alone, alone] else f"{found} in workers by {method}, {alone} in the parent"

    kind.__name__ = f"pool_by_{method}"
    return kind


def loky(generator: np.random.Generator) -> str:
    """Workers of joblib."""
    import joblib

    seed = int(generator.integers(1 << 30))
    alone = [trained(seed), trained(seed + 1)]
    with joblib.parallel_config("loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(trained_in_threads)(seed) for _ in range(2))
    return "" if found == [alone, alone] else f"{found} in workers of joblib, {alone} in the parent"


def dask(generator: np.random.Generator) -> str:
    """A worker of Dask that has several threads, in which pools of threads train, too."""
    from distributed import Client, LocalCluster

    seed = int(generator.integers(1 << 30))
    alone = [trained(seed), trained(seed + 1)]
    processes = bool(generator.random() < 0.5)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=3, processes=processes, dashboard_address=None, silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        found = client.gather([client.submit(trained_in_threads, seed, pure=False) for _ in range(3)])
    return "" if found == [alone] * 3 else f"{found} in a worker of Dask, {alone} in the parent"


FORKS_WHILE_COMPILING = """
import os, sys, threading, time
import numpy as np
from trials.process_kinds import answer_of_fork
import fastgd
X = np.random.default_rng(0).normal(size=(300, 4))
def learn(dtype):
    model = fastgd.MLP([4, 8, 1], dtype=dtype, random_state=0)
    model.fit(X, X[:, 0], epochs=2, n_threads=2, verbose=0)
    return model.parameters.tobytes().hex()
other = threading.Thread(target=learn, args=["float32"], daemon=True)
other.start()
time.sleep(DELAY)
in_child = answer_of_fork(lambda: learn("float32"))
other.join()
print("alike" if in_child == learn("float32") else in_child)
"""


def fork_while_compiling(generator: np.random.Generator) -> str:
    """A child that is forked while another thread compiles the loops, which it then needs itself."""
    delay = float(generator.uniform(0.5, 8.0))
    with tempfile.TemporaryDirectory() as folder:
        program = FORKS_WHILE_COMPILING.replace("DELAY", repr(delay))
        code, text = exit_of(program, SECONDS, {"NUMBA_CACHE_DIR": folder})
    last = (text.splitlines() or [""])[-1]
    return "" if code == 0 and last == "alike" else f"forked after {delay:.2f} s: exit code {code}, {last}"


KINDS = (
    (fork_after, fork_during, pool("fork"), fork_during, pool("spawn"), fork_during, fork_after, loky, dask)
    if hasattr(os, "fork")
    else (pool("spawn"), loky, dask)
)
MORE = (pool("forkserver"),) if "forkserver" in multiprocessing.get_all_start_methods() else ()


def case(seed: int, number: int) -> str:
    """One case; the kinds take turns."""
    generator, kinds = np.random.default_rng([seed, number]), KINDS + MORE
    kind = kinds[number % len(kinds)]
    if number % COMPILING == COMPILING - 1 and hasattr(os, "fork"):
        kind = fork_while_compiling
    sentence = kind(generator)
    return sentence and f"{kind.__name__}: {sentence}"


def run(cases: int, seed: int) -> Outcome:
    """All cases, some dozens in each process."""
    failures = []
    for first in range(0, cases, 50):
        failures += failures_apart("trials.process_kinds", seed, range(first, min(first + 50, cases)), SECONDS)
    how = "" if sys.platform.startswith("linux") else ", without what this system lacks"
    return Outcome(cases, failures, f"{cases - len(failures):,} with the bits of the parent{how}")


TRIALS = (
    Trial(
        "process-kinds",
        "Processes that are forked, also in the middle of a fit, or spawned, and workers of pools, joblib and Dask "
        "train with threads, do not hang, and get the bits of their parent.",
        "tests/test_shared_use.py::test_processes",
        300,
        run,
    ),
)
