"""What every command shares: whatever a user can meet is one line on standard error, and exit code 2."""

from __future__ import annotations

import contextlib
import functools
import io
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from ..errors import BlowUpWarning, FastgdError
from .launched import launched
from .terminal import complain, mute, warn

EXIT_INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended
WRITTEN = ("save", "report", "output", "out")  # parameters that name a file to write


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a user can meet into one line on standard error and exit code 2."""

    @functools.wraps(command)
    def wrapper(*args: Any, **options: Any) -> None:
        try:
            with _room_for(*(options.get(name) for name in WRITTEN)), warnings.catch_warnings():
                warnings.showwarning = _told_once()
                warnings.simplefilter("ignore", BlowUpWarning)  # the error that follows says more
                command(*args, **options)
        except MemoryError:
            complain("there is not enough memory for this: use fewer rows, or a smaller network.")
            sys.exit(2)
        except FastgdError as error:
            complain(error)
            sys.exit(2)
        except KeyboardInterrupt:
            complain("interrupted")
            sys.exit(EXIT_INTERRUPTED)

    return wrapper


def _room_for(*paths: Path | None) -> contextlib.AbstractContextManager[Any]:
    """Where standard output takes a model or a page, what is told goes to standard error."""
    from ..files.atomic import STANDARD_OUTPUT, destination

    with contextlib.suppress(OSError, ValueError):  # a path that leads nowhere is refused later
        if STANDARD_OUTPUT in [destination(path) for path in paths if path is not None]:
            return contextlib.redirect_stdout(sys.stderr)
    return contextlib.nullcontext()


class OneLineUsage(click.Group):
    """A group whose usage errors, too, are one line on standard error and exit code 2, as is a full disk.

    Its commands are imported when they are asked for: each is the function of its name, in the module of its name.

    Args:
        commands_known: name → what it does, in a line: the first of its help.
    """

    def __init__(self, *args: Any, commands_known: dict[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.commands_known = commands_known

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_known)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands_known:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f".{name}", __package__), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        near = [] if args[0] in self.commands_known else get_close_matches(args[0], self.commands_known, n=1)
        if near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.commands_known.items()))

    def main(self, args: Any = None, prog_name: Any = None, *others: Any, **options: Any) -> Any:
        standalone = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        options.setdefault("terminal_width", min(shutil.get_terminal_size().columns, 80) - 2)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without m² and R² shows a question mark
        try:
            with _ends_in_order():
                result: Any = super().main(args, prog_name, *others, **options)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "fastgd"
            if not launched()[1]:  # all that were started together meet it
                complain(f"{' '.join(error.format_message().split())} See `{command} --help`.")
            sys.exit(2)
        except click.Abort:
            sys.exit(EXIT_INTERRUPTED)
        except FastgdError as error:  # of an option's value, before the command itself
            complain(error)
            sys.exit(2)
        except OSError as error:
            mute(sys.stdout)
            what = f"{error.filename} cannot be used" if error.filename else "the output cannot be written"
            complain(f"{what}: {error.strerror or error}.")
            sys.exit(2)
        except Exception as error:  # a mistake of this package
            if sys.flags.dev_mode:
                raise
            what = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(". ")
            complain(f"something went wrong inside ({what}). Please report it; `python -X dev -m fastgd` shows where.")
            sys.exit(2)
        if standalone:
            sys.exit(result if isinstance(result, int) else 0)
        return result


@contextlib.contextmanager
def _ends_in_order() -> Iterator[None]:
    """Where the system asks the process to end, it cleans up first: no file stays half-written beside its place."""
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _told_once() -> Callable[..., None]:
    """What shows warnings: each in one line, and once, though several networks may say it."""
    told: set[str] = set()

    def show(message: Warning | str, *others: Any, **options: Any) -> None:
        if str(message) not in told:
            warn(str(message))
        told.add(str(message))

    return show
