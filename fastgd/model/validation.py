"""What is measured on held-out rows after each epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..data.rows import Measured
from ..data.schema import Schema
from ..data.streams.stream import Stream
from ..errors import NonFiniteWarning, warn
from ..kernels.records import Net, Reals
from .lessons import HeldOut
from .measures import accuracy_of
from .predictor import Predictor
from .streamed import loss_and_accuracy


class Predicting(Protocol):
    """What is asked of a model that is in training."""

    schema: Schema
    net: Net

    def predictor(self) -> Predictor:
        """Its predictions."""

    def outputs_of(self, values: Reals) -> tuple[Reals, bool]:
        """Predictions in the user's units, and whether they are finite."""

    def loss_of(self, rows: Measured) -> float:
        """The loss in the user's units."""


def validation(model: Predicting, rows: HeldOut) -> Callable[[int], dict[str, float]]:
    """A function of the number of epochs that are over: the loss that training makes small, and the accuracy."""
    is_told = False

    def measure(epoch: int) -> dict[str, float]:
        nonlocal is_told
        logs = _measured(model, rows)
        if not is_told and not np.isfinite(logs["val_loss"]):
            is_told = True
            why = ""
            if isinstance(rows, Measured):
                wrong = np.flatnonzero(~np.isfinite(model.outputs_of(rows.X)[0]).all(axis=1))
                why = f": the prediction for validation row {wrong[0]} is not finite" if wrong.size else ""
            warn(
                f"After epoch {epoch} val_loss is {logs['val_loss']}{why}. It counts neither as better nor as worse.",
                NonFiniteWarning,
            )
        return logs

    return measure


def _measured(model: Predicting, rows: HeldOut) -> dict[str, float]:
    if isinstance(rows, Stream):
        loss, accuracy = loss_and_accuracy(model, rows)
        return {"val_loss": loss} | ({"val_accuracy": accuracy} if accuracy is not None else {})
    logs = {"val_loss": model.loss_of(rows)}
    if model.schema.network.loss.task in ("classes", "labels"):
        logs["val_accuracy"] = accuracy_of(model.schema, rows, model.outputs_of(rows.X)[0])
    return logs


def measured_names(schema: Schema) -> list[str]:
    """The names of what is measured."""
    return ["val_loss"] + ["val_accuracy"] * (schema.network.loss.task in ("classes", "labels"))
