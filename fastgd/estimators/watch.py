"""What watches the epochs of an estimator: when to stop, and the callbacks of scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..training.callbacks import Callback, Logs

FULL = 0.1
FEWEST_ROWS, ROWS_OF_A_COLUMN = 1000, 50  # from which on dropout may fade


def fading(n_rows: int, n_columns: int) -> list[Callback]:
    """What lets the dropout of a regression fade, where the loss tells how noisy the target is.

    That of few rows falls because they are learned by heart.
    """
    return [FadingDropout()] if n_rows >= max(FEWEST_ROWS, ROWS_OF_A_COLUMN * n_columns) else []


class Patience(Callback):
    """Stop when a score has not risen by more than `tol` for so many epochs, and perhaps go back to the best weights.

    This is scikit-learn's rule, for the loss of the training and for the score of held-out rows alike. (EarlyStopping
    differs: it compares with what was there before the first step, and measures the rows of the training once more.)
    """

    def __init__(self, score_of: Callable[[Any, Logs], float], tol: float, epochs: float, restores: bool) -> None:
        self.score_of, self.tol, self.epochs, self.restores = score_of, tol, epochs, restores
        self.scores: list[float] = []
        self.best, self.waited = -math.inf, 0
        self.best_parameters: Any = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare this epoch with the best so far."""
        score = self.score_of(self.model, logs or {})
        self.scores.append(score)
        self.waited = 0 if score > self.best + self.tol else self.waited + 1
        if score > self.best:
            self.best = score
            if self.restores:
                self.best_parameters = self.model.parameters.copy()
        if self.waited >= self.epochs:
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Go back to the best weights."""
        if self.best_parameters is not None:
            self.model.parameters = self.best_parameters


class FadingDropout(Callback):
    """Dropout by what is left to learn: below a loss of FULL, in variances of the target, so much less of it.

    Dropout adds noise to what the network puts out, and training trades what it could still learn for less of that
    noise. Where the target itself has little, that is a bad bargain: on smooth functions errors were twice as large.
    """

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """All of it at first."""
        self.most = self.model.net.dropout.copy()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """That of the next epoch."""
        loss = (logs or {})["loss"] / self.model.loss_unit
        self.model.net.dropout[:] = self.most * min(loss / FULL, 1.0)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Another fit begins with all of it."""
        self.model.net.dropout[:] = self.most


class Subtasks(Callback):
    """Callbacks of scikit-learn hear of `fit` as a task and of every epoch as a part of it, and may end it.

    Args:
        root: the context of the task.
        told: what they are told: estimator, X, y, metadata.
    """

    def __init__(self, root: Any, told: dict[str, Any]) -> None:
        self.root, self.told = root, told

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """The task begins."""
        self.root.call_on_fit_task_begin(**self.told)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """A part begins."""
        self.part = self.root.subcontext(task_name="epoch").call_on_fit_task_begin(**self.told)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """A part is over: whoever measures gets a fitted estimator."""
        if self.part.call_on_fit_task_end(**self.told, reconstruction_attributes=self._fitted):
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """The task is over."""
        self.root.call_on_fit_task_end(**self.told, reconstruction_attributes=self._fitted)

    def _fitted(self) -> dict[str, Any]:
        return {"model_": self.model.twin()}
