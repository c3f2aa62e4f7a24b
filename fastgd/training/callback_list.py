"""The callbacks of one training: checked before it begins, and told in their order as it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InvalidInputError
from ..options import shown
from .callbacks import Callback, EarlyStopping, Logs, ModelInTraining
from .checkpoint import Checkpoint
from .course import Waiting
from .schedules import ReduceOnPlateau


def check_monitor(name: Any, names: Sequence[str]) -> None:
    """Whether a quantity to monitor will be in the logs."""
    if name not in names:
        hint = " Give validation_data or validation_split for it." if str(name).startswith("val_") else ""
        raise InvalidInputError(f"There is no quantity {shown(name)} to monitor; there are: {', '.join(names)}.{hint}")


class CallbackList:
    """The callbacks of one training, told in their order."""

    def __init__(self, callbacks: Callback | Sequence[Any], model: ModelInTraining) -> None:
        callbacks = [callbacks] if isinstance(callbacks, Callback | type) else callbacks
        if not isinstance(callbacks, list | tuple):
            raise InvalidInputError(
                f"callbacks must be one, or a list, such as [fastgd.callbacks.EarlyStopping()], not {shown(callbacks)}."
            )
        for callback in callbacks:
            if isinstance(callback, type) and issubclass(callback, Callback):
                raise InvalidInputError(
                    f"{callback.__name__} is a class of callbacks: make one, {callback.__name__}()."
                )
            if not isinstance(callback, Callback):
                raise InvalidInputError(
                    f"{shown(callback)} is not a callback: make it a subclass of fastgd.callbacks.Callback, "
                    "with on_epoch_end(self, epoch, logs)."
                )
            unheard = [name for name in dir(callback) if "batch" in name and name.startswith("on_")]
            if unheard:
                raise InvalidInputError(
                    f"{type(callback).__name__}.{unheard[0]} would never be heard: the steps of an epoch run in "
                    "compiled code. Use on_epoch_end."
                )
        self.callbacks, self.model = callbacks, model
        self.settled_loss: Callable[[], float] | None = None  # the loss of the training rows as the model is now
        self.held_out: Any = None  # the rows that are validated with
        self.n_processes = 1  # that train together
        self.seen_before: Sequence[Waiting] = ()  # what EarlyStoppings go by where the training was cut off
        for callback in callbacks:
            callback.model = model

    def check_monitors(self, names: Sequence[str], plateau: ReduceOnPlateau | None = None) -> None:
        """Find out before the training, not after its first epoch, that a quantity to monitor will not be there."""
        for callback in self.early_stopping:
            check_monitor(callback.monitor, names)
        if plateau:
            check_monitor(plateau.monitor, names)

    @property
    def early_stopping(self) -> list[EarlyStopping]:
        """Those that compare epochs."""
        return [callback for callback in self.callbacks if isinstance(callback, EarlyStopping)]

    @property
    def compares_epochs(self) -> bool:
        """Whether one of them compares epochs with what was there before the first step."""
        return bool(self.early_stopping)

    @property
    def best_epoch(self) -> int | None:
        """The epoch, counted from 1, whose weights early stopping goes back to at the end."""
        going_back = [callback for callback in self.early_stopping if callback.best_parameters is not None]
        return going_back[-1].best_epoch + 1 if going_back else None

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Those that keep the training in a file."""
        return [callback for callback in self.callbacks if isinstance(callback, Checkpoint)]

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """What each of those that compare epochs has seen."""
        return tuple(callback.seen for callback in self.early_stopping)

    @property
    def stop(self) -> bool:
        """Whether a callback asked to stop."""
        return self.model.stop_training

    def train_begin(self, logs: Logs) -> None:
        """Tell all that training begins; with early stopping, logs has what was measured before the first step."""
        self.model.stop_training = False
        self._tell(lambda callback: callback.on_train_begin(self._settled(callback, logs)))
        if self.seen_before:
            for callback, seen in zip(self.early_stopping, self.seen_before, strict=True):
                callback.seen = seen

    def epoch_begin(self, epoch: int) -> None:
        """Tell all that an epoch begins."""
        self._tell(lambda callback: callback.on_epoch_begin(epoch, {}))

    def epoch_end(self, epoch: int, logs: Logs) -> None:
        """Tell all that an epoch is over."""
        self._tell(lambda callback: callback.on_epoch_end(epoch, self._settled(callback, logs)))

    def train_end(self, logs: Logs) -> None:
        """Tell all that training is over."""
        self._tell(lambda callback: callback.on_train_end(dict(logs)))

    def fail(self, error: BaseException) -> None:
        """The training ends with this error; whoever trains along is to hear of it."""

    def _settled(self, callback: Callback, logs: Logs) -> Logs:
        """The logs, with the loss that the model has now for those who may go back to it."""
        if self.settled_loss and isinstance(callback, EarlyStopping) and callback.monitor == "loss":
            return logs | {"loss": self.settled_loss()}
        return dict(logs)

    def _tell(self, message: Callable[[Callback], None]) -> None:
        for callback in self.callbacks:
            message(callback)
