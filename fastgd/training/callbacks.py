"""Callbacks: what a user wants to happen between epochs, such as stopping early.

The steps of an epoch run in compiled code, so callbacks are heard when training and epochs begin and end.
"""

from __future__ import annotations

import inspect
import math
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInputError
from ..options import checked_names, is_number, look_up, name_in_logs, positive_integer, shown, yes_or_no
from .course import Waiting

__all__ = [
    "Callback",
    "EarlyStopping",
    "Logs",
    "Recorded",
    "Recorder",
    "Spread",
]

Logs = dict[str, float]


class ModelInTraining(Protocol):
    """What callbacks may touch of a model; an MLP has much more."""

    stop_training: bool
    parameters: Any
    network: Any
    schema: Any


class Callback:
    """The base of all callbacks: override what you need. `self.model` is the model in training.

    Setting `self.model.stop_training = True` ends the training after the epoch.

    Example:
        >>> import fastgd
        >>> class Report(fastgd.callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         self.last = logs["loss"]
        >>> X, y = fastgd.datasets.houses(100)
        >>> report = Report()
        >>> history = fastgd.MLP([4, 1]).fit(X, y, epochs=2, callbacks=[report], verbose=0)
        >>> report.last == history.history["loss"][-1]
        True
    """

    model: Any = None

    def __repr__(self) -> str:
        names = list(inspect.signature(type(self)).parameters)
        options = [f"{name}={getattr(self, name)!r}" for name in names if hasattr(self, name)]
        return f"{type(self).__name__}({', '.join(options)})"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Training starts; beside EarlyStopping, logs has "val_loss" as it is before the first step."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch starts; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch is over; logs has "loss", "learning_rate", and with validation data "val_loss"."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Training is over, also after Ctrl-C or an early stop."""


class EarlyStopping(Callback):
    """Stop when `monitor` has not become better for `patience` epochs, and go back to the best parameters.

    What the model is like before the first step counts, too: a further `fit` never ends worse than it began. An epoch
    whose number is infinite or NaN says nothing, neither for nor against it.

    Args:
        monitor: a name in the logs; smaller is better, except for "val_accuracy". For "loss" the rows of the training
            are measured after each epoch, because the loss in the logs is that of the steps on the way.
        patience: how many epochs without an improvement are endured.
        min_delta: an improvement must be larger than this.
        restore_best_weights: whether the model ends with the parameters of its best epoch.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(1000)
        >>> stop = fastgd.callbacks.EarlyStopping(patience=3)
        >>> history = fastgd.MLP([4, 8, 1]).fit(
        ...     X, y, epochs=500, validation_split=0.2, callbacks=[stop], verbose=0
        ... )
        >>> history.epochs < 500
        True
    """

    @checked_names
    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
    ) -> None:
        self.monitor = name_in_logs(monitor)
        self.patience = positive_integer(patience, "patience", least=0)
        if not is_number(min_delta) or not 0 <= min_delta < math.inf:
            raise InvalidInputError(f"min_delta must be a number of at least 0, not {shown(min_delta)}.")
        self.min_delta = min_delta
        self.restore_best_weights = yes_or_no(restore_best_weights, "restore_best_weights")
        self.best_parameters: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget what an earlier training was like; what it has led to is where this one starts."""
        self.best, self.best_epoch, self.waited = math.inf, -1, 0
        self.best_parameters = None
        if logs and self.monitor in logs:
            self._is_better(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare this epoch with the best so far."""
        better = self._is_better(logs or {})
        if better:
            self.best_epoch, self.waited = epoch, 0
        elif better is not None:
            self.waited += 1
            if self.waited >= self.patience:
                self.model.stop_training = True

    def _is_better(self, logs: Logs) -> bool | None:
        """Whether the model is better than the best so far, and then remember it; None if nothing can be said."""
        value = look_up(self.monitor, logs, "quantity to monitor")
        if not math.isfinite(value):
            return None
        value = -value if larger_is_better(self.monitor) else value
        if not value < self.best - self.min_delta:
            return False
        self.best = value
        if self.restore_best_weights:
            self.best_parameters = self.model.parameters.copy()
        return True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Go back to the best parameters."""
        if self.best_parameters is not None:
            self.model.parameters = self.best_parameters

    @property
    def seen(self) -> Waiting:
        """All that it goes by."""
        return Waiting(self.best, self.best_epoch, self.waited, self.best_parameters)

    @seen.setter
    def seen(self, seen: Waiting) -> None:
        self.best, self.best_epoch, self.waited, self.best_parameters = seen


class Spread(NamedTuple):
    """How the weights of a layer, or their nudges, are spread: a histogram of equal bins from `low` to `high`."""

    counts: NDArray[np.int64]  # (bins,)
    low: float
    high: float
    norm: float  # their length: the square root of the sum of their squares


class Recorded(NamedTuple):
    """What a Recorder keeps of one epoch."""

    epoch: int  # how many epochs were over: 0 is the start of the training
    parameters: NDArray[np.float32]  # (n_parameters,)
    weights: list[Spread]  # of each layer, without biases
    nudges: list[Spread]  # what the epoch added to these weights, for each layer; none for the start


class Recorder(Callback):
    """Keep what fastgd.plots draws of a training: its path, and how weights and nudges were spread in each epoch.

    `recorded` has an entry for the start, for the latest epoch, and for every `stride`-th one: 1 at first, doubled
    whenever there would be more than `most`. Nudges are those of one epoch, whatever the stride. Each `fit` starts a
    new record, and what the model learns stays the same to the bit.

    Memory: 4 bytes for each entry and parameter, 16 for each entry, layer and bin, and for each epoch's arithmetic a
    few copies of the parameters. With the defaults and a million parameters these are some 200 MB.

    Args:
        most: how many entries are kept, at least 3.
        bins: how many bins a histogram has.

    Raises:
        InvalidInputError: an option that is not a whole number, or too small.

    Example:
        >>> import fastgd
        >>> X, y = fastgd.datasets.houses(200)
        >>> recorder = fastgd.callbacks.Recorder(most=5)
        >>> history = fastgd.MLP([4, 8, 1]).fit(X, y, epochs=9, callbacks=[recorder], verbose=0)
        >>> [entry.epoch for entry in recorder.recorded]
        [0, 4, 8, 9]
        >>> recorder.recorded[-1].nudges[0].norm < recorder.recorded[-1].weights[0].norm
        True
    """

    @checked_names
    def __init__(self, most: int = 50, bins: int = 40) -> None:
        self.most = positive_integer(most, "most", least=3)
        self.bins = positive_integer(bins, "bins")
        self.recorded: list[Recorded] = []
        self.stride, self.latest = 1, np.zeros(0)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier training, and note where this one starts."""
        self.recorded, self.stride = [], 1
        self.latest = self.model.parameters.copy()
        self._keep(Recorded(0, _single(self.latest), self._spreads(self.latest), []))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note where the epoch has led. Only what the model shows counts: training may move a copy, see ema_decay."""
        before, self.latest = self.latest, self.model.parameters.copy()
        nudges = np.subtract(self.latest, before, out=before)
        self._keep(Recorded(epoch + 1, _single(self.latest), self._spreads(self.latest), self._spreads(nudges)))

    def _keep(self, entry: Recorded) -> None:
        """Add an entry. The latest one goes if it is between strides; every second one goes if there are too many."""
        kept = [old for old in self.recorded if old.epoch % self.stride == 0]
        if len(kept) == self.most:
            self.stride *= 2
            kept = [old for old in kept if old.epoch % self.stride == 0]
        self.recorded = [*kept, entry]

    def _spreads(self, parameters: NDArray[Any]) -> list[Spread]:
        return [_spread(weights, self.bins) for weights, _ in self.model.network.split(parameters)]


def _single(parameters: NDArray[Any]) -> NDArray[np.float32]:
    """A copy in single precision; what it cannot hold becomes its largest number."""
    largest = np.finfo(np.float32).max
    copy: NDArray[np.float32] = np.clip(parameters, -largest, largest).astype(np.float32)
    return copy


def _spread(values: NDArray[Any], bins: int) -> Spread:
    """numpy.histogram refuses numbers that lie closer together than their precision allows bins; here all are fine."""
    wide = values.astype(np.float64).reshape(-1)
    low, high = float(wide.min()), float(wide.max())
    places = ((wide - low) / (high - low or 1.0) * bins).astype(np.int64)
    with np.errstate(over="ignore"):  # a length may be infinite, but it must not end the training
        norm = float(np.sqrt((wide * wide).sum()))
    return Spread(np.bincount(np.minimum(places, bins - 1), minlength=bins), low, high, norm)


def larger_is_better(name: str) -> bool:
    """Whether a logged quantity is to rise; losses are to fall."""
    return name.endswith("accuracy")
