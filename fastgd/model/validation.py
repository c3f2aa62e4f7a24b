"""What is measured on held-out rows after each epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..data.rows import Measured
from ..data.schema import Schema
from ..errors import NonFiniteWarning, warn
from ..kernels.records import Reals
from .measures import accuracy_of


class Predicting(Protocol):
    """What is asked of a model that is in training."""

    schema: Schema

    def outputs_of(self, values: Reals) -> tuple[Reals, bool]:
        """Predictions in the user's units, and whether they are finite."""

    def loss_of(self, rows: Measured) -> float:
        """The loss in the user's units."""


def validation(model: Predicting, rows: Measured) -> Callable[[int], dict[str, float]]:
    """A function of the number of epochs that are over: the loss that training makes small, and the accuracy."""
    is_told = False

    def measure(epoch: int) -> dict[str, float]:
        nonlocal is_told
        logs = {"val_loss": model.loss_of(rows)}
        if model.schema.network.loss.task in ("classes", "labels"):
            logs["val_accuracy"] = accuracy_of(model.schema, rows, model.outputs_of(rows.X)[0])
        if not is_told and not np.isfinite(logs["val_loss"]):
            is_told = True
            wrong = np.flatnonzero(~np.isfinite(model.outputs_of(rows.X)[0]).all(axis=1))
            why = f": the prediction for validation row {wrong[0]} is not finite" if wrong.size else ""
            warn(
                f"After epoch {epoch} val_loss is {logs['val_loss']}{why}. It counts neither as better nor as worse.",
                NonFiniteWarning,
            )
        return logs

    return measure


def measured_names(schema: Schema) -> list[str]:
    """The names of what is measured."""
    return ["val_loss"] + ["val_accuracy"] * (schema.network.loss.task in ("classes", "labels"))
