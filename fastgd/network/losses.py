"""Losses by name: formula, source and code of each; the loops are in kernels/.

Each is one number for how wrong predictions are: the mean over the rows, and over the outputs of a row. Losses that
measure distances standardise the target, and their value is in the user's units: with predictions in units k times as
large, a loss of power 2 is k² times as large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import InvalidInputError
from ..kernels.formulas import LOSS_CODES
from ..kernels.portable import log
from ..kernels.records import LossRecord, Reals
from ..options import checked_names, is_number, listed, look_up, shown

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "GaussianNLL",
    "Huber",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Poisson",
    "Quantile",
]


@dataclass(frozen=True)
class Loss:
    """What training makes small: p the prediction, y the actual value, e = p − y."""

    name: ClassVar[str]
    formula: ClassVar[str]
    power: ClassVar[int] = 0  # of the target's unit in the loss
    scaling: ClassVar[str] = "standard"  # of the target: "standard" (mean 0, spread 1), "rate" (mean 1) or "none"
    task: ClassVar[str] = "regression"  # or "counts", "classes", "labels"
    any_output: ClassVar[bool] = True  # whether an output activation other than identity makes sense

    @property
    def code(self) -> int:
        """Its number for kernels."""
        return LOSS_CODES[self.name]

    def n_targets(self, n_out: int) -> int:
        """How many columns y has for a network with n_out outputs."""
        return n_out

    def constants(self, target_std: Reals) -> Reals:
        """What the kernel needs besides the unit."""
        return np.zeros(0, target_std.dtype)

    def largest_unit(self, target_std: Reals) -> float:
        """How large a loss of 1 in standard units is in the user's units, for the target with the largest unit."""
        return float(target_std.max()) ** self.power

    def record(self, target_std: Reals) -> LossRecord:
        """The loss as kernels take it: targets' units relative to the largest, which alone could overflow float32."""
        units = (target_std.astype(np.float64) / float(target_std.max())) ** self.power
        return LossRecord(self.code, units.astype(target_std.dtype), self.constants(target_std))


class MeanSquaredError(Loss):
    """e²."""

    name, formula, power = "mse", "e²", 2


class MeanAbsoluteError(Loss):
    """|e|: its best constant prediction is the median."""

    name, formula, power = "mae", "|e|", 1


@dataclass(frozen=True)
class Huber(Loss):
    """½ e² for |e| ≤ delta, else delta (|e| − ½ delta): squares for small errors, distances for outliers.

    `delta` is in standard deviations of the target (in its own units where the model does not standardise).
    Source: Huber 1964.

    Example:
        >>> import fastgd
        >>> fastgd.losses.Huber(delta=1.5)
        Huber(delta=1.5)
    """

    name, formula, power = "huber", "½ e² for |e| ≤ δ, else δ (|e| − ½ δ)", 2
    delta: float = 1.0

    def __post_init__(self) -> None:
        if not is_number(self.delta) or not 1e-30 < float(self.delta) < 1e30:
            raise InvalidInputError(f"delta must be a positive number (1e-30 to 1e30), not {shown(self.delta)}.")
        object.__setattr__(self, "delta", float(self.delta))

    def constants(self, target_std: Reals) -> Reals:
        """The threshold."""
        return np.array([self.delta], target_std.dtype)


class LogCosh(Loss):
    """ln cosh e, with e in standard deviations of the target: like ½ e² near zero and |e| far away."""

    name, formula, power = "log_cosh", "ln cosh e", 2


@dataclass(frozen=True)
class Quantile(Loss):
    """The pinball loss max(τ (y − p), (τ − 1) (y − p)), whose best prediction is the quantile of level τ.

    The network has one output for each target and level: [4, 64, 3] predicts three quantiles of one target.
    Source: Koenker and Bassett 1978.

    Example:
        >>> import fastgd
        >>> model = fastgd.MLP([4, 16, 3], loss=fastgd.losses.Quantile([0.1, 0.5, 0.9]))
    """

    name, formula, power = "quantile", "max(τ (y − p), (τ − 1) (y − p))", 1
    levels: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        levels: Any = (self.levels,) if is_number(self.levels) else self.levels
        levels = tuple(listed(levels) or ())
        good = all(is_number(level) and 0 < level < 1 for level in levels)
        if not levels or not good or len(set(levels)) < len(levels):
            raise InvalidInputError(
                f"levels must be different numbers between 0 and 1, such as [0.1, 0.9], not {shown(self.levels)}."
            )
        object.__setattr__(self, "levels", tuple(map(float, levels)))

    def n_targets(self, n_out: int) -> int:
        """One target for each group of len(levels) outputs."""
        if n_out % len(self.levels):
            raise InvalidInputError(
                f"quantile with {len(self.levels)} levels needs as many outputs for each target, not {n_out}."
            )
        return n_out // len(self.levels)

    def constants(self, target_std: Reals) -> Reals:
        """The levels."""
        return np.array(self.levels, target_std.dtype)


class Poisson(Loss):
    """e^z − y z, for counts: the network's output z is the logarithm of the rate; predictions are rates e^z.

    Rates are counted in units of the mean count m, so that training starts from it. Where counts are rare, one event is
    a 1 / m-fold surprise: gradients are multiplied by √m for m < 1, so that they have the spread of those of a
    standardised target.
    """

    name, formula, power = "poisson", "e^z − y z", 1
    scaling, task, any_output = "rate", "counts", False

    def constants(self, target_std: Reals) -> Reals:
        """The logarithms of the units that rates are counted in, and what gradients are multiplied by."""
        return np.concatenate([log(target_std), np.sqrt(np.minimum(target_std, 1))])


class BinaryCrossEntropy(Loss):
    """−y ln σ(z) − (1 − y) ln(1 − σ(z)), from the logit z, for two classes or several yes/no labels."""

    name, formula = "binary_cross_entropy", "−y ln σ(z) − (1 − y) ln(1 − σ(z))"
    scaling, task, any_output = "none", "labels", False


class CrossEntropy(Loss):
    """−ln softmax(z)[y], from one logit z for each class."""

    name, formula = "cross_entropy", "−ln softmax(z)[y]"
    scaling, task, any_output = "none", "classes", False

    def n_targets(self, n_out: int) -> int:
        """One column: the number of the class."""
        if n_out < 2:
            raise InvalidInputError(
                "cross_entropy needs an output for each class, at least 2; "
                "for one output there is loss='binary_cross_entropy'."
            )
        return 1


class GaussianNLL(Loss):
    """½ (s + e² e^−s): the outputs are means, then as many logarithms s of variances.

    Predictions are means, then standard deviations, in the units of y. Without the constant ½ ln 2π.
    Source: Nix and Weigend 1994.
    """

    name, formula = "gaussian_nll", "½ (s + e² e^−s)"
    any_output = False

    def n_targets(self, n_out: int) -> int:
        """Half as many targets as outputs."""
        if n_out % 2:
            raise InvalidInputError(f"gaussian_nll needs two outputs for each target, mean and variance, not {n_out}.")
        return n_out // 2

    def constants(self, target_std: Reals) -> Reals:
        """The logarithms of the targets' units."""
        return log(target_std)


for _parametrised in (Huber, Quantile):
    _parametrised.__init__ = checked_names(_parametrised.__init__)  # type: ignore[method-assign]

LOSSES: Mapping[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        MeanSquaredError,
        MeanAbsoluteError,
        Huber,
        LogCosh,
        Quantile,
        Poisson,
        BinaryCrossEntropy,
        CrossEntropy,
        GaussianNLL,
    )
}


def as_loss(value: object) -> Loss:
    """A loss from its name, or as it is."""
    if type(value) in LOSSES.values():
        return value  # type: ignore[return-value]
    if isinstance(value, Loss):
        raise InvalidInputError(
            f"A loss of your own ({type(value).__name__}) has no compiled loop; there are: {', '.join(LOSSES)}."
        )
    return look_up(value, LOSSES, "loss")()
