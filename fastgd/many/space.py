"""What a search draws from: for each option a list of choices or a distribution.

A space is a dict of names: `{"learning_rate": fastgd.space.LogUniform(1e-3, 1e-1), "activation": ["relu", "silu"]}`.
Frozen distributions of scipy.stats, and whatever else has their method `rvs`, serve as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import InvalidInputError
from ..kernels.portable import exp, log
from ..options import MOST_LISTED, checked_names, is_number, positive_integer, shown, yes_or_no

__all__ = ["Choice", "Integer", "LogUniform", "Uniform"]

TRIES = 100  # draws that were there already, before no others are expected
MOST_COMBINED = 1_000_000  # combinations that are numbered


class Distribution(Protocol):
    """What an option's values are drawn from."""

    def draw(self, random: np.random.Generator) -> Any:
        """A value."""


@dataclass(frozen=True)
class Uniform:
    """Numbers from low to high, each part of the range as likely as another one of its length.

    Args:
        low, high: the ends of the range.

    Raises:
        InvalidInputError: ends that are no finite numbers, or upside down.

    Example:
        >>> import fastgd
        >>> fastgd.space.Uniform(0, 0.5)
        Uniform(low=0, high=0.5)
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self)

    def draw(self, random: np.random.Generator) -> float:
        """A number."""
        return float(random.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform:
    """Numbers from low to high, a factor of 2 as likely anywhere: for learning rates, decays and the like.

    Args:
        low, high: the ends of the range, above 0.

    Raises:
        InvalidInputError: ends that are no finite numbers above 0, or upside down.

    Example:
        >>> import fastgd
        >>> space = {"learning_rate": fastgd.space.LogUniform(1e-4, 1e-1)}
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self, is_log=True)

    def draw(self, random: np.random.Generator) -> float:
        """A number."""
        return _logarithmic(self.low, self.high, random)


@dataclass(frozen=True)
class Integer:
    """Whole numbers from low to high, both included.

    Args:
        low, high: the ends of the range.
        log: whether a factor of 2 is as likely anywhere, as for LogUniform.

    Raises:
        InvalidInputError: ends that are no whole numbers, upside down, or below 1 with log=True.

    Example:
        >>> import fastgd
        >>> space = {"batch_size": fastgd.space.Integer(16, 512, log=True)}
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool):
                raise InvalidInputError(f"Integer: {name} must be a whole number, not {shown(value)}.")
            if not -(2**63) <= value < 2**63:
                raise InvalidInputError(f"Integer: {name} must be from -2**63 to below 2**63, not {shown(value)}.")
        _check_range(self, is_log=yes_or_no(self.log, "log"))

    def draw(self, random: np.random.Generator) -> int:
        """A whole number."""
        if self.log:
            return min(max(round(_logarithmic(self.low - 0.5, self.high + 0.5, random)), self.low), self.high)
        return int(random.integers(self.low, self.high, endpoint=True))


@dataclass(frozen=True)
class Choice:
    """One of several values, each as likely as the others; a list in a space means the same.

    Args:
        values: such as ["relu", "silu"].

    Raises:
        InvalidInputError: no list, or an empty one.

    Example:
        >>> import fastgd
        >>> space = {"layer_sizes": fastgd.space.Choice([[4, 16, 1], [4, 32, 32, 1]])}
    """

    values: Sequence[Any]

    def __post_init__(self) -> None:
        values: Any = self.values
        if isinstance(values, np.ndarray):
            values = values.tolist() if values.size <= MOST_LISTED else None
        if not isinstance(values, list | tuple | range):
            raise InvalidInputError(
                f"Choice: values must be a list, such as ['relu', 'silu'], not {shown(self.values)}."
            )
        if not values:
            raise InvalidInputError("Choice: the list is empty.")
        object.__setattr__(self, "values", list(values))

    def draw(self, random: np.random.Generator) -> Any:
        """One of them."""
        return self.values[int(random.integers(len(self.values)))]


_KINDS: tuple[type[Any], ...] = (Uniform, LogUniform, Integer, Choice)
for _kind in _KINDS:
    _kind.__init__ = checked_names(_kind.__init__)


@dataclass(frozen=True)
class Foreign:
    """A distribution of scipy.stats, or one that looks like it."""

    distribution: Any

    def draw(self, random: np.random.Generator) -> Any:
        """A value, as Python's own kind of number."""
        value = self.distribution.rvs(random_state=int(random.integers(2**31)))
        return value.item() if isinstance(value, np.generic | np.ndarray) and np.size(value) == 1 else value


def as_space(space: Any) -> dict[str, Distribution]:
    """A user's space: a distribution for each name.

    Raises:
        InvalidInputError: no dict, an empty one, or what nothing can be drawn from; the message names the option.
    """
    if not isinstance(space, Mapping):
        raise InvalidInputError(
            "space must be a dict of options, such as {'learning_rate': fastgd.space.LogUniform(1e-3, 1e-1)}, "
            f"not {type(space).__name__}."
        )
    if not space:
        raise InvalidInputError("space is empty: give at least one option with what to choose from.")
    return {str(name): _distribution_of(str(name), values) for name, values in space.items()}


def _distribution_of(name: str, values: Any) -> Distribution:
    if isinstance(values, Uniform | LogUniform | Integer | Choice):
        return values
    if isinstance(values, list | tuple | range | np.ndarray):
        try:
            return Choice(values)  # type: ignore[arg-type]
        except InvalidInputError as error:
            why = str(error) if len(np.shape(values)) != 1 or len(values) else f"the list of {name} is empty."
            raise InvalidInputError(f"space: {why}") from None
    if callable(getattr(values, "rvs", None)):
        return Foreign(values)
    raise InvalidInputError(
        f"space: {name} is {shown(values)}; give a list of choices or a distribution such as fastgd.space.Uniform(0, "
        f"1). What is the same for all is an option of search itself: {name}={shown(values)}."
    )


def drawn(space: Mapping[str, Distribution], n: int, seed: int) -> Iterator[dict[str, Any]]:
    """At most n different draws; more of them begin with the same ones. Where there are no more, all come once."""
    choices = [distribution.values for distribution in space.values() if isinstance(distribution, Choice)]
    n_combined = math.prod(map(len, choices))
    if len(choices) == len(space) and n_combined <= MOST_COMBINED:
        for place in np.random.default_rng(seed).permutation(n_combined)[:n]:
            chosen = np.unravel_index(place, [len(values) for values in choices])
            yield {name: values[i] for name, values, i in zip(space, choices, chosen, strict=True)}
        return
    seen: set[str] = set()
    number = 0
    for _ in range(n):
        for _ in range(TRIES):
            random = np.random.default_rng((seed, number))
            number += 1
            values = {name: distribution.draw(random) for name, distribution in space.items()}
            if repr(values) not in seen:
                break
        else:
            return
        seen.add(repr(values))
        yield values


def _logarithmic(low: float, high: float, random: np.random.Generator) -> float:
    value = float(exp(random.uniform(float(log(low)), float(log(high)))))
    return min(max(value, float(low)), float(high))  # rounding may leave the range


def _check_range(distribution: Any, is_log: bool = False) -> None:
    what, low, high = type(distribution).__name__, distribution.low, distribution.high
    for name, value in (("low", low), ("high", high)):
        if not is_number(value) or not math.isfinite(value):
            raise InvalidInputError(f"{what}: {name} must be a finite number, not {shown(value)}.")
    if low >= high:
        raise InvalidInputError(f"{what}: low must be below high, not {shown(low)} and {shown(high)}.")
    if is_log and isinstance(distribution, Integer):
        positive_integer(low, "Integer: with log=True low")
    elif is_log and low <= 0:
        raise InvalidInputError(f"{what}: low must be above 0, not {shown(low)}.")
