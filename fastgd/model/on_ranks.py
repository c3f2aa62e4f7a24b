"""One model trained by several processes, each of which has a copy of it and rows of its own.

Options are compared, all start with the model of rank 0, what there is to know of the rows is learned from those of all
ranks, and all end with the same model and the same history, also after an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.rows import Measured
from ..data.streams.source import Batch
from ..data.streams.survey import Survey
from ..data.streams.taught import Taught
from ..errors import kept_warnings, warn
from ..kernels.records import Rows, resting
from ..training import loop
from ..training.feed import Feed
from ..training.first_rank import CallbacksOfFirst, Measure, validated_by_first
from ..training.history import INTERRUPTED, History
from ..training.progress import Silent, display
from ..training.ranks import Ranks
from ..training.run import Job, Watch
from ..training.shared_steps import ONE_THREAD, OwnRows, SharedStore, seed_of_rank
from ..training.state import TrainingState, training_state
from .alike import Options, check_sizes, compare, start_alike, told_options
from .model import Model
from .validation import measured_names

Validation = Callable[[Measured], Measure]  # for rows that are held out, what is measured after each epoch


def fit_on_ranks(model: Model, comm: Any, batch: Batch, options: Options, validation: Validation) -> History:
    """What Core.fit says of comm."""
    before = model.twin()
    with Ranks(comm) as ranks:
        training = _Training(model, ranks, validation)
        try:
            history = training.fit(batch._replace(where=f"rank {ranks.rank}"), options)
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


class _Training:
    """One rank's part in the training of its model."""

    def __init__(self, model: Model, ranks: Ranks, validation: Validation) -> None:
        self.model, self.ranks, self.validation = model, ranks, validation
        self.first_step: int | None = None  # once all have what they need

    def fit(self, batch: Batch, options: Options) -> History:
        """Learn from the rows of all ranks."""
        model, ranks = self.model, self.ranks
        asked = options.checked(model.device)
        compare(ranks, told_options(model, batch.weights is not None, asked))
        start_alike(model, ranks)
        state = training_state(model.fit_state, asked.optimizer, model.parameters)
        callbacks = CallbacksOfFirst(ranks, asked.callbacks, model)
        taught, held_out, n_rows = self._taught(batch, asked)
        names = ["loss", "learning_rate"] + (measured_names(model.schema) if held_out else [])
        ranks.done_by_first(lambda: callbacks.check_monitors(names, state.optimizer.schedule.plateau()))
        feed = self._feed(taught, batch, n_rows, state.epoch, asked.shuffle)
        state = self._take_over(taught, state, asked.device)
        callbacks.measure_loss = lambda: _loss_of_all(model, ranks, feed)
        job = Job(
            model.net, feed, model.objective, state, model.engine, asked.device, model.loss_unit, asked.epochs,
            asked.batch_size, ONE_THREAD, SharedStore(ranks),
        )  # fmt: skip
        validate = validated_by_first(ranks, self.validation(held_out) if held_out else None)
        watch = Watch(display(asked.verbose) if ranks.is_first else Silent(), callbacks, validate)
        ranks.meet()
        self.first_step = state.steps
        with nullcontext() if ranks.is_first else kept_warnings():  # rank 0 warns for all
            return loop.fit(job, watch)

    def _taught(self, batch: Batch, asked: Options) -> tuple[Taught, Measured | None, int]:
        """What the rows of all ranks teach; rank 0 has the rows to validate with."""
        model, ranks = self.model, self.ranks
        with _warnings_of(ranks):
            schema = replace(model.schema, device=asked.device)
            survey = Survey(schema, model.net, model.random_state, class_weight=asked.class_weight, rank=ranks.rank)
            survey.look_at(batch)
        sizes = ranks.meet(survey.n_rows)
        check_sizes(sizes, asked.batch_size)
        whole = ranks.merged(survey, _merged)
        held_out: list[Measured] = []

        def learn() -> Taught:
            assert whole is not None
            taught = whole.learned(
                model.net, model.initializer, validation_data=asked.validation_data, shuffle=asked.shuffle
            )
            if taught.held_out:
                held_out.append(taught.held_out)
            return replace(taught, held_out=None)

        return ranks.done_by_first(learn, is_joint=True), held_out[0] if held_out else None, sum(sizes)

    def _feed(self, taught: Taught, batch: Batch, n_rows: int, epoch: int, shuffle: bool) -> Feed:
        """This rank's rows, in an order of their own."""
        X, Y, weights = taught.rows_of(batch)
        seed = seed_of_rank(self.model.random_state, self.ranks.rank)
        return OwnRows(taught.probe, Rows(X, Y, weights, seed, epoch, shuffle), n_rows)

    def _take_over(self, taught: Taught, state: TrainingState, device: str) -> TrainingState:
        """Let the model have what was learned of tables; returns the state for its weights, which may be new."""
        model = self.model
        if taught.schema.network.sizes != model.network.sizes or taught.net.parameters.size != model.parameters.size:
            state = training_state(None, state.optimizer, taught.net.parameters)
        model.take_over(taught.schema, taught.net)
        model.fit_state, model.device = state, device
        return state

    def end_alike(self) -> None:
        """Have the parameters of rank 0, whose callbacks may have gone back to earlier ones."""
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
    for portion in feed.portions(0):
        rows = portion.rows._replace(shuffle=False)
        counts = float(rows.weights.sum(dtype=np.float64)) if rows.weights.size else float(len(rows.X))
        if counts:
            total += engine.mean_loss(workspace, rows, net, loss) * counts
            weight += counts
    parts = ranks.meet((total, weight))
    return float(sum(part[0] for part in parts) / sum(part[1] for part in parts)) * model.loss_unit
