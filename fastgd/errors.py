"""Every error and warning that a user can meet. Each says what is wrong, where, and what to do next.

They are one family below `FastgdError`, and each is also the built-in class that a user would catch anyway.
"""

from __future__ import annotations

import contextvars
import re
import shlex
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "BlowUpWarning",
    "BusyError",
    "CacheWarning",
    "CheckpointWarning",
    "ClusterError",
    "ClusterWarning",
    "DeadNetworkWarning",
    "DeviceError",
    "DivergenceError",
    "DivergenceWarning",
    "FastgdError",
    "FastgdWarning",
    "InputWarning",
    "InvalidInputError",
    "ModelFileError",
    "NonFiniteWarning",
    "PrecisionWarning",
    "RankError",
    "ThreadsWarning",
    "TrainingWarning",
]


def __dir__() -> list[str]:
    return __all__


# Control characters, ends of lines, changes of direction and halves of characters.
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Text from a file as one harmless line: what would break it, turn it round or steer a terminal is escaped."""
    return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class FastgdError(Exception):
    """The base of all errors of this package; each message is one harmless line, whatever the names in it hold."""

    def __init__(self, *told: object) -> None:
        super().__init__(*(printable(part) if isinstance(part, str) else part for part in told))


class InvalidInputError(FastgdError, ValueError):
    """A table, an option or a name that cannot be used; the message names the row and the column where it can."""


class ModelFileError(FastgdError, OSError):
    """A model file that cannot be read or written: truncated, foreign, or from a newer version."""


class DeviceError(FastgdError, RuntimeError):
    """A GPU that was asked for and cannot be used: what is missing, or what went wrong there, and what to do."""


class RankError(FastgdError, RuntimeError):
    """One of several processes that train a network together has failed, or is gone; the message says which and why."""


class ClusterError(FastgdError, RuntimeError):
    """Workers of a cluster that cannot be used, or were lost: which, why, and what to do."""


class BusyError(FastgdError, RuntimeError):
    """A model that is to be changed while it learns in another thread, or in the middle of its own fit."""


class DivergenceError(FastgdError, ArithmeticError):
    """Training blew up: the loss is no longer a finite number.

    Attributes:
        step: how many steps had been taken.
        layer: the first layer, counted from 0, whose numbers are not finite; None if it is the loss alone.
        loss_before: the mean loss shortly before, in the units of y.
        learning_rate: one to try, with which some steps from the weights that are kept went well; NaN if none did.
    """

    step: int = 0
    layer: int | None = None
    loss_before: float = float("nan")
    learning_rate: float = float("nan")


class FastgdWarning(UserWarning):
    """The base of all warnings of this package."""


Told = tuple[str, type[FastgdWarning]]  # a warning's message and category


class CacheWarning(FastgdWarning):
    """Compiled kernels could not be kept on disk, or not where they should be, or what was kept there is damaged."""


class CheckpointWarning(FastgdWarning):
    """A checkpoint could not be written, or somebody else writes to its file; the training goes on."""


class ClusterWarning(FastgdWarning):
    """Workers of a cluster were lost, or have nothing to do; the networks are trained all the same."""


class TrainingWarning(FastgdWarning):
    """The base of warnings that a training goes wrong."""


class DivergenceWarning(TrainingWarning):
    """The loss is ten times what it was at the start: training may be about to blow up."""


class BlowUpWarning(DivergenceWarning):
    """The loss rose in a few steps; the error that ends the training follows."""


class PrecisionWarning(FastgdWarning):
    """A column varies by less than the model's dtype can resolve around its mean."""


class InputWarning(FastgdWarning):
    """A table holds what the model knows nothing about; the message names the column, the row or the class."""


class NonFiniteWarning(FastgdWarning):
    """A number that was asked for is infinite or not a number; the message names the row or the epoch."""


class DeadNetworkWarning(TrainingWarning):
    """A training has ended with a network that predicts the same for every row."""


class ThreadsWarning(FastgdWarning):
    """Threads could not be started; one thread does the work, with the same result."""


def not_installed(what: str, library: str) -> InvalidInputError:
    """The error where an optional library is missing.

    Its command names that library itself, which works in a clone and everywhere else; an extra of fastgd would not.
    """
    return InvalidInputError(f"{what} need {library}: run {pip_install(library)}.")


def pip_install(requirement: str) -> str:
    """The command that installs a library, such as "numba-cuda-mlir[cu13]"."""
    return f"`pip install {shlex.quote(requirement)}`"


# Where a thread's warnings go, if they are kept.
_kept: contextvars.ContextVar[list[Told] | None] = contextvars.ContextVar("kept", default=None)


@contextmanager
def kept_warnings() -> Iterator[list[Told]]:
    """Keep what this thread would warn of in a list, for whoever tells of many trainings together."""
    told: list[Told] = []
    token = _kept.set(told)
    try:
        yield told
    finally:
        _kept.reset(token)


def warn(message: str, category: type[FastgdWarning]) -> None:
    """Warn, pointing at the line outside this package that led here."""
    message = printable(message)
    told = _kept.get()
    if told is not None:
        told.append((message, category))
        return
    package = str(Path(__file__).parent)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
