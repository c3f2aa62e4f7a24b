"""What both estimators share: their options, the checks of scikit-learn, and one training.

They take tables as they come, with text and gaps; numbers alone, as scikit-learn's own networks do, with encoding=None.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from ..many.variety import MANY_ROWS
from ..mlp import MLP
from ..options import is_number, shown
from ..training.callbacks import Callback, Logs
from ..training.devices import asked_device
from ..training.history import History
from ..training.progress import say
from ..training.recipe import Recipe
from .choices import FREE, Choices, is_open
from .held_out import Rows, parted, rows_of
from .library import (
    check_consistent_length,
    check_is_fitted,
    check_sample_weight,
    column_or_1d,
    in_fit_context,
    is_regressor,
)
from .several import Team
from .tables import check_is_whole, checked_table, count_rows, readable, real_dtype_of
from .watch import Patience, Subtasks


@dataclasses.dataclass(eq=False, repr=False)
class Estimator(Choices):
    """One training, or several."""

    @in_fit_context
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the network; with warm_start=True that of the last fit goes on where it stopped.

        Args:
            X: inputs, (n_rows, n_in), numbers, text and gaps, an array or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets); for classes labels, or a column of 0 and 1 for each.
            sample_weight: how much each row counts, (n_rows,), at least 0; only ratios count.
            groups: which rows belong together, (n_rows,): of each group all rows are held out, or none.
            X_val, y_val, sample_weight_val: rows for early stopping and greedy selection, instead of a
                validation_fraction of X.

        Raises:
            ValueError: a table or an option that cannot be used.
            DivergenceError: the loss became infinite or NaN.
            DeviceError: device="cuda" cannot run here; nothing has changed.
        """
        several = self._is_several()
        if several and self.warm_start:
            raise ValueError("One network alone can go on: warm_start takes n_networks=1 and time_budget=None.")
        if self.selection == "greedy" and not several:
            raise ValueError("selection='greedy' chooses among several networks: set n_networks=8, or a time_budget.")
        goes_on = self.warm_start and self.__sklearn_is_fitted__()
        X, y = self._checked(X, y, reset=not goes_on)
        rows = rows_of(X, y, self._checked_weights(sample_weight, X), groups)
        if not goes_on:
            self._meet(y, rows.weights)
        held_out, (all_rows, aside) = self._given(X_val, y_val, sample_weight_val), self._set_aside(rows)
        rows = all_rows
        is_apart = held_out is None and (self.early_stopping or (several and self._selects()))
        if is_apart:
            classes = hasattr(self, "classes_")
            try:
                rows, held_out = parted(
                    all_rows, self.validation_fraction, self._seed(), classes, "validation_fraction"
                )
            except ValueError:
                if self.early_stopping or self.selection != "auto":
                    raise  # else all networks count
        recipe = self._recipe(rows.X, goes_on, self.optimizer, self.epochs)
        if several:
            self._train_several(rows, held_out, None if self.early_stopping or not is_apart else all_rows, recipe)
        else:
            self._train(rows, held_out, recipe, goes_on=goes_on, callbacks=self._subtasks(rows, recipe))
        self._calibrate_with(aside)
        return self

    def _subtasks(self, rows: Rows, recipe: Recipe) -> list[Callback]:
        """What tells scikit-learn's callbacks of the epochs."""
        if not hasattr(self, "_init_callback_context"):
            return []
        metadata = None if rows.weights is None else {"sample_weight": rows.weights}
        told = {"estimator": self, "X": rows.X, "y": rows.y, "metadata": metadata}
        return [Subtasks(self._init_callback_context(max_subtasks=recipe.epochs), told)]

    def _learn_piece(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """The pass of a partial_fit."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it is one epoch.")
        weights = self._checked_weights(sample_weight, X)
        goes_on = self.__sklearn_is_fitted__()
        recipe = self._recipe_of_pieces(goes_on)
        model = self._new_or_fitted(X, y, recipe, goes_on)
        if not goes_on:
            self._say(recipe, y)
        history = model.partial_fit(
            X,
            y,
            batch_size=recipe.batch_size,
            optimizer=recipe.optimizer,
            sample_weight=weights,
            class_weight=self._weights_of_classes(y, weights),
            shuffle=self.shuffle,
            n_threads=self.n_threads,
            device=self.device,
        )
        self.recipe_ = recipe
        self._note(model, history, None, goes_on)
        return self

    def _new_or_fitted(self, X: Any, y: Any, recipe: Recipe, goes_on: bool) -> Any:
        """The network to train: a new one, or that of the last fit, if it is still the one that is asked for."""
        model = self._network(X, y, recipe, None if goes_on else self._seed(), self.encoding)
        if not goes_on:
            return model
        if model.network != dataclasses.replace(self.model_.network, encoded=None):
            raise ValueError(
                f"The fitted network is {self.model_.network}, but options and table ask for {model.network}: "
                "that takes a new fit with warm_start=False."
            )
        return self.model_

    def _train(
        self, rows: Rows, held_out: Rows | None, recipe: Recipe, *, goes_on: bool, callbacks: list[Callback]
    ) -> Self:
        X, y, weights, _ = rows
        model = self._new_or_fitted(X, y, recipe, goes_on)
        validation = None if held_out is None else held_out.told
        patience = self._patience(validation, recipe)
        self._say(recipe, y)
        history = model.fit(
            X,
            y,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            optimizer=recipe.optimizer,
            validation_data=validation,
            sample_weight=weights,
            class_weight=self._weights_of_classes(y, weights),
            shuffle=self.shuffle,
            callbacks=[patience, *self._beside(rows), *callbacks],
            n_threads=self.n_threads,
            device=self.device,
            verbose=self.verbose,
        )
        self.recipe_ = recipe
        self._note(model, history, patience.scores if held_out else None, goes_on)
        return self

    def _train_several(self, rows: Rows, held_out: Rows | None, all_rows: Rows | None, recipe: Recipe) -> None:
        self._say(recipe, rows.y)
        chosen = {"learning_rate", "weight_decay"} if self.optimizer is not None else set()
        chosen |= {name for name in ("learning_rate", "weight_decay") if getattr(self, name) is not None}
        chosen |= {"activation"} if self.monotone else set()
        free = frozenset(name for name in FREE if name not in chosen and is_open(getattr(self, name)))
        is_rich = self._has_bins(rows.X) and count_rows(rows.X) >= MANY_ROWS
        team = Team(self, recipe, free, is_rich)
        self.model_: Any = team.mean(rows, held_out, all_rows)
        self.recipe_, self.recipes_ = recipe, [variant.recipe for variant in team.variants]
        self.history_: Any = [record.history for record in team.records]
        self.loss_curve_: list[float] = team.curve("loss")
        self.n_iter_ = len(self.loss_curve_)
        self.t_ = sum(record.history.rows_seen for record in team.records if record.history)
        validates = self.early_stopping and held_out is not None
        self._sum_up(team.scores() if validates else None, min(self.loss_curve_, default=math.nan))

    def _say(self, recipe: Recipe, y: Any) -> None:
        """What was chosen, and what may be worth a try."""
        if self.verbose:
            say(str(recipe))
            for offer in self._offers(y):
                say(offer)

    def _patience(self, held_out: Any, recipe: Recipe) -> Patience:
        """What ends a training early."""
        epochs = self.n_iter_no_change
        if isinstance(epochs, str):
            epochs = recipe.patience if self.early_stopping else math.inf
        if not is_number(self.tol):
            raise ValueError(f"tol must be a number that a float holds, not {shown(self.tol)}.")
        return Patience(self._score_of(held_out), float(self.tol), epochs, restores=held_out is not None)

    def _note(self, model: MLP, history: History, scores: list[float] | None, goes_on: bool) -> None:
        """Keep what a training has led to; a further one adds to it."""
        if not goes_on:
            self.loss_curve_ = []
            self.validation_scores_: list[float] | None = None
            self.n_iter_, self.t_ = 0, 0
            self.best_loss_: float | None = None
        losses, known = history.history["loss"], self.loss_curve_ if self.best_loss_ is None else [self.best_loss_]
        best = min([*known, *losses], default=math.nan)  # pieces may be many: their curve is not walked each time
        self.model_, self.history_ = model, history
        self.loss_curve_ += losses
        self.n_iter_ += history.epochs
        self.t_ += history.rows_seen
        self._sum_up(None if scores is None else [*(self.validation_scores_ or []), *scores], best)

    def _sum_up(self, scores: list[float] | None, best: float) -> None:
        """The last and the best of the curves."""
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        self.validation_scores_ = scores
        self.best_validation_score_ = None if scores is None else max(scores, default=math.nan)
        self.best_loss_ = best if scores is None else None

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        """A table to learn from, on a device that can run here."""
        asked_device(self.device)
        X, y = self._numbers(X, y, reset=reset, multi_output=True, y_numeric=is_regressor(self))
        with readable("y"):
            check_is_whole(y)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _numbers(self, X: Any, *y: Any, reset: bool, **options: Any) -> Any:
        """A table, or a table and targets, that scikit-learn has looked at."""
        with readable("X or y" if y else "X"):
            return checked_table(self, X, y, self.encoding is not None, reset, **options)

    def _checked_weights(self, sample_weight: Any, X: Any) -> Any:
        if sample_weight is None:
            return None
        if isinstance(sample_weight, complex | np.ndarray) and np.iscomplexobj(sample_weight):
            raise ValueError("sample_weight has complex numbers: pass real ones.")
        with readable("sample_weight"):
            weights = check_sample_weight(sample_weight, X, dtype=real_dtype_of(X), ensure_non_negative=True)
        if not np.isfinite(weights).all():  # of one number for all rows scikit-learn does not ask it
            raise ValueError(f"sample_weight must be finite numbers, not {shown(sample_weight)}.")
        if not weights.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return weights

    def _given(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> Any:
        """The rows for early stopping that a user gave, checked; None if there are none."""
        if X_val is None and y_val is None and sample_weight_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val belong together: give both or neither.")
        if not self.early_stopping and not self._selects():
            raise ValueError("X_val and y_val are for early stopping: set early_stopping=True.")
        X_val = self._numbers(X_val, reset=False)
        check_consistent_length(X_val, y_val)
        return Rows(X_val, y_val, self._checked_weights(sample_weight_val, X_val))

    def _fitted(self) -> Any:
        check_is_fitted(self)
        return self.model_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = self.encoding is not None
        return tags

    # What the two see in their own way.

    def _meet(self, y: Any, weights: Any) -> None:
        """Look at the targets of a first fit."""

    def _network(self, X: Any, y: Any, recipe: Recipe, seed: int | None, encoding: Any) -> MLP:
        """A new network for this table; without a seed only its shape matters."""
        raise NotImplementedError

    def _beside(self, rows: Rows) -> list[Callback]:
        """What goes along with the training of each network."""
        return []

    def _set_aside(self, rows: Rows) -> tuple[Rows, Rows | None]:
        """Rows to learn from, and rows that are kept for what comes after the training."""
        return rows, None

    def _calibrate_with(self, aside: Rows | None) -> None:
        """What comes after it."""

    def _offers(self, y: Any) -> Iterator[str]:
        """What may be worth a try for such targets, and is not done unasked."""
        yield from ()

    def _weights_of_classes(self, y: Any, weights: Any) -> dict[Any, float] | None:
        """How much each class counts."""

    def _score_of(self, held_out: Any) -> Callable[[Any, Logs], float]:
        """What is to rise from epoch to epoch; `tol` is in its unit. Losses are in standard deviations of targets."""
        name = "loss" if held_out is None else "val_loss"
        return lambda model, logs: -logs[name] / model.loss_unit
