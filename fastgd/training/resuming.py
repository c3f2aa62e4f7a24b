"""What a checkpoint says of a training, and how a training is brought back to where a checkpoint has it.

What decides the bits of a training is compared first, in words or by a hash: a file of another one is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from ..data.on_device import on_host
from ..data.rows import Measured, at
from ..data.schema import Schema
from ..data.streams.checked import measured
from ..data.streams.stream import Stream
from ..errors import InvalidInputError, kept_warnings
from .callback_list import CallbackList
from .checkpoint import Checkpoint
from .course import Course, End, Plain
from .history import INTERRUPTED
from .in_words import in_words
from .run import PROBE_ROWS, Run, Watch

# What messages say of a training whose hash differs; other options they name with their values.
HASHED = {
    "rows": "with other rows, or weights of rows",
    "validation": "validated with other rows",
    "scaling": "with other columns, or another scaling of them",
}


def begin(run: Run, watch: Watch) -> None:
    """Before the first step: check that checkpoints can be kept, and go on where one of their files has it."""
    callbacks = watch.callbacks
    callbacks.seen_before = ()
    if not run.job.epochs or not callbacks.checkpoints:
        run.training.began = ""
        return
    run.options, start = _options(run, callbacks), _hash([*run.arrays(), run.training.raw, run.training.epoch])
    in_words(run.job.training.optimizer)
    for checkpoint in callbacks.checkpoints:
        checkpoint.open()
        if checkpoint.resume:
            _check_repeatable(run, callbacks)
    for checkpoint in callbacks.checkpoints:
        saved = checkpoint.saved()
        if saved is not None:
            course: Course = saved.fit_state.course
            _compare(course, run, callbacks, checkpoint)
            # After Ctrl-C the model is further than the file, and the file's training is its own.
            if course.began != start and (course.end or course.began != run.training.began):
                _refuse(checkpoint, "that began with other weights")
            if not course.end:  # else nothing will be written
                _check_writable(callbacks)
            _take_up(run, saved, course, checkpoint)
            callbacks.seen_before = course.waiting
            watch.display.resumed(run.history.resumed, run.history.seconds)
            return
    _check_writable(callbacks)
    run.training.began = start


def _check_writable(callbacks: CallbackList) -> None:
    for checkpoint in callbacks.checkpoints:
        checkpoint.check()


def write_if_due(run: Run, callbacks: CallbackList) -> None:
    """Write the checkpoints whose time has come, between two chunks of steps."""
    for checkpoint in callbacks.checkpoints:
        if checkpoint.is_due():
            write(run, callbacks, checkpoint)


def write(run: Run, callbacks: CallbackList, checkpoint: Checkpoint, end: End | None = None) -> None:
    """Write a checkpoint of the training as it is now, between two chunks of steps, or after all."""
    run.show_average()
    run.training.course = _course(run, callbacks, end)
    try:
        checkpoint.save(is_over=end is not None)
    finally:
        run.training.course = None
    if end is None:
        run.resume_average()


def finish(run: Run, watch: Watch) -> None:
    """Write what the training has led to; one that was interrupted is to go on from the last checkpoint."""
    history = run.history
    if history.ended != INTERRUPTED and not run.is_finished:
        for checkpoint in watch.callbacks.checkpoints:
            end = End(history.ended, history.stop_reason, history.best_epoch)
            write(run, watch.callbacks, checkpoint, end)


def _course(run: Run, callbacks: CallbackList, end: End | None) -> Course:
    return Course(
        options=run.options,
        began=run.training.began,
        first_step=run.first_step,
        portion=run.portions_over,
        step=run.steps_done,
        loss=float(run.sums[0]),
        weight=float(run.sums[1]),
        rate=run.rate,
        start=run.start,
        lowest=run.lowest,
        last_loss=run.last_loss,
        is_warned=run.is_warned,
        seconds=run.history.seconds,
        history={name: list(values) for name, values in run.history.history.items()},
        waiting=() if end else callbacks.waiting,
        end=end,
    )


def _take_up(run: Run, saved: Any, course: Course, checkpoint: Checkpoint) -> None:
    """Bring the training to where a checkpoint has it."""
    training, kept, history = run.training, saved.fit_state, run.history
    for array, its in zip((run.net.parameters, *training.state), (saved.parameters, *kept.state), strict=True):
        array[:] = its
    training.epoch, training.origin, training.plateau = kept.epoch, kept.origin, kept.plateau
    training.start, training.lowest, training.raw, training.pieces = kept.start, kept.lowest, kept.raw, kept.pieces
    training.began = course.began
    run.first_step, run.portions_over, run.steps_done = course.first_step, course.portion, course.step
    run.sums[:] = course.loss, course.weight
    run.rate, run.start, run.lowest, run.last_loss = course.rate, course.start, course.lowest, course.last_loss
    run.is_warned, run.is_within_epoch, run.is_finished = course.is_warned, course.end is None, course.end is not None
    history.history = {name: list(values) for name, values in course.history.items()}
    history.seconds = course.seconds
    run.note_steps()
    if course.end:
        history.ended, history.stop_reason, history.best_epoch = course.end
        history.resumed = f"finished before, as {checkpoint.name} has it"
    else:
        history.resumed = f"resumed in epoch {course.epochs + 1} of {run.job.epochs}, as {checkpoint.name} has it"


# What must be alike.


def _options(run: Run, callbacks: CallbackList) -> dict[str, Plain]:
    """All that decides what a training comes to, but for the weights that it begins with."""
    job, network, at_hand = run.job, callbacks.model.network, run.feed.at_hand
    net = run.net._replace(parameters=np.zeros(0))
    return {
        "layer_sizes": "-".join(map(str, network.sizes)),
        "activation": ", ".join(activation.name for activation in network.activations),
        "loss": repr(network.loss),
        "dropout": ", ".join(repr(float(share)) for share in network.dropout),
        "dtype": run.net.parameters.dtype.name,
        "random_state": int(at_hand.seed),
        "optimizer": repr(job.training.optimizer),
        "epochs": job.epochs,
        "batch_size": job.batch_size,
        "shuffle": bool(at_hand.shuffle),
        "buffer_rows": run.feed.buffer_rows,
        "device": job.device,
        "early stopping": ", ".join(map(repr, callbacks.early_stopping)) or "none",
        "number of rows": job.feed.n_rows or 0,
        "number of processes": callbacks.n_processes,
        "rows": _hash(run.probe[:3]),
        "scaling": _hash(net),
        "validation": _hash(_held_out(callbacks, job.device)),
    }


def _held_out(callbacks: CallbackList, device: str) -> Iterable[Any]:
    """How many rows to validate with there are, and some of them; of a stream its name and its first rows."""
    rows = callbacks.held_out
    if isinstance(rows, Stream):
        return [rows.source.name, *_first_rows(rows, callbacks.model.schema)]
    if rows is None:
        return []
    n = len(rows.Y)
    places = np.arange(min(n, PROBE_ROWS)) * max(n, PROBE_ROWS) // PROBE_ROWS
    weights = rows.in_loss[places] if rows.in_loss.size else rows.in_loss
    return [n, *(on_host(at(places, table), "validation_data", device) for table in (rows.X, rows.Y)), weights]


def _first_rows(stream: Stream, schema: Schema) -> Iterable[Any]:
    """Those that come again: none of what code of the user's own makes."""
    parts: list[Measured] = []
    if stream.source.is_fixed:
        with kept_warnings():  # they are told where these rows are measured
            for batch in stream.once().source.batches(None, PROBE_ROWS):
                parts.append(measured(schema, batch))
                if sum(len(part.Y) for part in parts) >= PROBE_ROWS:
                    break
    tables = zip(*((part.X, part.Y, part.in_loss) for part in parts), strict=True)
    return [np.concatenate(table)[:PROBE_ROWS] for table in tables]


def _hash(parts: Iterable[Any]) -> str:
    """Of arrays, numbers and texts."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str} {part.shape} ".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(f"{part!r} ".encode())
    return digest.hexdigest()


def _check_repeatable(run: Run, callbacks: CallbackList) -> None:
    """Refuse rows that may come otherwise when they are read again."""
    held_out = callbacks.held_out
    is_fixed = held_out.source.is_fixed if isinstance(held_out, Stream) else True
    if not (run.feed.is_fixed and is_fixed):
        what = "validation_data" if run.feed.is_fixed else "X"
        raise InvalidInputError(
            f"Checkpoint(resume=True) needs rows that come again as they came, but {what} is made by code of your own: "
            "give tables or files, or resume=False (fastgd.load of the file then goes on with a new epoch)."
        )


def _compare(course: Course, run: Run, callbacks: CallbackList, checkpoint: Checkpoint) -> None:
    """Refuse the file of another training, or of one that cannot have been."""
    for name, our in run.options.items():
        their = course.options.get(name)
        if their == our:
            continue
        if name in HASHED:
            _refuse(checkpoint, HASHED[name])
        _refuse(checkpoint, f"with {name} {their}, and this one has {our}")
    n_waiting = 0 if course.end else len(callbacks.early_stopping)
    if len(course.waiting) != n_waiting or (course.end is None and course.epochs >= run.job.epochs):
        _refuse(checkpoint, "whose place contradicts its options")


def _refuse(checkpoint: Checkpoint, what: str) -> NoReturn:
    raise InvalidInputError(
        f"{checkpoint.name} has a training {what}: give what it was begun with, so that it goes on, or name another "
        "path."
    )
