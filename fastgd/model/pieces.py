"""Learning from a stream that comes piece by piece: one pass over each, as `fit` with epochs=1 would take it.

What differs is all that takes more than a piece to know: how much a row weighs, and whether the training goes wrong.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..data.lesson import Lesson, prepared
from ..data.rows import Weights, row_weights
from ..errors import InputWarning, InvalidInputError, warn
from ..kernels import DEFAULT_DEVICE
from ..kernels.records import Reals, read_only
from ..options import checked_names, positive_integer, shown, yes_or_no
from ..training import pieces
from ..training.cores import allowance
from ..training.devices import AUTO, Work, asked_device, chosen
from ..training.feed import Whole
from ..training.history import History
from ..training.optimizers import Optimizer
from ..training.run import Job
from ..training.state import Pieces, training_state
from .core import Core
from .model import alone

FEW = 32  # rows: of fewer, a spread may well be half of what it is, or twice as much


class Piecewise(Core):
    """A model that also learns from pieces of a stream; fastgd.MLP documents how one is made."""

    @checked_names
    @alone
    def partial_fit(
        self,
        X: Any,
        y: Any,
        batch_size: int = 32,
        optimizer: Optimizer | None = None,
        sample_weight: Any = None,
        class_weight: dict[Any, float] | None = None,
        shuffle: bool = True,
        n_threads: int | str = "auto",
        device: str | None = None,
    ) -> History:
        """Learn from a piece of a stream: one pass over its rows, from where the last call stopped.

        Piece after piece the weights are those of as many calls of `fit` with epochs=1. The scaling, and how columns
        are encoded, is that of the first piece; where that has few rows or is not like the others, give more rows
        first: `fit(X, y, epochs=0)` learns that alone, and takes no step. A column that has not varied yet is ignored
        until it does.

        What goes wrong is noticed over many pieces, however few rows they have, and told once: a loss ten times that
        at first of rows on which a network of zeros would be better by far, and a network that has died. Nothing is
        printed. Ctrl-C ends the call by KeyboardInterrupt, and what was learned stays.

        Args:
            X: inputs, (n_rows, n_in) numbers or a data frame; one row will do.
            y: actual values, (n_rows,) or (n_rows, n_targets); labels for classes. Where the first piece may lack
                some, name them all where the model is made, classes=[…].
            batch_size: rows per step; a piece of fewer rows is one step.
            optimizer: such as fastgd.Adam(learning_rate=0.001); by default that of the last call, at first that of
                `fit`. A schedule counts steps over all pieces: one that is to end needs steps=. ReduceOnPlateau takes
                monitor="loss", and a piece as an epoch.
            sample_weight: how much each row counts, (n_rows,), at least 0, beside the mean weight of the rows of all
                pieces so far; a row of a piece without weights has 1.
            class_weight: how much each class counts, such as {"yes": 3}, times the row's own weight.
            shuffle: whether the rows of the piece are taken in a random order, another one in each call.
            n_threads: as for `fit`.
            device: as for `fit`; by default that of the last call.

        Returns:
            The history of this pass: "loss" is the mean over its batches, each before it was learned from, in the
            units of y, and so an estimate of the error on rows that are new.

        Raises:
            InvalidInputError: a table or option that cannot be used; nothing has changed.
            DivergenceError: the loss became infinite or NaN; the model goes back to its last good weights, which may
                be from before an earlier call.
            DeviceError: device="cuda" cannot run here, and nothing has changed; or the GPU failed on the way.
            BusyError: as for `fit`.

        Example:
            >>> import fastgd
            >>> X, y = fastgd.datasets.houses(10_000, random_state=0)
            >>> model = fastgd.MLP([4, 32, 1], random_state=0)
            >>> scaling = model.fit(X[:1000], y[:1000], epochs=0, verbose=0)
            >>> for first in range(0, 10_000, 50):
            ...     history = model.partial_fit(X[first : first + 50], y[first : first + 50])
            >>> model.evaluate(X, y)["r2"] > 0.9
            True
        """
        batch_size = positive_integer(batch_size, "batch_size")
        shuffle, threads = yes_or_no(shuffle, "shuffle"), allowance(n_threads)
        asked = asked_device(self.device if device is None else device)
        reads = DEFAULT_DEVICE if asked == AUTO else asked
        state = self.training_state(optimizer)
        pieces.check_schedule(state.optimizer.schedule)
        if class_weight is not None and not isinstance(class_weight, dict):
            raise InvalidInputError(
                f"class_weight must be a dict such as {{'yes': 2.0}}, not {shown(class_weight)}: a piece does not show "
                "how often each class comes."
            )
        old_schema = self.schema
        schema = old_schema if reads == old_schema.device else replace(old_schema, device=reads)
        lesson = prepared(
            schema, self.net, X, y, seed=self.random_state, epoch=state.epoch, shuffle=shuffle,
            sample_weight=sample_weight, class_weight=class_weight, initializer=self.initializer, is_piece=True,
        )  # fmt: skip
        n_rows = len(lesson.rows.X)
        mean, weights = _weighed(lesson, sample_weight, class_weight, state.pieces)
        choice = chosen(asked, [Work(None, min(batch_size, n_rows), float(n_rows) * lesson.net.parameters.size)])
        _tell_of_scaling(self, lesson)
        before = self.twin() if lesson.schema.network is not self.network else None
        old_device = self.device
        schema = lesson.schema if choice.device == reads else replace(lesson.schema, device=choice.device)
        with self.turns.changing(trains=True):
            self.take_over(schema, lesson.net)
            if before:  # the weights are new ones
                state = training_state(None, state.optimizer, self.net.parameters)
            self.fit_state, self.device = state, choice.device
            job = Job(
                self.net, Whole(lesson.rows._replace(weights=weights)), self.objective, state, self.engine,
                choice.device, self.loss_unit, 1, batch_size, threads, self.store, self.turns, choice.reason,
                pieces.judge,
            )  # fmt: skip
            try:
                history = pieces.learn(job)
            except Exception:
                if not state.steps:
                    self.forget_table(before, old_schema, old_device)
                raise
            state.pieces.mean_weight = mean
            state.pieces.n_rows += n_rows
            return history


def _weighed(lesson: Lesson, sample_weight: Any, class_weight: Any, seen: Pieces) -> tuple[float, Reals]:
    """The mean weight of all rows so far, and this piece's weights beside it, (n_rows,) or (0,) where all are 1."""
    if sample_weight is None and class_weight is None and seen.mean_weight == 1:
        return 1.0, lesson.rows.weights
    n_rows, schema = len(lesson.rows.X), lesson.schema
    own: Weights = row_weights(sample_weight, n_rows, schema.device)
    if class_weight is not None:
        by_class = schema.weights_of_classes(class_weight, lesson.parts.Y)
        of_classes = by_class[lesson.parts.Y[:, 0].astype(np.int64)]
        own = of_classes * own if own.size else of_classes
    largest = own.max() if own.size else 1.0
    mean = seen.mean_with(n_rows, float((own / largest).mean() * largest) if own.size else 1.0)
    relative = (own if own.size else np.ones(n_rows)) / mean
    return mean, read_only(np.ascontiguousarray(relative[:0] if (relative == 1).all() else relative, schema.dtype))


def _tell_of_scaling(model: Core, lesson: Lesson) -> None:
    """Say that a first piece has too few rows, or a target too much the same, to learn a scaling from."""
    if model.schema.scaled or not model.standardize:
        return
    n_rows, network, is_constant = len(lesson.rows.X), lesson.schema.network, False
    if network.loss.scaling == "standard" and network.standardizes_target and (lesson.net.target_std == 1).any():
        given = lesson.target.columns()
        is_constant = bool((given == given[0]).all(axis=0).any())
    if n_rows >= FEW and not is_constant:
        return
    rows = "a single row" if n_rows == 1 else f"{n_rows:,} rows" + (", all with the same y" if is_constant else "")
    warn(
        f"The first piece has {rows}: the scaling that is learned from it may be far off, and stays. Begin with a "
        "larger piece, or have the scaling learned first, by fit(X, y, epochs=0) of fastgd.MLP.",
        InputWarning,
    )
