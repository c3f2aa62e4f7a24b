"""What is asked of the workers of a cluster, whoever schedules them, and what they answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from .. import __version__
from ..errors import FastgdError
from .parcels import Bundle, Luggage

JOBLIB = "joblib"  # the client that stands for its workers
MOST_LOST = 3  # workers that may be lost with a network before it is given up: as Dask's own limit


class Came(NamedTuple):
    """A worker has sent what became of networks, or why it trained none."""

    bundle: Bundle
    answer: list[bytes] | FastgdError


class Lost(NamedTuple):
    """A worker was lost that had these networks; they are begun again."""

    bundle: Bundle
    worker: str


class GivenUp(NamedTuple):
    """Too many workers were lost with these networks."""

    bundle: Bundle


Event: TypeAlias = Came | Lost | GivenUp


class Errand(NamedTuple):
    """What all workers are told: what to look at, and how to train."""

    luggage: Luggage
    call: str  # by which they know one call from another
    device: str
    version: str = __version__


class Workers(Protocol):
    """Who trains bundles of networks somewhere else, and begins those again whose worker is lost."""

    n_threads: int  # how many networks they train at the same time

    def begin(self, errand: Errand, bundles: Sequence[Bundle]) -> None:
        """Start with these bundles, in their order."""

    def add(self, bundles: Iterable[Bundle]) -> None:
        """These may have killed workers: they are to be trained, too, alone."""

    def look(self) -> Iterable[Event]:
        """What has happened, after a moment; there may be nothing. Who asks notes each event before the next."""

    def stop(self) -> bool:
        """Begin no more, and have those end that have begun; returns whether they will still come."""

    def begun(self) -> list[Bundle]:
        """Which are handed out and have not come back."""

    def end(self) -> None:
        """All is over, or given up: forget the bundles."""

    def close(self) -> None:
        """Let the workers go, who forget the luggage."""
