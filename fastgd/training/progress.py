"""What a person sees while a training runs: a live bar on a terminal, a few plain lines elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import textwrap
import time
from typing import IO, Any, Protocol, cast

import numpy as np

from ..errors import InvalidInputError
from ..options import shown
from .history import COMPLETED, History

PLAIN_LINES = 10  # the most lines for a training without a terminal
BESIDE = 14  # columns of a live line's other parts: some of the bar, the time left, blanks between
LEAST_COLUMNS = 20  # in fewer nothing can be read
SHOWN = ("loss", "val_loss", "val_accuracy")


class Display(Protocol):
    """What the training loop tells whoever watches."""

    def reading(self, what: str) -> None:
        """Something is read before anything else happens; it may take long."""

    def compiling(self) -> None:
        """The loops are not compiled yet; the next thing takes seconds."""

    def begin(self, epochs: int, n_rows: int) -> None:
        """Training starts."""

    def resumed(self, what: str, seconds: float) -> None:
        """The training goes on where it was cut off, after so many seconds."""

    def advance(self, epoch: int, rows_done: int, loss: float) -> None:
        """Some steps of an epoch are done; `loss` is the epoch's mean so far."""

    def epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """An epoch is complete."""

    def end(self, history: History | None) -> None:
        """Training is over; without a history, by an error."""


class Silent:
    """Shows nothing."""

    def reading(self, what: str) -> None: ...

    def compiling(self) -> None: ...

    def begin(self, epochs: int, n_rows: int) -> None: ...

    def resumed(self, what: str, seconds: float) -> None: ...

    def advance(self, epoch: int, rows_done: int, loss: float) -> None: ...

    def epoch_end(self, epoch: int, logs: dict[str, float]) -> None: ...

    def end(self, history: History | None) -> None: ...


class Output:
    """A stream as far as it can be written to: a training is not lost because nobody can see it.

    There may be no stream at all, as in a service, or its reader may be gone, and a character may be missing in it.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(Exception):
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                self.stream.write(text.encode(self.encoding, "replace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        with contextlib.suppress(Exception):
            self.stream.flush()

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        with contextlib.suppress(Exception):
            return bool(self.stream.isatty())
        return False


def columns_seen() -> int | None:
    """How many columns whoever reads has: those of a terminal, or COLUMNS; None where a pipe or a file takes all."""
    if Output(sys.stdout).isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return max(shutil.get_terminal_size().columns, LEAST_COLUMNS)
    return None


class Lines(Silent):
    """Writes a plain line for some of the epochs, or for each."""

    def __init__(self, every_epoch: bool = False) -> None:
        self.every_epoch = every_epoch

    def reading(self, what: str) -> None:
        say(what)

    def compiling(self) -> None:
        say("compiling the loops for this machine, once; this takes some seconds")

    def begin(self, epochs: int, n_rows: int) -> None:
        self.epochs, self.n_rows = epochs, n_rows
        self.interval = 1 if self.every_epoch else max(1, -(-epochs // (PLAIN_LINES - 1)))
        self.started = time.perf_counter()

    def resumed(self, what: str, seconds: float) -> None:
        self.started -= seconds
        say(what)

    def advance(self, epoch: int, rows_done: int, loss: float) -> None:
        self.n_done = epoch * self.n_rows + rows_done

    def epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        done = epoch + 1
        if done == 1 or done == self.epochs or (done % self.interval == 0 and done + self.interval <= self.epochs):
            n_rows = self.n_rows * done if self.n_rows < sys.maxsize else self.n_done
            speed = n_rows / max(time.perf_counter() - self.started, 1e-9)
            values = "  ".join(f"{name} {value:#.4g}" for name, value in logs.items() if name in SHOWN)
            say(f"epoch {done:>{len(str(self.epochs))}}/{self.epochs}  {values}  {speed:,.0f} rows/s")

    def end(self, history: History | None) -> None:
        _say_why(history)


class Bar:
    """A live line on a terminal: epoch, loss, rows per second, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True), console=Console(file=cast(IO[str], Output(sys.stdout))),
        )  # fmt: skip
        self.task = self.progress.add_task("starting", total=None, speed="")

    def reading(self, what: str) -> None:
        self.progress.start()
        self.progress.update(self.task, description=what)

    def compiling(self) -> None:
        self.progress.start()
        self.progress.update(self.task, description="compiling the loops, once")

    def begin(self, epochs: int, n_rows: int) -> None:
        self.epochs, self.n_rows, self.loss = epochs, n_rows, ""
        self.started = time.perf_counter()
        self.progress.start()
        total = (
            min(epochs * n_rows, sys.maxsize) if n_rows < sys.maxsize else None
        )  # nobody knows the end of an iterator
        self.progress.reset(self.task, total=total, description="starting")

    def resumed(self, what: str, seconds: float) -> None:
        self.started -= seconds
        self.progress.console.print(what, markup=False, highlight=False)

    def advance(self, epoch: int, rows_done: int, loss: float) -> None:
        done = epoch * self.n_rows + rows_done
        speed = done / max(time.perf_counter() - self.started, 1e-9)
        room = (columns_seen() or 80) - BESIDE
        values = f"epoch {epoch + 1}/{self.epochs}  loss {loss:#.4g}{self.loss}"
        said = re.sub("  +", "\n", values) if len(values) > room else values
        rows = f"{speed:,.0f} rows/s"
        fits = max(map(len, said.splitlines())) + len(rows) < room  # where it is narrow, this is missed least
        self.progress.update(self.task, completed=done, description=said, speed=rows if fits else "")

    def epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.loss = "".join(f"  {name} {value:#.4g}" for name, value in logs.items() if name in SHOWN[1:])

    def end(self, history: History | None) -> None:
        self.progress.stop()
        _say_why(history)


def display(verbose: Any) -> Display:
    """The display for `verbose`: "auto", 0 (nothing), 1 (live bar) or 2 (a line per epoch)."""
    if isinstance(verbose, Silent):  # of whoever trains many models, and tells of them together
        return verbose
    if isinstance(verbose, str) and verbose == "auto":
        return _bar() if Output(sys.stdout).isatty() else Lines()
    if isinstance(verbose, int | np.integer) and 0 <= verbose <= 2:
        return (Silent, _bar, lambda: Lines(every_epoch=True))[int(verbose)]()
    raise InvalidInputError(
        f"verbose must be 'auto', 0 (silent), 1 (live bar) or 2 (a line per epoch), not {shown(verbose)}."
    )


def _bar() -> Display:
    """The bar; where rich shows another one already, around this training, plain lines above that."""
    return Lines() if hasattr(sys.stdout, "rich_proxied_file") else Bar()


def _say_why(history: History | None) -> None:
    if history is not None and history.ended != COMPLETED:
        say(f"stopped after {history.epochs} complete epochs: {history.stop_reason}")
    if history is not None and history.kept_weights():
        say(f"the model has the {history.kept_weights()}")


def say(line: str) -> None:
    """Write a line, in as many as the terminal has room for."""
    output, columns = Output(sys.stdout), columns_seen()
    if columns and len(line) > columns:
        line = textwrap.fill(line, columns)
    output.write(line + "\n")
    output.flush()
