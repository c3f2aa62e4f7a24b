"""Trainings of millions of steps: the loss stays where it came to, memory does not grow, and no step becomes slow.

Where targets are constant, or a column is, gradients and what optimizers remember of them fade to zero: on the way they
are denormal numbers, which processors handle a hundred times slower.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastgd
from fastgd.training.schedules import top_of

from .trial import Outcome, Trial

PARTS = 20  # that a training is cut into; each is a fit
N_ROWS, BATCH_SIZE = 4096, 4
DRIFT = 4.0  # times: the loss of the last parts beside that of the second quarter, and of float32 beside float64
SLOWER = 3.0  # times: the steps of the last tenth beside those of the first
GROWTH = 16 << 20  # bytes that a process may grow by, in all of a training but its first tenth
OBJECTS = 1 << 20  # bytes that Python's own objects may grow by
ENOUGH = 100_000  # steps, from which on their time says something
OPTIMIZERS: dict[str, Any] = {
    "SGD": fastgd.SGD(0.01, momentum=0.9, ema_decay=0.999),
    "RMSprop": fastgd.RMSprop(1e-4, momentum=0.9),
    "Adagrad": fastgd.Adagrad(0.01),
    "Adam": fastgd.Adam(1e-3, ema_decay=0.999),
    "AdamW": fastgd.AdamW(learning_rate=1e-4, weight_decay=0.1, ema_decay=0.99),
    "fading": fastgd.Adam(fastgd.schedules.Exponential(1e-3, 2000)),  # its rate becomes denormal, too
}
TARGETS = ("constant", "plane")


class Course(NamedTuple):
    """What a training was like, part by part; memory in bytes, after the first tenth and at the end."""

    losses: list[float]
    seconds: list[float]  # of the process
    resident: list[int]
    objects: list[int]


def resident() -> int:
    """Bytes of memory that this process has; 0 where the system does not say so."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096
    except OSError:
        return 0


def course(optimizer: Any, target: str, dtype: str, steps: int) -> Course:
    """Train for so many steps."""
    X = np.random.default_rng(0).normal(size=(N_ROWS, 3))
    X[:, 2] = 1.0  # tells nothing: the gradients of its weights are 0
    y = np.full(N_ROWS, 3.0) if target == "constant" else X @ [1.0, -2.0, 0.0]
    sizes = [3, 4, 1] if target == "constant" else [3, 1]
    model = fastgd.MLP(sizes, dtype=dtype, activation="tanh", random_state=0)
    found = Course([], [], [], [])
    epochs = max(1, round(steps / PARTS / (N_ROWS // BATCH_SIZE)))
    options: dict[str, Any] = {"batch_size": BATCH_SIZE, "optimizer": optimizer, "n_threads": 1, "verbose": 0}
    for part in range(PARTS):
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.losses.append(model.fit(X, y, epochs=epochs, **options).history["loss"][-1])
        found.seconds.append(time.process_time() - started)
        if part + 1 == PARTS // 10:  # by now all is compiled
            tracemalloc.start()
        if part + 1 in (PARTS // 10, PARTS):
            gc.collect()
            found.resident.append(resident())
            found.objects.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return found


def slower(found: Course) -> float:
    """How many times as long as at first the last steps took."""
    tenth = PARTS // 10
    return float(min(found.seconds[-tenth:]) / min(found.seconds[:tenth]))


def floor_of(optimizer: Any) -> float:
    """A loss that says nothing, in a target's units of about 1.

    Steps that are scaled by the size of gradients go on, however small these are: rounding keeps them at a tenth of
    the rate.
    """
    is_scaled = isinstance(optimizer, fastgd.Adam | fastgd.RMSprop)
    scaled = (top_of(optimizer.learning_rate) or 0.0) / 10 if is_scaled else 0.0
    return float(max(64 * float(np.finfo("f4").eps), scaled) ** 2)


def objections(narrow: Course, wide: Course, steps: int, floor: float) -> Iterator[str]:
    """What is wrong with a training in float32, beside the same in float64; losses below `floor` are all the same."""
    last, settled = np.median(narrow.losses[-PARTS // 4 :]), np.median(narrow.losses[PARTS // 4 : PARTS // 2])
    if not last <= DRIFT * settled + floor:
        yield f"the loss rose from {settled:.3g} to {last:.3g}"
    if not last <= DRIFT * np.median(wide.losses[-PARTS // 4 :]) + floor:
        yield f"the loss is {last:.3g}, in float64 {np.median(wide.losses[-PARTS // 4 :]):.3g}"
    for what, sizes, most in (("process", narrow.resident, GROWTH), ("objects", narrow.objects, OBJECTS)):
        if sizes[-1] - sizes[0] > most:
            yield f"memory ({what}) grew by {(sizes[-1] - sizes[0]) / 1e6:.1f} MB"
    if steps >= ENOUGH and slower(narrow) > SLOWER:
        yield f"the last steps took {slower(narrow):.2f} times as long as the first"


def try_long_runs(cases: int, seed: int) -> Outcome:
    """So many steps with each optimizer, on constant and on other targets; nothing is drawn by the seed."""
    failures, slowest, grown = [], 0.0, 0
    for name, optimizer in OPTIMIZERS.items():
        floor = floor_of(optimizer)
        for target in TARGETS:
            narrow, wide = (course(optimizer, target, dtype, cases) for dtype in ("float32", "float64"))
            failures += [
                f"{name}, {target}, {cases:,} steps: {found}" for found in objections(narrow, wide, cases, floor)
            ]
            slowest = max(slowest, slower(narrow))
            grown = max(grown, narrow.resident[-1] - narrow.resident[0])
    figure = (
        f"{len(OPTIMIZERS) * len(TARGETS)} trainings of so many steps in each dtype; last steps at most {slowest:.2f} "
        f"times as long as first ones, memory grew by at most {grown / 1e6:.1f} MB"
    )
    return Outcome(cases, failures, figure)


TRIALS = (
    Trial(
        "long-run",
        "Over two million steps the loss stays at its floor, memory does not grow and steps do not become slower.",
        "tests/test_long_run.py::test_a_long_run_stays_as_it_is",
        2_000_000,
        try_long_runs,
    ),
)
