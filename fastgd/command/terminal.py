"""What the command line writes: what was asked for on standard output, and all other talk on standard error.

What comes from files, such as their names and their columns, is shown with its control characters as escapes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

WIDTH = 79  # of texts: columns, where there are as many
LONGEST = 2000  # characters of a message: what it quotes may be as long as a file


def say(line: str) -> None:
    """One line on standard output; a terminal that is narrower breaks it."""
    from ..options import printable

    _print(printable(line), _console())


def remark(line: str) -> None:
    """One line beside what was asked for: on standard error, and not with --quiet."""
    try:
        with aside():
            say(line)
    except OSError:  # nobody can read it, which is no reason to stop
        mute(sys.stderr)


def warn(message: str) -> None:
    """What is odd about what was given, in one line on standard error, and not with --quiet."""
    if not is_quiet():
        complain(message)


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """What is printed meanwhile is talk, such as a training's progress: see `remark`."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere if is_quiet() else sys.stderr):
        yield


_quiet = False  # of the process, because parts of tables come from threads, too


def set_quiet(value: bool) -> None:
    """Tell nothing but errors from now on, or everything."""
    global _quiet
    _quiet = value


def is_quiet() -> bool:
    """Whether the command was called with --quiet."""
    return _quiet


def answer(found: Mapping[str, Any]) -> None:
    """What a command has found as one JSON object on a line of standard output; what is no finite number is null."""
    import json

    click.echo(json.dumps(_plain(found), allow_nan=False))


def _plain(value: Any) -> Any:
    """Values as JSON has them, from those of NumPy, too."""
    import math

    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(held) for name, held in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
    """Aligned columns, the first to the left, the others to the right.

    Where they are too many to stand side by side, the others follow in further tables, each with the first column.
    """
    from textwrap import fill

    from rich.cells import cell_len

    from ..options import printable, side_by_side

    console = _console()
    names, *cells = [list(map(printable, row)) for row in (header, *rows)]
    columns = [list(column) for column in zip(*cells, strict=True)]
    room = console.width - 2  # beside the blank at each side
    widths = [max(map(cell_len, column)) for column in zip(names, *cells, strict=True)]
    if len(side_by_side(widths, 3, room)) > 1:
        widths = [max(map(cell_len, (*name.split(), *column))) for name, column in zip(names, columns, strict=True)]
        names = [fill(name, width) if name else "" for name, width in zip(names, widths, strict=True)]
    for places in side_by_side(widths, 3, room):
        _print_table([names[k] for k in places], [[row[k] for k in places] for row in cells], console)


def _print_table(names: list[str], rows: list[list[str]], console: Console) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    columns = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(names):
        columns.add_column(name, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        columns.add_row(*row)
    _print(columns, console)


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Names, and beside them what is to be said of each, in as many lines as that takes."""
    from rich.table import Table

    from ..options import printable

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold", max_width=30)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*map(printable, row))
    _print(grid, _console())


def tell(scene: Any) -> None:
    """A scene of a report as text: no colour, 80 columns or as many as there are."""
    from textwrap import fill

    from ..options import printable
    from ..pages.page import Chart, Listing, text_chart

    console = _console()
    width = min(console.width, WIDTH)
    title = printable(scene.title)
    console.print(f"\n{fill(title, width)}\n{'─' * min(len(title), width)}")
    for part in scene.parts:
        if isinstance(part, Listing):
            table(part.header, part.rows)
        elif not isinstance(part, Chart):
            console.print(fill(printable(part.text), width))
        elif len(part.lines) == 1:
            first, last = part.lines[0].x[0], part.lines[0].x[-1]
            heading = f"{part.title}  ({part.y_label}; {part.x_label} {first:g} to {last:g})"
            console.print(f"\n{fill(printable(heading), width)}")
            console.print("\n".join(map(printable, text_chart(part, width))))


def busy(doing: str) -> Status:
    """On a terminal, a line that shows what takes so long, while it does."""
    from rich.text import Text

    from ..options import printable

    return _console().status(Text(printable(doing)))


def _print(what: Any, console: Console) -> None:
    """Text or a table; in a pipe or a file without the blanks that fill lines and end broken ones."""
    if console.is_terminal:
        console.print(what)
        return
    with console.capture() as drawn:
        console.print(what)
    for line in drawn.get().splitlines():
        console.out(line.rstrip(), highlight=False)


def _console() -> Console:
    from rich.console import Console

    from ..training.progress import columns_seen

    return Console(width=columns_seen(), highlight=False, markup=False, emoji=False, soft_wrap=columns_seen() is None)
