"""What the command line writes: plain text on standard output, and one line on standard error for what went wrong.

What comes from files, such as their names and their columns, is shown with its control characters as escapes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

LONGEST = 2000  # characters of a message: what it quotes may be as long as a file


def say(line: str) -> None:
    """One line on standard output; a terminal that is narrower breaks it."""
    from ..options import printable

    _console().print(printable(line))


def complain(message: object) -> None:
    """One line on standard error."""
    from ..options import printable, shortened

    try:
        click.echo(f"fastgd: {shortened(printable(str(message)), LONGEST)}", err=True)
    except OSError:
        mute(sys.stderr)


def mute(stream: Any) -> None:
    """Send what is left in a stream that cannot be written to nowhere, or Python complains about it in the end."""
    with contextlib.suppress(AttributeError, OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns, the first to the left, the others to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from ..options import printable

    columns = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(header):
        columns.add_column(printable(name), justify="left" if place == 0 else "right")
    for row in rows:
        columns.add_row(*map(printable, row))
    _console().print(columns)


def tell(scene: Any) -> None:
    """A scene of a report as text: no colour, 80 columns."""
    from textwrap import fill

    from ..pages.page import Chart, Listing, text_chart

    console = _console()
    console.print(f"\n{scene.title}\n{'─' * len(scene.title)}")
    for part in scene.parts:
        if isinstance(part, Listing):
            table(part.header, part.rows)
        elif not isinstance(part, Chart):
            console.print(fill(part.text, 79))
        elif len(part.lines) == 1:
            first, last = part.lines[0].x[0], part.lines[0].x[-1]
            console.print(f"\n{part.title}  ({part.y_label}; {part.x_label} {first:g} to {last:g})")
            console.print("\n".join(text_chart(part)))


def busy(doing: str) -> Status:
    """On a terminal, a line that shows what takes so long, while it does."""
    from rich.text import Text

    from ..options import printable

    return _console().status(Text(printable(doing)))


def _console() -> Console:
    from rich.console import Console

    from ..training.progress import Output

    watched = Output(sys.stdout).isatty()
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=not watched)
