"""How a network is built and trained: what suits the table, with what the options say in its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from ..data.encoding import Encoding
from ..training.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from ..training.recipe import Recipe, recipe
from ..training.schedules import Constant, Cosine, OneCycle, ReduceOnPlateau, Schedule

OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": SGD,
    "momentum": lambda: SGD(momentum=0.9),
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
SCHEDULES: dict[str, Callable[[float], Schedule]] = {
    "constant": Constant,
    "cosine": Cosine,
    "one-cycle": OneCycle,
    "plateau": ReduceOnPlateau,
}


class Wishes(NamedTuple):
    """What the options say; None for what is left to the table."""

    hidden: list[int] | None = None
    activation: str | None = None
    dropout: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    schedule: str | None = None
    weight_decay: float | None = None
    clip_norm: float | None = None

    @property
    def free(self) -> frozenset[str]:
        """The parts of a recipe that several networks may differ in."""
        chosen = {"learning_rate", "weight_decay"} if self.optimizer is not None or self.schedule is not None else set()
        parts = {
            "hidden_layer_sizes": self.hidden, "activation": self.activation, "dropout": self.dropout,
            "learning_rate": self.learning_rate, "weight_decay": self.weight_decay, "epochs": self.epochs,
        }  # fmt: skip
        return frozenset(name for name, value in parts.items() if value is None and name not in chosen)


def chosen(wishes: Wishes, n_rows: int, n_numbers: int, classes: bool) -> tuple[Recipe, bool]:
    """The recipe for a table of so many rows and columns of numbers; and whether these have bins."""
    encoded = Encoding().bins_for(n_rows, n_numbers) > 0
    optimizer = None if wishes.optimizer is None else OPTIMIZERS[wishes.optimizer]()
    rate: Any = wishes.learning_rate
    if wishes.schedule is not None:
        usual = optimizer or recipe(n_rows, encoded=encoded, classes=classes).optimizer
        rate = SCHEDULES[wishes.schedule](_highest(usual.rate) if rate is None else rate)
    made = recipe(
        n_rows, encoded=encoded, classes=classes, hidden_layer_sizes=wishes.hidden, activation=wishes.activation,
        dropout=wishes.dropout, optimizer=optimizer, learning_rate=rate, weight_decay=wishes.weight_decay,
        epochs=wishes.epochs, batch_size=wishes.batch_size,
    )  # fmt: skip
    if wishes.clip_norm is not None:
        clipped = dataclasses.replace(made.optimizer, clip_norm=wishes.clip_norm)
        made = dataclasses.replace(made, optimizer=clipped)
    return made, encoded


def _highest(rate: Any) -> float:
    """The rate of a schedule."""
    while isinstance(rate, Schedule):
        rate = getattr(rate, "schedule", None) or getattr(rate, "learning_rate", None)
    return float(rate)
