"""From what a search has drawn to the networks of fit_many: options of the optimizer and the encoding find their place.

A schedule that lasts one fit is told of all rounds of a search, so that a network that goes on learns as in one go.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..data.encoding import Encoding, as_encoding
from ..errors import InvalidInputError, Told
from ..options import check_names, is_number, look_up
from ..training.optimizers import OPTIMIZERS
from ..training.schedules import Rates, ReduceOnPlateau, Schedule, Steps, at_rate, top_of
from ..training.state import checked_optimizer
from .tasks import KNOWN, OF_ROWS

OF_OPTIMIZER = ("learning_rate", "weight_decay")  # that need no "optimizer." before them
MEASURED_BY_SEARCH = ("model", *OF_ROWS, "validation_data", "validation_split")
OPTIONS = tuple(name for name in KNOWN if name not in MEASURED_BY_SEARCH)
PARTS = {
    "optimizer": tuple(dict.fromkeys(entry.name for kind in OPTIMIZERS.values() for entry in dataclasses.fields(kind))),
    "encoding": tuple(entry.name for entry in dataclasses.fields(Encoding)),
}


@dataclass
class Candidate:
    """One draw from the space, and what became of it.

    Attributes:
        number: its place among the draws.
        options: what was drawn.
        spec: the same as `fastgd.fit_many` takes it, with all other options that were given.
        scores: the metric on each fold's held-out rows, after the last round that was completed.
        epochs: that it was trained for until then.
        rounds: how many rounds it has completed.
        curves: for each fold the numbers of all epochs, such as curves[0]["val_loss"].
        seconds: of training, all folds together.
        error: what ended it, such as a DivergenceError; else None.
        warnings: what its fits would have warned of, (message, category).
    """

    number: int
    options: dict[str, Any]
    spec: dict[str, Any]
    scores: list[float] = field(default_factory=list)
    epochs: int = 0
    rounds: int = 0
    curves: list[dict[str, list[float]]] = field(default_factory=list)
    seconds: float = 0.0
    error: BaseException | None = None
    warnings: list[Told] = field(default_factory=list)
    epochs_kept: list[int] = field(default_factory=list)  # of each fold: after how many the weights are those it has

    @property
    def score(self) -> float:
        """The mean over the folds; NaN where there is none."""
        return float(np.mean(self.scores)) if self.scores and self.error is None else float("nan")

    @property
    def spread(self) -> float:
        """The standard deviation over the folds; NaN for a single one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 and self.error is None else float("nan")

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {written(value)}" for name, value in self.options.items())
        ended = f"; {type(self.error).__name__}" if self.error else ""
        return f"<Candidate {self.number}: {told}; score {self.score:.4g} after {self.epochs} epochs{ended}>"


def written(value: Any) -> str:
    """A drawn value, as short as it can be told."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple) and value and all(isinstance(part, int) for part in value):
        return "-".join(map(str, value))
    return str(value)


def check_names_of(names: Iterable[str]) -> None:
    """Whether a space can have these names.

    Raises:
        InvalidInputError: an unknown name, with the right one, or one that stands there twice.
    """
    places = set()
    for name in names:
        head, dot, part = name.partition(".")
        if name in MEASURED_BY_SEARCH:
            raise InvalidInputError(f"{name} cannot be searched: cv says which rows measure.")
        if dot:
            check_names([part], look_up(head, PARTS, "option with parts"))
        else:
            check_names([name], (*OPTIONS, *OF_OPTIMIZER))
        place = _place(name)
        if place in places:
            raise InvalidInputError(f"{name} stands there twice, with and without 'optimizer.': leave one out.")
        places.add(place)


def spec_of(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The options of one network as fit_many takes them."""
    placed = {_place(name): value for name, value in options.items()}
    spec = {**defaults, **{name: value for name, value in placed.items() if "." not in name}}
    parts = {head: {n.partition(".")[2]: v for n, v in placed.items() if n.startswith(f"{head}.")} for head in PARTS}
    if parts["optimizer"]:
        optimizer: Any = checked_optimizer(None, spec.get("optimizer"))
        known = [entry.name for entry in dataclasses.fields(optimizer)]
        try:
            check_names(parts["optimizer"], known)
        except InvalidInputError as error:
            raise InvalidInputError(f"{type(optimizer).__name__}: {error}") from error
        if "learning_rate" in parts["optimizer"]:
            parts["optimizer"]["learning_rate"] = _at_rate(optimizer.learning_rate, parts["optimizer"]["learning_rate"])
        spec["optimizer"] = replace(optimizer, **parts["optimizer"])
    if parts["encoding"]:
        spec["encoding"] = replace(as_encoding(spec.get("encoding")) or Encoding(), **parts["encoding"])
    return spec


def _place(name: str) -> str:
    return f"optimizer.{name}" if name in OF_OPTIMIZER else name


def _at_rate(rate: Any, value: Any) -> Any:
    """The optimizer's rate or schedule at the rate that was drawn; a schedule that was drawn replaces it."""
    if not is_number(value):
        return value
    if top_of(rate) is None:
        raise InvalidInputError("learning_rate cannot be searched where the optimizer's is a function of the step.")
    return at_rate(rate, value)


@dataclass(frozen=True, repr=False)
class Whole(Schedule):
    """A schedule over so many steps, however many fits take them."""

    schedule: Schedule
    total: int

    def rates(self, steps: Steps, total: int) -> Rates:
        """Those of the schedule, as one fit of all the steps would have them."""
        return self.schedule.rates(steps, self.total)

    def plateau(self) -> ReduceOnPlateau | None:
        """That of the schedule."""
        return self.schedule.plateau()
