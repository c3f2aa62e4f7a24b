"""The options that both estimators have, and what is chosen where nobody has chosen: the recipe and the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from ..data.encoding import Encoding, as_encoding
from ..kernels import DEFAULT_DEVICE
from ..many.variety import MANY_ROWS
from ..mlp import MLP
from ..network.activations import ACTIVATIONS
from ..network.initializers import INITIALIZERS
from ..options import positive_integer
from ..training.devices import CHOICES
from ..training.optimizers import Optimizer
from ..training.recipe import ROWS_OF_FLOAT32, Recipe, recipe, recipe_of_pieces
from ..training.schedules import Schedule
from .library import (
    BaseEstimator,
    CallbackSupportMixin,
    Interval,
    Options,
    StrOptions,
    check_random_state,
    is_regressor,
)
from .tables import count_numbers, count_rows, real_dtype_of

LONG = 10.0  # seconds, in which there is time to train many networks and some of them once more
AUTO = StrOptions({"auto"})
# The activation where columns are monotone, and where besides numbers have bins and rows are few: softplus was better
# on those, relu on many (benchmarks/NOTES.md).
RISING, RISING_OF_FEW = "relu", "softplus"
NETWORK = "hidden_layer_sizes", "activation", "dropout"  # what a warm start cannot change


FREE = (*NETWORK, "learning_rate", "weight_decay", "epochs")  # what differs among several networks


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def is_open(value: Any) -> bool:
    """Whether an option leaves the choice to us."""
    return value is None or _is_auto(value)


@dataclasses.dataclass(eq=False, repr=False)
class Choices(CallbackSupportMixin, BaseEstimator):
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
    monotone: Mapping[Any, int] | None = None
    dtype: str = "auto"
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: float | str = "auto"
    tol: float = 1e-4
    warm_start: bool = False
    n_networks: int = 1
    selection: str = "auto"
    time_budget: float | None = None
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
        "monotone": [dict, None],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [AUTO, Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "n_networks": [Interval(Integral, 1, None, closed="left")],
        "selection": [StrOptions({"auto", "mean", "greedy"})],
        "time_budget": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "n_threads": [AUTO, Interval(Integral, 1, None, closed="left")],
        "device": [StrOptions(set(CHOICES))],
        "verbose": [AUTO, Interval(Integral, 0, 2, closed="both"), "boolean"],
    }

    def _is_several(self) -> bool:
        """Whether there are several networks."""
        return self.n_networks > 1 or self.time_budget is not None

    def _selects(self) -> bool:
        """Whether the best of several networks are selected on held-out rows."""
        if self.selection == "auto":
            return self.time_budget is not None and self.time_budget >= LONG and not self.early_stopping
        return self.selection == "greedy"

    def _seed(self) -> int:
        """The seed of the network: a whole number stays as it is, so that fastgd.MLP learns the same with it."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _given_of_recipe(self, goes_on: bool) -> dict[str, Any]:
        """The options that a recipe takes; None where they are open, which what goes on leaves to its network."""
        options = {name: getattr(self, name) for name in NETWORK}
        if goes_on:
            options = {name: getattr(self.recipe_, name) if _is_auto(value) else value
                       for name, value in options.items()}  # fmt: skip
        names = "batch_size", "learning_rate", "weight_decay"
        options |= {name: getattr(self, name) for name in names}
        if isinstance(self.batch_size, Integral):
            options["batch_size"] = int(self.batch_size)  # NumPy's have bounds of their own
        return {name: None if _is_auto(value) else value for name, value in options.items()}

    def _recipe_of_pieces(self, goes_on: bool) -> Recipe:
        """What suits a stream, where nothing else is given."""
        given = self._given_of_recipe(goes_on) | {"optimizer": self.optimizer}
        if self.monotone and given["activation"] is None:
            given["activation"] = RISING
        return recipe_of_pieces(**given)

    def _recipe(self, X: Any, goes_on: bool, optimizer: Optimizer | None, epochs: Any) -> Recipe:
        """What suits such a table, where nothing else is given; what goes on keeps its network."""
        n_rows = count_rows(X)
        given = self._given_of_recipe(goes_on) | {
            "optimizer": optimizer,
            "epochs": None if _is_auto(epochs) else epochs,
        }
        if self.monotone and given["activation"] is None:
            given["activation"] = RISING_OF_FEW if self._has_bins(X) and n_rows < MANY_ROWS else RISING
        longer = self.time_budget is not None
        return recipe(n_rows, encoded=self._has_bins(X), classes=not is_regressor(self), longer=longer, **given)

    def _has_bins(self, X: Any) -> bool:
        """Whether columns of numbers have bins."""
        encoding = as_encoding(self.encoding)
        return encoding is not None and encoding.bins_for(count_rows(X), count_numbers(X)) > 0

    def _mlp(self, X: Any, n_out: int, recipe: Recipe, seed: int | None, is_flat: bool = False, **options: Any) -> MLP:
        """A new network for a table, with these options beside the estimator's own; for targets that hardly vary?

        Without a seed it is asked for its shape alone, and has no weights.
        """
        dtype = self.dtype
        if dtype == "auto":  # so few rows take no time, and keep all digits
            dtype = real_dtype_of(X).name if is_flat or count_rows(X) < ROWS_OF_FLOAT32 else "float32"
        sizes = np.ravel(recipe.hidden_layer_sizes).tolist()
        hidden = [positive_integer(size, f"hidden_layer_sizes[{i}]") for i, size in enumerate(sizes)]
        return MLP(
            [self.n_features_in_, *hidden, n_out],
            dtype=dtype,
            activation=recipe.activation if isinstance(recipe.activation, str) else list(recipe.activation),
            initializer="zeros" if seed is None else self.initializer,
            random_state=seed or 0,
            dropout=recipe.dropout,
            standardize=self.standardize,
            monotone=self.monotone,
            feature_names=getattr(self, "feature_names_in_", None),
            **options,
        )


def goes_on_alone(estimator: Choices) -> bool:
    """Whether there is one network, which can go on; scikit-learn hides a method where that raises."""
    if estimator._is_several():
        raise AttributeError("One network alone can go on: partial_fit takes n_networks=1 and time_budget=None.")
    return True
