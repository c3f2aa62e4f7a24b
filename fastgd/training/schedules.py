"""Learning-rate schedules: the rate as a function of the step, counted from 0 over all of a model's training.

A schedule stands in the place of a learning rate: `fastgd.Adam(learning_rate=fastgd.schedules.Cosine(1e-3))`. So may
any function of the step. `steps=None` means: over the steps of the running `fit`; the next `fit` starts it anew.
Other schedules go on from `fit` to `fit`, as long as the optimizer has the same one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..kernels.portable import cos_pi, log1p, power
from ..options import checked_places, is_number, name_in_logs, plain_number, shown

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "Function",
    "InverseTime",
    "OneCycle",
    "ReduceOnPlateau",
    "Schedule",
    "StepDecay",
    "WarmUp",
]

Steps = NDArray[np.int64]
Rates = NDArray[np.float64]

PROPORTIONAL = ("start", "final", "least")  # rates beside the learning rate
DEEPEST = 50  # WarmUps inside each other
MOST = 2.0**53  # steps and the like are exact in float64


@dataclass(frozen=True, repr=False)
class Schedule:
    """What all schedules share: numbers that are checked, and rates for an array of steps."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            low, strict, optional = entry.metadata.get("least", (None, False, False))
            if low is None or (value is None and optional):
                continue
            good = is_number(value) and math.isfinite(value)
            if not good or value < low or (strict and value == low):
                bound = f"above {low}" if strict else f"of at least {low}"
                raise InvalidInputError(f"{entry.name} must be a number {bound}, not {shown(value)}.")
            object.__setattr__(self, entry.name, plain_number(value))
            if low == 1 and value >= MOST:  # it counts steps
                raise InvalidInputError(f"{entry.name} must be below 2**53, not {value!r}.")
        rate = getattr(self, "learning_rate", 0.0)
        for name in ("final", "least"):
            if (value := getattr(self, name, 0.0)) > rate:
                raise InvalidInputError(f"{name} must be at most the learning rate {rate!r}, not {value!r}.")

    def __repr__(self) -> str:
        values = [(entry, getattr(self, entry.name)) for entry in fields(self)]
        parts = [f"{value!r}" for entry, value in values if not entry.kw_only]
        parts += [f"{entry.name}={value!r}" for entry, value in values if entry.kw_only and value != entry.default]
        return f"{type(self).__name__}({', '.join(parts)})"

    def rates(self, steps: Steps, total: int) -> Rates:
        """The learning rate of each of the steps; `total` is how many steps the running `fit` has."""
        raise InvalidInputError("Schedule is the base of all schedules: use one of them, such as Constant(0.01).")

    @property
    def lasts_one_fit(self) -> bool:
        """Whether the schedule stretches over the running fit, so that the next one starts it anew."""
        return getattr(self, "steps", 0) is None

    def plateau(self) -> ReduceOnPlateau | None:
        """The part that looks at the losses, if there is one."""
        return None


def _number(default: Any = None, *, least: float = 0, strict: bool = True, optional: bool = False) -> Any:
    """What has a default is given by its name: a second number by its place means steps to some, a rate to others."""
    metadata = {"least": (least, strict, optional)}
    if default is None and not optional:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata, kw_only=True)


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """The same rate at every step."""

    learning_rate: float = _number()

    def rates(self, steps: Steps, total: int) -> Rates:
        """learning_rate."""
        return np.full(steps.shape, float(self.learning_rate))


@dataclass(frozen=True, repr=False)
class StepDecay(Schedule):
    """learning_rate · factor^⌊t / every⌋: multiplied by `factor` after each `every` steps."""

    learning_rate: float = _number()
    every: int = _number(least=1, strict=False)
    factor: float = _number(0.1)

    def rates(self, steps: Steps, total: int) -> Rates:
        """learning_rate · factor^⌊t / every⌋."""
        return self.learning_rate * power(self.factor, steps // self.every)


@dataclass(frozen=True, repr=False)
class Exponential(Schedule):
    """learning_rate · factor^(t / every): falls smoothly, by `factor` in each `every` steps."""

    learning_rate: float = _number()
    every: int = _number(least=1, strict=False)
    factor: float = _number(0.1)

    def rates(self, steps: Steps, total: int) -> Rates:
        """learning_rate · factor^(t / every)."""
        return self.learning_rate * power(self.factor, steps / self.every)


@dataclass(frozen=True, repr=False)
class InverseTime(Schedule):
    """learning_rate / (1 + t / every): half after `every` steps, a third after twice as many."""

    learning_rate: float = _number()
    every: int = _number(least=1, strict=False)

    def rates(self, steps: Steps, total: int) -> Rates:
        """learning_rate / (1 + t / every)."""
        return self.learning_rate / (1 + steps / self.every)


@dataclass(frozen=True, repr=False)
class Cosine(Schedule):
    """Half a cosine from learning_rate down to `final` over `steps`; stays there afterwards.

    Source: Loshchilov and Hutter 2016, arXiv 1608.03983.
    """

    learning_rate: float = _number()
    steps: int | None = _number(least=1, strict=False, optional=True)
    final: float = _number(0.0, strict=False)

    def rates(self, steps: Steps, total: int) -> Rates:
        """final + ½ (learning_rate − final) (1 + cos(π t / steps))."""
        part = np.minimum(steps / (self.steps or total), 1)
        return self.final + 0.5 * (self.learning_rate - self.final) * (1 + cos_pi(part))


@dataclass(frozen=True, repr=False)
class CosineRestarts(Schedule):
    """The cosine again and again, each period `multiply` times as long as the one before (SGDR).

    Source: Loshchilov and Hutter 2016, arXiv 1608.03983.
    """

    learning_rate: float = _number()
    period: int = _number(least=1, strict=False)
    multiply: float = _number(1.0, least=1, strict=False)
    final: float = _number(0.0, strict=False)

    def rates(self, steps: Steps, total: int) -> Rates:
        """As Cosine, with t counted from the last restart."""
        m = float(self.multiply)
        if m == 1:
            part = steps % self.period / self.period
        else:
            # Period i starts at period · (mⁱ − 1) / (m − 1); rounding may put a start into the period before.
            i = np.floor(log1p(steps * (m - 1) / self.period) / log1p(m - 1))
            i += steps >= np.rint(self.period * (power(m, i + 1) - 1) / (m - 1))
            part = (steps - self.period * (power(m, i) - 1) / (m - 1)) / (self.period * power(m, i))
        part = np.clip(part, 0, 1)
        return self.final + 0.5 * (self.learning_rate - self.final) * (1 + cos_pi(part))


@dataclass(frozen=True, repr=False)
class OneCycle(Schedule):
    """Up to learning_rate over the first `rise` of the steps, then down to nearly nothing, both along cosines.

    Starts at learning_rate / start_divisor and ends at a final_divisor-th of that.
    Source: Smith and Topin 2017, arXiv 1708.07120, in the form of PyTorch's OneCycleLR.
    """

    learning_rate: float = _number()
    steps: int | None = _number(least=1, strict=False, optional=True)
    rise: float = _number(0.3)
    start_divisor: float = _number(25.0, least=1, strict=False)
    final_divisor: float = _number(1e4, least=1, strict=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rise >= 1:
            raise InvalidInputError(f"rise must be a share of the steps below 1, not {self.rise!r}.")

    def rates(self, steps: Steps, total: int) -> Rates:
        """From start to learning_rate, then to the final rate, each along half a cosine."""
        n = self.steps or total
        start = self.learning_rate / self.start_divisor
        final = start / self.final_divisor
        top = self.rise * n - 1  # below 0 where there are few steps: the way down has begun before the first
        up = np.clip(steps / max(top, 1e-9), 0, 1)
        down = np.clip((steps - top) / (n - 1 - top), 0, 1)
        rising = self.learning_rate + 0.5 * (start - self.learning_rate) * (1 + cos_pi(up))
        falling = final + 0.5 * (self.learning_rate - final) * (1 + cos_pi(down))
        return np.where(steps < top, rising, falling)


@dataclass(frozen=True, repr=False)
class WarmUp(Schedule):
    """A straight line from `start` to the rate where `schedule` begins, over `steps` steps; then the schedule."""

    schedule: Schedule | float
    steps: int = _number(least=1, strict=False)
    start: float = _number(0.0, strict=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "schedule", as_schedule(self.schedule))
        inner, depth = self.schedule, 1
        while isinstance(inner, WarmUp):
            inner, depth = inner.schedule, depth + 1
        if depth > DEEPEST:
            raise InvalidInputError(f"A WarmUp may stand in at most {DEEPEST - 1} others.")

    def rates(self, steps: Steps, total: int) -> Rates:
        """start + (first rate − start) · t / steps, then schedule(t − steps)."""
        assert isinstance(self.schedule, Schedule)
        after = np.concatenate([np.zeros(1, np.int64), np.maximum(steps - self.steps, 0)])
        first, *_ = later = self.schedule.rates(after, max(total - self.steps, 1))
        return np.where(steps < self.steps, self.start + (first - self.start) * steps / self.steps, later[1:])

    @property
    def lasts_one_fit(self) -> bool:
        """As the schedule that it warms up for."""
        return as_schedule(self.schedule).lasts_one_fit

    def plateau(self) -> ReduceOnPlateau | None:
        """That of the schedule that it warms up for."""
        return as_schedule(self.schedule).plateau()


@dataclass(frozen=True, repr=False)
class ReduceOnPlateau(Schedule):
    """learning_rate, multiplied by `factor` whenever `monitor` has not become better for `patience` epochs.

    Better means below best · (1 − threshold), for an accuracy above best · (1 + threshold). Never goes below `least`,
    and a change of the rate by no more than `eps` is left out. As PyTorch's ReduceLROnPlateau, except that an epoch
    whose number is infinite or NaN counts neither way.
    """

    learning_rate: float = _number()
    factor: float = _number(0.1)
    patience: int = _number(10, strict=False)
    threshold: float = _number(1e-4, strict=False)
    least: float = _number(0.0, strict=False)
    monitor: str = field(default="val_loss", kw_only=True)
    eps: float = _number(1e-8, strict=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        name_in_logs(self.monitor)
        if self.factor >= 1:
            raise InvalidInputError(f"factor must be below 1, not {self.factor!r}: the rate is multiplied by it.")

    def plateau(self) -> ReduceOnPlateau | None:
        """Itself."""
        return self

    def rates(self, steps: Steps, total: int) -> Rates:
        """learning_rate; the training loop multiplies it by what the plateaus have left of it."""
        return np.full(steps.shape, float(self.learning_rate))


@dataclass(frozen=True, repr=False)
class Function(Schedule):
    """Any function of the step."""

    function: Callable[[int], float]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InvalidInputError(f"function must be a function of the step, not {shown(self.function)}.")

    def rates(self, steps: Steps, total: int) -> Rates:
        """function(t) for each step."""
        values = [self.function(int(step)) for step in steps]
        for step, value in zip(steps, values, strict=True):
            if not is_number(value):
                raise InvalidInputError(f"The learning-rate schedule returned {value!r} at step {step}, not a number.")
        return np.array(values, np.float64)


_KINDS = (Constant, StepDecay, Exponential, InverseTime, Cosine, CosineRestarts, OneCycle, WarmUp, ReduceOnPlateau)
SCHEDULES = {schedule.__name__: schedule for schedule in _KINDS}
for _schedule in SCHEDULES.values():
    _schedule.__init__ = checked_places(_schedule)  # type: ignore[method-assign]


def as_schedule(value: Any) -> Schedule:
    """A schedule from a number, a function of the step, or as it is."""
    if isinstance(value, Schedule):
        return value
    if callable(value) and not isinstance(value, type):
        return Function(value)
    return Constant(value)


def top_of(rate: Any) -> float | None:
    """The learning rate that a schedule is made of, behind a warm-up that of what follows; a function has none."""
    while isinstance(rate, WarmUp):
        rate = rate.schedule
    rate = getattr(rate, "learning_rate", rate)
    return float(rate) if is_number(rate) else None


def at_rate(rate: Any, value: float) -> Any:
    """The same schedule with another learning rate, its other rates in proportion; in place of a number the number."""
    if not isinstance(rate, Schedule):
        return value
    times = value / (top_of(rate) or math.inf)
    scaled: dict[str, Any] = {name: getattr(rate, name) * times for name in PROPORTIONAL if hasattr(rate, name)}
    if isinstance(rate, WarmUp):
        return replace(rate, schedule=at_rate(rate.schedule, value), **scaled)
    return replace(rate, **{"learning_rate": value, **scaled})


def checked_rates(schedule: Schedule, first: int, count: int, total: int) -> Rates:
    """The rates of `count` steps from step `first` on; each must be finite and not negative."""
    rates = schedule.rates(np.arange(first, first + count, dtype=np.int64), total)
    if count and not 0 <= rates.min() <= rates.max() < math.inf:
        wrong = np.flatnonzero(~(np.isfinite(rates) & (rates >= 0)))
        raise InvalidInputError(
            f"The learning-rate schedule returned {rates[wrong[0]]} at step {first + wrong[0]}; "
            "a rate must be a finite number of at least 0."
        )
    return rates
