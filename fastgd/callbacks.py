"""Callbacks: what a user wants to happen between epochs, such as stopping early.

The steps of an epoch run in compiled code, so callbacks are heard when training and epochs begin and end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .errors import InvalidInputError
from .names import checked_names, is_number, look_up, positive_integer, yes_or_no

Logs = dict[str, float]


class Trained(Protocol):
    """What callbacks may touch of a model; an MLP has much more."""

    stop_training: bool
    parameters: Any


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

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Training starts."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch starts; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch is over; logs has "loss", "learning_rate", and with validation data "val_loss"."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Training is over, also after Ctrl-C or an early stop."""


class EarlyStopping(Callback):
    """Stop when `monitor` has not become better for `patience` epochs, and go back to the best parameters.

    Args:
        monitor: a name in the logs; smaller is better, except for "val_accuracy".
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
        self.monitor = monitor
        self.patience = positive_integer(patience, "patience", least=0)
        if not is_number(min_delta) or not 0 <= min_delta < math.inf:
            raise InvalidInputError(f"min_delta must be a number of at least 0, not {min_delta!r}.")
        self.min_delta = min_delta
        self.restore_best_weights = yes_or_no(restore_best_weights, "restore_best_weights")
        self.best_parameters: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget what an earlier training was like."""
        self.best, self.best_epoch = math.inf, -1
        self.best_parameters = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare this epoch with the best so far."""
        value = look_up(self.monitor, logs or {}, "quantity to monitor")
        value = -value if larger_is_better(self.monitor) else value
        if value < self.best - self.min_delta or self.best_epoch < 0:
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_parameters = self.model.parameters.copy()
        elif epoch - self.best_epoch >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Go back to the best parameters."""
        if self.best_parameters is not None:
            self.model.parameters = self.best_parameters


def check_monitor(name: str, names: Sequence[str]) -> None:
    """Whether a quantity to monitor will be in the logs."""
    if name not in names:
        hint = " Give validation_data or validation_split for it." if name.startswith("val_") else ""
        raise InvalidInputError(f"There is no quantity {name!r} to monitor; there are: {', '.join(names)}.{hint}")


def larger_is_better(name: str) -> bool:
    """Whether a logged quantity is to rise; losses are to fall."""
    return name.endswith("accuracy")


class CallbackList:
    """The callbacks of one training, told in their order."""

    def __init__(self, callbacks: Sequence[Any], model: Trained) -> None:
        if isinstance(callbacks, Callback) or not isinstance(callbacks, list | tuple):
            raise InvalidInputError("callbacks must be a list, such as [fastgd.callbacks.EarlyStopping()].")
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise InvalidInputError(
                    f"{callback!r} is not a callback: make it a subclass of fastgd.callbacks.Callback, "
                    "with on_epoch_end(self, epoch, logs)."
                )
            unheard = [name for name in dir(callback) if "batch" in name and name.startswith("on_")]
            if unheard:
                raise InvalidInputError(
                    f"{type(callback).__name__}.{unheard[0]} would never be heard: the steps of an epoch run in "
                    "compiled code. Use on_epoch_end."
                )
        self.callbacks, self.model = callbacks, model
        for callback in callbacks:
            callback.model = model

    def check_monitors(self, names: Sequence[str]) -> None:
        """Find out before the training, not after its first epoch, that a quantity to monitor will not be there."""
        for callback in self.callbacks:
            if isinstance(callback, EarlyStopping):
                check_monitor(callback.monitor, names)

    @property
    def stop(self) -> bool:
        """Whether a callback asked to stop."""
        return self.model.stop_training

    def train_begin(self) -> None:
        """Tell all that training begins."""
        self.model.stop_training = False
        self._tell(lambda callback: callback.on_train_begin({}))

    def epoch_begin(self, epoch: int) -> None:
        """Tell all that an epoch begins."""
        self._tell(lambda callback: callback.on_epoch_begin(epoch, {}))

    def epoch_end(self, epoch: int, logs: Logs) -> None:
        """Tell all that an epoch is over."""
        self._tell(lambda callback: callback.on_epoch_end(epoch, dict(logs)))

    def train_end(self, logs: Logs) -> None:
        """Tell all that training is over."""
        self._tell(lambda callback: callback.on_train_end(dict(logs)))

    def _tell(self, message: Callable[[Callback], None]) -> None:
        for callback in self.callbacks:
            message(callback)
