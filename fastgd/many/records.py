"""What became of each network, and the list of all, which prints as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import Told
from ..explain.table import Table
from ..mlp import MLP
from ..options import shortened
from ..training.callbacks import Callback
from ..training.history import INTERRUPTED, History


class Outcome(NamedTuple):
    """What became of one network that was trained."""

    model: MLP
    history: History | None
    error: BaseException | None
    warnings: list[Told]
    seconds: float
    callbacks: list[Callback]


@dataclass
class Record:
    """One network of `fastgd.fit_many`.

    Attributes:
        number: its place among the specs.
        spec: what was asked for, defaults included.
        model: the network, trained; as it was made where its turn never came; None where it was given up while it
            trained.
        history: as `fit` returns it; None where the turn never came, or the training ended in an error.
        error: what ended the training, such as a DivergenceError; else None.
        seconds: wall time of its fit.
        callbacks: its own copies of the callbacks.
        warnings: what `fit` would have warned of, (message, category).
    """

    number: int
    spec: dict[str, Any]
    model: MLP | None
    history: History | None = None
    error: BaseException | None = None
    seconds: float = 0.0
    callbacks: list[Callback] = field(default_factory=list)
    warnings: list[Told] = field(default_factory=list)

    def take(self, outcome: Outcome) -> None:
        """Note what became of the network."""
        self.model, self.history, self.error, self.warnings, self.seconds, self.callbacks = outcome

    @property
    def ended(self) -> str:
        """How: as the history says it, by the name of an error, or "never begun"."""
        if self.error is not None:
            return type(self.error).__name__
        return "never begun" if self.history is None else self.history.ended

    @property
    def measured(self) -> dict[str, float]:
        """The numbers of the epoch whose weights the model has."""
        return {} if self.history is None else self.history.kept

    def __repr__(self) -> str:
        network = "" if self.model is None else f" {self.model.network}"
        numbers = [f"{name} {value:.4g}" for name, value in self.measured.items() if name != "learning_rate"]
        epochs = [] if self.history is None else [f"{self.history.epochs} epochs", *numbers]
        ended = f"{self.ended}: {shortened(str(self.error), 60)}" if self.error else self.ended
        return f"<Record {self.number}:{network}; {', '.join([*epochs, ended, f'{self.seconds:.3g} s'])}>"


def was_stopped(record: Record) -> bool:
    """Whether Ctrl-C came before its end."""
    if record.model is None or isinstance(record.error, KeyboardInterrupt):
        return True
    return record.error is None and (record.history is None or record.history.ended == INTERRUPTED)


class Records(list[Record]):
    """The records of `fastgd.fit_many` in the order of the specs: a list that prints as a table."""

    @property
    def table(self) -> Table:
        """A row for each network: its shape, epochs, losses, seconds, and how its training ended."""
        models = [record.model for record in self]
        columns: dict[str, Any] = {
            "spec": [str(record.number) for record in self],
            "network": ["" if model is None else "-".join(map(str, model.network.sizes)) for model in models],
            "epochs": [0 if record.history is None else record.history.epochs for record in self],
        }
        for name in ("loss", "val_loss"):
            values = [record.measured.get(name, math.nan) for record in self]
            if any(value == value for value in values):
                columns[name] = values
        columns |= {"seconds": [record.seconds for record in self], "ended": [record.ended for record in self]}
        return Table(columns, unsigned=("loss", "val_loss", "seconds"))

    def __repr__(self) -> str:
        return repr(self.table) if self else "[]"

    def _repr_html_(self) -> str:
        return self.table._repr_html_() if self else "<p>[]</p>"
