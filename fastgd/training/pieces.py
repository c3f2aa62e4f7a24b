"""One pass over a piece of a stream, and what is noticed over many of them.

A piece may have a single row, whose loss says next to nothing. The losses of the latest rows are therefore added up
over pieces, each as it was before its rows were learned from, and judged together.
"""

from __future__ import annotations

import math
import time

from ..errors import DivergenceWarning, InvalidInputError, warn
from . import loop
from .callbacks import CallbackList
from .divergence import (
    LIMITS,
    how_much,
    is_high,
    keep_if_good,
    look_at_few,
    loss_of_zeros,
    note_start,
    tell_if_dead,
)
from .history import History
from .interrupts import Interrupts
from .progress import Silent
from .run import Job, Run, Watch
from .schedules import Schedule

ROWS = 128  # that are judged together, at least
# times what a network of zeros gets wrong: rows that are so far off are no outliers, of which it gets as much wrong
WORSE = 3.0
NOBODY = Watch(Silent(), CallbackList((), None), None)


def check_schedule(schedule: Schedule) -> None:
    """Refuse a schedule that a single piece would be the whole training for."""
    if schedule.lasts_one_fit:
        raise InvalidInputError(
            f"{schedule} without steps= lasts one fit, and a piece is a part of a training: give it steps=, those that "
            "all pieces will take, or take a constant rate, such as fastgd.Adam(learning_rate=0.001)."
        )
    plateau = schedule.plateau()
    if plateau and plateau.monitor != "loss":
        raise InvalidInputError(
            f"ReduceOnPlateau cannot look at {plateau.monitor!r}, because a piece has no rows to validate with: the loss "
            "of each piece is there, monitor='loss'."
        )


def learn(job: Job) -> History:
    """Take the steps of one pass over a piece; Ctrl-C ends it by KeyboardInterrupt, and what was learned stays."""
    history = History(device=job.device, device_reason=job.device_reason)
    run = Run(job, history)
    with Interrupts() as interrupts:
        try:
            if not run.is_over_in_a_moment:
                interrupts.listen()
            run.compile()
            started = time.perf_counter()
            run.resume_average()
            run.begin()
            note_start(run)
            loop.train_epoch(run, NOBODY, interrupts, 0, started)
            run.show_average()
        except BaseException:
            loop.tidy_up(run)
            raise
        logs = run.epoch_logs()
        history.append(logs)
        history.seconds = time.perf_counter() - started
        plateau = run.schedule.plateau()
        if plateau is not None:
            job.training.plateau.look_at(plateau, logs)
        interrupts.check()
    run.put_back()
    return history


def judge(run: Run, loss: float, weight: float, rate: float) -> None:
    """After a chunk of steps at this rate, with this loss summed over the weight of its rows: is all well lately?"""
    if weight < LIMITS.least_weight:
        return
    training, pieces, mean = run.training, run.training.pieces, loss / weight
    run.last_loss = mean
    keep_if_good(run, mean)
    pieces.weight += weight
    pieces.loss += loss
    if is_high(training.start, mean):
        pieces.high_loss += loss
        pieces.loss_of_zeros += abs(loss_of_zeros(run)) * weight
    if pieces.weight >= ROWS:
        _judge_latest(run, rate)
        pieces.weight = pieces.loss = pieces.high_loss = pieces.loss_of_zeros = 0.0


def _judge_latest(run: Run, rate: float) -> None:
    """Warn if the loss of the latest rows is far too high and does not fall, or if the network is dead."""
    training, pieces = run.training, run.training.pieces
    mean = pieces.loss / pieces.weight
    if math.isnan(training.start):  # no piece had enough rows to be a yardstick
        training.start = mean
    is_bad = is_high(training.start, mean) and pieces.high_loss > WORSE * pieces.loss_of_zeros
    if is_bad and mean >= pieces.before and not pieces.is_warned:  # rows of another kind are learned: their loss falls
        warn(
            f"The loss of the latest {pieces.weight:,.0f} rows is {how_much(run, training.start, mean)}: training "
            f"may be about to blow up. Begin again, with a smaller learning rate, such as {rate / 10:.2g}.",
            DivergenceWarning,
        )
        pieces.is_warned = True
    pieces.is_warned &= is_bad
    pieces.before = mean if is_bad else math.inf
    training.lowest = min(training.lowest, mean)
    _, is_flat = look_at_few(run)
    pieces.is_dead = is_flat and (pieces.is_dead or tell_if_dead(run))
