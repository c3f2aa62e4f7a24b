"""Optimizers by name: what a step does with the gradient; the loops are in kernels/."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass

from .errors import InvalidInputError
from .kernels import codes
from .kernels.records import Rule
from .names import checked_names


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers share: a learning rate, and a rule for the kernels."""

    learning_rate: float

    def __post_init__(self) -> None:
        rate = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not (math.isfinite(rate) and rate > 0):
            raise InvalidInputError(f"learning_rate must be a positive number, not {rate!r}.")

    def rule(self) -> Rule:
        """The update rule as kernels take it."""
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: every weight is nudged by −learning_rate × its gradient.

    Example:
        >>> import fastgd
        >>> fastgd.SGD(learning_rate=0.1)
        SGD(learning_rate=0.1)
    """

    learning_rate: float = 0.05

    def rule(self) -> Rule:
        """The update rule as kernels take it."""
        return Rule(codes.SGD)


SGD.__init__ = checked_names(SGD.__init__)  # type: ignore[method-assign]
