"""The regressor: one number or several for each row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self

from ..data.target import LOGGED, skewness
from ..kernels.records import Reals
from ..mlp import MLP
from ..network.losses import LOSSES, Loss, as_loss
from ..options import with_names
from ..training.callbacks import Logs
from ..training.recipe import Recipe
from .documentation import documented
from .estimator import Estimator
from .library import RegressorMixin, StrOptions, in_fit_context
from .tables import hardly_varies, real_dtype_of

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Estimator._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION)), Loss],
        "log_target": ["boolean"],
        "clip_predictions": ["boolean"],
    }

    @in_fit_context
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from some rows for one epoch; the scaling is that of the first rows.

        Args:
            X: inputs, (n_rows, n_in).
            y: actual values, (n_rows,) or (n_rows, n_targets).
            sample_weight: how much each row counts, (n_rows,).

        Raises:
            ValueError: a table or an option that cannot be used.
        """
        X, y = self._checked(X, y, reset=not self.__sklearn_is_fitted__())
        return self._train_once(X, y, sample_weight)

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

    def _network(self, X: Any, y: Any, recipe: Recipe, seed: int) -> MLP:
        loss, n_targets = as_loss(self.loss), 1 if y.ndim == 1 else y.shape[1]
        if loss.name not in REGRESSION or len(getattr(loss, "levels", (0.5,))) > 1:
            raise ValueError(f"{loss} does not predict one number for each target: use fastgd.MLP for it.")
        return self._mlp(
            X, n_targets, recipe, hardly_varies(y), loss=loss, random_state=seed, log_target=self.log_target,
            clip_predictions=self.clip_predictions,
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
