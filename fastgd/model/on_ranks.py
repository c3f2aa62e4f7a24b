"""One model trained by several processes, each of which has a copy of it and rows of its own.

Options are compared, all start with the model of rank 0, what there is to know of the rows is learned from those of all
ranks, and all end with the same model and the same history, also after an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..data.streams.survey import Survey
from ..data.streams.taught import Taught
from ..errors import kept_warnings, warn
from ..kernels.records import resting
from ..training import loop
from ..training.feed import Feed
from ..training.first_rank import CallbacksOfFirst, Measure, validated_by_first
from ..training.history import INTERRUPTED, History
from ..training.progress import Display, Silent, display
from ..training.ranks import Ranks
from ..training.run import Job, Watch
from ..training.shared_steps import ONE_THREAD, SharedStore
from ..training.state import TrainingState, training_state
from . import unseen
from .alike import FitOptions, check_batch, compare, start_alike, told_options
from .lessons import HeldOut, Options, stream_to_validate
from .model import Model
from .rows_of_rank import RowsOfRank
from .validation import measured_names

Validation = Callable[[HeldOut], Measure]  # for rows that are held out, what is measured after each epoch


def fit_on_ranks(
    model: Model, comm: Any, rows: tuple[Any, Any, Any], options: FitOptions, validation: Validation
) -> History:
    """What Core.fit says of comm; rows are X, y and sample_weight."""
    before = model.twin()
    with Ranks(comm) as ranks:
        training = _Training(model, ranks, validation)
        try:
            history = training.fit(rows, options)
            try:
                ranks.meet()
            except KeyboardInterrupt:
                history.end(INTERRUPTED, "interrupted at the end")
        except BaseException as error:
            met = _met_by_all(ranks, error)
            training.give_up(before)
            if met is error:
                raise
            raise met from None
        training.end_alike()
        return ranks.of_first(history)


def _met_by_all(ranks: Ranks, error: BaseException) -> BaseException:
    """The error that this rank raises because of one that it has met."""
    try:
        ranks.fail(error)
    except BaseException as met:
        return met
    return error


class _Lesson(NamedTuple):
    """What the rows of all ranks have taught this one."""

    taught: Taught
    held_out: HeldOut | None  # on rank 0
    sizes: list[int]  # rows of each rank,
    mosts: list[int | None]  # and of its buffers; None: all lie in memory


class _Training:
    """One rank's part in the training of its model."""

    def __init__(self, model: Model, ranks: Ranks, validation: Validation) -> None:
        self.model, self.ranks, self.validation = model, ranks, validation
        self.callbacks: CallbacksOfFirst | None = None
        self.first_step: int | None = None  # once all have what they need

    def fit(self, given: tuple[Any, Any, Any], options: FitOptions) -> History:
        """Learn from the rows of all ranks."""
        model, ranks = self.model, self.ranks
        asked, rows = options.checked(model.device), RowsOfRank(ranks, *given, options.buffer_rows)
        compare(ranks, told_options(model, rows, asked))
        check_batch(asked.batch_size, ranks.size)
        start_alike(model, ranks)
        state = training_state(model.fit_state, asked.optimizer, model.parameters)
        shown = display(asked.verbose) if ranks.is_first else Silent()
        callbacks = self.callbacks = CallbacksOfFirst(ranks, asked.callbacks, model)
        rows.check_is_a_share()
        with model.turns.rest():
            lesson = self._taught(rows, asked, shown)
        held_out = lesson.held_out
        names = ["loss", "learning_rate"] + (measured_names(model.schema) if held_out else [])
        ranks.done_by_first(lambda: callbacks.check_monitors(names, state.optimizer.schedule.plateau()))
        feed = rows.feed(lesson.taught, lesson.sizes, lesson.mosts, asked.batch_size, asked.shuffle)
        state = self._take_over(lesson.taught, state, asked.device)
        callbacks.measure_loss = lambda: _loss_of_all(model, ranks, feed)
        job = Job(
            model.net, feed, model.objective, state, model.engine, asked.device, model.loss_unit, asked.epochs,
            asked.batch_size, ONE_THREAD, SharedStore(ranks), model.turns,
        )  # fmt: skip
        validate = validated_by_first(ranks, self.validation(held_out) if held_out else None)
        ranks.meet()
        self.first_step = state.steps
        with nullcontext() if ranks.is_first else kept_warnings():  # rank 0 warns for all
            return loop.fit(job, Watch(shown, callbacks, validate))

    def _taught(self, rows: RowsOfRank, asked: FitOptions, shown: Display) -> _Lesson:
        """What the rows of all ranks teach; rank 0 has the rows to validate with."""
        model, ranks, schema = self.model, self.ranks, replace(self.model.schema, device=asked.device)
        most = rows.most(schema, asked.batch_size)
        if rows.stream is not None:
            shown.reading(f"reading {rows.stream.source.name} once, to learn about its columns")
        with _warnings_of(ranks):
            survey = Survey(schema, model.net, model.random_state, class_weight=asked.class_weight, rank=ranks.rank)
            with closing(rows.batches(schema, most)) as batches:
                for batch in batches:
                    survey.look_at(batch)
                    ranks.ctrl_c.check()
        met = ranks.meet((survey.n_rows, most))
        sizes, mosts = [n for n, _ in met], [most for _, most in met]
        whole = ranks.merged(survey, _merged)
        held_out: list[HeldOut] = []

        def learn() -> Taught:
            assert whole is not None
            of_rows = Options(
                model.random_state, 0, asked.shuffle, asked.class_weight, asked.validation_data, 0.0, model.initializer
            )
            stream = stream_to_validate(of_rows)
            table = None if stream else asked.validation_data
            taught = whole.learned(model.net, model.initializer, validation_data=table, shuffle=asked.shuffle)
            if taught.held_out:
                unseen.tell_of_ignored(taught.net, taught.held_out.X, "validation_data", taught.schema)
            held_out.extend(found for found in (stream, taught.held_out) if found)
            return replace(taught, held_out=None)

        taught = ranks.done_by_first(learn, is_joint=True)
        return _Lesson(taught, held_out[0] if held_out else None, sizes, mosts)

    def _take_over(self, taught: Taught, state: TrainingState, device: str) -> TrainingState:
        """Let the model have what was learned of tables; returns the state for its weights, which may be new."""
        model = self.model
        if taught.schema.network.sizes != model.network.sizes or taught.net.parameters.size != model.parameters.size:
            state = training_state(None, state.optimizer, taught.net.parameters)
        model.take_over(taught.schema, taught.net)
        model.fit_state, model.device = state, device
        return state

    def end_alike(self) -> None:
        """Have the parameters of rank 0, where its callbacks may have gone back to earlier ones."""
        if self.callbacks and self.callbacks.asked.any:
            self.model.parameters[:] = self.ranks.of_first(self.model.parameters)

    def give_up(self, before: Model) -> None:
        """Leave the same model on all ranks after an error: as it was before, if not a step was worth keeping."""
        model, state = self.model, self.model.fit_state
        if self.first_step is not None and not self.ranks.is_alone:
            self.end_alike()
        if self.first_step is None or state is None or state.steps == self.first_step:
            model.become(before)


def _merged(one: Survey, other: Survey) -> Survey:
    one.merge(other)
    return one


@contextmanager
def _warnings_of(ranks: Ranks) -> Iterator[None]:
    """Warnings about the rows of a rank name it."""
    with kept_warnings() as told:
        yield
    for message, category in told:
        warn(message if message.startswith("rank ") else f"rank {ranks.rank}: {message}", category)


def _loss_of_all(model: Model, ranks: Ranks, feed: Feed) -> float:
    """The mean loss of the rows of all ranks as the model is now, in the user's units."""
    net, loss, engine = resting(model.net), model.objective, model.engine
    (workspace,) = engine.new_workspaces(net, loss)
    total = weight = 0.0
    with closing(feed.portions(0)) as portions:
        for portion in portions:
            rows = portion.rows._replace(shuffle=False)
            counts = float(rows.weights.sum(dtype=np.float64)) if rows.weights.size else float(len(rows.X))
            if counts:
                total += engine.mean_loss(workspace, rows, net, loss) * counts
                weight += counts
    parts = ranks.meet((total, weight))
    return float(sum(part[0] for part in parts) / sum(part[1] for part in parts)) * model.loss_unit
