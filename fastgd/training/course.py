"""How far an unfinished training has come: what a checkpoint keeps beside the training state that every model has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..kernels.records import Reals

Plain = bool | int | float | str


class Waiting(NamedTuple):
    """What an EarlyStopping has seen."""

    best: float  # of what it monitors; the smaller the better
    best_epoch: int  # counted from 0; -1: before the first step
    waited: int  # epochs since
    parameters: Reals | None  # of that epoch, (n_parameters,)


class End(NamedTuple):
    """How a training has ended, as its history says it."""

    ended: str
    stop_reason: str
    best_epoch: int | None


@dataclass(frozen=True)
class Course:
    """A place in a training, between two chunks of steps. Losses are in standard units.

    options: what a training that goes on from here must have alike, each as plain numbers or words.
    began: a hash of the weights and moments that it began with.
    history: for each name its value after every epoch.
    end: None while there is more to train.
    """

    options: Mapping[str, Plain]
    began: str
    first_step: int  # steps that were taken before this training
    portion: int  # of the epoch at hand: how many portions of its rows are over,
    step: int  # how many steps were taken on the next one,
    loss: float  # the sum over the epoch so far of each step's loss times its rows,
    weight: float  # and the weight of these rows
    rate: float  # learning rate of the last step
    start: float  # mean loss before the first step,
    lowest: float  # and of the best chunk of steps
    last_loss: float  # mean loss of the last chunk
    is_warned: bool  # whether a blow-up was told
    seconds: float
    history: Mapping[str, list[float]]
    waiting: tuple[Waiting, ...] = ()  # of each EarlyStopping
    end: End | None = None

    @property
    def epochs(self) -> int:
        """How many epochs are over."""
        return len(self.history["loss"])


NUMBERS = ("loss", "weight", "rate", "start", "lowest", "last_loss", "seconds")  # float64
