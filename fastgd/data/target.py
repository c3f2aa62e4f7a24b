"""What a network learns of the target, and how its outputs become predictions, beside scaling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..kernels.portable import exp, log
from ..kernels.records import Reals
from ..network.network import Network

LOGGED = ("mse", "mae", "huber", "log_cosh", "quantile")  # losses whose predictions are values of the target
CLIPPED = (*LOGGED, "poisson")


@dataclass(frozen=True, eq=False)
class Target:
    """Whether the logarithm is learned, and whether predictions stay within what the rows of the fit had."""

    log: bool = False
    clip: bool = False
    range: NDArray[np.float64] | None = None  # (2, n_targets): lowest and highest actual value; None before the fit

    def learned(self, values: Reals) -> Reals:
        """Actual values as the network learns them."""
        return log(values) if self.log else values

    def checked(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same, for values (n_rows, n_targets) that nobody has looked at."""
        if not self.log:
            return values
        wrong = np.argwhere(values <= 0)
        if wrong.size:
            row, column = (int(place) for place in wrong[0])
            raise InvalidInputError(f"y, row {row} is {values[row, column]:.6g}: log_target needs positive values.")
        return log(values)

    def predictions(self, out: Reals) -> Reals:
        """Predictions (n_rows, n_out), from outputs in the units of what is learned."""
        if not self.log and not self.clip:
            return out
        with np.errstate(over="ignore"):
            values = exp(out) if self.log else out
        return np.clip(values, *self.limits(out.shape[1], out.dtype)) if self.clip else values

    def limits(self, n_out: int, dtype: np.dtype[Any]) -> Reals:
        """Lowest and highest prediction, (2, n_out): infinite where nothing limits them."""
        if not self.clip or self.range is None:
            return np.repeat(np.array([[-np.inf], [np.inf]], dtype), n_out, axis=1)
        return np.repeat(self.range, n_out // self.range.shape[1], axis=1).astype(dtype)

    def seen(self, actual: Reals) -> Target:
        """With the range of these actual values (n_rows, n_targets), too."""
        if not self.clip:
            return self
        found = np.stack([actual.min(axis=0), actual.max(axis=0)]).astype(np.float64)
        if self.range is not None:
            found = np.stack([np.minimum(found[0], self.range[0]), np.maximum(found[1], self.range[1])])
        return replace(self, range=found)


AS_IT_IS = Target()


def checked_target(network: Network, log: bool, clip: bool) -> Target:
    """What a user asked for, where the loss allows it."""
    for wanted, name, losses in ((log, "log_target", LOGGED), (clip, "clip_predictions", CLIPPED)):
        if wanted and network.loss.name not in losses:
            raise InvalidInputError(f"{name} is for losses {', '.join(losses)}, not for {network.loss.name}.")
    if log and not network.standardizes_target:
        raise InvalidInputError("log_target needs output_activation='identity', because logarithms have no range.")
    return Target(log, clip)


def skewness(values: Reals) -> float:
    """How far the longer tail reaches: the mean of ((y − mean) / standard deviation)³; 0 where y does not vary."""
    wide = np.asarray(values, np.float64)
    spread = wide.std()
    return float((((wide - wide.mean()) / spread) ** 3).mean()) if spread else 0.0
