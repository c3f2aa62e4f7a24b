"""Ctrl-C at random moments of `fit` and `fit_many`: a usable model, a history that says so, and a fit that goes on.

Another thread sends the signal. Two kinds of trainings take turns: one that would take for ever, so that a signal that
got lost is noticed, and one that is over in some hundredths of a second, so that the signal comes at its very end, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator

import fastgd
from fastgd import callbacks
from fastgd.training.interrupts import LATER

from .trial import Outcome, Trial

LOST = 60.0  # seconds after which a training that goes on has not heard of the signal
ENDLESS = 10**9  # epochs
LONGEST = 0.25  # seconds until the signal comes
EARLY = 0.01  # in every third case
LEAVING = 10.0  # seconds that threads have to end
N_ROWS = 400


class Pressed(NamedTuple):
    """What came of a call during which Ctrl-C was pressed, or right after it."""

    answer: Any  # None if it raised
    error: BaseException | None
    was_inside: bool  # whether an exception came out of the package
    was_lost: bool  # whether the call had to be interrupted once more


def pressed(seconds: float, work: Callable[[], Any]) -> Pressed:
    """Call `work`, and have SIGINT sent after so many seconds."""
    # Lists, because Ctrl-C may break the locks of events.
    begun, over, sent, again, answers = list[bool](), list[bool](), list[bool](), list[bool](), list[Any]()

    def waited(most: float) -> bool:
        until = time.monotonic() + most
        while not over and time.monotonic() < until:
            time.sleep(0.0002)
        return bool(over)

    def press() -> None:
        while not begun:
            time.sleep(0.0002)
        waited(seconds)
        os.kill(os.getpid(), signal.SIGINT)
        sent.append(True)
        if not waited(LOST):
            again.append(True)
            os.kill(os.getpid(), signal.SIGINT)

    presser, error = threading.Thread(target=press, name="presser"), None
    presser.start()
    try:
        begun.append(True)
        answers.append(work())
        over.append(True)
        while not sent:  # a signal that comes too late has nothing to interrupt but this
            time.sleep(0.001)
        time.sleep(3 * LATER)  # for one that comes once more, because Python has swallowed it
    except BaseException as met:
        error = met
    over.append(True)
    presser.join()
    is_late = bool(answers) and isinstance(error, KeyboardInterrupt)
    return Pressed(answers[0] if answers else None, None if is_late else error, _is_inside(error), bool(again))


def _is_inside(error: BaseException | None) -> bool:
    """Whether an exception came through a line of the package."""
    trace, package = error.__traceback__ if error else None, str(Path(fastgd.__file__).parent)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(package):
            return True
        trace = trace.tb_next
    return False


class Case(NamedTuple):
    """A call to interrupt."""

    words: str
    seconds: float  # when
    is_endless: bool
    made: Callable[[], fastgd.MLP]
    options: dict[str, Any]
    rows: Callable[[], tuple[Any, ...]]


def table(kind: str) -> tuple[Any, Any]:
    """Rows to learn from, and their targets."""
    X = np.random.default_rng(0).normal(size=(N_ROWS, 3))
    y = X @ [1.0, 2.0, -1.0]
    return X, y > 0 if kind == "binary_cross_entropy" else y


def case(draw: Generator, number: int, folder: Path) -> Case:
    """What is trained, and when Ctrl-C is pressed."""
    loss, is_endless = str(draw.choice(["mse", "binary_cross_entropy"])), number % 2 == 0
    X, y = table(loss)
    optimizers = [fastgd.SGD(0.01, momentum=0.9), fastgd.Adam(ema_decay=0.9), fastgd.AdamW(clip_norm=1.0)]
    options: dict[str, Any] = {
        "epochs": ENDLESS if is_endless else int(draw.integers(1, 6)), "verbose": 0,
        "batch_size": int(draw.choice([8, 64, 256])), "n_threads": int(draw.integers(1, 4)),
        "optimizer": optimizers[int(draw.integers(3))], "device": "plain" if draw.random() < 0.1 else "cpu",
        "callbacks": [],
    }  # fmt: skip
    how = str(draw.choice(["nothing", "split", "data", "stop", "recorder", "checkpoint"]))
    if how == "split":
        options["validation_split"] = 0.3
    if how in ("data", "stop"):
        options["validation_data"] = X[:99], y[:99]
    more: dict[str, list[callbacks.Callback]] = {
        "stop": [callbacks.EarlyStopping(patience=ENDLESS)], "recorder": [callbacks.Recorder(most=3)],
        "checkpoint": [callbacks.Checkpoint(folder / "m", seconds=0)],
    }  # fmt: skip
    options["callbacks"] = more.get(how, [])
    hidden, is_stream = int(draw.choice([4, 64])), bool(draw.random() < 0.3)
    seconds = float(draw.uniform(0, EARLY if number % 3 == 0 else LONGEST if is_endless else 0.04))

    def rows() -> tuple[Any, ...]:
        return (fastgd.Stream(X, np.asarray(y, np.float64), buffer_rows=256),) if is_stream else (X, y)

    def made() -> fastgd.MLP:
        return fastgd.MLP([3, hidden, hidden, 1], loss=loss, random_state=1)

    words = f"{how}, stream {is_stream}, {hidden} units, {loss}, {options}, SIGINT after {seconds:.5f} s"
    return Case(words, seconds, is_endless, made, options, rows)


def faults(tried: Case) -> list[str]:
    """What was not as it is promised when one training was interrupted."""
    model, rows, before = tried.made(), tried.rows(), set(threading.enumerate())
    came = pressed(tried.seconds, lambda: model.fit(*rows, **tried.options))
    found, steps = _of_the_process(before, came), 0 if model.fit_state is None else model.fit_state.steps
    planned = tried.options["epochs"] * -(-model_rows(tried) // tried.options["batch_size"])
    if came.error is not None and not isinstance(came.error, KeyboardInterrupt):
        return [*found, f"{type(came.error).__name__}: {came.error}"]
    if came.error is not None and came.was_inside and 0 < steps < planned:
        found.append(f"KeyboardInterrupt came out of fit after {steps:,} steps")
    history = came.answer
    if history is not None:
        if tried.is_endless and history.ended != "interrupted":
            found.append(f"the history says {history.stop_reason!r}")
        if history.steps != steps:
            found.append(f"the history counts {history.steps} steps of {steps}")
        if any(len(values) != history.epochs for values in history.history.values()):
            found.append("its columns are not equally long")
    return found + _of_a_model(model, rows, tried.options)


def model_rows(tried: Case) -> int:
    """How many rows a training learns from."""
    return N_ROWS - int(tried.options.get("validation_split", 0) * N_ROWS)


def _of_the_process(before: set[threading.Thread], came: Pressed) -> list[str]:
    """Whether signals and threads are as they were."""
    found = ["the signal was lost"] if came.was_lost else []
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        found.append("the handler of Ctrl-C is not the one that was there before")
    until = time.monotonic() + LEAVING
    while (left := set(threading.enumerate()) - before) and time.monotonic() < until:
        time.sleep(0.001)
    return found + [f"a thread is left: {thread.name}" for thread in left]


def _of_a_model(model: Any, rows: tuple[Any, ...], options: dict[str, Any]) -> list[str]:
    """Whether it predicts, and goes on."""
    X = table("mse")[0]
    if not (np.isfinite(model.parameters).all() and np.isfinite(model.predict(X)).all()):
        return ["the model does not predict"]
    before = 0 if model.fit_state is None else model.fit_state.steps
    history = model.fit(*rows, **{**options, "epochs": 2, "callbacks": []})
    if (history.ended, history.epochs) != ("completed", 2) or not np.isfinite(history.loss).all():
        return [f"the next fit ends as {history!r}"]
    return [] if model.fit_state.steps == before + history.steps else ["the next fit began anew"]


def faults_of_many(draw: Generator, number: int) -> tuple[list[str], str]:
    """The same when several networks were trained together; and what was tried."""
    X, y = table("mse")
    n, is_endless = int(draw.integers(1, 7)), number % 2 == 0
    epochs = ENDLESS if is_endless else 3
    specs = [{"layer_sizes": [3, int(draw.integers(2, 40)), 1], "random_state": k} for k in range(n)]
    options: dict[str, Any] = {"epochs": epochs, "batch_size": 16, "validation_split": 0.2 * (number % 3), "verbose": 0}
    seconds, n_threads = float(draw.uniform(0, LONGEST if is_endless else 0.05)), int(draw.integers(1, 4))
    before = set(threading.enumerate())
    came = pressed(seconds, lambda: fastgd.fit_many(specs, X, y, **options, n_threads=n_threads))
    found = _of_the_process(before, came)
    if came.error is not None and not isinstance(came.error, KeyboardInterrupt):
        found.append(f"{type(came.error).__name__}: {came.error}")
    for record in came.answer or []:
        if record.error is not None:
            found.append(f"record {record.number}: {record.error!r}")
        elif is_endless and record.ended not in ("interrupted", "never begun"):
            found.append(f"record {record.number} ended as {record.ended}")
        else:
            of_one = {"batch_size": 16, "verbose": 0}
            found += [f"record {record.number}: {fault}" for fault in _of_a_model(record.model, (X, y), of_one)]
    return found, f"fit_many of {specs} with {options}, {n_threads} threads, SIGINT after {seconds:.5f} s"


def run(cases: int, seed: int) -> Outcome:
    """Interrupt trainings, every fourth time of several networks together."""
    failures = []
    with TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stack.enter_context(fastgd.errors.kept_warnings())
        for number in range(cases):
            draw = np.random.default_rng([seed, number])
            if number % 4 == 3:
                found, words = faults_of_many(draw, number // 4)
            else:
                tried = case(draw, number, Path(folder))
                found, words = faults(tried), tried.words
            if found:
                failures.append(f"case {number} of seed {seed}: {'; '.join(found)} ({words})")
    return Outcome(cases, failures, f"one to {LONGEST * 1000:.0f} ms after the call")


TRIALS = (
    Trial(
        "interrupted",
        "Ctrl-C at any moment of a training leaves a usable model, a history that says so, and a fit that goes on.",
        "tests/test_interrupts.py::test_ctrl_c_at_random_moments",
        1000,
        run,
    ),
)
