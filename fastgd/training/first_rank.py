"""What rank 0 does for all between epochs: it calls callbacks, validates, and tells the others what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import InvalidInputError
from .callback_list import CallbackList
from .callbacks import Callback, Logs, ModelInTraining
from .ranks import Ranks

Measure = Callable[[int], Logs]


class Asked(NamedTuple):
    """What callbacks of rank 0 ask of all ranks."""

    any: bool = False
    compares_epochs: bool = False
    measures_loss: bool = False  # that of all rows, after each epoch


class CallbacksOfFirst(CallbackList):
    """The callbacks of rank 0; the others have none, and follow: they stop, and take weights that one has set."""

    def __init__(self, ranks: Ranks, callbacks: Any, model: ModelInTraining) -> None:
        super().__init__((), model)
        self.ranks = ranks
        self.measure_loss: Callable[[], float] | None = None  # of all rows, by all ranks together
        self.asked: Asked = ranks.done_by_first(lambda: self._take(callbacks))
        self.n_processes = ranks.size

    def _take(self, callbacks: Any) -> Asked:
        super().__init__(callbacks, self.model)
        if any(checkpoint.resume for checkpoint in self.checkpoints):
            raise InvalidInputError(
                "Checkpoint(resume=True) does not go with comm: leave out resume, and after an end before its time "
                "load the file in each process, and fit it for the epochs that are left."
            )
        stopping = self.early_stopping
        return Asked(bool(self.callbacks), bool(stopping), any(callback.monitor == "loss" for callback in stopping))

    @property
    def compares_epochs(self) -> bool:
        """Whether a callback of rank 0 does."""
        return self.asked.compares_epochs

    def fail(self, error: BaseException) -> None:
        """Tell the other ranks, and raise what all raise."""
        self.ranks.fail(error)

    def train_begin(self, logs: Logs) -> None:
        """Tell all that training begins."""
        self._settle()
        super().train_begin(logs)

    def epoch_end(self, epoch: int, logs: Logs) -> None:
        """Tell all that an epoch is over."""
        self._settle()
        super().epoch_end(epoch, logs)

    def train_end(self, logs: Logs) -> None:
        """Tell all that training is over, also by an error: nothing is exchanged, rank 0's model is what counts."""
        super()._tell(lambda callback: callback.on_train_end(dict(logs)))

    def _settle(self) -> None:
        """Measure the loss as the model is now, with the rows of all ranks."""
        if self.asked.measures_loss and self.measure_loss:
            settled = self.measure_loss()
            self.settled_loss = lambda: settled

    def _tell(self, message: Callable[[Callback], None]) -> None:
        if not self.asked.any:
            return
        tell = super()._tell
        stops, parameters = self.ranks.done_by_first(lambda: self._told(tell, message))
        self.model.stop_training = stops
        if parameters is not None:
            self.model.parameters[:] = parameters

    def _told(self, tell: Callable[..., None], message: Callable[[Callback], None]) -> tuple[bool, Any]:
        """Whether a callback wants to stop, and the parameters that it has set; None if they are as they were."""
        before = self.model.parameters.copy()
        tell(message)
        is_same = np.array_equal(before, self.model.parameters, equal_nan=True)
        return self.model.stop_training, None if is_same else self.model.parameters.copy()


def validated_by_first(ranks: Ranks, validate: Measure | None) -> Measure | None:
    """What rank 0 measures after an epoch, on all ranks; None where it has no rows to validate with."""
    measures = ranks.done_by_first(lambda: validate is not None)
    return (lambda epoch: ranks.done_by_first(lambda: validate(epoch))) if measures else None  # type: ignore[misc]
