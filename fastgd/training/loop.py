"""The conductor: hands the compiled training loop chunks of steps, and looks up between them.

A chunk takes 50 to 100 ms, because nobody can be heard inside a compiled loop: progress, Ctrl-C and the check for
divergence happen between chunks. What the network learns does not depend on where the chunks end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, cast

from ..kernels.records import Reals
from . import divergence, resuming
from .callback_list import CallbackList
from .feed import Portion
from .history import CALLBACK, INTERRUPTED, History
from .interrupts import Interrupts
from .progress import Silent
from .run import Job, Run, Watch
from .schedules import checked_rates

CHUNK_SECONDS = 0.07
NOBODY = Watch(Silent(), CallbackList((), cast(Any, None)), None)
MOST_CHUNK_STEPS = 1 << 16  # learning rates come as an array, one value per step of the chunk


def fit(job: Job, watch: Watch) -> History:
    """Train a network in place, epoch after epoch."""
    history = History({"loss": []}, device=job.device, device_reason=job.device_reason)
    display, callbacks, validate = watch
    run: Run | None = None
    rest = job.turns.rest
    has_begun = is_over = False
    with Interrupts() as interrupts:
        try:
            run = Run(job, history)
            if not run.is_over_in_a_moment or callbacks.callbacks or validate:
                interrupts.listen()
            if job.epochs and not job.engine.is_compiled():
                display.compiling()
            with rest():
                run.compile()
            display.begin(job.epochs, run.n_rows)
            resuming.begin(run, watch)
            has_begun = True
            compares = job.epochs and callbacks.compares_epochs and not history.resumed
            with rest():
                callbacks.train_begin(validate(0) if validate and compares else {})
            started = time.perf_counter() - history.seconds
            left = range(job.epochs if run.is_finished else history.epochs, job.epochs)
            if left:
                run.resume_average()
                run.begin()
                divergence.note_start(run)
            for epoch in left:
                with rest():
                    callbacks.epoch_begin(epoch)
                _train_epoch(run, watch, interrupts, epoch, started)
                run.show_average()
                with rest():
                    logs = run.epoch_logs() | (validate(epoch + 1) if validate else {})
                history.append(logs)
                history.seconds = time.perf_counter() - started
                plateau = run.schedule.plateau()
                if plateau is not None:
                    job.training.plateau.look_at(plateau, logs)
                display.epoch_end(epoch, logs)
                with rest():
                    callbacks.epoch_end(epoch, logs)
                interrupts.check()
                if callbacks.stop:
                    history.end(CALLBACK, f"stopped by a callback after epoch {epoch + 1}")
                    break
                if epoch + 1 < job.epochs:
                    run.resume_average()
            is_over = True
        except KeyboardInterrupt:
            interrupts.answered()
            _tidy_up(run)
            if not job.epochs:
                raise  # whoever only wants the scaling does not look at the history
            history.end(INTERRUPTED, f"interrupted in epoch {history.epochs + 1}")
            is_over = True
        except BaseException as error:
            _tidy_up(run)
            callbacks.fail(error)
            raise
        finally:
            if has_begun and not (run and run.is_finished):
                history.best_epoch = callbacks.best_epoch
            display.end(history if is_over else None)
            if has_begun:
                with rest():
                    callbacks.train_end({name: values[-1] for name, values in history.history.items() if values})
        if history.epochs:
            assert run is not None
            try:
                resuming.finish(run, watch)
                divergence.look_at_the_end(run)
            except KeyboardInterrupt:
                interrupts.answered()
                history.end(INTERRUPTED, "interrupted at the end")
            run.put_back()
    return history


def pass_alone(run: Run, interrupts: Interrupts, begin: Callable[[Run], None]) -> None:
    """All steps of a single epoch, which nobody watches; Ctrl-C ends it as any error does."""
    try:
        if not run.is_over_in_a_moment:
            interrupts.listen()
        with run.job.turns.rest():
            run.compile()
        started = time.perf_counter()
        run.resume_average()
        begin(run)
        _train_epoch(run, NOBODY, interrupts, 0, started)
        run.show_average()
        run.history.append(run.epoch_logs())
        run.history.seconds = time.perf_counter() - started
        interrupts.check()
    except BaseException:
        _tidy_up(run)
        raise


def _tidy_up(run: Run | None) -> None:
    """Leave a model that predicts after a training that was broken off."""
    if run:
        run.note_steps()
        if run.chunk_start and not run.is_finite():
            run.restore(run.chunk_start)
        run.show_average()


def _train_epoch(run: Run, watch: Watch, interrupts: Interrupts, epoch: int, started: float) -> None:
    """All steps of one epoch, portion by portion of its rows."""
    run.begin_epoch()
    n_rows = 0
    with closing(run.feed.portions(run.training.epoch - 1)) as portions:  # whatever reads ahead ends with the pass
        for number, portion in enumerate(iter(lambda: _next(run, portions), None)):
            run.portion = portion
            if number == run.portions_over:  # those before were trained on before the training was cut off
                _train_portion(run, watch, interrupts, epoch, started, n_rows)
                run.portions_over, run.steps_done = number + 1, 0
            n_rows += portion.n_rows
    run.pass_is_over(n_rows)


def _next(run: Run, portions: Iterator[Portion]) -> Portion | None:
    """The next portion, which may have to be read; None: there is no more."""
    with run.job.turns.rest():
        return next(portions, None)


def _train_portion(run: Run, watch: Watch, interrupts: Interrupts, epoch: int, started: float, before: int) -> None:
    """All steps on the rows at hand, chunk by chunk; so many rows of the epoch came before."""
    training, n_rows = run.training, run.portion.n_rows
    done, all_steps = run.steps_done, -(-n_rows // run.batch_size)
    while done < all_steps:
        n_steps = steps_at_once(run, all_steps - done)
        rates = checked_rates(run.schedule, training.steps - training.origin, n_steps, run.total_steps)
        rates *= training.plateau.factor_left
        _train_chunk(run, done * run.batch_size, rates)
        interrupts.check()
        done += n_steps
        run.steps_done = done
        run.rate = float(rates[-1])
        run.history.seconds = time.perf_counter() - started
        watch.display.advance(epoch, before + min(done * run.batch_size, n_rows), run.mean_loss())
        resuming.write_if_due(run, watch.callbacks)


def steps_at_once(run: Run, left: int) -> int:
    """How many of the steps that are left make a chunk."""
    return int(min(run.equipment.team_size.steps_in(CHUNK_SECONDS), MOST_CHUNK_STEPS, left)) or 1


def _train_chunk(run: Run, place: int, rates: Reals) -> None:
    """A step for each rate, the first at this place of the epoch, and a look at what they did."""
    run.job.turns.breathe()
    run.next_chunk()
    before = run.sums.copy()
    n_taken = take_steps(run, place, rates)
    divergence.look_at_chunk(run, place, rates, n_taken, before)


def take_steps(run: Run, place: int, rates: Reals) -> int:
    """Take them with as many threads as are fastest; returns how many were taken."""
    size = run.equipment.team_size.next()
    started, worked = time.perf_counter(), time.process_time()
    n_taken = run.take_steps(place, rates, size)
    seconds = time.perf_counter() - started
    n_steps = min(len(rates), (run.portion.n_rows - place) / run.batch_size)
    run.equipment.team_size.took(size, seconds, n_steps, (time.process_time() - worked) / (size * seconds))
    run.steps_of_teams[size] += n_taken
    return n_taken
