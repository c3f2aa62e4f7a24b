"""One model trained by several processes, each of which has a copy of it and rows of its own.

Options are compared, all start with the model of rank 0, what there is to know of the rows is learned from those of all
ranks, and all end with the same model and the same history, also after an error.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import __version__
from ..data.rows import Measured
from ..data.streams.source import Batch
from ..data.streams.survey import Survey, Taught
from ..errors import InvalidInputError, kept_warnings, warn
from ..kernels import DEFAULT_DEVICE, GPU
from ..kernels.records import Net, Rows, resting
from ..options import positive_integer, yes_or_no
from ..training import loop
from ..training.devices import AUTO, asked_device
from ..training.feed import Feed
from ..training.first_rank import CallbacksOfFirst, validated_by_first
from ..training.history import INTERRUPTED, History
from ..training.progress import Silent, display
from ..training.ranks import Ranks
from ..training.run import Job, Watch
from ..training.shared_steps import ONE_THREAD, OwnRows, SharedStore, seed_of_rank
from ..training.state import TrainingState, checked_optimizer, training_state
from .validation import measured_names, validation

if TYPE_CHECKING:
    from .core import Core

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of a function: another one in each process


class Options(NamedTuple):
    """What the user of `fit` says, beside the rows."""

    epochs: Any
    batch_size: Any
    optimizer: Any
    validation_data: Any
    validation_split: Any
    class_weight: Any
    shuffle: Any
    callbacks: Any
    device: Any
    verbose: Any

    def checked(self, device: str) -> Options:
        """The same, with the device by name; the model's is `device`."""
        asked = asked_device(device if self.device is None else self.device)
        if asked == GPU:
            raise InvalidInputError(f"comm is for device={DEFAULT_DEVICE!r} or 'plain': ranks do not train on GPUs.")
        if self.validation_split:
            raise InvalidInputError(
                "validation_split cannot be used with comm: give validation_data on rank 0, which validates for all."
            )
        return self._replace(
            epochs=positive_integer(self.epochs, "epochs", least=0),
            batch_size=positive_integer(self.batch_size, "batch_size"),
            shuffle=yes_or_no(self.shuffle, "shuffle"),
            device=DEFAULT_DEVICE if asked == AUTO else asked,
        )


def fit_on_ranks(model: Core, comm: Any, X: Any, y: Any, sample_weight: Any, options: Options) -> History:
    """What Core.fit says of comm."""
    before = model.twin()
    with Ranks(comm) as ranks:
        training = _Training(model, ranks)
        try:
            history = training.fit(Batch(X, y, sample_weight, f"rank {ranks.rank}", 0), options)
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

    def __init__(self, model: Core, ranks: Ranks) -> None:
        self.model, self.ranks = model, ranks
        self.first_step: int | None = None  # once all have what they need

    def fit(self, batch: Batch, options: Options) -> History:
        """Learn from the rows of all ranks."""
        model, ranks = self.model, self.ranks
        asked = options.checked(model.device)
        _compare(ranks, _told_options(model, batch, asked))
        _start_alike(model, ranks)
        state = model.training_state(asked.optimizer)
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
        validate = validated_by_first(ranks, validation(model, held_out) if held_out else None)
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
        _check_sizes(sizes, asked.batch_size)
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

    def give_up(self, before: Core) -> None:
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


def _check_sizes(sizes: list[int], batch_size: int) -> None:
    n_rows, size = sum(sizes), len(sizes)
    if n_rows < size:
        raise InvalidInputError(f"There are {n_rows} rows for {size} ranks: start fewer.")
    if 0 in sizes:
        raise InvalidInputError(f"rank {sizes.index(0)} has no rows: give each rank some, or start fewer.")
    if min(batch_size, n_rows) < size:
        raise InvalidInputError(
            f"batch_size={batch_size} is below the {size} ranks, which take their rows of a batch together: give at "
            f"least {size}."
        )


def _told_options(model: Core, batch: Batch, asked: Options) -> dict[str, str]:
    """What must be the same on all ranks, by the names that users know."""
    network, schema = model.network, model.schema
    told = {
        "version of fastgd": __version__,
        "layer_sizes": list(network.sizes),
        "activation": [activation.name for activation in network.activations],
        "loss": network.loss,
        "dropout": network.dropout,
        "monotone": network.monotone,
        "dtype": model.dtype,
        "standardize": schema.standardize,
        "encoding": schema.encoding,
        "log_target": schema.target.log,
        "clip_predictions": schema.target.clip,
        "epochs": asked.epochs,
        "batch_size": asked.batch_size,
        "optimizer": checked_optimizer(model.fit_state, asked.optimizer),
        "class_weight": asked.class_weight,
        "shuffle": asked.shuffle,
        "device": asked.device,
        "sample_weight": "none" if batch.weights is None else "some",
    }
    return {name: ADDRESS.sub("", str(value)) for name, value in told.items()}


def _compare(ranks: Ranks, told: dict[str, str]) -> None:
    """Raise the same sentence on all ranks if one was told something else than rank 0."""
    all_told = ranks.meet(told)
    for rank, other in enumerate(all_told):
        for name, value in all_told[0].items():
            if other[name] != value:
                raise InvalidInputError(
                    f"rank {rank} has {name} {other[name]}, but rank 0 has {value}: all ranks must be given the same."
                )


def _start_alike(model: Core, ranks: Ranks) -> None:
    """Have the model of rank 0, if they are not the same anyway."""
    if len(set(ranks.meet(_fingerprint(model)))) == 1:
        return
    schema, net, state, model.random_state = pickle.loads(ranks.done_by_first(lambda: _pickled(model)))
    if not ranks.is_first:
        model.take_over(replace(schema, device=model.device), Net(*net))
        model.fit_state = state


def _pickled(model: Core) -> bytes:
    try:
        return pickle.dumps((model.schema, model.net, model.fit_state, model.random_state))
    except Exception as error:  # a function of the user as learning rate
        raise InvalidInputError(
            f"The models of the ranks differ, and that of rank 0 cannot be sent ({error}): load the same file on each."
        ) from error


def _fingerprint(model: Core) -> bytes:
    """Equal for models that go on alike."""
    state, schema, digest = model.fit_state, model.schema, hashlib.blake2b(digest_size=16)
    for array in (*model.net, *(state.state if state else ())):
        digest.update(np.ascontiguousarray(array).data)
    kept = (state.epoch, state.plateau, state.origin, state.start, state.lowest) if state else ()
    names = schema.feature_names, schema.target_names, None if schema.classes is None else schema.classes.tolist()
    digest.update(repr((kept, names, schema.scaled, model.random_state)).encode())
    return digest.digest()


def _loss_of_all(model: Core, ranks: Ranks, feed: Feed) -> float:
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
    return sum(part[0] for part in parts) / sum(part[1] for part in parts) * model.loss_unit
