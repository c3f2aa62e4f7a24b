"""From what a user asks of each network to what is trained, all of it checked before anything trains."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..data.arrays import CheckedTable
from ..data.columns import Columns
from ..data.encoding import Encoding
from ..data.lesson import prepared
from ..data.schema import Schema
from ..data.shared import Places, SharedTable, inputs_at, row_numbers, targets_at
from ..errors import InvalidInputError, kept_warnings
from ..mlp import MLP
from ..model.validation import measured_names
from ..options import check_names, positive_integer, shown, yes_or_no
from ..training.callback_list import CallbackList
from ..training.callbacks import Callback
from ..training.devices import Work
from ..training.state import checked_optimizer
from .records import Record

OF_ALL = ("n_threads", "device", "verbose", "client")
OF_NETWORK = tuple(name for name in inspect.signature(MLP).parameters)
OF_FIT = tuple(
    name
    for name in inspect.signature(MLP.fit).parameters
    if name not in ("self", "X", "y", "buffer_rows", "comm", *OF_ALL)
)
OF_ROWS = ("rows", "validation_rows")
# The options of `fit` and of rows where nothing is asked for.
USUAL = {name: inspect.signature(MLP.fit).parameters[name].default for name in OF_FIT} | dict.fromkeys(OF_ROWS)
KNOWN = (*OF_NETWORK, "model", *OF_FIT, *OF_ROWS)
# What a row costs beside its parameters, in parameters: 4-8-1 takes 37 ns a row on one core, 4-64-64-1 260 ns.
ROW_WORK = 700
# Less than that in an epoch, some 0.2 ms, and threads hand the GIL to each other all the time: two took 1.5 times as
# long as one for 4-8-1 on 1,000 rows, and as long for 5,000.
SHORT = 4e6


@dataclass
class Task:
    """One network and what it learns from."""

    record: Record
    model: MLP
    options: dict[str, Any]  # of fit
    table: SharedTable
    rows: Places | None
    held: Places | None
    validation: SharedTable | None

    @property
    def n_rows(self) -> int:
        """How many rows it learns from."""
        return self.table.inputs(self.model.schema).n_rows if self.rows is None else len(self.rows)

    @cached_property
    def work(self) -> float:
        """About how long it takes, in any unit."""
        return float(self.options["epochs"]) * self.work_of_epoch

    @property
    def work_of_epoch(self) -> float:
        """The same for an epoch."""
        return float(self.n_rows * (self.model.parameters.size + ROW_WORK))

    def work_in(self, epochs: int) -> Work:
        """What says whether so many epochs are worth a GPU."""
        shape = self.model.network, self.model.dtype.name
        total = float(self.n_rows) * epochs * self.model.parameters.size
        return Work(shape, min(self.options["batch_size"], self.n_rows), total)

    def data(self, schema: Schema | None = None) -> dict[str, Any]:
        """What fit takes of tables, read already; a schema may have another encoding than the model's."""
        schema = self.model.schema if schema is None else schema
        X = self.table.inputs(schema)
        y = self.table.targets(schema, X.n_rows)
        weights = self.table.weights(self.options["sample_weight"], X.n_rows)
        at: dict[str, Any] = {"X": inputs_at(self.rows, X), "y": targets_at(self.rows, y), "validation_data": None}
        at["sample_weight"] = weights if weights is None or self.rows is None else weights[self.rows]
        if self.held is not None:
            at["validation_data"] = (
                inputs_at(self.held, X), targets_at(self.held, y), *([] if weights is None else [weights[self.held]])
            )  # fmt: skip
        elif self.validation is not None:
            at["validation_data"] = self._given(self.validation, replace(schema, feature_names=self._names(X)))
        return at

    def read(self) -> None:
        """Have the tables read; then all networks that take them alike have them without reading."""
        X = self.table.inputs(self.model.schema)
        self.table.targets(self.model.schema, X.n_rows)
        self.table.weights(self.options["sample_weight"], X.n_rows)
        if self.validation is not None:
            self._given(self.validation, replace(self.model.schema, feature_names=self._names(X)))

    def _given(self, validation: SharedTable, schema: Schema) -> tuple[Any, ...]:
        try:
            X = validation.inputs(schema)
            weights = self.options["validation_data"][2:]
            return X, validation.targets(schema, X.n_rows), *(validation.weights(w, X.n_rows) for w in weights)
        except InvalidInputError as error:
            raise InvalidInputError(f"validation_data: {error}") from error

    def _names(self, X: CheckedTable | Columns) -> tuple[str, ...] | None:
        """What the columns of a frame are read by, in another table, too."""
        return self.model.schema.feature_names or X.names

    def check(self) -> None:
        """Whether these rows can be learned from, found out as `fit` does; bins are not laid for that."""
        schema, options = self.table.here(self.model.schema), self.options
        if schema.encoding is not None and schema.encoder is None:
            schema = replace(schema, encoding=replace(schema.encoding, bins=0))
        try:
            with kept_warnings():  # fit tells them
                prepared(
                    schema, self.model.net, **self.data(schema), seed=self.model.random_state,
                    shuffle=options["shuffle"], class_weight=options["class_weight"],
                    validation_split=options["validation_split"], initializer="zeros",
                )  # fmt: skip
        except InvalidInputError as error:
            raise InvalidInputError(self.of_the_table(str(error))) from error

    def of_the_table(self, message: str) -> str:
        """A message about a row of y, which is counted as in the table, not among the chosen rows."""
        places = self.held if message.startswith("validation_data") else self.rows
        if places is None or not message.removeprefix("validation_data: ").startswith("y, row"):
            return message
        counted = re.sub(r"row (\d+)", lambda found: f"row {places[int(found[1])]}", message, count=1)
        return counted.removeprefix("validation_data: ")

    @property
    def kind(self) -> Hashable:
        """What decides whether rows can be learned from."""
        schema, options = self.model.schema, self.options
        encoding = replace(schema.encoding, bins=0) if isinstance(schema.encoding, Encoding) else None
        net = schema.network
        network = net.n_in, net.n_out, net.loss, net.activations[-1], net.monotone
        given = [id(given) for given in (self.rows, self.held, options["sample_weight"], options["validation_data"])]
        of_classes = repr(schema.classes), schema.classes_known, repr(options["class_weight"])
        seen = id(self.model) if schema.scaled else None  # a model that goes on knows more
        return (
            schema.dtype, schema.standardize, schema.feature_names, encoding, network, schema.target.log,
            schema.target.clip, *given, *of_classes, options["validation_split"], seen,
        )  # fmt: skip


def tasks_of(specs: Any, X: Any, y: Any, defaults: dict[str, Any], names: Sequence[str] | None = None) -> list[Task]:
    """The networks that are asked for, made and checked; `names` are what messages call them, by default spec 0, ….

    X may be a SharedTable, which has y, too.

    Raises:
        InvalidInputError: whatever `fit` would refuse; the message names the spec.
    """
    check_names(defaults, (*KNOWN, *OF_ALL))
    if not isinstance(specs, list | tuple) or not all(
        isinstance(spec, Mapping) and all(isinstance(name, str) for name in spec) for spec in specs
    ):
        raise InvalidInputError(
            "specs must be a list of dicts, such as [{'layer_sizes': [4, 16, 1]}], one for each network."
        )
    if not specs:
        raise InvalidInputError("specs is empty: there is no network to train.")
    shared = Tables(X if isinstance(X, SharedTable) else SharedTable(X, y))
    tasks: list[Task] = []
    checked: set[Hashable] = set()
    for number, spec in enumerate(specs):
        try:
            task = _task(number, dict(spec), defaults, shared)
            if len(specs) > 1 and task.kind not in checked:  # one alone is checked by its fit
                task.check()
                checked.add(task.kind)
        except InvalidInputError as error:
            raise InvalidInputError(f"{names[number] if names else f'spec {number}'}: {error}") from error
        tasks.append(task)
    return tasks


class Tables:
    """The table of all, those that some are validated with, and the models that go on."""

    def __init__(self, table: SharedTable) -> None:
        self.table = table
        self.validation: dict[int, SharedTable] = {}
        self.models: set[int] = set()
        self.chosen: dict[tuple[int, int], tuple[Any, Any, Places | None, Places | None]] = {}

    def places(self, rows: Any, held: Any, n_rows: int) -> tuple[Places | None, Places | None]:
        """The rows to learn from and those to validate with; None: all, or none. Networks of one fold share them."""
        key = id(rows), id(held)
        if key not in self.chosen:
            self.chosen[key] = rows, held, *chosen(rows, held, n_rows)  # kept alive, so that an id stays its
        return self.chosen[key][2:]

    def of(self, validation_data: Any) -> SharedTable | None:
        """The table to validate with; the same object is read once."""
        if validation_data is None:
            return None
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            raise InvalidInputError("validation_data must be (X, y) or (X, y, sample_weight).")
        X, y = validation_data[:2]
        return self.validation.setdefault(id(validation_data), SharedTable(X, y, self.table.device))


def _task(number: int, spec: dict[str, Any], defaults: dict[str, Any], shared: Tables) -> Task:
    for name in OF_ALL:
        if name in spec:
            raise InvalidInputError(f"{name} is for all networks: give it to fit_many itself.")
    check_names(spec, KNOWN)
    asked = {**USUAL, **defaults, **spec}
    model = _model(spec, asked, shared)
    options = {name: asked[name] for name in OF_FIT}
    options["epochs"] = positive_integer(options["epochs"], "epochs", least=0)
    options["batch_size"] = positive_integer(options["batch_size"], "batch_size")
    options["shuffle"] = yes_or_no(options["shuffle"], "shuffle")
    optimizer = checked_optimizer(model.fit_state, options["optimizer"])
    options["callbacks"] = _copies(options["callbacks"])
    callbacks = CallbackList(options["callbacks"], model)
    if callbacks.checkpoints:
        raise InvalidInputError(
            "Checkpoint is for the fit of one network, and these would all be written to one file: save what you wish "
            "to keep of the records."
        )
    n_rows = shared.table.inputs(model.schema).n_rows
    rows, held = shared.places(asked["rows"], asked["validation_rows"], n_rows)
    if held is not None and (options["validation_data"] is not None or options["validation_split"]):
        raise InvalidInputError("validation_rows, validation_data and validation_split: give one of them.")
    has_validation = held is not None or options["validation_data"] is not None or options["validation_split"]
    names = ["loss", "learning_rate"] + (measured_names(model.schema) if has_validation else [])
    callbacks.check_monitors(names, optimizer.schedule.plateau())
    record = Record(number, {**defaults, **spec}, model, callbacks=options["callbacks"])
    return Task(record, model, options, shared.table, rows, held, shared.of(options["validation_data"]))


def _model(spec: dict[str, Any], asked: dict[str, Any], shared: Tables) -> MLP:
    """A new network, or the one that goes on."""
    model = asked.get("model")
    if model is None:
        options = {name: asked[name] for name in OF_NETWORK if name in asked}
        if "layer_sizes" not in options:
            raise InvalidInputError("layer_sizes is missing, such as [4, 16, 1]: inputs, hidden units, outputs.")
        model = MLP(**options)
    else:
        beside = [name for name in OF_NETWORK if name in spec]
        if not isinstance(model, MLP):
            raise InvalidInputError(f"model must be a fastgd.MLP to go on with, not {shown(model)}.")
        if beside:
            raise InvalidInputError(f"{beside[0]} belongs to a new network, but model is one that goes on.")
        if id(model) in shared.models:
            raise InvalidInputError("model stands in another spec, too: each network is trained once.")
    shared.models.add(id(model))
    return model


def _copies(callbacks: Any) -> Any:
    """Callbacks of its own for each network, because they remember; what is no callback stays, and is told later."""
    if isinstance(callbacks, Callback):
        callbacks = [callbacks]
    if not isinstance(callbacks, list | tuple):
        return callbacks
    try:
        return [copy.deepcopy(callback, {id(getattr(callback, "model", None)): None}) for callback in callbacks]
    except Exception as error:  # whatever a foreign class does
        raise InvalidInputError(
            f"callbacks cannot be copied, and each network needs its own: {type(error).__name__}: {error}."
        ) from error


def chosen(given: Any, held_out: Any, n_rows: int) -> tuple[Places | None, Places | None]:
    """The rows to learn from and those to validate with, as numbers; rows that stand on both sides are refused."""
    rows = None if given is None else row_numbers(given, n_rows, "rows")
    if held_out is None:
        return rows, None
    held = row_numbers(held_out, n_rows, "validation_rows")
    is_held = np.zeros(n_rows, bool)
    is_held[held] = True
    if rows is None:
        rows = np.flatnonzero(~is_held)
        if not rows.size:
            raise InvalidInputError("validation_rows are all rows: none is left to learn from.")
    shared = np.unique(rows[is_held[rows]])
    if shared.size:
        count = f"{shared.size} row{'s' if shared.size > 1 else ''}"
        raise InvalidInputError(f"rows and validation_rows overlap in {count}, such as row {shared[0]}.")
    return rows, held
