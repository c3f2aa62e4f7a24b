"""Crowds: more threads than cores, many trainings at once, loops of others in parallel, and threads that do not start.

And limits: one core, quotas of a container that change during a fit, and variables that say something or nonsense.
Bits are those of one thread alone.
"""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import fastgd
from fastgd.errors import ThreadsWarning
from fastgd.training import cores

from .apart import failures_apart
from .python_threads import all_at_once
from .side_jobs import bits, fit_options, new_model, pick, table
from .trial import Outcome, Trial

SECONDS = 240.0  # that a case may take, on a busy machine
MANY_THREADS = (3, 8, 64)
NONSENSE = ("1", "", "abc", "0", "-1", "2,4", "1.5", " 2 ", "9" * 30, "²", ",")
LIMITS = ("-1", "50000", "100000", "250000", "nonsense", "", "9" * 30)


class Job:
    """A training that can be run again with another number of threads."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.model, self.rows, self.options = new_model(generator), table(generator), fit_options(generator)
        self.options["batch_size"] = int(pick(generator, (256, 1024, 4096)))

    def bits(self, n_threads: int | str, **more: Any) -> str:
        """Train, and say what came of it."""
        model = fastgd.MLP(
            list(self.model.network.sizes),
            dtype=str(self.model.dtype),
            random_state=self.model.random_state,
        )
        model.fit(*self.rows, **self.options | {"n_threads": n_threads} | more)
        return bits(model.parameters)


def more_threads_than_cores(generator: np.random.Generator) -> str:
    """One training with many threads."""
    job, n_threads = Job(generator), int(pick(generator, MANY_THREADS))
    alone, found = job.bits(1), job.bits(n_threads)
    return "" if found == alone else f"{n_threads} threads differ from one"


def many_with_threads(generator: np.random.Generator) -> str:
    """Several trainings at once, each with several threads."""
    jobs = [Job(generator) for _ in range(int(pick(generator, (2, 4, 6))))]
    n_threads = int(pick(generator, MANY_THREADS))
    alone = [job.bits(1) for job in jobs]
    found = all_at_once([lambda job=job: job.bits(n_threads) for job in jobs])  # type: ignore[misc]
    return "" if found == alone else f"{len(jobs)} trainings with {n_threads} threads each: {found}, alone {alone}"


def beside_parallel_loops(generator: np.random.Generator) -> str:
    """A training beside a user's own parallel loop, and one inside of limits for other libraries' threads."""
    import numba
    import threadpoolctl

    @numba.njit(parallel=True)
    def busy(values):  # type: ignore[no-untyped-def]
        total = 0.0
        for place in numba.prange(len(values)):
            total += np.sin(values[place])
        return total

    job, is_over = Job(generator), threading.Event()
    alone, values = job.bits(1), np.arange(1e5)
    busy(values)

    def others() -> None:
        while not is_over.is_set():
            busy(values)

    def learn() -> str:
        try:
            with threadpoolctl.threadpool_limits(1):
                return job.bits(4)
        finally:
            is_over.set()

    found = all_at_once([learn, others])[0]
    return "" if found == alone else f"beside a parallel loop {found}, alone {alone}"


def threads_that_do_not_start(generator: np.random.Generator) -> str:
    """The system refuses some threads, at random: one thread does the work, and a warning says so, or nothing does."""
    job, share = Job(generator), float(generator.uniform(0.1, 1.0))
    alone, start, refused = job.bits(1), threading.Thread.start, False

    def refuse(thread: threading.Thread) -> None:
        nonlocal refused
        if generator.random() < share:
            refused = True
            raise RuntimeError("can't start new thread")
        start(thread)

    with patch.object(threading.Thread, "start", refuse), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = job.bits(int(pick(generator, MANY_THREADS)))
    if found != alone:
        return f"{found} where threads do not start, alone {alone}"
    has_said = any(issubclass(one.category, ThreadsWarning) for one in told)
    return "" if has_said == refused else f"threads were {'' if refused else 'not '}refused, and nobody says so"


@contextmanager
def cores_of(*numbers: int) -> Iterator[None]:
    """These cores alone, for this thread and those that it starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, numbers)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def one_core(generator: np.random.Generator) -> str:
    """Two threads or more on one core."""
    job, n_threads = Job(generator), pick(generator, (2, 4, 8, "auto"))
    alone = job.bits(1)
    with cores_of(pick(generator, sorted(os.sched_getaffinity(0)))):
        found = job.bits(n_threads)
        most = cores.counted_cores()
    if most != 1:
        return f"{most} cores are counted where there is one"
    return "" if found == alone else f"{n_threads} threads on one core differ from one"


class Moves(fastgd.callbacks.Callback):
    """Changes the quota after each epoch."""

    def __init__(self, generator: np.random.Generator, file: Path, text: str) -> None:
        self.generator, self.file, self.text = generator, file, text

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write another one."""
        self.file.write_text(self.text.format(pick(self.generator, LIMITS)))


def quotas(generator: np.random.Generator) -> str:
    """Quotas of a container, by files of both kinds, that change during a fit."""
    job = Job(generator)
    alone, is_new = job.bits(1, epochs=5), bool(generator.random() < 0.5)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as patches:
        files = {"QUOTA_AND_PERIOD": "cpu.max", "QUOTA": "quota", "PERIOD": "period"}
        for name, file in files.items():
            patches.enter_context(patch.object(cores, name, Path(folder) / file))
        (Path(folder) / "period").write_text(pick(generator, ("100000\n", "0\n", "x", "")))
        file, text = ("cpu.max", "{} 100000\n") if is_new else ("quota", "{}\n")
        moves = Moves(generator, Path(folder) / file, text)
        moves.on_epoch_end(0)
        patches.enter_context(patch.object(cores, "_kept", (-1e9, 1)))
        found = job.bits("auto", epochs=5, callbacks=[moves])
        limited = cores.counted_cores()
    if not 1 <= limited <= len(os.sched_getaffinity(0)):
        return f"{limited} cores are counted"
    return "" if found == alone else f"{found} while the quota changes, alone {alone}"


def variables(generator: np.random.Generator) -> str:
    """Variables that limit threads, or say nonsense."""
    job, name = Job(generator), pick(generator, cores.LIMITING)
    text, alone = pick(generator, NONSENSE), job.bits(1)
    with patch.dict(os.environ, {name: text}):
        found, most = job.bits("auto"), cores.allowance("auto").most
    if not 1 <= most <= cores.counted_cores():
        return f"{name}={text!r} allows {most} threads"
    return "" if found == alone else f"{name}={text!r}: {found}, alone {alone}"


KINDS = (
    more_threads_than_cores, many_with_threads, beside_parallel_loops, threads_that_do_not_start, quotas, variables,
) + ((one_core,) if hasattr(os, "sched_setaffinity") else ())  # fmt: skip


def case(seed: int, number: int) -> str:
    """One case; the kinds take turns."""
    generator = np.random.default_rng([seed, number])
    kind = KINDS[number % len(KINDS)]
    sentence = kind(generator)
    return sentence and f"{kind.__name__}: {sentence}"


def run(cases: int, seed: int) -> Outcome:
    """All cases, a hundred in each process."""
    failures = []
    for first in range(0, cases, 100):
        failures += failures_apart("trials.crowded", seed, range(first, min(first + 100, cases)), SECONDS)
    return Outcome(cases, failures, f"{cases - len(failures):,} with the bits of one thread alone")


TRIALS = (
    Trial(
        "crowded",
        "More threads than cores, many trainings at once, quotas, one core and threads that do not start change the "
        "speed alone: no training hangs, and the bits are those of one thread.",
        "tests/test_shared_use.py::test_crowds",
        350,
        run,
    ),
)
