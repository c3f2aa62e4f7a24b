"""A training that is kept in a file as it goes, so that one that was cut off goes on where the file has it.

Here is when the file is written and read; resuming.py says what stands in it, and brings a training back to there.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

from ..errors import CheckpointWarning, InvalidInputError, ModelFileError, warn
from ..options import checked_names, is_number, shown, yes_or_no
from .callbacks import Callback, Logs

__all__ = ["Checkpoint"]


class Checkpoint(Callback):
    """Keep the training in a file, so that one that was cut off goes on exactly where the file has it.

    Between chunks of steps, also inside a long epoch, the model is written with all that its training has come to,
    whenever so many seconds have passed; when the training is over the file has the finished model. It is a file as
    `model.save` writes it, whole or not at all: `fastgd.load` reads it, and predicts as the model would have then.

    With `resume=True` the same lines of code run again, in the same or another process, go on from the file: weights,
    history, early stopping and all that follows are, to the bit, those of a training that was never cut off. Without a
    file they begin; where the file has the finished training, nothing is left to do, and the model is that one. The
    history says which in `resumed`. A file of another training is refused. Ctrl-C and errors leave the file as it was
    last written.

    Other callbacks begin anew, such as Recorder and your own, with the epoch at hand. Where the file cannot be written,
    as on a full disk, a CheckpointWarning says so, the training goes on, the old file stays, and it is tried again.
    Another warning tells that somebody else, such as the same program started twice, writes to the file, too.
    What is written takes time and room like `model.save(path, training_state=True)`.

    Args:
        path: such as "house.safetensors"; a file of that name is replaced.
        seconds: between two writes, at least 0; 0 writes after each chunk of steps, some 70 ms.
        resume: whether to go on from the file where there is one.

    Raises:
        InvalidInputError: an option that cannot be used. When training begins: a path where nothing can be written,
            such as a folder; a learning rate or an optimizer of your own, which no file can hold; with `resume` also a
            file of another training, or of none, rows that need not come again as they came (a function, an iterator),
            and comm.
        ModelFileError: with `resume`, a file that cannot be read.

    Example:
        >>> import fastgd, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "house.safetensors"
        >>> X, y = fastgd.datasets.houses(1000, random_state=0)
        >>> def train():
        ...     model = fastgd.MLP([4, 8, 1], random_state=0)
        ...     kept = fastgd.callbacks.Checkpoint(path, seconds=30, resume=True)
        ...     return model.fit(X, y, epochs=20, callbacks=[kept], verbose=0)
        >>> history = train()
        >>> train().resumed
        'finished before, as house.safetensors has it'
        >>> fastgd.load(path).evaluate(X, y)["r2"] > 0.9
        True
    """

    @checked_names
    def __init__(self, path: str | Path, seconds: float = 60.0, resume: bool = False) -> None:
        if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
            raise InvalidInputError(f"path must be the name of a file, such as 'house.safetensors', not {shown(path)}.")
        if not is_number(seconds) or not 0 <= seconds < math.inf:
            raise InvalidInputError(f"seconds must be a number of at least 0, not {shown(seconds)}.")
        self.path, self.seconds = path, seconds
        self.resume = yes_or_no(resume, "resume")
        self.due = math.inf  # on the clock time.monotonic
        self.is_told = False  # whether the file could not be written, and that was told
        self.is_shared = False  # whether somebody else writes to the file, and that was told
        self.file: Any = None  # the files.kept_file.KeptFile of the training

    @property
    def name(self) -> str:
        """What messages call the file."""
        return os.path.basename(self.path) or str(self.path)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin to count seconds."""
        self.due, self.is_told, self.is_shared = time.monotonic() + self.seconds, False, False

    def open(self) -> None:
        """Take the path for the training that begins."""
        self.file = self.model.kept_in(self.path)

    def check(self) -> None:
        """Find out before the first step that the file could not be written."""
        try:
            self.file.check()
        except ModelFileError as error:
            raise InvalidInputError(f"Checkpoint: {error} Name another path.") from error

    def saved(self) -> Any:
        """The model in the file, whose training is to go on; None where none is to, or there is no file."""
        if not self.resume or not os.path.lexists(self.file.path):
            return None
        model = self.file.read()
        if getattr(getattr(model, "fit_state", None), "course", None) is None:  # an ensemble does not learn
            raise InvalidInputError(
                f"{self.name} is no checkpoint of a training: give Checkpoint another path, or resume=False, which "
                "replaces the file."
            )
        return model

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() >= self.due

    def save(self, is_over: bool) -> None:
        """Write the model as it is now; `is_over`: once more at the end, after which nothing is tried again."""
        self._tell_of_others()
        try:
            self.model.save(self.file.path, training_state=True)
            self.file.note()
            self.is_told = False
        except ModelFileError as error:
            if is_over or not self.is_told:
                self.is_told = True
                what = "The model is trained, but the file does not have it: save it elsewhere."
                after = f"The training goes on, and tries again every {self.seconds:g} seconds."
                warn(f"No checkpoint could be written. {error} {what if is_over else after}", CheckpointWarning)
        self.due = time.monotonic() + self.seconds

    def _tell_of_others(self) -> None:
        """Say once that somebody else has written to the file since this training began or wrote."""
        if not self.is_shared and self.file.is_foreign():
            self.is_shared = True
            warn(
                f"{self.name} was written by somebody else while this training is kept in it: trainings that share a "
                "file replace what the others have kept, so give each Checkpoint a path of its own.",
                CheckpointWarning,
            )
