"""What a person sees while many networks train: a live bar on a terminal, a few lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import IO, Any, Protocol, cast

from ..options import shortened
from ..training.progress import Lines, Output, Silent, columns_seen, display, say
from .records import Record

MOST_LINES = 10
BESIDE_BAR = 20  # columns of a live line's other parts


class Overview(Protocol):
    """What is told of all networks together."""

    def look(self, done: float, finished: list[Record]) -> None:
        """So much of the work is done, from 0 to 1, and these networks are finished."""

    def end(self, finished: list[Record]) -> None:
        """All is over."""


class Nothing:
    """Shows nothing."""

    def look(self, done: float, finished: list[Record]) -> None: ...

    def end(self, finished: list[Record]) -> None: ...


class FewLines:
    """Writes a line when another tenth of the networks is finished."""

    def __init__(self, n: int) -> None:
        self.n, self.told, self.started = n, 0, time.perf_counter()

    def look(self, done: float, finished: list[Record]) -> None:
        if len(finished) - self.told >= max(1, -(-self.n // MOST_LINES)):
            self._tell(finished)

    def end(self, finished: list[Record]) -> None:
        if len(finished) > self.told or not finished:
            self._tell(finished)

    def _tell(self, finished: list[Record]) -> None:
        self.told = len(finished)
        say(f"{counted(finished, self.n)}, {time.perf_counter() - self.started:.1f} s")


class EachRecord:
    """Writes a line for every network."""

    def __init__(self, n: int) -> None:
        self.told = 0

    def look(self, done: float, finished: list[Record]) -> None:
        while self.told < len(finished):
            say(repr(finished[self.told]))
            self.told += 1

    def end(self, finished: list[Record]) -> None:
        self.look(1.0, finished)


class LiveBar:
    """A live line on a terminal: how many networks are finished, and the time left."""

    def __init__(self, n: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.n = n
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), TimeRemainingColumn(compact=True),
            console=Console(file=cast(IO[str], Output(sys.stdout))),
        )  # fmt: skip
        self.task = self.progress.add_task("starting", total=1.0)
        self.progress.start()

    def look(self, done: float, finished: list[Record]) -> None:
        said = shortened(counted(finished, self.n), max((columns_seen() or 80) - BESIDE_BAR, 1))
        self.progress.update(self.task, completed=done, description=said)

    def end(self, finished: list[Record]) -> None:
        if len(finished) == self.n:
            self.look(1.0, finished)
        self.progress.stop()


def counted(finished: list[Record], n: int) -> str:
    """How many networks are finished, and how many of them failed."""
    failed = sum(record.error is not None for record in finished)
    return f"{len(finished):,} of {n:,} networks" + (f", {failed:,} failed" if failed else "")


def overview(verbose: Any, n: int) -> Overview:
    """What `verbose` asks for, as for `fit`: 2 for a line per network."""
    kind = display(verbose)
    if isinstance(kind, Lines):
        shown: Callable[[int], Overview] = EachRecord if kind.every_epoch else FewLines
        return shown(n)
    return Nothing() if isinstance(kind, Silent) else LiveBar(n)
