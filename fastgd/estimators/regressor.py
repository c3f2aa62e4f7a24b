"""The regressor: one number or several for each row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from ..data.target import LOGGED, skewness
from ..kernels.records import Reals
from ..many.ensemble import Ensemble
from ..mlp import MLP
from ..model.intervals import check_enough
from ..network.losses import LOSSES, Loss, as_loss
from ..options import with_names
from ..training.callbacks import Callback, Logs
from ..training.recipe import Recipe
from .choices import goes_on_alone, is_open
from .documentation import documented
from .estimator import Estimator
from .held_out import Rows, parted
from .library import Interval, RegressorMixin, StrOptions, available_if, in_fit_context
from .tables import count_rows, hardly_varies, real_dtype_of
from .watch import fading

# Those with one prediction for each target; gaussian_nll, whose loss has no unit, predicts a spread, too.
REGRESSION = [name for name, loss in LOSSES.items() if loss.task in ("regression", "counts") and loss.power]
SKEWED = 1.0  # from which on logarithms are offered


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class MLPRegressor(RegressorMixin, Estimator):
    """A neural network for numbers, as an estimator of scikit-learn; fastgd.MLP has the same network without it.

    Args:
        {options}
        loss: what training makes small, one such as fastgd.losses.Huber(delta=2), or
            {losses}.
        log_target: whether the logarithm of y is learned, which must be positive, as for prices; predictions stay in
            the units of y.
        clip_predictions: whether predictions are kept within the lowest and the highest y of the rows of the fit.
        calibration_fraction: share of the rows that is kept for `predict_interval`, which nothing else learns from; 0
            where `calibrate` is given rows of its own.

    Attributes:
        {attributes}

    The validation score is R² for loss="mse"; else it is minus the loss, with targets in standard deviations.

    Raises:
        InvalidInputError: there is no scikit-learn of version 1.7 or newer.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(1000, random_state=0)
        >>> model = fastgd.MLPRegressor(random_state=0).fit(X[:800], y[:800])
        >>> model.score(X[800:], y[800:]) > 0.9
        True
    """

    loss: Any = "mse"
    log_target: bool = False
    clip_predictions: bool = False
    calibration_fraction: float = 0.0

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Estimator._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION)), Loss],
        "log_target": ["boolean"],
        "clip_predictions": ["boolean"],
        "calibration_fraction": [Interval(Real, 0, 1, closed="left")],
    }

    @available_if(goes_on_alone)
    @in_fit_context
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from a piece of a stream: one pass over its rows, from where the last call stopped.

        The number of rows to come is not known: where nothing else is given there are two hidden layers of 96 without
        dropout, 32 rows a step, and the optimizer of `fit` of fastgd.MLP, whose rate is constant. The scaling, and how
        columns are encoded, is that of the first piece.

        Args:
            X: inputs, (n_rows, n_in).
            y: actual values, (n_rows,) or (n_rows, n_targets).
            sample_weight: how much each row counts, (n_rows,), beside the rows of all pieces so far.

        Raises:
            ValueError: a table or an option that cannot be used.
            DivergenceError: the loss became infinite or NaN.
        """
        X, y = self._checked(X, y, reset=not self.__sklearn_is_fitted__())
        self.__dict__.pop("intervals_", None)
        return self._learn_piece(X, y, sample_weight)

    def predict(self, X: Any) -> Reals:
        """Predict, in the units of y: (n_rows,) or (n_rows, n_targets).

        Args:
            X: inputs, (n_rows, n_in).

        Raises:
            ValueError: a table that cannot be used.
        """
        model = self._fitted()
        X = self._numbers(X, reset=False)
        predicted: Reals = model.predict(X)
        return predicted.astype(real_dtype_of(X), copy=False)

    def calibrate(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Learn from rows that the fit has not seen how wide intervals must be; see `fastgd.Ensemble.calibrate`.

        Args:
            X: inputs, (n_rows, n_in).
            y: actual values, (n_rows,) or (n_rows, n_targets).
            groups: which rows belong together, (n_rows,).

        Raises:
            ValueError: a table that cannot be used, or too few rows or groups.
        """
        model = self._fitted()
        whole = model if isinstance(model, Ensemble) else Ensemble([model])
        self.intervals_ = whole.calibrate(self._numbers(X, reset=False), y, groups)
        return self

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Reals:
        """Intervals that hold a share of the actual values: (n_rows, 2), or (n_rows, n_targets, 2), low and high.

        That takes rows that nothing was learned from: a calibration_fraction, or `calibrate`. Of new rows like these so
        many are inside; given groups, of rows of new groups.

        Args:
            X: inputs, (n_rows, n_in).
            coverage: the share, between 0 and 1.

        Raises:
            ValueError: a table that cannot be used, or no rows to calibrate with.
        """
        self._fitted()
        if not hasattr(self, "intervals_"):
            raise ValueError(
                "predict_interval needs rows that nothing was learned from: fit with calibration_fraction=0.2, or call "
                "calibrate(X, y)."
            )
        X = self._numbers(X, reset=False)
        found: Reals = self.intervals_.predict_interval(X, coverage)
        return found.astype(real_dtype_of(X), copy=False)

    def _beside(self, rows: Rows) -> list[Callback]:
        fades = as_loss(self.loss).name == "mse" and is_open(self.dropout)
        return fading(count_rows(rows.X), self.n_features_in_) if fades else []

    def _set_aside(self, rows: Rows) -> tuple[Rows, Rows | None]:
        self.__dict__.pop("intervals_", None)  # they are those of another fit
        if not self.calibration_fraction:
            return rows, None
        if self.warm_start:
            raise ValueError("calibration_fraction is for one fit alone: that takes warm_start=False.")
        rows, aside = parted(rows, self.calibration_fraction, self._seed(), False, "calibration_fraction")
        if aside.weights is not None:  # a row of no weight is no row
            aside = aside.at(np.flatnonzero(aside.weights > 0))
        check_enough(count_rows(aside.X), aside.groups)
        return rows, aside

    def _calibrate_with(self, aside: Rows | None) -> None:
        if aside is not None:
            self.calibrate(aside.X, aside.y, aside.groups)

    def _network(self, X: Any, y: Any, recipe: Recipe, seed: int | None, encoding: Any) -> MLP:
        loss, n_targets = as_loss(self.loss), 1 if y.ndim == 1 else y.shape[1]
        if loss.name not in REGRESSION or len(getattr(loss, "levels", (0.5,))) > 1:
            raise ValueError(f"{loss} does not predict one number for each target: use fastgd.MLP for it.")
        return self._mlp(
            X, n_targets, recipe, seed, hardly_varies(y), encoding=encoding, loss=loss,
            log_target=self.log_target, clip_predictions=self.clip_predictions,
        )  # fmt: skip

    def _offers(self, y: Any) -> Iterator[str]:
        tail = skewness(y)
        if not self.log_target and as_loss(self.loss).name in LOGGED and y.min() > 0 and tail > SKEWED:
            yield (
                f"y is positive, with a long tail (skewness {tail:.1f}): log_target=True is worth a try, if 10 % off "
                "weighs the same for small and large values."
            )

    def _score_of(self, held_out: Any) -> Callable[[Any, Logs], float]:
        if held_out is not None and as_loss(self.loss).name == "mse":
            return lambda model, logs: float(model.evaluate(*held_out)["r2"])
        return super()._score_of(held_out)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


MLPRegressor.__doc__ = with_names(documented(MLPRegressor.__doc__), losses=dict.fromkeys(REGRESSION))
