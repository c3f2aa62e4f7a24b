"""How good candidates are: the loss that training has measured, or a metric of `evaluate`, on held-out rows."""

from __future__ import annotations

import math
from typing import Any

from ..errors import DivergenceError, InvalidInputError, kept_warnings
from ..mlp import MLP
from ..options import look_up, says
from .records import Record
from .tasks import OF_NETWORK, Task

SMALLER = ("loss", "rmse", "mae")  # what is better when it is smaller; all others are better when they are larger
UNITS_OF_LOSS = ("loss", "log_target", "class_weight")  # options that make losses of two networks something different


def larger_is_better(metric: str) -> bool:
    """The direction of a metric."""
    return metric not in SMALLER


def check_metric(metric: Any, tasks: list[Task], names_of_space: Any) -> None:
    """Whether all folds have the metric, found out with networks that have learned nothing.

    Args:
        metric: "loss", or a name that `evaluate` has.
        tasks: one for each fold.
        names_of_space: the options that are drawn.

    Raises:
        InvalidInputError: no such metric, or one that does not say what is better.
    """
    if says(metric, "loss"):
        apart = [name for name in UNITS_OF_LOSS if name in names_of_space]
        if apart:
            raise InvalidInputError(
                f"space: with {apart[0]} in it losses cannot be compared: give a metric, such as metric='rmse'."
            )
        return
    for fold, task in enumerate(tasks):
        data = task.data()
        with kept_warnings():
            model = new_model(task)
            shown = {name: data[name] for name in ("sample_weight", "validation_data")}
            model.fit(data["X"], data["y"], epochs=0, n_threads=1, verbose=0, **shown)
            names = dict.fromkeys(model.evaluate(*data["validation_data"]), "")
        names |= {name.replace("recall", "precision"): "" for name in names if name.startswith("recall")}
        where = f"fold {fold}: " if fold else ""
        try:
            look_up(metric, names, "metric")
        except InvalidInputError as error:
            raise InvalidInputError(f"{where}{error}") from error
    if str(metric).startswith("below_"):
        raise InvalidInputError(f"metric {metric!r} is best at its level, neither small nor large: use 'loss'.")


def new_model(task: Task) -> MLP:
    """A network like the one of a task, before it has learned."""
    return MLP(**{name: value for name, value in task.record.spec.items() if name in OF_NETWORK})


def score(metric: str, task: Task, record: Record) -> float:
    """The metric on the fold's held-out rows.

    Raises:
        DivergenceError: it is no finite number.
        InvalidInputError: a held-out row has no finite prediction.
    """
    assert record.history is not None
    assert record.model is not None
    if says(metric, "loss"):
        kept = record.history.kept or {name: values[-1] for name, values in record.history.history.items()}
        value = kept["val_loss"]
    else:
        measured = record.model.evaluate(*task.data()["validation_data"])
        # Only a class that is never predicted has no precision: as scikit-learn, that is the worst one.
        value = measured.get(metric, 0.0) if metric.startswith("precision") else measured[metric]
    if not math.isfinite(value):
        raise DivergenceError(f"{metric} is {value} on held-out rows.")
    return value
