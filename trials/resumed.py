"""Trainings that are cut off, and go on from their checkpoint: the result is that of one that was not, to the bit.

Each case draws a network, a table or a stream, and all options that may matter. It is trained without a stop; and again
with a Checkpoint, cut off at some chunks of steps by an error, or at any moment by kill −9 of a forked child, and run
anew each time with a new model until it is finished.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from numpy.random import Generator

import fastgd
from fastgd import callbacks, losses, schedules
from fastgd.training import loop

from .trial import Outcome, Trial

Trained = tuple[fastgd.MLP, fastgd.History]
MOST_CUTS = 3
SEEN = ("ended", "stop_reason", "best_epoch", "steps", "rows_seen")
KEPT = ("epoch", "origin", "plateau", "start")


class CutOffError(Exception):
    """The training ends here, as if the machine did."""


class CutOffAfter(callbacks.Checkpoint):
    """Ends the training right after it was written so many times."""

    def __init__(self, path: Path, times: int) -> None:
        super().__init__(path, seconds=0, resume=True)
        self.times = times

    def save(self, is_over: bool) -> None:
        """Write, and end."""
        super().save(is_over)
        self.times -= 1
        if self.times <= 0 and not is_over:
            raise CutOffError


class Case(NamedTuple):
    """A training that can be run again."""

    words: str  # what differs from case to case
    chunk: int  # steps between two checkpoints
    train: Callable[..., Trained]  # takes callbacks


LOSSES: tuple[tuple[Any, int], ...] = (  # with the outputs that they need
    ("mse", 1), ("mae", 1), (losses.Huber(0.5), 1), ("log_cosh", 1), ("poisson", 1), ("gaussian_nll", 2),
    (losses.Quantile((0.1, 0.9)), 2), ("binary_cross_entropy", 1), ("cross_entropy", 3),
)  # fmt: skip


def rate(draw: Generator, monitor: str) -> Any:
    """A learning rate, or a schedule."""
    top = float(draw.choice([0.003, 0.01, 0.03]))
    plateau = schedules.ReduceOnPlateau(top, factor=0.5, patience=0, threshold=0.02, monitor=monitor)
    kinds = [
        top, schedules.Constant(top), schedules.StepDecay(top, every=5), schedules.Exponential(top, every=9),
        schedules.InverseTime(top, every=7), schedules.Cosine(top), schedules.Cosine(top, steps=11),
        schedules.CosineRestarts(top, period=4, multiply=2), schedules.OneCycle(top), plateau,
        schedules.WarmUp(schedules.Cosine(top), steps=6), schedules.WarmUp(plateau, steps=3),
    ]  # fmt: skip
    return kinds[int(draw.integers(len(kinds)))]


def optimizer(draw: Generator, monitor: str) -> Any:
    """One of all, with what any may have besides."""
    more = {
        "weight_decay": draw.choice([0.0, 0.01]), "l1": draw.choice([0.0, 1e-4]),
        "clip_norm": [None, 1.0][draw.integers(2)], "ema_decay": [None, 0.9][draw.integers(2)],
    }  # fmt: skip
    momentum = float(draw.choice([0.0, 0.9]))
    kinds: list[Any] = [
        lambda rate, **more: fastgd.SGD(rate, momentum=momentum, nesterov=momentum > 0, **more), fastgd.Adagrad,
        lambda rate, **more: fastgd.RMSprop(rate, momentum=momentum, **more), fastgd.Adam, fastgd.AdamW,
    ]  # fmt: skip
    return kinds[int(draw.integers(len(kinds)))](rate(draw, monitor), **more)


def targets(draw: Generator, X: np.ndarray[Any, Any], loss: Any) -> Any:
    """What this loss learns of these rows."""
    y = X.sum(axis=1) + np.sin(3 * X[:, 0]) + 0.1 * draw.normal(size=len(X))
    if loss == "poisson":
        return np.rint(np.abs(y))
    if loss == "binary_cross_entropy":
        return np.where(y > 0, "yes", "no")
    return np.digitize(y, [-1, 1]) if loss == "cross_entropy" else y


def case(seed: int, number: int) -> Case:
    """The training with this number, in all its options."""
    draw = np.random.default_rng([seed, number])
    loss, n_out = LOSSES[int(draw.integers(len(LOSSES)))]
    n_rows, n_in = int(draw.integers(30, 300)), int(draw.integers(1, 5))
    X = draw.normal(size=(n_rows, n_in))
    y = targets(draw, X, loss)
    is_stream = bool(draw.random() < 0.25) and not isinstance(y[0], str)
    validation = ["none", "split", "data"][int(draw.integers(3))]
    monitor = "loss" if validation == "none" else "val_loss"
    made: dict[str, Any] = {
        "layer_sizes": [n_in, *draw.integers(1, 12, size=draw.integers(0, 3)).tolist(), n_out], "loss": loss,
        "activation": str(draw.choice(["relu", "tanh", "silu"])), "dtype": str(draw.choice(["float32", "float64"])),
        "dropout": float(draw.choice([0.0, 0.2])), "random_state": int(draw.integers(1000)),
        "encoding": "auto" if draw.random() < 0.2 and not is_stream else None,
    }  # fmt: skip
    options: dict[str, Any] = {
        "epochs": int(draw.integers(1, 6)), "batch_size": int(draw.integers(4, 40)), "verbose": 0,
        "optimizer": optimizer(draw, monitor), "shuffle": bool(draw.random() < 0.8),
        "n_threads": int(draw.integers(1, 3)), "device": "plain" if draw.random() < 0.1 else "cpu",
    }  # fmt: skip
    if validation == "split":
        options["validation_split"] = 0.3
    elif validation == "data":
        options["validation_data"] = (X[::3], y[::3])
    weights = draw.uniform(0, 2, n_rows) if draw.random() < 0.3 else None
    if isinstance(y[0], str) and draw.random() < 0.5:
        options["class_weight"] = "balanced"
    stops: list[dict[str, Any]] = [
        {"patience": int(draw.integers(0, 4)), "monitor": monitor, "restore_best_weights": bool(draw.random() < 0.7)}
        for _ in range(int(draw.integers(0, 3)))
    ]
    buffer_rows = options["batch_size"] * int(draw.integers(1, 4))
    has_fitted, chunk = bool(draw.random() < 0.25), int(draw.integers(1, 9))

    def train(*more: callbacks.Callback) -> Trained:
        model: Any = fastgd.MLP(**made)
        rows = (fastgd.Stream(X, y, weights, buffer_rows=buffer_rows),) if is_stream else (X, y)
        of_rows = {} if is_stream or weights is None else {"sample_weight": weights}
        told = [callbacks.EarlyStopping(**stop) for stop in stops]
        if has_fitted:  # the same optimizer goes on
            model.fit(*rows, **{**options, "epochs": 1}, **of_rows)
        return model, model.fit(*rows, **options, **of_rows, callbacks=[*told, *more])

    given = {"n_rows": n_rows, "stops": stops, "stream": is_stream, "fitted": has_fitted, "chunk": chunk}
    return Case(f"{given} {made} { {**options, 'validation_data': validation == 'data'} }", chunk, train)


def differences(one: Trained, other: Trained) -> list[str]:
    """What of two trainings is not the same, to the bit."""
    (model, history), (model2, history2) = one, other
    kept, kept2 = model.fit_state, model2.fit_state
    assert kept
    assert kept2
    arrays = {"parameters": (model.parameters, model2.parameters), "raw": (kept.raw, kept2.raw)}
    arrays |= {name: (getattr(kept.state, name), getattr(kept2.state, name)) for name in kept.state._fields}
    found = [name for name, (mine, its) in arrays.items() if np.asarray(mine).tobytes() != np.asarray(its).tobytes()]
    found += [f"history of {name}" for name in history.history
              if repr(history.history[name]) != repr(history2.history.get(name))]  # fmt: skip
    found += [name for name in SEEN if getattr(history, name) != getattr(history2, name)]
    return found + [name for name in KEPT if repr(getattr(kept, name)) != repr(getattr(kept2, name))]


def killed_after(seconds: float, train: Callable[..., Trained], path: Path) -> None:
    """Train in a forked child, and kill it."""
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            train(callbacks.Checkpoint(path, seconds=0, resume=True))
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def resumed(tried: Case, path: Path, draw: Generator, by_killing: bool) -> tuple[Trained, int]:
    """The training, cut off several times; and how many times it did not begin anew."""
    n_resumed = 0
    for _ in range(int(draw.integers(1, MOST_CUTS + 1))):
        if by_killing:
            killed_after(float(draw.uniform(0, 0.06)), tried.train, path)
        else:
            with contextlib.suppress(CutOffError):
                tried.train(CutOffAfter(path, int(draw.integers(1, 12))))
        n_resumed += path.exists()
    return tried.train(callbacks.Checkpoint(path, seconds=0, resume=True)), n_resumed


def run(cases: int, seed: int) -> Outcome:
    """Compare a training that was cut off with one that was not."""
    failures, n_resumed = [], 0
    # What a killed process has written is there without a flush to the disk, which takes longer than all else.
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(os, "fsync"):
        for number in range(cases):
            path, draw = Path(folder) / str(number), np.random.default_rng([seed, number, 1])
            tried, by_killing = case(seed, number), number % 4 == 3 and hasattr(os, "fork")
            try:
                with fastgd.errors.kept_warnings(), mock.patch.object(loop, "MOST_CHUNK_STEPS", tried.chunk):
                    whole = tried.train()
                    again, times = resumed(tried, path, draw, by_killing)
                n_resumed += times
                found = differences(whole, again)
            except Exception as error:
                found = [f"{type(error).__name__}: {error}"]
            if found:
                how = "kill -9" if by_killing else "an error"
                failures.append(f"case {number} of seed {seed}, by {how}: {', '.join(found)}; {tried.words}")
    return Outcome(cases, failures, f"{n_resumed:,} times a training went on from its file")


TRIALS = (
    Trial(
        "resumed",
        "A training that was cut off at any moment goes on from its checkpoint, and ends with the same bits.",
        "tests/test_checkpoint.py::test_trainings_that_are_cut_off_end_as_others",
        1000,
        run,
    ),
)
