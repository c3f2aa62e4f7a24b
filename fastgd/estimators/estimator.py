"""What both estimators share: their options, the checks of scikit-learn, and one training.

They take tables as they come, with text and gaps; numbers alone, as scikit-learn's own networks do, with encoding=None.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np

from ..data.encoding import Encoding, as_encoding
from ..kernels import DEFAULT_DEVICE, DEVICES
from ..mlp import MLP
from ..network.activations import ACTIVATIONS
from ..network.initializers import INITIALIZERS
from ..options import positive_integer
from ..training.callbacks import Callback, Logs
from ..training.history import History
from ..training.optimizers import DEFAULT_OPTIMIZER, Optimizer
from ..training.progress import say
from ..training.recipe import Recipe, recipe
from ..training.schedules import Schedule
from .library import (
    BaseEstimator,
    CallbackSupportMixin,
    Interval,
    Options,
    StrOptions,
    check_consistent_length,
    check_is_fitted,
    check_random_state,
    check_sample_weight,
    column_or_1d,
    in_fit_context,
    is_regressor,
    train_test_split,
)
from .tables import check_is_whole, checked_table, count_numbers, count_rows, real_dtype_of
from .watch import Patience, Subtasks

ROWS_OF_FLOAT32 = 1000  # from which on float32, twice as fast, is precise enough
AUTO = StrOptions({"auto"})
FEWEST_WAITED = 10  # epochs of early stopping; more where there are more epochs
NETWORK = "hidden_layer_sizes", "activation", "dropout"  # what a warm start cannot change


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


@dataclasses.dataclass(eq=False, repr=False)
class Estimator(CallbackSupportMixin, BaseEstimator):
    """As a dataclass it has an __init__ that keeps what it is given and does nothing else, as scikit-learn wants it."""

    hidden_layer_sizes: Any = "auto"
    _: dataclasses.KW_ONLY
    activation: str | Sequence[str] = "auto"
    initializer: Any = "auto"
    dropout: float | str | Sequence[float] = "auto"
    optimizer: Optimizer | None = None
    learning_rate: Any = None
    weight_decay: float | None = None
    epochs: int | str = "auto"
    batch_size: int | str = "auto"
    shuffle: bool = True
    standardize: bool = True
    encoding: str | Encoding | None = "auto"
    dtype: str = "auto"
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: float | str = "auto"
    tol: float = 1e-4
    warm_start: bool = False
    random_state: Any = None
    n_threads: int | str = "auto"
    device: str = DEFAULT_DEVICE
    verbose: int | str = 0

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": [AUTO, "array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"auto", *ACTIVATIONS}), "array-like"],
        "initializer": [StrOptions({"auto", *INITIALIZERS}), list, tuple],
        "dropout": [AUTO, Interval(Real, 0, 1, closed="left"), "array-like"],
        "optimizer": [Optimizer, None],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), Schedule, callable, None],
        "weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "epochs": [AUTO, Interval(Integral, 1, None, closed="left")],
        "batch_size": [AUTO, Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "standardize": ["boolean"],
        "encoding": [AUTO, Encoding, None],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [AUTO, Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "n_threads": [AUTO, Interval(Integral, 1, None, closed="left")],
        "device": [StrOptions(set(DEVICES))],
        "verbose": [AUTO, Interval(Integral, 0, 2, closed="both"), "boolean"],
    }

    @in_fit_context
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the network; with warm_start=True that of the last fit goes on where it stopped.

        Args:
            X: inputs, (n_rows, n_in), numbers, text and gaps, an array or a data frame.
            y: actual values, (n_rows,) or (n_rows, n_targets); for classes labels, or a column of 0 and 1 for each.
            sample_weight: how much each row counts, (n_rows,), at least 0; only ratios count.
            X_val, y_val, sample_weight_val: rows for early stopping, instead of a validation_fraction of X.

        Raises:
            ValueError: a table or an option that cannot be used.
            DivergenceError: the loss became infinite or NaN.
        """
        goes_on = self.warm_start and self.__sklearn_is_fitted__()
        X, y = self._checked(X, y, reset=not goes_on)
        weights = self._checked_weights(sample_weight, X)
        if not goes_on:
            self._meet(y, weights)
        held_out = self._given(X_val, y_val, sample_weight_val)
        if self.early_stopping and held_out is None:
            X, y, weights, held_out = self._split(X, y, weights)
        recipe = self._recipe(X, goes_on, self.optimizer, self.epochs)
        callbacks: list[Callback] = []
        if hasattr(self, "_init_callback_context"):
            metadata = None if weights is None else {"sample_weight": weights}
            told = {"estimator": self, "X": X, "y": y, "metadata": metadata}
            callbacks = [Subtasks(self._init_callback_context(max_subtasks=recipe.epochs), told)]
        return self._train(X, y, weights, held_out, recipe, goes_on=goes_on, callbacks=callbacks)

    def _train_once(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """The epoch of a partial_fit."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it is one epoch.")
        weights = self._checked_weights(sample_weight, X)
        goes_on = self.__sklearn_is_fitted__()
        optimizer = DEFAULT_OPTIMIZER if self.optimizer is None else self.optimizer
        recipe = self._recipe(X, goes_on, optimizer, epochs=1)
        return self._train(X, y, weights, None, recipe, goes_on=goes_on, callbacks=[])

    def _train(
        self, X: Any, y: Any, weights: Any, held_out: Any, recipe: Recipe, *, goes_on: bool, callbacks: list[Callback]
    ) -> Self:
        model = self._network(X, y, recipe, 0 if goes_on else self._seed())
        if goes_on and model.network != dataclasses.replace(self.model_.network, encoded=None):
            raise ValueError(
                f"The fitted network is {self.model_.network}, but options and table ask for {model.network}: "
                "that takes a new fit with warm_start=False."
            )
        model = self.model_ if goes_on else model
        epochs = self.n_iter_no_change
        if isinstance(epochs, str):
            # The score may pause for long while the rate is high, and rise as it falls.
            epochs = max(FEWEST_WAITED, recipe.epochs // 4) if self.early_stopping else math.inf
        patience = Patience(self._score_of(held_out), self.tol, epochs, restores=held_out is not None)
        if self.verbose:
            say(str(recipe))
            for offer in self._offers(y):
                say(offer)
        history = model.fit(
            X,
            y,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            optimizer=recipe.optimizer,
            validation_data=held_out,
            sample_weight=weights,
            class_weight=self._weights_of_classes(y, weights),
            shuffle=self.shuffle,
            callbacks=[patience, *callbacks],
            n_threads=self.n_threads,
            device=self.device,
            verbose=self.verbose,
        )
        self.recipe_ = recipe
        self._note(model, history, patience.scores if held_out else None, goes_on)
        return self

    def _note(self, model: MLP, history: History, scores: list[float] | None, goes_on: bool) -> None:
        """Keep what a training has led to; a further one adds to it."""
        if not goes_on:
            self.loss_curve_: list[float] = []
            self.validation_scores_: list[float] | None = None
            self.n_iter_, self.t_ = 0, 0
        self.model_, self.history_ = model, history
        self.loss_curve_ = [*self.loss_curve_, *history.history["loss"]]
        self.n_iter_ += history.epochs
        self.t_ += history.rows_seen
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        validates = scores is not None
        self.validation_scores_ = [*(self.validation_scores_ or []), *(scores or [])] if validates else None
        self.best_validation_score_ = max(self.validation_scores_ or [math.nan]) if validates else None
        self.best_loss_ = None if validates else min(self.loss_curve_, default=math.nan)

    def _checked(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        """A table to learn from."""
        X, y = self._numbers(X, y, reset=reset, multi_output=True, y_numeric=is_regressor(self))
        check_is_whole(y)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _numbers(self, X: Any, *y: Any, reset: bool, **options: Any) -> Any:
        """A table, or a table and targets, that scikit-learn has looked at."""
        return checked_table(self, X, y, self.encoding is not None, reset, **options)

    def _checked_weights(self, sample_weight: Any, X: Any) -> Any:
        if sample_weight is None:
            return None
        weights = check_sample_weight(sample_weight, X, dtype=real_dtype_of(X), ensure_non_negative=True)
        if not weights.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return weights

    def _given(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> Any:
        """The rows for early stopping that a user gave, checked; None if there are none."""
        if X_val is None and y_val is None and sample_weight_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val belong together: give both or neither.")
        if not self.early_stopping:
            raise ValueError("X_val and y_val are for early stopping: set early_stopping=True.")
        X_val = self._numbers(X_val, reset=False)
        check_consistent_length(X_val, y_val)
        return X_val, y_val, self._checked_weights(sample_weight_val, X_val)

    def _split(self, X: Any, y: Any, weights: Any) -> tuple[Any, Any, Any, Any]:
        """Hold out rows for early stopping, of each class the same share."""
        whole = [X, y] if weights is None else [X, y, weights]
        stratify = y if hasattr(self, "classes_") and y.ndim == 1 else None
        parts = train_test_split(
            *whole, test_size=self.validation_fraction, stratify=stratify, random_state=self._seed()
        )
        if len(parts[1]) < 2:
            raise ValueError("The validation set is too small: increase validation_fraction, or give X_val and y_val.")
        X, y, weights = (*parts[::2], None)[:3]
        return X, y, weights, tuple(parts[1::2])

    def _seed(self) -> int:
        """The seed of the network: a whole number stays as it is, so that fastgd.MLP learns the same with it."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _recipe(self, X: Any, goes_on: bool, optimizer: Optimizer | None, epochs: Any) -> Recipe:
        """What suits such a table, where nothing else is given; what goes on keeps its network."""
        n_rows, encoding = count_rows(X), as_encoding(self.encoding)
        options = {name: getattr(self, name) for name in NETWORK}
        if goes_on:
            options = {name: getattr(self.recipe_, name) if _is_auto(value) else value
                       for name, value in options.items()}  # fmt: skip
        options |= {"epochs": epochs, "batch_size": self.batch_size, "optimizer": optimizer}
        options |= {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay}
        given: dict[str, Any] = {name: None if _is_auto(value) else value for name, value in options.items()}
        has_bins = encoding is not None and encoding.bins_for(n_rows, count_numbers(X)) > 0
        return recipe(n_rows, encoded=has_bins, classes=not is_regressor(self), **given)

    def _mlp(self, X: Any, n_out: int, recipe: Recipe, is_flat: bool = False, **options: Any) -> MLP:
        """A new network for a table, with these options beside the estimator's own; for targets that hardly vary?"""
        dtype = self.dtype
        if dtype == "auto":  # so few rows take no time, and keep all digits
            dtype = real_dtype_of(X).name if is_flat or count_rows(X) < ROWS_OF_FLOAT32 else "float32"
        sizes = np.ravel(recipe.hidden_layer_sizes).tolist()
        hidden = [positive_integer(size, f"hidden_layer_sizes[{i}]") for i, size in enumerate(sizes)]
        return MLP(
            [self.n_features_in_, *hidden, n_out],
            dtype=dtype,
            encoding=self.encoding,
            activation=recipe.activation if isinstance(recipe.activation, str) else list(recipe.activation),
            initializer=self.initializer,
            dropout=recipe.dropout,
            standardize=self.standardize,
            feature_names=getattr(self, "feature_names_in_", None),
            **options,
        )

    def _fitted(self) -> MLP:
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

    def _network(self, X: Any, y: Any, recipe: Recipe, seed: int) -> MLP:
        """A new network for this table."""
        raise NotImplementedError

    def _offers(self, y: Any) -> Iterator[str]:
        """What may be worth a try for such targets, and is not done unasked."""
        yield from ()

    def _weights_of_classes(self, y: Any, weights: Any) -> dict[Any, float] | None:
        """How much each class counts."""

    def _score_of(self, held_out: Any) -> Callable[[Any, Logs], float]:
        """What is to rise from epoch to epoch; `tol` is in its unit. Losses are in standard deviations of targets."""
        name = "loss" if held_out is None else "val_loss"
        return lambda model, logs: -logs[name] / model.loss_unit
