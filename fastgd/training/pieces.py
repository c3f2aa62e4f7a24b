"""One pass over a piece of a stream, and what is noticed over many of them.

A piece may have a single row, whose loss says next to nothing. The losses of the latest rows are therefore added up
over pieces, each as it was before its rows were learned from, and judged together.
"""

from __future__ import annotations

import math

from ..data.on_device import is_on_device
from ..errors import DivergenceWarning, InvalidInputError, warn
from . import loop
from .death import look_at_few, tell_if_dead, together
from .divergence import LIMITS, how_much, is_high, keep_if_good, loss_of_zeros, note_start
from .equipment import Snapshot
from .history import History
from .interrupts import Interrupts
from .run import Job, Run
from .schedules import Schedule

ROWS = 128  # that are judged together, at least
# times what a network of zeros gets wrong: rows that are so far off are no outliers, of which it gets as much wrong
WORSE = 3.0


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
            f"ReduceOnPlateau cannot look at {plateau.monitor!r}, because a piece has no rows to validate with: the "
            "loss of each piece is there, monitor='loss'."
        )


def learn(job: Job) -> History:
    """Take the steps of one pass over a piece; Ctrl-C ends it by KeyboardInterrupt, and what was learned stays."""
    history = History(device=job.device, device_reason=job.device_reason)
    run = Run(job, history)
    with Interrupts() as interrupts:
        try:
            loop.pass_alone(run, interrupts, _begin)
            _look_for_death(run)
        except BaseException:
            job.training.pieces.count_anew()
            raise
    plateau = run.schedule.plateau()
    if plateau is not None:
        job.training.plateau.look_at(plateau, {"loss": history.loss[-1]})
    run.put_back(_keep_good(run))
    return history


def _begin(run: Run) -> None:
    """Note where the piece starts, and what is gone back to: before there is a yardstick, where the first started."""
    training, pieces = run.training, run.training.pieces
    run.begin()
    if pieces.good and pieces.epoch == training.epoch:
        run.last_good = pieces.good
    if run.n_rows >= ROWS:
        note_start(run)
    run.lowest = -math.inf if math.isnan(training.start) else min(training.start, training.lowest)


def _keep_good(run: Run) -> Snapshot:
    """Keep what is gone back to for the pieces to come; returns arrays that nobody needs any more."""
    pieces = run.training.pieces
    spare = pieces.good if run.last_good is run.chunk_start else run.chunk_start
    pieces.good, pieces.epoch = run.last_good, run.training.epoch
    return spare


def judge(run: Run, loss: float, weight: float, rate: float) -> None:
    """After a chunk of steps at this rate, with this loss summed over the weight of its rows: is all well lately?"""
    if weight < LIMITS.least_weight:
        return
    training, pieces, mean = run.training, run.training.pieces, loss / weight
    run.last_loss = mean
    keep_if_good(run, mean)
    pieces.weight += weight
    pieces.loss += loss
    if math.isnan(training.start) or is_high(training.start, mean):
        pieces.high_loss += loss
        pieces.loss_of_zeros += abs(loss_of_zeros(run)) * weight
    if pieces.weight >= ROWS:
        _judge_latest(run, rate)
        pieces.count_anew()


def _judge_latest(run: Run, rate: float) -> None:
    """Warn if the loss of the latest rows is far too high and does not fall, or if the network is dead."""
    training, pieces = run.training, run.training.pieces
    mean = pieces.loss / pieces.weight
    if math.isnan(training.start):  # no piece had enough rows to be a yardstick, and this one may have blown up
        training.start = min(mean, pieces.loss_of_zeros / pieces.weight)
    is_bad = is_high(training.start, mean) and pieces.high_loss > WORSE * pieces.loss_of_zeros
    if is_bad and mean >= pieces.before and not pieces.is_warned:  # rows of another kind are learned: their loss falls
        pieces.is_warned = True
        warn(
            f"The loss of the latest {pieces.weight:,.0f} rows is {how_much(run, training.start, mean)}: training "
            f"may be about to blow up. Begin again, with a smaller learning rate, such as {rate / 10:.2g}.",
            DivergenceWarning,
        )
    pieces.before = mean if is_bad else math.inf
    training.lowest = min(training.lowest, mean)
    pieces.is_due = True


def _look_for_death(run: Run) -> None:
    """After a piece that ends some rows, warn once if the network is dead: a step before the last may be undone by it.

    A few rows say little: those of small pieces are looked at together.
    """
    pieces, rows = run.training.pieces, run.feed.at_hand
    is_small = len(rows.X) < ROWS and not is_on_device(rows.X)
    if is_small:
        pieces.small.append(together(rows))
    if not pieces.is_due:
        return
    rows = together(*pieces.small) if is_small else rows
    if not pieces.is_dead and look_at_few(run, rows)[1]:
        pieces.is_dead = tell_if_dead(run, rows)
    pieces.small.clear()
    pieces.is_due = False
