"""Which columns of a file are inputs, targets and weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from ...errors import InvalidInputError
from ..files import check_columns


class Wanted(NamedTuple):
    """The names of the columns that are read."""

    inputs: tuple[str, ...]
    target: str | tuple[str, ...] | None  # one makes a series, several a frame
    weight: str | None

    @property
    def all(self) -> list[str]:
        """Every one of them."""
        targets = () if self.target is None else (self.target,) if isinstance(self.target, str) else self.target
        return [*self.inputs, *targets, *(() if self.weight is None else (self.weight,))]

    def split(self, frame: Any) -> tuple[Any, Any, Any]:
        """X, y and weights of a frame that has them all. (A select would take "*" and "^x$" for patterns.)"""
        target, weight = self.target, self.weight
        y = None if target is None else frame[target] if isinstance(target, str) else frame[list(target)]
        return frame[list(self.inputs)], y, None if weight is None else frame[weight]


def wanted(
    name: str, header: Sequence[str], columns: Sequence[str] | None, target: str | Sequence[str] | None,
    weight: str | None,
) -> Wanted:  # fmt: skip
    """The columns that are asked for; without `columns` all the others are inputs.

    Raises:
        InvalidInputError: the file lacks one, or one is asked for twice.
    """
    targets = None if target is None else target if isinstance(target, str) else tuple(target)
    found = Wanted((), targets, weight)
    besides = set(found.all)
    inputs = tuple(columns) if columns is not None else tuple(other for other in header if other not in besides)
    found = found._replace(inputs=inputs)
    check_columns(name, header, found.all)
    twice = next((column for column, n in Counter(found.all).items() if n > 1), None)
    if twice is not None:
        raise InvalidInputError(
            f"The column {twice!r} of {name} is asked for twice: as an input, a target or a weight."
        )
    if not inputs:
        raise InvalidInputError(f"{name} has no columns beside targets and weights: name inputs with columns=.")
    return found


def check_same(name: str, header: Sequence[str], first: str, other: Sequence[str]) -> None:
    """Whether a file has the columns of the first one, in any order.

    Raises:
        InvalidInputError: it lacks some, or has others.
    """
    check_columns(name, header, other)
    known = set(other)
    besides = [column for column in header if column not in known]
    if besides:
        raise InvalidInputError(
            f"{name} has columns that {first} has not: {', '.join(besides)}; name those that are read with columns=."
        )
