"""Optimizers by name: what a step does with the gradient; the loops are in kernels/.

Pure gradient descent gets stuck where real losses have cliffs, plateaus and valleys; momentum, adaptive rates, weight
decay and clipping are how people get across. Every definition equals PyTorch's (torch.optim), term by term, except
that weight decay and L1 hold for weights only, unless decay_biases is set.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from ..errors import InvalidInputError
from ..kernels.records import Reals, Rule, State
from ..kernels.rules import UPDATE_CODES, rule_of
from ..options import checked_names, is_number, shown, yes_or_no
from .schedules import Schedule, WarmUp, as_schedule

Rate = float | Schedule | Callable[[int], float]


def _at_least(low: float, default: float | None, *, strict: bool = False, below: float = math.inf) -> Any:
    return field(default=default, metadata=_range(low, strict, below))


def _range(low: float, strict: bool = False, below: float = math.inf) -> dict[str, Any]:
    return {"range": (low, strict, below)}


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, type)


@dataclass(frozen=True, kw_only=True, repr=False)
class Optimizer:
    """What all optimizers share.

    Args:
        weight_decay: adds weight_decay · w to the gradient of every weight (AdamW: shrinks the weight itself).
        l1: adds l1 · sign(w), which drives weights that do little to zero.
        decay_biases: whether both hold for biases, too.
        clip_norm: a gradient longer than this is shortened to it, before anything else is done with it.
        clip_value: every entry of the gradient is bounded to ± this, before clip_norm.
        ema_decay: such as 0.999: after training the model has the moving average of its parameters, those of step i
            of t with the weight (1 − d) dᵗ⁻ⁱ / (1 − dᵗ), d = ema_decay; the start counts nothing.
    """

    update_rule: ClassVar[str]  # its name in the table of kernels/rules.py

    weight_decay: float = _at_least(0, 0.0)
    l1: float = _at_least(0, 0.0)
    decay_biases: bool = False
    clip_norm: float | None = _at_least(0, None, strict=True)
    clip_value: float | None = _at_least(0, None, strict=True)
    ema_decay: float | None = _at_least(0, None, below=1)

    def __post_init__(self) -> None:
        if not (is_number(self.rate) or isinstance(self.rate, Schedule) or _is_function(self.rate)):
            raise InvalidInputError(f"learning_rate must be a positive number or a schedule, not {shown(self.rate)}.")
        if is_number(self.rate) and not (math.isfinite(self.rate) and self.rate > 0):
            raise InvalidInputError(f"learning_rate must be a positive number, not {shown(self.rate)}.")
        yes_or_no(self.decay_biases, "decay_biases")
        for entry in fields(self):
            if "range" not in entry.metadata:
                continue
            low, strict, below = entry.metadata["range"]
            value = getattr(self, entry.name)
            if value is None and entry.default is None:
                continue
            good = is_number(value)
            if not good or not (low < value if strict else low <= value) or not value < below:
                wanted = f"{'above' if strict else 'of at least'} {low}" + (f" and below {below}" if below < 9 else "")
                raise InvalidInputError(f"{entry.name} must be a number {wanted}, not {shown(value)}.")

    def __repr__(self) -> str:
        names = sorted(fields(self), key=lambda entry: entry.name != "learning_rate")
        given = [
            entry for entry in names if entry.name == "learning_rate" or getattr(self, entry.name) != entry.default
        ]
        return f"{type(self).__name__}({', '.join(f'{e.name}={getattr(self, e.name)!r}' for e in given)})"

    @property
    def rate(self) -> Any:
        """The learning rate as it was given."""
        return getattr(self, "learning_rate", None)

    @functools.cached_property
    def schedule(self) -> Schedule:
        """The learning rate as a function of the step."""
        return as_schedule(self.rate)

    def rule(self) -> Rule:
        """The update rule as kernels take it."""
        return self._rule

    @functools.cached_property
    def _rule(self) -> Rule:

        def number(name: str, default: float) -> float:
            value = getattr(self, name, default)
            return default if value is None else float(value)

        return Rule(
            code=UPDATE_CODES[self.update_rule],
            momentum=number("momentum", 0.0),
            nesterov=bool(getattr(self, "nesterov", False)),
            beta1=number("beta1", 0.0),
            beta2=number("beta2", number("rho", 0.0)),
            epsilon=number("epsilon", 0.0),
            weight_decay=number("weight_decay", 0.0),
            l1=number("l1", 0.0),
            decay_biases=bool(self.decay_biases),
            clip_norm=number("clip_norm", math.inf),
            clip_value=number("clip_value", math.inf),
            ema_decay=number("ema_decay", 0.0),
        )

    def moments(self) -> tuple[bool, bool]:
        """Whether the rule keeps a velocity (or mean of gradients), and means (or sums) of squares."""
        rule = rule_of(self.rule())
        return rule.has_velocity, rule.has_squares

    def new_state(self, parameters: Reals) -> State:
        """What the rule remembers, before the first step."""
        velocity, squares = (np.zeros(parameters.size if kept else 0, parameters.dtype) for kept in self.moments())
        average = parameters.copy() if self.ema_decay is not None else np.zeros(0, parameters.dtype)
        return State(np.zeros(1, np.int64), velocity, squares, average)


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent: every weight is nudged by −learning_rate × its gradient.

    With momentum μ: v = μ v + g, and the nudge is −learning_rate × v, or × (g + μ v) with nesterov.
    Source: Polyak 1964; Sutskever et al. 2013.

    Example:
        >>> import fastgd
        >>> optimizer = fastgd.SGD(learning_rate=0.1, momentum=0.9)
    """

    update_rule = "SGD"
    learning_rate: Rate = 0.05
    momentum: float = _at_least(0, 0.0, below=1)
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        yes_or_no(self.nesterov, "nesterov")
        if self.nesterov and not self.momentum:
            raise InvalidInputError("nesterov looks ahead along the momentum: give a momentum such as 0.9.")


@dataclass(frozen=True, repr=False)
class Adagrad(Optimizer):
    """s += g²; the nudge is −learning_rate × g / (√s + ε): weights that moved much move less.

    Source: Duchi, Hazan and Singer 2011.
    """

    update_rule = "Adagrad"
    learning_rate: Rate = 0.01
    epsilon: float = _at_least(0, 1e-10)


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """s = ρ s + (1 − ρ) g²; the nudge is −learning_rate × g / (√s + ε), through momentum if there is one.

    Source: Tieleman and Hinton 2012. PyTorch calls ρ alpha.
    """

    update_rule = "RMSprop"
    learning_rate: Rate = 0.01
    rho: float = _at_least(0, 0.99, below=1)
    momentum: float = _at_least(0, 0.0, below=1)
    epsilon: float = _at_least(0, 1e-8)


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """m = β₁ m + (1 − β₁) g; s = β₂ s + (1 − β₂) g²; the nudge is −learning_rate × m̂ / (√ŝ + ε).

    m̂ and ŝ are m and s divided by 1 − βᵗ, because both start at zero.
    Source: Kingma and Ba 2014, arXiv 1412.6980.
    """

    update_rule = "Adam"
    learning_rate: Rate = 0.001
    beta1: float = _at_least(0, 0.9, below=1)
    beta2: float = _at_least(0, 0.999, below=1)
    epsilon: float = _at_least(0, 1e-8)


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam, with weights first shrunk by the factor 1 − learning_rate × weight_decay, apart from the gradient.

    Source: Loshchilov and Hutter 2017, arXiv 1711.05101.
    """

    update_rule = "AdamW"
    # Written out, because type checkers see kw_only in no function of ours, and would take it for the first argument.
    weight_decay: float = field(default=0.01, metadata=_range(0), kw_only=True)


def with_constant(rule: Optimizer, rate: float) -> Optimizer:
    """The same rule with a constant learning rate, which may be 0, as a schedule's may."""
    return dataclasses.replace(rule, learning_rate=rate if rate > 0 else lambda step: rate)  # type: ignore[call-arg]


# What `fit` takes where nothing else is asked for. On inputs with outliers plain descent diverges, Adam predicts absurd
# numbers without the decay, the likelihoods blow up without the clipping, and wide networks begin in the wrong
# direction without the warm-up; the average takes the scatter of steps.
DEFAULT_OPTIMIZER = AdamW(learning_rate=WarmUp(0.01, 20, start=0.001), weight_decay=0.1, clip_norm=1.0, ema_decay=0.99)

OPTIMIZERS = {optimizer.__name__: optimizer for optimizer in (SGD, Adagrad, RMSprop, Adam, AdamW)}
for _optimizer in OPTIMIZERS.values():
    _optimizer.__init__ = checked_names(_optimizer.__init__)  # type: ignore[method-assign]
